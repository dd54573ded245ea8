//! Whose turn it is to start, and what has come back from those who start.
//!
//! Shared by the host's loop and its [runners](super::runner), under one lock: the loop stages, a runner begins
//! whatever fits and gives back what has become of it. So an end starts the next attempt on the same thread,
//! and nobody is asked in between. **Invariant:** nothing is begun before it is in the journal, beyond the
//! capacity, or later than the lease allows; an attempt is staged, away with a runner, back, or the loop's.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use policy::id::Token;
use policy::resources::Resources;
use policy::slots::Slots;
use policy::stages::Step;
use policy::task::{AttemptOutcome, LossReason, Usage};
use policy::time::Moment;
use rustc_hash::FxHashMap;

use super::attempt::Attempt;
use super::journal::{Entry, Journal, Remembered};
use crate::process::protocol::Start;

/// How long what has come back may wait for company while other attempts are begun, before the loop is
/// woken for it: a dozen processes of the shortest kind, and less than a person notices who waits for an end.
const COMPANY: Duration = Duration::from_millis(8);

/// An attempt whose turn has not come.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) start: Start,
    pub(super) attempt: Attempt,
}

/// What has become of an attempt that was begun.
#[derive(Debug)]
pub(super) enum Back {
    /// It runs on, or something of it is left.
    Running(Box<Attempt>),
    /// It is over, and the journal has its end.
    Over(Box<Remembered>),
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) journal: Journal,
    /// `None` while nobody has said how much there is.
    slots: Option<Slots>,
    start_until: Option<Moment>,
    /// When what has begun is killed.
    kill_at: Option<Moment>,
    staged: FxHashMap<Token, Box<Job>>,
    /// The staged ones in order, while there are no slots.
    order: VecDeque<Token>,
    away: BTreeMap<Token, Remembered>,
    /// Those of them that have their room and whose next command is to be begun, in order.
    again: VecDeque<Box<Job>>,
    back: Vec<Back>,
    /// Since when the oldest of those waits.
    back_since: Option<Moment>,
    is_told: bool,
    troubles: Vec<io::Error>,
    /// Runners that have nothing to do.
    pub(super) idle: usize,
    /// Whether the worker was told that nothing is to be started.
    pub(super) is_halted: bool,
    /// Nothing is started while this file is there.
    halt: PathBuf,
}

impl Back {
    pub(super) fn record(&self) -> &Remembered {
        match self {
            Self::Running(attempt) => &attempt.record,
            Self::Over(record) => record,
        }
    }
}

/// What the loop does with it.
impl Gate {
    pub(super) fn new(journal: Journal, halt: PathBuf) -> Self {
        Self {
            journal,
            slots: None,
            start_until: None,
            kill_at: None,
            staged: FxHashMap::default(),
            order: VecDeque::new(),
            away: BTreeMap::new(),
            again: VecDeque::new(),
            back: Vec::new(),
            back_since: None,
            is_told: false,
            troubles: Vec::new(),
            idle: 0,
            is_halted: false,
            halt,
        }
    }

    /// There is this much. What can never run is given back; `running` is what the loop knows to run.
    pub(super) fn set_capacity(
        &mut self,
        capacity: Resources,
        running: impl Iterator<Item = (Token, Resources)>,
    ) -> Vec<Job> {
        let slots = self.slots.get_or_insert_with(|| {
            let mut slots = Slots::new(capacity.clone());
            let back = self.back.iter().map(Back::record).filter(|record| record.end.is_none());
            let gone = self.away.values().chain(back).map(|record| (record.token, record.need.clone()));
            for (token, need) in running.chain(gone) {
                slots.adopt(token, need);
            }
            for token in self.order.drain(..) {
                if let Some(job) = self.staged.get(&token) {
                    slots.stage(token, job.start.need.clone());
                }
            }
            slots
        });
        let evicted = slots.set_capacity(capacity);
        evicted.into_iter().filter_map(|token| self.staged.remove(&token).map(|job| *job)).collect()
    }

    /// Nothing is begun from the first moment on, and nothing goes on from the second.
    pub(super) fn set_lease(&mut self, start_until: Moment, kill_at: Moment) {
        (self.start_until, self.kill_at) = (Some(start_until.min(kill_at)), Some(kill_at));
    }

    /// Queues an attempt; `Err` where it needs more than there is.
    pub(super) fn stage(&mut self, job: Box<Job>) -> Result<(), Box<Job>> {
        let token = job.start.token;
        match &mut self.slots {
            Some(slots) if !slots.capacity().covers(&job.start.need) => return Err(job),
            Some(slots) => slots.stage(token, job.start.need.clone()),
            None => self.order.push_back(token),
        }
        self.staged.insert(token, job);
        Ok(())
    }

    /// Takes back an attempt whose turn has not come.
    pub(super) fn unstage(&mut self, token: Token) -> Option<Box<Job>> {
        let job = self.staged.remove(&token)?;
        match &mut self.slots {
            Some(slots) => {
                slots.end(token);
            }
            None => self.order.retain(|staged| *staged != token),
        }
        Some(job)
    }

    /// The next command of an attempt that has its room is to be begun.
    pub(super) fn go_on(&mut self, job: Box<Job>) {
        self.away.insert(job.start.token, job.attempt.record.clone());
        self.again.push_back(job);
    }

    /// Takes back an attempt whose next command nobody has begun.
    pub(super) fn take_again(&mut self, token: Token) -> Option<Box<Job>> {
        let place = self.again.iter().position(|job| job.start.token == token)?;
        self.away.remove(&token);
        self.again.remove(place)
    }

    /// Every attempt whose turn has not come, in order of token.
    pub(super) fn staged(&self) -> Vec<&Job> {
        let mut staged: Vec<&Job> = self.staged.values().map(Box::as_ref).collect();
        staged.sort_unstable_by_key(|job| job.start.token);
        staged
    }

    /// Every attempt that is with a runner.
    pub(super) fn away(&self) -> impl Iterator<Item = &Remembered> {
        self.away.values()
    }

    /// Every attempt that has come back.
    pub(super) fn back(&self) -> impl Iterator<Item = &Remembered> {
        self.back.iter().map(Back::record)
    }

    pub(super) fn is_away(&self, token: Token) -> bool {
        self.away.contains_key(&token)
    }

    /// Whether an attempt is staged, away or back.
    pub(super) fn holds(&self, token: Token) -> bool {
        self.staged.contains_key(&token)
            || self.is_away(token)
            || self.back.iter().any(|back| back.record().token == token)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.staged.is_empty() && self.away.is_empty() && self.back.is_empty()
    }

    /// Everything that has come back, in the order in which it did.
    pub(super) fn take_back(&mut self) -> Vec<Back> {
        (self.back_since, self.is_told) = (None, false);
        std::mem::take(&mut self.back)
    }

    /// As [`Self::take_back`], once somebody was to be told of it: a turn of the loop for another reason must not part what
    /// gathers.
    pub(super) fn take_due(&mut self, now: Moment) -> Vec<Back> {
        let is_due = self.is_told || self.back_since.is_some_and(|since| now.since(since) >= COMPANY);
        if is_due { self.take_back() } else { Vec::new() }
    }

    pub(super) fn take_troubles(&mut self) -> Vec<io::Error> {
        std::mem::take(&mut self.troubles)
    }

    /// An attempt is over: recorded, and its resources are free.
    pub(super) fn end(&mut self, record: &Remembered) {
        let token = record.token;
        if let Some((outcome, usage)) = record.end.clone() {
            if !record.steps.is_empty() {
                self.journal.append(&Entry::Steps { token, steps: record.steps.clone() });
            }
            self.journal.append(&Entry::Ended { token, outcome, usage });
        }
        self.away.remove(&token);
        if let Some(slots) = &mut self.slots {
            slots.end(token);
        }
    }
}

/// What a runner does with it.
impl Gate {
    /// Whether [`Self::begin`] would give one.
    pub(super) fn can_begin(&self, now: Moment) -> bool {
        let next = self.slots.as_ref().map_or(!self.order.is_empty(), Slots::next_fits);
        self.can_go_on(now) || next && !self.is_halted && self.start_until.is_none_or(|until| now < until)
    }

    /// Whether an attempt that has its room waits for its next command, and may still go on: a runner may come here long after
    /// it was woken, as where the machine has slept.
    fn can_go_on(&self, now: Moment) -> bool {
        !self.again.is_empty() && self.kill_at.is_none_or(|until| now < until)
    }

    /// The next attempt, which holds its resources from now on and is in the journal.
    pub(super) fn begin(&mut self, now: Moment) -> Option<Box<Job>> {
        if self.can_go_on(now)
            && let Some(job) = self.again.pop_front()
        {
            let Remembered { token, step, .. } = job.attempt.record;
            self.remember_step(token, step);
            return Some(job);
        }
        // Looked at for each: whoever halts a machine by hand means the next start, whatever hangs.
        while self.can_begin(now) && !self.halt.exists() {
            let token = match &mut self.slots {
                Some(slots) => slots.start_next()?,
                None => self.order.pop_front()?,
            };
            let mut job = self.staged.remove(&token)?;
            job.attempt.record.at = now;
            if let Some(overrun) = job.start.bounds.deadline.and_then(|deadline| deadline.exceeded(now)) {
                self.unstarted(job.attempt.record, AttemptOutcome::TimedOut(overrun.into()), now);
                continue;
            }
            self.journal.append(&job.attempt.record.starting());
            if let Some(step) = job.attempt.record.step {
                self.journal.append(&Entry::Step { token, step });
            }
            match self.journal.flush() {
                Ok(()) => {
                    self.away.insert(token, job.attempt.record.clone());
                    return Some(job);
                }
                Err(error) => self.unrecorded(job.attempt.record, error, now),
            }
        }
        None
    }

    /// Of an attempt that is recorded already: it goes on whether or not this can be written.
    fn remember_step(&mut self, token: Token, step: Option<Step>) {
        if let Some(step) = step {
            self.journal.append(&Entry::Step { token, step });
        }
        if let Err(error) = self.journal.flush() {
            self.trouble(error);
        }
    }

    /// What cannot be recorded is not started.
    fn unrecorded(&mut self, mut record: Remembered, error: io::Error, now: Moment) {
        record.end = Some((AttemptOutcome::Lost(LossReason::Evicted), Usage::default()));
        self.end(&record);
        self.trouble(error);
        self.give(Back::Over(Box::new(record)), now);
    }

    /// There is no time left for it.
    fn unstarted(&mut self, mut record: Remembered, outcome: AttemptOutcome, now: Moment) {
        // An end without a beginning would not be remembered.
        self.journal.append(&record.starting());
        record.end = Some((outcome, Usage::default()));
        self.end(&record);
        self.give(Back::Over(Box::new(record)), now);
    }

    /// The process of an attempt runs.
    pub(super) fn runs(&mut self, token: Token, pid: i32) {
        if let Some(record) = self.away.get_mut(&token) {
            record.pid = Some(pid);
        }
        self.journal.append(&Entry::Running { token, pid });
        if let Err(error) = self.journal.flush() {
            self.trouble(error);
        }
    }

    /// An attempt goes to the loop, once that is woken.
    pub(super) fn give_back(&mut self, back: Back, now: Moment) {
        match &back {
            Back::Running(attempt) => {
                self.away.remove(&attempt.record.token);
            }
            Back::Over(record) => self.end(record),
        }
        self.give(back, now);
    }

    fn give(&mut self, back: Back, now: Moment) {
        self.back_since.get_or_insert(now);
        self.back.push(back);
    }

    /// Whether the loop is to be woken now: at once if nothing is `begun` that would soon bring more, or if half of what
    /// was staged is used up: whoever hears of it grants more. Says yes once.
    pub(super) fn must_tell(&mut self, begun: bool, now: Moment) -> bool {
        let Some(since) = self.back_since else { return false };
        let is_scarce = self.back.len() > self.staged.len();
        let is_due = !begun || is_scarce || now.since(since) >= COMPANY;
        is_due && !std::mem::replace(&mut self.is_told, true)
    }

    pub(super) fn trouble(&mut self, error: io::Error) {
        self.troubles.push(error);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use policy::bounds::AttemptBounds;
    use policy::excess::UseLimits;
    use policy::id::{AttemptNumber, TaskId};
    use policy::task::Qos;

    use super::*;
    use crate::output::spool::{OutputLimits, SpoolWriter};

    /// An attempt that has its room.
    fn job(place: &std::path::Path) -> Box<Job> {
        let (token, task, attempt, need) = (Token(1), TaskId(1), AttemptNumber(1), Resources::cpus(1000));
        let (at, step, steps) = (Moment(0), Some(Step::GATE), Vec::new());
        let record =
            Remembered { token, task, attempt, need: need.clone(), at, pid: None, step, steps, end: None };
        let start = Start {
            token,
            task,
            attempt,
            need,
            argv: vec!["true".into()],
            directory: "/".into(),
            environment: Vec::new(),
            bounds: AttemptBounds::default(),
            limits: UseLimits::default(),
            grace: Duration::ZERO,
            output: OutputLimits::default(),
            qos: Qos::default(),
            stages: None,
        };
        let spool = SpoolWriter::new(place.join("spool"), OutputLimits::default());
        let bounds = (AttemptBounds::default(), UseLimits::default());
        Box::new(Job { start, attempt: Attempt::starting(record, Duration::ZERO, bounds, spool) })
    }

    #[test]
    fn the_next_command_of_an_attempt_is_not_begun_after_the_lease_and_is_there_to_be_stopped() {
        let place = tempfile::tempdir().unwrap();
        let journal = Journal::begin(&place.path().join("journal"), "boot", [].iter()).unwrap();
        let mut gate = Gate::new(journal, place.path().join("halt"));
        gate.set_lease(Moment(5), Moment(10));
        gate.go_on(job(place.path()));
        assert!(!gate.can_begin(Moment(10)) && gate.begin(Moment(10)).is_none());
        // It holds its room already: only what is new must not begin before that.
        assert!(gate.can_begin(Moment(9)));
        assert!(gate.take_again(Token(1)).is_some());
        gate.go_on(job(place.path()));
        gate.set_lease(Moment(15), Moment(20));
        assert!(gate.begin(Moment(10)).is_some());
    }
}

//! What a node was promised, granted and has reported, and what it is to be told.
//!
//! Pure bookkeeping of the node actor; the mirror of the worker's own [`Slots`].

mod telling;

use std::collections::VecDeque;

use policy::id::{TaskId, Token};
use policy::planted;
use policy::resources::Resources;
use policy::slots::Slots;
use policy::stages::Step;
use policy::task::LossReason;
use rustc_hash::{FxHashMap, FxHashSet};
use supervision::Address;

use crate::lease::LeaseMessage;
use crate::task::TaskMessage;
use crate::wire::fleet::{Grant, Phase, StopCause};

/// Ends that are remembered so that a repeated report of them is no news: more than a worker can have
/// reported and not yet been told to forget.
const CLOSED_LIMIT: usize = 4096;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Attempts {
    slots: Slots,
    /// Tasks that were promised room and have not been granted yet, in order.
    reserved: VecDeque<(TaskId, Resources)>,
    active: FxHashMap<Token, Active>,
    /// The actors of all tasks that are awake here.
    awake: FxHashMap<TaskId, Address<TaskMessage>>,
    closed: VecDeque<Token>,
    closed_set: FxHashSet<Token>,
    run: Vec<Token>,
    stop: Vec<(StopCause, Token)>,
    forget: Vec<Token>,
    /// Reports told to tasks so far in this life of the actor.
    order: u64,
}

/// An attempt that was granted here.
#[derive(Debug)]
struct Active {
    task: TaskId,
    address: Address<TaskMessage>,
    lease: Address<LeaseMessage>,
    need: Resources,
    /// What to send, until the worker has reported that it runs.
    grant: Option<Box<Grant>>,
    seen: Seen,
    /// Which of its commands it is at, as the worker has reported.
    step: Option<Step>,
    /// Why it is to stop; `None` while it is to run.
    stopping: Option<StopCause>,
    /// Why it is given up, once it is: nothing of it is sent any more.
    lost: Option<LossReason>,
}

impl Active {
    /// Its task may have died before it wrote that down.
    fn tell_lost(&self, token: Token) {
        if let Some(reason) = self.lost {
            self.address.tell(TaskMessage::Lost { token, reason });
        }
    }
}

/// How far the worker has reported an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Nothing,
    Staged,
    Running,
    Ended,
}

impl From<&Phase> for Seen {
    fn from(phase: &Phase) -> Self {
        match phase {
            Phase::Staged => Self::Staged,
            Phase::Running { .. } => Self::Running,
            Phase::Ended { .. } => Self::Ended,
        }
    }
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            slots: Slots::new(Resources::default()),
            reserved: VecDeque::new(),
            active: FxHashMap::default(),
            awake: FxHashMap::default(),
            closed: VecDeque::new(),
            closed_set: FxHashSet::default(),
            run: Vec::new(),
            stop: Vec::new(),
            forget: Vec::new(),
            order: 0,
        }
    }
}

/// What the scheduler side decides about attempts.
impl Attempts {
    /// The machine has this much. What runs goes on running.
    pub(super) fn set_capacity(&mut self, capacity: &Resources) {
        let mut slots = Slots::new(capacity.clone());
        let mut granted: Vec<_> =
            self.active.iter().filter(|(_, active)| active.seen != Seen::Ended).collect();
        granted.sort_unstable_by_key(|(token, _)| **token);
        for (token, active) in granted {
            if active.seen == Seen::Running {
                slots.adopt(*token, active.need.clone());
            } else {
                slots.stage(*token, active.need.clone());
            }
        }
        self.slots = slots;
        self.start_staged();
    }

    pub(super) fn reserve(&mut self, task: TaskId, need: Resources) {
        self.reserved.push_back((task, need));
    }

    pub(super) fn unreserve(&mut self, task: TaskId) {
        self.awake.remove(&task);
        self.take_reservation(task);
    }

    pub(super) fn wake(&mut self, task: TaskId, address: Address<TaskMessage>) {
        self.awake.insert(task, address);
    }

    /// The attempt of a task, whatever its token.
    pub(super) fn current(&self, task: TaskId) -> Option<Token> {
        self.active.iter().find(|(_, active)| active.task == task).map(|(token, _)| *token)
    }

    pub(super) fn awake(&self, task: TaskId) -> Option<&Address<TaskMessage>> {
        self.awake.get(&task)
    }

    /// The grant under which a task holds something here.
    pub(super) fn token_of(&self, task: TaskId) -> Option<Token> {
        self.active.iter().find(|(_, active)| active.task == task).map(|(token, _)| *token)
    }

    /// An attempt from before a restart: the worker will say how far it is.
    pub(super) fn restore(&mut self, token: Token, need: Resources, seat: Restoring) {
        let Restoring { task, address, lease, started } = seat;
        let seen = if started { Seen::Running } else { Seen::Nothing };
        let (grant, step, stopping, lost) = (None, None, None, None);
        let active = Active { task, address, lease, need, grant, seen, step, stopping, lost };
        self.active.insert(token, active);
    }

    /// A grant is on disk: it may be sent.
    pub(super) fn grant(
        &mut self,
        grant: Box<Grant>,
        address: Address<TaskMessage>,
        lease: Address<LeaseMessage>,
    ) {
        let (token, task) = (grant.token, grant.task);
        let need = self.take_reservation(task).unwrap_or_else(|| grant.need().clone());
        self.run.push(token);
        self.slots.stage(token, need.clone());
        let (grant, seen, step) = (Some(grant), Seen::Nothing, None);
        let active = Active { task, address, lease, need, grant, seen, step, stopping: None, lost: None };
        self.active.insert(token, active);
        self.start_staged();
    }

    /// A grant that was restored before its task could say what it is.
    pub(super) fn complete(&mut self, grant: Box<Grant>) -> Option<Box<Grant>> {
        let Some(active) = self.active.get_mut(&grant.token) else { return Some(grant) };
        if active.seen == Seen::Nothing && active.lost.is_none() {
            self.run.push(grant.token);
            active.grant = Some(grant);
        }
        None
    }

    pub(super) fn ask_stop(&mut self, token: Token, cause: StopCause) {
        if let Some(active) = self.active.get_mut(&token) {
            let cause = active.stopping.map_or(cause, |before| before.max(cause));
            active.stopping = Some(cause);
            self.stop.push((cause, token));
        }
    }

    /// The machine is to be empty: what has not begun is given back, and with `all` what runs.
    pub(super) fn hand_back(&mut self, all: bool) {
        for token in self.sorted() {
            let Some(active) = self.active.get_mut(&token) else { continue };
            let is_due = active.seen < Seen::Running || all && active.seen == Seen::Running;
            if is_due && active.stopping.is_none() {
                active.stopping = Some(StopCause::Drain);
                self.stop.push((StopCause::Drain, token));
            }
        }
    }

    /// One attempt is to leave the machine; `false` where it is over, or its grant another's.
    pub(super) fn hand_back_one(&mut self, token: Token) -> bool {
        let is_here = self.active.get(&token).is_some_and(|active| active.seen <= Seen::Running);
        if is_here {
            self.ask_stop(token, StopCause::Drain);
        }
        is_here
    }

    /// Whether nothing is reserved, granted or running.
    pub(super) fn is_empty(&self) -> bool {
        self.reserved.is_empty() && self.active.is_empty()
    }

    /// The end is on disk.
    pub(super) fn close(&mut self, token: Token) -> Option<Closed> {
        let active = self.active.remove(&token)?;
        self.sleep(&active);
        self.slots.end(token);
        self.start_staged();
        if active.seen == Seen::Ended {
            self.forget.push(token);
            self.remember_closed(token);
        } else {
            self.stop.push((StopCause::End, token));
        }
        Some(Closed { lease: active.lease, was_known: active.seen == Seen::Ended })
    }

    /// The leases of all attempts that are not closed, in the order of the grants.
    pub(super) fn leases(&self) -> impl Iterator<Item = &Address<LeaseMessage>> {
        self.sorted().into_iter().filter_map(|token| self.active.get(&token)).map(|active| &active.lease)
    }

    /// The task's actor is done here, unless it was woken anew meanwhile.
    fn sleep(&mut self, active: &Active) {
        let same = |address: &Address<_>| address.probe().id() == active.address.probe().id();
        if self.awake.get(&active.task).is_some_and(same) {
            self.awake.remove(&active.task);
        }
    }

    fn take_reservation(&mut self, task: TaskId) -> Option<Resources> {
        let place = self.reserved.iter().position(|(reserved, _)| *reserved == task)?;
        self.reserved.remove(place).map(|(_, need)| need)
    }

    fn remember_closed(&mut self, token: Token) {
        self.closed.push_back(token);
        self.closed_set.insert(token);
        if self.closed.len() > CLOSED_LIMIT
            && let Some(oldest) = self.closed.pop_front()
        {
            self.closed_set.remove(&oldest);
        }
    }

    /// As the worker does: whoever is next and fits runs.
    fn start_staged(&mut self) {
        while self.slots.start_next().is_some() {}
    }
}

/// An attempt that is over.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) lease: Address<LeaseMessage>,
    /// Whether the worker had reported its end: what it held was free since then.
    pub(super) was_known: bool,
}

/// An attempt that is restored.
#[derive(Debug)]
pub(super) struct Restoring {
    pub(super) task: TaskId,
    pub(super) address: Address<TaskMessage>,
    pub(super) lease: Address<LeaseMessage>,
    pub(super) started: bool,
}

/// What the worker says about attempts.
impl Attempts {
    /// How far an attempt is; `false` where it is not one of ours (any more), and the worker is told what to
    /// do with it.
    pub(super) fn report(&mut self, token: Token, phase: Phase, ran: Option<u32>) -> bool {
        let seen = Seen::from(&phase);
        let Some(active) = self.active.get_mut(&token) else {
            let known = self.closed_set.contains(&token);
            if seen == Seen::Ended {
                self.forget.push(token);
            } else {
                self.stop.push((StopCause::End, token));
            }
            return known;
        };
        active.seen = active.seen.max(seen);
        active.step = step_of(&phase).or(active.step);
        if active.seen >= Seen::Running {
            // Until then a worker that starts anew has to be told again.
            active.grant = None;
        }
        match seen {
            Seen::Running => {
                self.slots.adopt(token, active.need.clone());
            }
            Seen::Ended => {
                self.slots.end(token);
            }
            Seen::Nothing | Seen::Staged => {}
        }
        self.order += 1;
        active.address.tell(TaskMessage::Reported { token, phase, order: self.order, ran });
        self.start_staged();
        true
    }

    /// Whether a line of an inventory says what no report has said, or an end that its task has not heard.
    pub(super) fn is_news(&self, token: Token, phase: &Phase) -> bool {
        let Some(active) = self.active.get(&token) else { return true };
        let seen = Seen::from(phase);
        let is_at_another =
            seen == active.seen && step_of(phase).is_some_and(|step| Some(step) != active.step);
        seen > active.seen || seen == Seen::Ended || is_at_another
    }

    /// After an inventory: what was sent and is not there is sent again; what ran or ended and is not there is lost;
    /// what is to stop and still runs is told so again. What is given up is for [`Self::insist`].
    pub(super) fn missing(&mut self, held: &FxHashSet<Token>) {
        for token in self.sorted() {
            let Some(active) = self.active.get(&token).filter(|active| active.lost.is_none()) else {
                continue;
            };
            let again = active.stopping.map(|cause| (cause, token));
            match (held.contains(&token), active.seen) {
                (_, seen) if again.is_some() && seen < Seen::Running => self.stop.extend(again),
                (true, Seen::Running) => self.stop.extend(again),
                (false, Seen::Nothing | Seen::Staged) if planted!(EdgeTriggeredGrants) => {}
                (false, Seen::Nothing | Seen::Staged) if planted!(RequeueUnreported) => {
                    lost(token, active, LossReason::Unknown);
                }
                (false, Seen::Nothing | Seen::Staged) => self.run.push(token),
                // An end is held until it is on record: one that is gone was told to a task that died before it wrote it down.
                (false, Seen::Running | Seen::Ended) => lost(token, active, LossReason::Unknown),
                (true, _) => {}
            }
        }
    }

    /// Gives up all there is.
    pub(super) fn lose_all(&mut self, reason: LossReason) {
        self.lose_all_but(&FxHashSet::default(), reason);
    }

    /// Gives up all but what the worker holds.
    pub(super) fn lose_all_but(&mut self, held: &FxHashSet<Token>, reason: LossReason) {
        for (_, active) in self.active.iter_mut().filter(|(token, _)| !held.contains(token)) {
            active.lost.get_or_insert(reason);
        }
        self.insist();
    }

    /// Tells tasks of what is given up, again until that is on disk.
    pub(super) fn insist(&self) {
        for token in self.sorted() {
            if let Some(active) = self.active.get(&token) {
                active.tell_lost(token);
            }
        }
    }

    fn sorted(&self) -> Vec<Token> {
        let mut tokens: Vec<_> = self.active.keys().copied().collect();
        tokens.sort_unstable();
        tokens
    }
}

/// Which of its commands an attempt is at.
fn step_of(phase: &Phase) -> Option<Step> {
    match phase {
        Phase::Running { step, .. } => *step,
        Phase::Staged | Phase::Ended { .. } => None,
    }
}

fn lost(token: Token, active: &Active, reason: LossReason) {
    active.address.tell(TaskMessage::Lost { token, reason });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::id::{AttemptNumber, GraphId, NodeSession};
    use policy::node::Pace;
    use policy::task::{AttemptOutcome, RequestNumber, TaskSpec, Usage};

    use super::*;
    use crate::wire::fleet::ToWorker;

    fn grant(token: u64, cores: u64) -> Box<Grant> {
        let spec =
            TaskSpec { resources: Resources::cpus(cores * 1000), ..TaskSpec::new("t", vec!["true".into()]) };
        Box::new(Grant {
            token: Token(token),
            task: TaskId(token),
            graph: GraphId(1),
            attempt: AttemptNumber(1),
            array_index: None,
            request: RequestNumber::default(),
            spec: Arc::new(spec),
            indices: policy::claims::Indices::new(),
            stretch_percent: 100,
            deadline: None,
            gang: Vec::new(),
        })
    }

    fn granted(tokens: &[u64]) -> Attempts {
        let mut attempts = Attempts::default();
        attempts.set_capacity(&Resources::cpus(2000));
        for token in tokens {
            attempts.grant(grant(*token, 1), Address::new("task", ""), Address::new("lease", ""));
        }
        attempts
    }

    fn ended() -> Phase {
        Phase::ended(AttemptOutcome::Exited(0), Usage::default())
    }

    /// What goes out, as `run 1 2, stop 3, forget 4`.
    fn outgoing(attempts: &mut Attempts) -> String {
        let told = attempts.outgoing(NodeSession(1), 100).into_iter().map(|message| {
            let list = |tokens: Vec<Token>| {
                tokens.iter().map(|token| token.0.to_string()).collect::<Vec<_>>().join(" ")
            };
            match message {
                ToWorker::Run { grants, .. } => {
                    format!("run {}", list(grants.iter().map(|grant| grant.token).collect()))
                }
                ToWorker::Stop { tokens, cause, .. } => {
                    let word = match cause {
                        StopCause::Drain => "hand back",
                        StopCause::Preempt => "evict",
                        StopCause::End => "stop",
                    };
                    format!("{word} {}", list(tokens))
                }
                ToWorker::Forget { tokens, .. } => format!("forget {}", list(tokens)),
                other => format!("{other:?}"),
            }
        });
        told.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_grant_that_no_inventory_names_is_sent_again() {
        let mut attempts = granted(&[1, 2]);
        assert_eq!(outgoing(&mut attempts), "run 1 2");
        attempts.missing(&[Token(1)].into_iter().collect());
        assert_eq!(outgoing(&mut attempts), "run 2");
    }

    #[test]
    fn an_end_frees_at_once_and_is_forgotten_when_its_record_is_on_disk() {
        let mut attempts = granted(&[1, 2, 3]);
        assert_eq!((attempts.running(), attempts.staged()), (2, 1));
        assert!(attempts.report(Token(1), ended(), None));
        assert_eq!((attempts.running(), attempts.staged()), (2, 0));
        assert_eq!(outgoing(&mut attempts), "run 2 3");
        attempts.close(Token(1));
        assert_eq!(outgoing(&mut attempts), "forget 1");
        assert!(attempts.report(Token(1), ended(), None), "a repeated end is no news");
        assert_eq!(outgoing(&mut attempts), "forget 1");
    }

    #[test]
    fn a_node_that_is_emptied_gives_back_what_waits_and_later_what_runs_until_it_is_heard() {
        let mut attempts = granted(&[1, 2, 3]);
        outgoing(&mut attempts);
        assert!(attempts.report(Token(1), Phase::Running { pid: 7, step: None }, None));
        attempts.hand_back(false);
        assert_eq!(outgoing(&mut attempts), "hand back 2 3");
        attempts.hand_back(false);
        assert_eq!(outgoing(&mut attempts), "", "it was asked");
        attempts.missing(&[Token(1), Token(2)].into_iter().collect());
        assert_eq!(outgoing(&mut attempts), "hand back 2 3", "and is asked again, never run again");
        attempts.hand_back(true);
        attempts.missing(&[Token(1), Token(2), Token(3)].into_iter().collect());
        assert_eq!(outgoing(&mut attempts), "hand back 1 1 2 3");
        attempts.ask_stop(Token(1), StopCause::End);
        attempts.missing(&[Token(1)].into_iter().collect());
        assert!(outgoing(&mut attempts).starts_with("stop 1 1, hand back"), "cancelling goes before");
        for token in [1, 2, 3] {
            attempts.report(Token(token), ended(), None);
            assert!(!attempts.is_empty());
            attempts.close(Token(token));
        }
        assert!(attempts.is_empty());
    }

    #[test]
    fn a_report_on_what_was_given_up_is_stale_and_the_process_is_to_stop() {
        let mut attempts = granted(&[1]);
        outgoing(&mut attempts);
        attempts.close(Token(1));
        assert_eq!(outgoing(&mut attempts), "stop 1");
        assert!(!attempts.report(Token(1), Phase::Running { pid: 7, step: None }, None));
        assert!(!attempts.report(Token(1), ended(), None));
        assert_eq!(outgoing(&mut attempts), "stop 1, forget 1");
    }

    #[test]
    fn what_is_given_up_is_not_sent_again_and_its_task_is_told_until_it_has_written_it_down() {
        let mut attempts = granted(&[1, 2]);
        outgoing(&mut attempts);
        attempts.lose_all_but(&[Token(2)].into_iter().collect(), LossReason::Rebooted);
        let told = |attempts: &Attempts| attempts.active[&Token(1)].address.probe().read().undelivered;
        assert_eq!(told(&attempts), 1);
        attempts.missing(&[Token(2)].into_iter().collect());
        assert!(attempts.complete(grant(1, 1)).is_none(), "its task begins anew");
        assert_eq!(outgoing(&mut attempts), "");
        attempts.insist();
        assert_eq!(told(&attempts), 2);
        attempts.close(Token(1));
        assert_eq!(outgoing(&mut attempts), "stop 1");
    }

    #[test]
    fn an_end_that_is_not_on_record_and_that_its_worker_has_forgotten_is_a_loss() {
        let mut attempts = granted(&[1]);
        outgoing(&mut attempts);
        attempts.report(Token(1), ended(), None);
        let told = |attempts: &Attempts| attempts.active[&Token(1)].address.probe().read().undelivered;
        attempts.missing(&[Token(1)].into_iter().collect());
        assert_eq!(told(&attempts), 1, "the end itself");
        attempts.missing(&FxHashSet::default());
        assert_eq!((told(&attempts), outgoing(&mut attempts).as_str()), (2, ""), "and never run again");
    }

    #[test]
    fn a_stop_is_said_again_as_long_as_it_runs() {
        let mut attempts = granted(&[1]);
        outgoing(&mut attempts);
        attempts.report(Token(1), Phase::Running { pid: 7, step: None }, None);
        attempts.ask_stop(Token(1), StopCause::End);
        assert_eq!(outgoing(&mut attempts), "stop 1");
        attempts.missing(&[Token(1)].into_iter().collect());
        assert_eq!(outgoing(&mut attempts), "stop 1");
    }

    #[test]
    fn one_that_makes_room_is_told_so_until_it_is_gone_unless_it_is_to_end_anyway() {
        let mut attempts = granted(&[1, 2]);
        outgoing(&mut attempts);
        attempts.report(Token(1), Phase::Running { pid: 7, step: None }, None);
        attempts.ask_stop(Token(1), StopCause::Preempt);
        attempts.ask_stop(Token(2), StopCause::Preempt);
        assert_eq!(outgoing(&mut attempts), "evict 1 2");
        attempts.hand_back(true);
        attempts.missing(&[Token(1)].into_iter().collect());
        assert_eq!(outgoing(&mut attempts), "evict 1 2", "what was not begun is never run instead");
        attempts.ask_stop(Token(1), StopCause::End);
        attempts.ask_stop(Token(1), StopCause::Preempt);
        assert_eq!(outgoing(&mut attempts), "stop 1 1");
    }

    #[test]
    fn promised_room_counts_as_taken() {
        let mut attempts = granted(&[]);
        attempts.reserve(TaskId(9), Resources::cpus(1500));
        assert_eq!(attempts.room(&Pace::default()).free.cpu_millis, 500);
        attempts.unreserve(TaskId(9));
        assert_eq!(attempts.room(&Pace::default()).free.cpu_millis, 2000);
    }

    #[test]
    fn a_machine_that_returns_smaller_goes_on_with_what_runs() {
        let mut attempts = granted(&[1, 2]);
        attempts.report(Token(1), Phase::Running { pid: 7, step: None }, None);
        attempts.report(Token(2), Phase::Running { pid: 8, step: None }, None);
        attempts.set_capacity(&Resources::cpus(1000));
        assert_eq!(attempts.running(), 2);
        assert_eq!(attempts.room(&Pace::default()).free.cpu_millis, 0);
    }
}

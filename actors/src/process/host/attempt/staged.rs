//! An attempt with more than its command: one process after the other, each begun when nothing of the one before is left.
//!
//! What follows what is `policy::stages`; here a step becomes a start, and its end what that is told. Between two steps an
//! attempt goes back to a runner, as a start does that holds its room. Whoever has its command alone pays for one `None`.

use std::time::Duration;

use policy::bounds::{AttemptBounds, Overrun, TimeLimit};
use policy::output::Stream;
use policy::stages::{Course, Stage, Step, StepEnd, StepOutcome, Turn, said_of, word};
use policy::task::{AttemptOutcome, LossReason, SpawnFailure, Usage};
use policy::text::OsText;
use policy::time::{Moment, Timestamp};

use super::burial::Burial;
use super::{Attempt, Phase};
use crate::process::host::gate::Job;
use crate::process::protocol::{Start, StopReason};

/// The variable that says which stage of its attempt a process is.
const STAGE_VARIABLE: &str = "CRAB_STAGE";
/// The variable that says to commands after how the attempt went.
const OUTCOME_VARIABLE: &str = "CRAB_OUTCOME";
/// Bytes of a step's standard error that are held to tell of a failure: some lines more than are told.
const HEARD_BYTES: usize = 2048;
/// Characters of a command that a line in the output shows.
const SHOWN_CHARS: usize = 120;

/// How far it is, and what each step is made of.
#[derive(Debug)]
pub(super) struct Staged {
    /// Its command, with all that is done around it.
    start: Start,
    course: Course,
    /// When its present step was begun.
    began: (Moment, Timestamp),
    /// What it may take beside what the task says of time: since when, and how long.
    limit: Option<(Moment, Duration)>,
    /// What its earlier steps have used.
    before: Usage,
    /// The last that its present step wrote to its standard error.
    heard: Vec<u8>,
    /// Whether the right to run it is over.
    is_lost: bool,
}

/// What follows when nothing of a process is left.
#[derive(Debug)]
pub(in crate::process::host) enum Next {
    /// Its next step is to be begun.
    Begin(Box<Job>),
    /// Nothing: it is over.
    Over(Box<Attempt>),
}

impl Staged {
    /// Takes note of what the present step writes.
    pub(super) fn hear(&mut self, stream: Stream, bytes: &[u8]) {
        if stream == Stream::Stderr {
            self.heard.extend_from_slice(&bytes[bytes.len().saturating_sub(HEARD_BYTES)..]);
            let excess = self.heard.len().saturating_sub(HEARD_BYTES);
            self.heard.drain(..excess);
        }
    }

    fn argv(&self, step: Step) -> &[OsText] {
        let own = self.start.stages.as_deref().and_then(|plan| plan.argv(step));
        own.unwrap_or(&self.start.argv)
    }

    /// What is to be started for the present step. Of a machine's command nothing is the task's but the place.
    fn start(&self) -> Start {
        let step = self.course.at();
        let mut environment = match self.start.stages.as_deref() {
            Some(plan) if step.of_machine => plan.machine_environment.clone(),
            _ => self.start.environment.clone(),
        };
        environment.push((STAGE_VARIABLE.into(), <&str>::from(step.stage).into()));
        if let Some(outcome) = self.course.outcome() {
            environment.push((OUTCOME_VARIABLE.into(), word(outcome).as_str().into()));
        }
        Start { argv: self.argv(step).to_vec(), environment, stages: None, ..self.start.clone() }
    }

    /// `crab: before hook 1: ./setup`, on a line of its own.
    fn head(&self) -> String {
        let step = self.course.at();
        let words = self.argv(step).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let shown: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let more = if shown.chars().count() > SHOWN_CHARS { "…" } else { "" };
        format!("crab: {step}: {}{more}\n", shown.chars().take(SHOWN_CHARS).collect::<String>())
    }

    /// What the end of the present step tells.
    fn end(&mut self, how: &AttemptOutcome, now: Moment) -> StepEnd {
        let end = StepOutcome::of(how);
        let said = if end.is_success() { "".into() } else { said_of(&self.heard) };
        let (at, took) = (self.began.1, now.since(self.began.0));
        StepEnd { step: self.course.at(), at, took, end, said }
    }

    /// Since when it may take how long, for a step that begins now.
    fn limit_of(&self, step: Step, now: Moment) -> Option<(Moment, Duration)> {
        let plan = self.start.stages.as_deref()?;
        match (step.stage, self.limit) {
            (Stage::Before, _) if step.of_machine => Some(self.limit.unwrap_or((now, plan.before_timeout))),
            // One limit for all of them.
            (Stage::After, Some(limit)) => Some(limit),
            (Stage::After, None) => Some((now, plan.after_timeout)),
            (Stage::Before | Stage::Command | Stage::Gate, _) => None,
        }
    }

    /// What its present step has taken too long.
    fn overrun(&self, now: Moment) -> Option<Overrun> {
        let (since, allowed) = self.limit?;
        let used = now.since(since);
        (used >= allowed).then_some(Overrun { limit: TimeLimit::Timeout, allowed, used })
    }

    /// Whether what is done after has used up its time: what is left of it is not done.
    fn is_out_of_time(&self, now: Moment) -> bool {
        self.course.is_closing() && self.overrun(now).is_some()
    }
}

/// For the loop and for runners.
impl Attempt {
    /// Takes over what is done around its command; gives back what is to be started first.
    pub(in crate::process::host) fn stage(&mut self, start: Start) -> Start {
        let Some(plan) = start.stages.as_deref() else { return start };
        let (course, before) = (Course::new(plan.plan()), Usage::default());
        let (began, limit) = ((self.record.at, Timestamp::default()), None);
        let staged = Staged { start, course, began, limit, before, heard: Vec::new(), is_lost: false };
        self.record.step = Some(staged.course.at());
        let first = staged.start();
        self.staged = Some(Box::new(staged));
        first
    }

    /// Whether it has more than its command.
    pub(in crate::process::host) fn is_staged(&self) -> bool {
        self.staged.is_some()
    }

    /// A process is about to be started for it.
    pub(in crate::process::host) fn begins(&mut self, now: Moment, at: Timestamp) {
        let Some(staged) = &mut self.staged else { return };
        staged.began = (now, at);
        staged.limit = staged.limit_of(staged.course.at(), now);
        let head = staged.head();
        self.write(at, &head);
    }

    /// Its present step could not be started.
    pub(in crate::process::host) fn unstarted(&mut self, failure: SpawnFailure, now: Moment) {
        let outcome = AttemptOutcome::SpawnFailed(failure);
        let wall = now.since(self.record.at);
        let usage =
            Usage { wall, cpu: self.cpu_before(), peak_memory_bytes: self.peak_bytes, ..Usage::default() };
        self.phase = Phase::Burying { outcome, usage, burial: Burial::new(now) };
    }

    /// Nothing of its process is left: what follows.
    pub(in crate::process::host) fn proceed(
        mut self,
        (now, at): (Moment, Timestamp),
        buffer: &mut [u8],
    ) -> Next {
        if self.staged.is_none() {
            return Next::Over(Box::new(self));
        }
        self.drain(at, buffer);
        let asked = self.asked();
        let Phase::Burying { outcome, usage, .. } = &self.phase else { return Next::Over(Box::new(self)) };
        let (how, usage) = (outcome.clone(), *usage);
        let Some(staged) = &mut self.staged else { return Next::Over(Box::new(self)) };
        staged.before = usage;
        let end = staged.end(&how, now);
        let turn = if staged.is_out_of_time(now) {
            staged.course.give_up()
        } else {
            staged.course.ended(&how, &end.said, asked.as_ref())
        };
        if !end.end.is_success() {
            let line = format!("crab: {} {}\n", end.step, end.end);
            self.write(at, &line);
        }
        self.record.steps.push(end);
        self.turn(turn, usage, now)
    }

    fn turn(mut self, turn: Turn, usage: Usage, now: Moment) -> Next {
        match turn {
            Turn::Over(outcome) => {
                self.phase = Phase::Burying { outcome, usage, burial: Burial::new(now) };
                Next::Over(Box::new(self))
            }
            Turn::Begin(step) => self.prepare(step),
        }
    }

    /// As before its first process, but for what it has used.
    fn prepare(mut self, step: Step) -> Next {
        let Some(staged) = &mut self.staged else { return Next::Over(Box::new(self)) };
        if self.record.step.is_none_or(|before| before.stage != step.stage) {
            staged.limit = None;
        }
        staged.heard.clear();
        let start = staged.start();
        if step.stage == Stage::After {
            // What the task says of time is over, and these have a limit of their own.
            self.bounds = AttemptBounds::default();
        }
        if let Some(group) = self.group.take() {
            // Nothing is in it; where it stays all the same, the next one says so.
            let _ = group.remove();
        }
        (self.record.pid, self.record.step) = (None, Some(step));
        (self.phase, self.stop, self.cpu) = (Phase::Starting, None, Duration::ZERO);
        (self.end, self.stdout, self.stderr) = (None, None, None);
        self.known.clear();
        Next::Begin(Box::new(Job { start, attempt: self }))
    }

    /// Whether it is to be stopped for this and goes on all the same: what is done after is done, and is bounded by itself.
    pub(super) fn ignores(&mut self, why: StopReason) -> bool {
        let Some(staged) = &mut self.staged else { return false };
        staged.is_lost |= why == StopReason::LeaseLost;
        let is_own = matches!(why, StopReason::LeaseLost | StopReason::Timeout(_) | StopReason::OverLimit(_));
        staged.course.is_closing() && !is_own
    }

    /// The outcome of what it was asked to be stopped for.
    fn asked(&self) -> Option<AttemptOutcome> {
        let is_lost = self.staged.as_ref().is_some_and(|staged| staged.is_lost);
        let lost = is_lost.then_some(AttemptOutcome::Lost(LossReason::LeaseLost));
        lost.or_else(|| self.stop.as_ref().map(|stop| stop.why.outcome()))
    }

    /// What its earlier processes have used of the processor.
    pub(super) fn cpu_before(&self) -> Duration {
        self.staged.as_ref().map_or(Duration::ZERO, |staged| staged.before.cpu)
    }

    /// When its present step has taken as long as it may, beside what the task says.
    pub(super) fn step_due(&self) -> Option<Moment> {
        self.staged.as_ref()?.limit.map(|(since, length)| since + length)
    }

    /// What that has taken too long.
    pub(super) fn step_overrun(&self, now: Moment) -> Option<Overrun> {
        self.staged.as_ref()?.overrun(now)
    }

    fn write(&mut self, at: Timestamp, line: &str) {
        if let Some(spool) = &mut self.spool {
            spool.push(Stream::Stderr, at, line.as_bytes());
        }
    }
}

impl Job {
    /// Stops an attempt whose next step nobody has begun.
    pub(in crate::process::host) fn stop(mut self, why: StopReason, now: Moment) -> Next {
        if self.attempt.ignores(why) {
            return Next::Begin(Box::new(self));
        }
        self.attempt.stop(why, now);
        let asked = self.attempt.asked().unwrap_or_else(|| why.outcome());
        let usage = self.attempt.staged.as_ref().map(|staged| staged.before).unwrap_or_default();
        let step = self.attempt.record.step;
        let turn = match &mut self.attempt.staged {
            Some(staged) => staged.course.stopped(&asked),
            None => Turn::Over(asked),
        };
        match turn {
            Turn::Begin(next) if Some(next) == step => Next::Begin(Box::new(self)),
            turn => self.attempt.turn(turn, usage, now),
        }
    }
}

//! How a command of an attempt ended, and what that is for the attempt.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::stages::Step;
use crate::task::{AttemptOutcome, SpawnFailure};

/// Characters of what a failed command said last: a few lines of a terminal.
const SAID_LIMIT_CHARS: usize = 240;
/// Lines of that.
const SAID_LINES: usize = 3;

/// How one command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepOutcome {
    /// It exited; 0 is success.
    Exited(i32),
    /// A signal that was not ours ended it.
    Signalled(i32),
    /// It could not be started, and why.
    NotStarted(Box<str>),
    /// It was stopped, and why.
    Stopped(Box<str>),
}

/// A hook or the gate of a task failed, and with it the attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFailure {
    /// Which.
    pub step: Step,
    /// How it ended.
    pub end: StepOutcome,
    /// What it said last; empty where it said nothing.
    pub said: Box<str>,
}

impl StepOutcome {
    /// What is said of a step for what an attempt would end with that did nothing else.
    #[must_use]
    pub fn of(outcome: &AttemptOutcome) -> Self {
        match outcome {
            AttemptOutcome::Exited(code) => Self::Exited(*code),
            AttemptOutcome::Signalled(signal) => Self::Signalled(*signal),
            AttemptOutcome::SpawnFailed(failure) => Self::NotStarted(failure.reason.clone()),
            AttemptOutcome::TimedOut(_)
            | AttemptOutcome::OverLimit(_)
            | AttemptOutcome::Cancelled
            | AttemptOutcome::Lost(_)
            | AttemptOutcome::StepFailed(_) => Self::Stopped(outcome.to_string().into()),
        }
    }

    /// Whether it did what it should.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Self::Exited(0)
    }
}

impl StepFailure {
    /// The outcome of an attempt that ends because of this: of a machine's hook that machine's fault, whatever it says.
    #[must_use]
    pub fn outcome(self, nodes_fault: bool) -> AttemptOutcome {
        if nodes_fault || self.step.of_machine {
            AttemptOutcome::SpawnFailed(SpawnFailure::of_node(self.to_string()))
        } else {
            AttemptOutcome::StepFailed(Box::new(self))
        }
    }
}

/// `exited with 1`.
impl fmt::Display for StepOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with {code}"),
            Self::Signalled(signal) => write!(f, "was ended by signal {signal}"),
            Self::NotStarted(reason) => write!(f, "could not be started: {reason}"),
            Self::Stopped(why) => write!(f, "was stopped: {why}"),
        }
    }
}

/// `gate exited with 1: 3 tests failed`.
impl fmt::Display for StepFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tell(f, self.step, &self.end, &self.said)
    }
}

/// How a command ended, and what it said last.
pub(super) fn tell(f: &mut fmt::Formatter<'_>, step: Step, end: &StepOutcome, said: &str) -> fmt::Result {
    write!(f, "{step} {end}")?;
    if said.is_empty() { Ok(()) } else { write!(f, ": {said}") }
}

/// How an attempt went, in a word for the commands after it: `exit:0`, `gate:exit:1`, `timeout`.
#[must_use]
pub fn word(outcome: &AttemptOutcome) -> String {
    match outcome {
        AttemptOutcome::Exited(code) => format!("exit:{code}"),
        AttemptOutcome::Signalled(signal) => format!("signal:{signal}"),
        AttemptOutcome::TimedOut(_) => "timeout".to_owned(),
        AttemptOutcome::OverLimit(_) => "over-limit".to_owned(),
        AttemptOutcome::Cancelled => "cancelled".to_owned(),
        AttemptOutcome::SpawnFailed(_) => "not-started".to_owned(),
        AttemptOutcome::Lost(reason) => format!("lost:{reason}"),
        AttemptOutcome::StepFailed(failure) => match &failure.end {
            StepOutcome::Exited(code) => format!("{}:exit:{code}", failure.step.stage),
            StepOutcome::Signalled(signal) => format!("{}:signal:{signal}", failure.step.stage),
            StepOutcome::NotStarted(_) => format!("{}:not-started", failure.step.stage),
            StepOutcome::Stopped(_) => format!("{}:stopped", failure.step.stage),
        },
    }
}

/// The last lines of what was written, on one line and without what a terminal would obey.
#[must_use]
pub fn said_of(written: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(written);
    let plain = |line: &str| line.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned();
    let lines: Vec<String> = text.lines().map(plain).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(SAID_LINES)..].join(" | ");
    let chars = last.chars().count();
    let shown: String = last.chars().skip(chars.saturating_sub(SAID_LIMIT_CHARS)).collect();
    shown.into()
}

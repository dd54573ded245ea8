//! Circuit breakers: a machine on which attempts break for reasons of its own is left alone for a while, and
//! then tried with one attempt at a time.
//!
//! closed → open after some failures in a row → half-open after a time → closed again when enough trials went
//! well, open again with the first that did not.
//!
//! # What is a failure
//!
//! What [`Verdict`] says: an attempt that was lost with its machine, or could not be started there. A machine
//! that dies takes many attempts with it, and that is one failure: an attempt that was granted before the last
//! failure was known belongs to that one. So a breaker opens after some *deaths*, whatever the size of a machine.
//!
//! # Trials
//!
//! Half-open lets one attempt at a time through, so that a machine that is still broken breaks one. A trial's
//! place is taken with its reservation and bound to its grant; whatever becomes of it gives the place back.

mod board;
mod replay;

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};

use crate::id::{TaskId, Token};
use crate::planted;
use crate::task::{AttemptOutcome, LossReason};
use crate::time::Moment;

pub use crate::breaker::board::{Board, KINDS_LIMIT, Key, Seen, Tripped};
pub use crate::breaker::replay::Replay;

/// When breakers trip and close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerRules {
    /// Failures in a row after which it opens.
    pub failures: u32,
    /// How long it stays open.
    pub open: Duration,
    /// Trials while half-open, one after the other.
    pub trials: u32,
    /// The part of them that has to go well, in percent.
    pub success_percent: u8,
    /// Whether a kind's breaker also counts attempts that failed by their own fault.
    pub kinds_count_failures: bool,
}

impl Default for BreakerRules {
    fn default() -> Self {
        let open = Duration::from_secs(60);
        Self { failures: 5, open, trials: 3, success_percent: 67, kinds_count_failures: false }
    }
}

impl BreakerRules {
    /// Trials that have to go well before it closes: at least one.
    #[must_use]
    pub fn successes(&self) -> u32 {
        let trials = u64::from(self.trials.max(1));
        let needed = (trials * u64::from(self.success_percent.min(100))).div_ceil(100).max(1);
        u32::try_from(needed).unwrap_or(u32::MAX)
    }
}

/// What the end of an attempt says about where it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It was run as it should be, whatever became of it.
    Worked,
    /// It was run, and failed by its own fault.
    TaskFailed,
    /// It broke for a reason of the machine's.
    NodeFailed,
    /// Nothing: it was taken away before anything could show.
    Nothing,
}

impl From<&AttemptOutcome> for Verdict {
    fn from(outcome: &AttemptOutcome) -> Self {
        match outcome {
            AttemptOutcome::Exited(0) => Self::Worked,
            AttemptOutcome::SpawnFailed(failure) if failure.nodes_fault => Self::NodeFailed,
            AttemptOutcome::Exited(_)
            | AttemptOutcome::Signalled(_)
            | AttemptOutcome::TimedOut(_)
            | AttemptOutcome::OverLimit(_)
            | AttemptOutcome::SpawnFailed(_)
            | AttemptOutcome::StepFailed(_) => Self::TaskFailed,
            AttemptOutcome::Cancelled
            | AttemptOutcome::Lost(
                LossReason::Evicted | LossReason::Drained | LossReason::Preempted | LossReason::Recalled,
            ) => Self::Nothing,
            AttemptOutcome::Lost(_) => Self::NodeFailed,
        }
    }
}

/// An attempt is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Its grant.
    pub token: Token,
    /// The place of its end in the order of the grants: what was granted later has a larger token.
    pub at: Token,
    /// What it says.
    pub verdict: Verdict,
}

/// A breaker has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Change {
    /// Nothing is granted for so long.
    Opened {
        /// The failures in a row that led to it; 1 where it was a trial.
        failures: u32,
        /// How long.
        wait: Duration,
    },
    /// One attempt at a time is granted.
    HalfOpened,
    /// All is well again.
    Closed,
}

/// How a breaker stood, as records say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// What changed last.
    pub change: Change,
    /// The place of that, or of the last failure since, among the grants: the records of those granted later have larger
    /// numbers. Its epoch is not to be relied on, since what is kept of old records comes without their starts.
    pub at: Token,
    /// How much of the wait is left, where it opened.
    pub left: Duration,
    /// Failures in a row, where it is closed.
    pub failures: u32,
}

/// One breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker(Phase);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Closed {
        /// Failures in a row.
        failures: u32,
        /// What was granted before this belongs to the last failure.
        since: Token,
    },
    Open {
        until: Moment,
    },
    HalfOpen {
        /// Trials that went well.
        succeeded: u32,
        trial: Option<Trial>,
        /// What was granted before this is none.
        since: Token,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trial {
    task: TaskId,
    /// From when it is granted.
    token: Option<Token>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self(Phase::Closed { failures: 0, since: Token(0) })
    }
}

impl Breaker {
    /// How many attempts it lets through now, of at most `most`.
    #[must_use]
    pub fn places(&self, most: u32) -> u32 {
        match &self.0 {
            Phase::Open { .. } if !planted!(OpenBreakerIgnored) => 0,
            Phase::HalfOpen { trial, .. } if !planted!(TrialsUnlimited) => {
                u32::from(trial.is_none()).min(most)
            }
            Phase::Closed { .. } | Phase::Open { .. } | Phase::HalfOpen { .. } => most,
        }
    }

    /// Whether it is closed, with no failure in a row: as good as none.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        matches!(self.0, Phase::Closed { failures: 0, .. })
    }

    /// Until when nothing is let through; `None` where something may be.
    #[must_use]
    pub fn open_until(&self) -> Option<Moment> {
        match self.0 {
            Phase::Open { until } => Some(until),
            Phase::Closed { .. } | Phase::HalfOpen { .. } => None,
        }
    }

    /// Whether it is half-open.
    #[must_use]
    pub fn is_half_open(&self) -> bool {
        matches!(self.0, Phase::HalfOpen { .. })
    }

    /// Takes a place for an attempt at a task; `false` where there is none.
    pub fn reserve(&mut self, task: TaskId) -> bool {
        let is_free = self.places(1) > 0;
        if let Phase::HalfOpen { trial: trial @ None, .. } = &mut self.0 {
            *trial = Some(Trial { task, token: None });
        }
        is_free
    }

    /// What was reserved is granted.
    pub fn granted(&mut self, granted: TaskId, under: Token) {
        if let Phase::HalfOpen { trial: Some(Trial { task, token: token @ None }), .. } = &mut self.0
            && *task == granted
        {
            *token = Some(under);
        }
    }

    /// What was reserved is not wanted any more: its place is free again.
    pub fn declined(&mut self, declined: TaskId) {
        if let Phase::HalfOpen { trial, .. } = &mut self.0
            && trial.is_some_and(|trial| trial.task == declined && trial.token.is_none())
        {
            *trial = None;
        }
    }

    /// An attempt from before a restart, known only by its record, goes on.
    pub fn restored(&mut self, task: TaskId, token: Token) {
        if let Phase::HalfOpen { trial: trial @ None, since, .. } = &mut self.0
            && token.record() > since.record()
        {
            *trial = Some(Trial { task, token: Some(token) });
        }
    }

    /// An attempt is over: whether that changes anything. `TaskFailed` is to be translated by the caller.
    pub fn ended(&mut self, end: End, now: Moment, rules: &BreakerRules) -> Option<Change> {
        match &mut self.0 {
            Phase::Closed { failures, since } => match end.verdict {
                Verdict::NodeFailed if end.token.record() < since.record() => None,
                Verdict::NodeFailed => {
                    (*failures, *since) = (failures.saturating_add(1), end.at);
                    let failures = *failures;
                    (failures >= rules.failures.max(1)).then(|| self.open(failures, now, rules))
                }
                Verdict::Worked | Verdict::TaskFailed => {
                    // The row is over, and with it what belonged to its last failure.
                    (*failures, *since) = (0, Token(0));
                    None
                }
                Verdict::Nothing => None,
            },
            Phase::HalfOpen { succeeded, trial, .. } => {
                // What was granted before it opened says nothing about now.
                trial.take_if(|trial| trial.token == Some(end.token))?;
                match end.verdict {
                    Verdict::Worked | Verdict::TaskFailed => {
                        *succeeded += 1;
                        let enough = *succeeded >= rules.successes();
                        enough.then(|| self.close())
                    }
                    Verdict::NodeFailed => Some(self.open(1, now, rules)),
                    Verdict::Nothing => None,
                }
            }
            Phase::Open { .. } => None,
        }
    }

    /// Time has passed: whether that changes anything.
    pub fn tick(&mut self, now: Moment) -> Option<Change> {
        let Phase::Open { until } = self.0 else { return None };
        (until <= now).then(|| {
            self.0 = Phase::HalfOpen { succeeded: 0, trial: None, since: Token(0) };
            Change::HalfOpened
        })
    }

    fn open(&mut self, failures: u32, now: Moment, rules: &BreakerRules) -> Change {
        self.0 = Phase::Open { until: now + rules.open };
        Change::Opened { failures, wait: rules.open }
    }

    fn close(&mut self) -> Change {
        self.0 = Phase::Closed { failures: 0, since: Token(0) };
        Change::Closed
    }

    /// Brings it to where a recorded change has brought it.
    pub fn apply(&mut self, recorded: &Recorded, now: Moment) {
        self.0 = match recorded.change {
            Change::Opened { .. } => Phase::Open { until: now + recorded.left },
            Change::HalfOpened => Phase::HalfOpen { succeeded: 0, trial: None, since: recorded.at },
            Change::Closed => Phase::Closed { failures: recorded.failures, since: recorded.at },
        };
    }

    /// Opens one that had as many failures as it takes when its records ended, and was not opened any more.
    pub fn overdue(&mut self, now: Moment, rules: &BreakerRules) -> Option<Change> {
        match self.0 {
            Phase::Closed { failures, .. } if failures >= rules.failures.max(1) => {
                Some(self.open(failures, now, rules))
            }
            _ => None,
        }
    }

    /// What must always hold.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[cfg(test)]
    fn check(&self, rules: &BreakerRules) {
        match &self.0 {
            Phase::Closed { failures, .. } => assert!(*failures < rules.failures.max(1)),
            Phase::Open { .. } => assert_eq!(self.places(9), 0),
            Phase::HalfOpen { succeeded, trial, .. } => {
                assert!(*succeeded < rules.successes() && *succeeded < rules.trials.max(1));
                assert_eq!(self.places(9), u32::from(trial.is_none()), "one at a time");
            }
        }
    }
}

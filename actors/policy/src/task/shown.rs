//! Outcomes as people read them.

use std::fmt;

use crate::task::{AttemptOutcome, Death, TaskOutcome};

impl fmt::Display for AttemptOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with {code}"),
            Self::Signalled(signal) => write!(f, "ended by signal {signal}"),
            Self::TimedOut(overrun) => write!(f, "timed out ({overrun})"),
            Self::OverLimit(excess) => write!(f, "killed ({excess})"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::SpawnFailed(failure) => write!(f, "not started: {}", failure.reason),
            Self::Lost(reason) => write!(f, "lost ({reason})"),
            Self::StepFailed(failure) => failure.fmt(f),
        }
    }
}

impl fmt::Display for TaskOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded => f.write_str("succeeded"),
            Self::Failed(outcome) => write!(f, "failed: {outcome}"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Skipped(because) => write!(f, "skipped: {because} did not succeed"),
            Self::Poisoned(deaths) => {
                f.write_str("set aside: machines died while it ran")?;
                deaths.iter().try_for_each(|death| write!(f, ", {death}"))
            }
            Self::OutOfRetries { last, budget } => {
                write!(f, "failed: {last}, and the {budget} retries of its graph are used up")
            }
        }
    }
}

/// `attempt 2 on mac-1 (host-died)`.
impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {} on {} ({})", self.attempt, self.node, self.reason)
    }
}

//! Which failures of a task lead to another attempt: what it says itself; what follows of it is decided by `retry`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which failures lead to another attempt, and how long after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all that may fail by the task's own fault, from 1.
    pub max_attempts: u32,
    /// The first wait.
    pub backoff: Duration,
    /// What the wait is multiplied with after each attempt, in hundredths: 200 doubles it.
    pub factor_percent: u32,
    /// The longest wait.
    pub backoff_limit: Duration,
    /// The exit codes worth another attempt; empty for all but 0.
    pub retryable_exit_codes: Vec<i32>,
    /// The signals worth another attempt.
    pub signals: Signals,
    /// Whether running into the time limit is worth another attempt.
    pub timeouts: bool,
    /// Whether a command that could not be started by its own fault is worth another attempt: the same would
    /// be found missing, unless somebody installs it meanwhile.
    pub spawn_failures: bool,
    /// How often it may be lost with its machine, which counts apart and needs no attempts of its own; 0 where
    /// the first loss is the end.
    pub losses: u32,
}

/// Signals by which a process may end.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Signals {
    /// Whichever.
    #[default]
    All,
    /// Only these, by number; none where it is empty.
    These(Vec<i32>),
}

impl Signals {
    /// Whether this one is among them.
    #[must_use]
    pub fn contains(&self, signal: i32) -> bool {
        match self {
            Self::All => true,
            Self::These(these) => these.contains(&signal),
        }
    }
}

impl Default for RetryPolicy {
    /// One attempt; where more are asked for, 100 ms doubled up to 30 s.
    fn default() -> Self {
        Self {
            max_attempts: 1,
            backoff: Duration::from_millis(100),
            factor_percent: 200,
            backoff_limit: Duration::from_secs(30),
            retryable_exit_codes: Vec::new(),
            signals: Signals::All,
            timeouts: true,
            spawn_failures: false,
            losses: crate::retry::LOSSES_USUAL,
        }
    }
}

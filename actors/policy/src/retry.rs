//! What follows the end of an attempt: the end of the task, or another attempt after a wait.
//!
//! What is not the task's fault (its machine was lost, or could start nothing) is counted apart and never uses
//! up its attempts. A command that cannot be started by its own fault is a failure for good unless the policy
//! says otherwise: another attempt would find the same command missing. A task during which machines die, again
//! and again, is set aside: it is more likely what takes them down.

use std::time::Duration;

use crate::bounds::TimeLimit;
use crate::event::Next;
use crate::stages::StepOutcome;
use crate::task::{AttemptOutcome, RetryPolicy, TaskOutcome};

/// How often a task may be lost where it does not say: machines do get lost, but where ten went something is
/// wrong that another attempt does not cure.
pub const LOSSES_USUAL: u32 = 10;

/// Deaths of machines after which a task is set aside, where the configuration does not say: once is bad luck,
/// twice may be, three times is a pattern.
pub const POISON_AFTER: u32 = 3;

/// The signal that cannot be refused.
const SIGKILL: i32 = 9;

/// The wait is drawn from this far around its length, in percent, so that what failed together does not come
/// back together.
const JITTER_PERCENT: u32 = 10;

/// The largest `jitter` to be drawn: per mille of the range around the wait.
pub const JITTER_LIMIT: u32 = 1000;

/// What decides about what follows the end of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct EndRules<'a> {
    /// What the task says.
    pub retry: &'a RetryPolicy,
    /// Deaths of machines after which it is set aside; 0 for never.
    pub poison_after: u32,
    /// Of how many of its deaths it is not to blame after all, see `blame`.
    pub excused: u32,
    /// Spreads the wait before the next attempt: 0 to 1000.
    pub jitter_per_mille: u32,
}

/// How many attempts of a task went wrong, the one just over included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// By the task's own fault.
    pub failures: u32,
    /// By another's.
    pub losses: u32,
}

/// What follows an attempt that ended like this. `jitter` is drawn from 0 to [`JITTER_LIMIT`]; 500 changes
/// nothing.
#[must_use]
pub fn next(policy: &RetryPolicy, outcome: &AttemptOutcome, tally: Tally, jitter: u32) -> Next {
    let (is_worth_it, nth) = match outcome {
        AttemptOutcome::Exited(0) => return Next::Finish(TaskOutcome::Succeeded),
        AttemptOutcome::Cancelled => return Next::Finish(TaskOutcome::Cancelled),
        // Nothing went wrong: it goes on elsewhere at once, however often that happens.
        AttemptOutcome::Lost(reason) if reason.is_nobodys_fault() => return Next::RetryAfter(Duration::ZERO),
        outcome if outcome.is_loss() => (tally.losses <= policy.losses, tally.losses),
        outcome => (is_retryable(policy, outcome) && tally.failures < policy.max_attempts, tally.failures),
    };
    if is_worth_it {
        Next::RetryAfter(wait(policy, nth, jitter))
    } else {
        Next::Finish(TaskOutcome::Failed(outcome.clone()))
    }
}

/// Whether another attempt may go better, as far as the task says.
fn is_retryable(policy: &RetryPolicy, outcome: &AttemptOutcome) -> bool {
    match outcome {
        AttemptOutcome::Exited(code) => {
            policy.retryable_exit_codes.is_empty() || policy.retryable_exit_codes.contains(code)
        }
        AttemptOutcome::Signalled(signal) => policy.signals.contains(*signal),
        // There is no time left for another one.
        AttemptOutcome::TimedOut(overrun) if overrun.limit == TimeLimit::Deadline => false,
        AttemptOutcome::TimedOut(_) => policy.timeouts,
        // As if the system had killed it.
        AttemptOutcome::OverLimit(_) => policy.signals.contains(SIGKILL),
        AttemptOutcome::SpawnFailed(_) => policy.spawn_failures,
        // By the rules for the command's own end: what failed is told apart in the outcome, what is worth a try is not.
        AttemptOutcome::StepFailed(failure) => match &failure.end {
            StepOutcome::Exited(code) => is_retryable(policy, &AttemptOutcome::Exited(*code)),
            StepOutcome::Signalled(signal) => policy.signals.contains(*signal),
            StepOutcome::NotStarted(_) => policy.spawn_failures,
            StepOutcome::Stopped(_) => true,
        },
        AttemptOutcome::Lost(_) => true,
        AttemptOutcome::Cancelled => false,
    }
}

/// How long what a rate has refused is left alone, which asks for `wait`: never shorter, and up to
/// a tenth longer. `jitter` is drawn from 0 to [`JITTER_LIMIT`].
#[must_use]
pub fn waking(wait: Duration, jitter: u32) -> Duration {
    let more = wait.as_nanos() * u128::from(jitter.min(JITTER_LIMIT)) * u128::from(JITTER_PERCENT)
        / (u128::from(JITTER_LIMIT) * 100);
    wait.saturating_add(Duration::from_nanos(u64::try_from(more).unwrap_or(u64::MAX)))
}

/// The wait after the `nth` attempt, from 1, that went wrong.
#[must_use]
pub fn wait(policy: &RetryPolicy, nth: u32, jitter: u32) -> Duration {
    let limit = policy.backoff_limit.as_nanos();
    let mut wait = policy.backoff.as_nanos().min(limit);
    for _ in 1..nth {
        let longer = (wait.saturating_mul(u128::from(policy.factor_percent)) / 100).min(limit);
        if longer == wait {
            break;
        }
        wait = longer;
    }
    let jitter = jitter.min(JITTER_LIMIT);
    // 900 to 1100 thousandths.
    let thousandths = 1000 - JITTER_PERCENT * 10 + jitter * JITTER_PERCENT * 20 / JITTER_LIMIT;
    let wait = wait.saturating_mul(u128::from(thousandths)) / 1000;
    Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;

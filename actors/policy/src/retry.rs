//! What follows the end of an attempt: the end of the task, or another attempt after a wait.
//!
//! Losing a machine is not the task's fault, so it is counted apart. A command that cannot be started is a
//! failure for good: another attempt would find the same command missing.

use std::time::Duration;

use crate::event::Next;
use crate::task::{AttemptOutcome, RetryPolicy, TaskOutcome};

/// Losses after which a task has failed: machines do get lost, but a task that has seen ten go is more likely
/// what takes them down.
pub const LOSSES_LIMIT: u32 = 10;

/// The wait is drawn from this far around its length, in percent, so that what failed together does not come
/// back together.
const JITTER_PERCENT: u32 = 10;

/// The largest `jitter` to be drawn: per mille of the range around the wait.
pub const JITTER_LIMIT: u32 = 1000;

/// How many attempts of a task went wrong, the one just over included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// By the task's own fault.
    pub failures: u32,
    /// With their machine.
    pub losses: u32,
}

/// What follows an attempt that ended like this. `jitter` is drawn from 0 to [`JITTER_LIMIT`]; 500 changes
/// nothing.
#[must_use]
pub fn next(policy: &RetryPolicy, outcome: &AttemptOutcome, tally: Tally, jitter: u32) -> Next {
    let nth = match outcome {
        AttemptOutcome::Exited(0) => return Next::Finish(TaskOutcome::Succeeded),
        AttemptOutcome::Cancelled => return Next::Finish(TaskOutcome::Cancelled),
        AttemptOutcome::Lost(_) => (tally.losses <= LOSSES_LIMIT).then_some(tally.losses),
        AttemptOutcome::SpawnFailed(_) => None,
        AttemptOutcome::Exited(code) => is_worth_it(policy, *code).then_some(tally.failures),
        AttemptOutcome::Signalled(_) | AttemptOutcome::TimedOut => Some(tally.failures),
    };
    let is_loss = matches!(outcome, AttemptOutcome::Lost(_));
    match nth {
        Some(nth) if is_loss || nth < policy.max_attempts => Next::RetryAfter(wait(policy, nth, jitter)),
        _ => Next::Finish(TaskOutcome::Failed(outcome.clone())),
    }
}

fn is_worth_it(policy: &RetryPolicy, code: i32) -> bool {
    policy.retryable_exit_codes.is_empty() || policy.retryable_exit_codes.contains(&code)
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::task::{LossReason, SpawnFailure};

    fn policy(max_attempts: u32) -> RetryPolicy {
        RetryPolicy { max_attempts, ..RetryPolicy::default() }
    }

    fn follows(policy: &RetryPolicy, outcome: &AttemptOutcome, failures: u32, losses: u32) -> Next {
        let next = next(policy, outcome, Tally { failures, losses }, 500);
        if let Next::Finish(TaskOutcome::Failed(last)) = &next {
            assert_eq!(last, outcome, "a failed task failed as its last attempt did");
        }
        next
    }

    fn is_retried(policy: &RetryPolicy, outcome: &AttemptOutcome, failures: u32, losses: u32) -> bool {
        matches!(follows(policy, outcome, failures, losses), Next::RetryAfter(_))
    }

    #[test]
    fn success_ends_and_cancelling_is_never_retried() {
        let finish = |outcome| follows(&policy(9), &outcome, 0, 0);
        assert_eq!(finish(AttemptOutcome::Exited(0)), Next::Finish(TaskOutcome::Succeeded));
        assert_eq!(finish(AttemptOutcome::Cancelled), Next::Finish(TaskOutcome::Cancelled));
    }

    #[test]
    fn failures_are_retried_until_the_attempts_are_used_up() {
        for outcome in [AttemptOutcome::Exited(1), AttemptOutcome::Signalled(9), AttemptOutcome::TimedOut] {
            assert!(is_retried(&policy(3), &outcome, 2, 7), "losses are not counted");
            assert!(!is_retried(&policy(3), &outcome, 3, 0));
            assert!(!is_retried(&policy(1), &outcome, 1, 0));
        }
    }

    #[test]
    fn only_listed_exit_codes_are_worth_another_attempt_where_some_are_listed() {
        let listed = RetryPolicy { retryable_exit_codes: vec![75], ..policy(3) };
        assert!(is_retried(&listed, &AttemptOutcome::Exited(75), 1, 0));
        assert!(!is_retried(&listed, &AttemptOutcome::Exited(1), 1, 0));
        assert!(is_retried(&listed, &AttemptOutcome::TimedOut, 1, 0));
    }

    #[test]
    fn a_command_that_cannot_be_started_has_failed() {
        let missing = AttemptOutcome::SpawnFailed(SpawnFailure { reason: "command not found".into() });
        assert!(!is_retried(&policy(9), &missing, 1, 0));
    }

    #[test]
    fn a_lost_attempt_is_not_the_tasks_fault_until_it_has_lost_too_many() {
        let lost = || AttemptOutcome::Lost(LossReason::LeaseExpired);
        assert!(is_retried(&policy(1), &lost(), 1, 1), "attempts of its own are not needed for it");
        assert!(is_retried(&policy(1), &lost(), 0, LOSSES_LIMIT));
        assert!(!is_retried(&policy(1), &lost(), 0, LOSSES_LIMIT + 1));
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_is_spread_by_a_tenth() {
        let waits: Vec<_> = (1..12).map(|nth| wait(&policy(20), nth, 500).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
        assert_eq!(wait(&policy(20), 1, 0), Duration::from_millis(90));
        assert_eq!(wait(&policy(20), 1, 1000), Duration::from_millis(110));
        assert_eq!(wait(&policy(20), 0, 9999), Duration::from_millis(110));
    }

    proptest! {
        #[test]
        fn no_policy_overflows_or_waits_beyond_its_limit(
            backoff in any::<u64>(),
            limit in any::<u64>(),
            factor_percent in any::<u32>(),
            nth in any::<u32>(),
            jitter in any::<u32>(),
        ) {
            let (backoff, backoff_limit) = (Duration::from_nanos(backoff), Duration::from_nanos(limit));
            let policy = RetryPolicy { backoff, factor_percent, backoff_limit, ..RetryPolicy::default() };
            prop_assert!(wait(&policy, nth, jitter) <= backoff_limit + backoff_limit / 10);
        }

        #[test]
        fn an_admitted_policy_never_waits_less_after_more_failures(nth in 1_u32..50, factor_percent in 100_u32..1000) {
            let policy = RetryPolicy { factor_percent, ..RetryPolicy::default() };
            prop_assert!(wait(&policy, nth, 500) <= wait(&policy, nth + 1, 500));
        }
    }
}

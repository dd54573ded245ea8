//! What is worth another attempt, and how long after.

use proptest::prelude::*;

use super::*;
use crate::bounds::{Overrun, TimeLimit};
use crate::task::{LossReason, Signals, SpawnFailure};

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

fn not_started(nodes_fault: bool) -> AttemptOutcome {
    AttemptOutcome::SpawnFailed(SpawnFailure { reason: "no".into(), nodes_fault })
}

fn timed_out() -> AttemptOutcome {
    let (allowed, used) = (Duration::from_secs(1), Duration::from_secs(2));
    AttemptOutcome::TimedOut(Box::new(Overrun { limit: TimeLimit::Timeout, allowed, used }))
}

#[test]
fn success_ends_and_cancelling_is_never_retried() {
    let finish = |outcome| follows(&policy(9), &outcome, 0, 0);
    assert_eq!(finish(AttemptOutcome::Exited(0)), Next::Finish(TaskOutcome::Succeeded));
    assert_eq!(finish(AttemptOutcome::Cancelled), Next::Finish(TaskOutcome::Cancelled));
}

#[test]
fn what_was_taken_away_for_others_goes_on_at_once_however_often() {
    let strict = RetryPolicy { losses: 0, ..policy(1) };
    for reason in [LossReason::Drained, LossReason::Preempted] {
        for losses in [1, 1000] {
            let next = follows(&strict, &AttemptOutcome::Lost(reason), 0, losses);
            assert_eq!(next, Next::RetryAfter(Duration::ZERO), "{reason}");
        }
    }
}

#[test]
fn failures_are_retried_until_the_attempts_are_used_up() {
    for outcome in [AttemptOutcome::Exited(1), AttemptOutcome::Signalled(9), timed_out()] {
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
    assert!(is_retried(&listed, &timed_out(), 1, 0));
}

#[test]
fn only_listed_signals_are_worth_another_attempt_where_some_are_listed() {
    let listed = RetryPolicy { signals: Signals::These(vec![15]), ..policy(3) };
    assert!(is_retried(&listed, &AttemptOutcome::Signalled(15), 1, 0));
    assert!(!is_retried(&listed, &AttemptOutcome::Signalled(11), 1, 0));
    let none = RetryPolicy { signals: Signals::These(Vec::new()), ..policy(3) };
    assert!(!is_retried(&none, &AttemptOutcome::Signalled(15), 1, 0));
}

#[test]
fn running_out_of_time_is_worth_another_attempt_unless_the_task_says_it_is_not() {
    let never = RetryPolicy { timeouts: false, ..policy(3) };
    assert!(!is_retried(&never, &timed_out(), 1, 0));
    assert!(is_retried(&never, &AttemptOutcome::Exited(1), 1, 0));
}

#[test]
fn a_command_that_cannot_be_started_has_failed_unless_the_task_says_to_try_again() {
    assert!(!is_retried(&policy(9), &not_started(false), 1, 0));
    let again = RetryPolicy { spawn_failures: true, ..policy(3) };
    assert!(is_retried(&again, &not_started(false), 2, 0));
    assert!(!is_retried(&again, &not_started(false), 3, 0));
}

#[test]
fn a_machine_that_can_start_nothing_is_not_the_tasks_fault() {
    assert!(is_retried(&policy(1), &not_started(true), 0, 1));
    assert!(!is_retried(&policy(9), &not_started(true), 0, LOSSES_USUAL + 1));
}

#[test]
fn a_lost_attempt_is_not_the_tasks_fault_until_it_has_lost_too_many() {
    let lost = || AttemptOutcome::Lost(LossReason::LeaseExpired);
    assert!(is_retried(&policy(1), &lost(), 1, 1), "attempts of its own are not needed for it");
    assert!(is_retried(&policy(1), &lost(), 0, LOSSES_USUAL));
    assert!(!is_retried(&policy(1), &lost(), 0, LOSSES_USUAL + 1));
    let once = RetryPolicy { losses: 0, ..policy(9) };
    assert!(!is_retried(&once, &lost(), 0, 1), "one that must not run twice says so");
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

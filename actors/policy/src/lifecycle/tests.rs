//! Which events may follow which, and what is set aside.

use proptest::prelude::*;

use super::*;
use crate::task::{LossReason, RetryPolicy, SpawnFailure};

fn granted(token: u64, attempt: u32) -> TaskEvent {
    TaskEvent::Granted {
        token: Token(token),
        attempt: AttemptNumber(attempt),
        node: "a".into(),
        session: NodeSession(1),
        request: RequestNumber::default(),
        indices: Indices::new(),
        gang: Vec::new(),
        waited: Vec::new(),
    }
}

fn end(token: u64, outcome: AttemptOutcome) -> AttemptEnd {
    AttemptEnd { token: Token(token), outcome, usage: Usage::default(), order: 0, report: None }
}

fn rules(retry: &RetryPolicy) -> EndRules<'_> {
    EndRules { retry, poison_after: 3, excused: 0, jitter_per_mille: 500 }
}

fn life(events: &[TaskEvent]) -> Life {
    let mut life = Life::default();
    for event in events {
        life.apply(event);
    }
    life
}

#[test]
fn a_report_with_an_older_token_changes_nothing() {
    let life = life(&[granted(5, 1)]);
    assert_eq!(life.started(Token(4), 1, 1), Err(Refusal::Stale { reported: Token(4) }));
    let policy = RetryPolicy::default();
    assert!(life.attempt_ended(end(4, AttemptOutcome::Exited(0)), rules(&policy)).is_err());
    assert!(life.attempt_ended(end(5, AttemptOutcome::Exited(0)), rules(&policy)).is_ok());
}

#[test]
fn each_of_its_commands_is_told_once_and_the_next_attempt_begins_anew() {
    let mut life = life(&[granted(5, 1), started(5)]);
    assert_eq!(life.step_began(Token(5), Step::COMMAND, 1), Err(Refusal::Repeated), "a start is that");
    assert_eq!(life.step_began(Token(4), Step::GATE, 1), Err(Refusal::Stale { reported: Token(4) }));
    let event = life.step_began(Token(5), Step::GATE, 7).unwrap();
    assert_eq!(event, TaskEvent::StepBegan { token: Token(5), step: Step::GATE, pid: 7 });
    life.apply(&event);
    assert_eq!(life.step_began(Token(5), Step::GATE, 7), Err(Refusal::Repeated));
    let policy = RetryPolicy { max_attempts: 2, ..RetryPolicy::default() };
    life.apply(&life.attempt_ended(end(5, AttemptOutcome::Exited(1)), rules(&policy)).unwrap());
    assert!(life.step_began(Token(5), Step::COMMAND, 7).is_err(), "it is over");
    life.apply(&granted(6, 2));
    assert!(life.step_began(Token(6), Step::GATE, 7).is_ok());
}

#[test]
fn an_attempt_that_makes_room_is_told_so_once_and_its_end_counts_for_nothing() {
    let policy = RetryPolicy { losses: 0, ..RetryPolicy::default() };
    let (by, mut life) = (TaskId(12), Life::default());
    assert_eq!(life.evict(by, false), Err(Refusal::NotHeld));
    for n in 1..20 {
        life.apply(&granted(n, u32::try_from(n).unwrap()));
        assert_eq!(life.evicted_for(), None, "the one before was");
        let event = life.evict(by, false).unwrap();
        assert_eq!(event, TaskEvent::EvictAsked { token: Token(n), by, is_recall: false });
        life.apply(&event);
        assert_eq!((life.evicted_for(), life.evict(by, false)), (Some(by), Err(Refusal::Repeated)));
        let outcome = AttemptOutcome::Lost(LossReason::Preempted);
        let event = life.attempt_ended(end(n, outcome), rules(&policy)).unwrap();
        assert!(
            matches!(event, TaskEvent::AttemptEnded { next: Next::RetryAfter(Duration::ZERO), .. }),
            "{event:?}"
        );
        life.apply(&event);
        assert_eq!((life.failures, life.losses, life.deaths.len()), (0, 0, 0));
    }
    life.apply(&granted(30, 20));
    life.apply(&TaskEvent::CancelAsked);
    assert_eq!(life.evict(by, false), Err(Refusal::Repeated), "it ends anyway");
}

#[test]
fn a_member_that_is_recalled_by_its_gang_ends_as_that_and_not_as_one_that_made_room() {
    let (policy, mut life) = (RetryPolicy { losses: 0, ..RetryPolicy::default() }, Life::default());
    let preempted = AttemptOutcome::Lost(LossReason::Preempted);
    for (n, is_recall, as_what) in
        [(1, true, LossReason::Recalled), (2, false, LossReason::Preempted), (3, true, LossReason::Recalled)]
    {
        life.apply(&granted(n, u32::try_from(n).unwrap()));
        life.apply(&life.evict(TaskId(3), is_recall).unwrap());
        let event = life.attempt_ended(end(n, preempted.clone()), rules(&policy)).unwrap();
        let TaskEvent::AttemptEnded { outcome, next, .. } = &event else { panic!("{event:?}") };
        assert_eq!((outcome, next), (&AttemptOutcome::Lost(as_what), &Next::RetryAfter(Duration::ZERO)));
        life.apply(&event);
        assert_eq!((life.failures, life.losses, life.deaths.len()), (0, 0, 0));
    }
}

#[test]
fn a_cancelled_task_is_never_tried_again_whatever_its_attempt_says() {
    let policy = RetryPolicy { max_attempts: 9, ..RetryPolicy::default() };
    let life = life(&[granted(5, 1), TaskEvent::CancelAsked]);
    for outcome in [
        AttemptOutcome::Exited(0),
        AttemptOutcome::Exited(1),
        AttemptOutcome::Lost(LossReason::LeaseExpired),
        AttemptOutcome::Cancelled,
    ] {
        let event = life.attempt_ended(end(5, outcome), rules(&policy));
        assert!(
            matches!(event, Ok(TaskEvent::AttemptEnded { next: Next::Finish(TaskOutcome::Cancelled), .. })),
            "{event:?}"
        );
    }
}

#[test]
fn an_attempt_that_a_rate_refused_is_repeated_after_its_wait_at_nobodys_cost() {
    let (policy, mut life) = (RetryPolicy::default(), Life::default());
    let mut report = TaskReport::default();
    report.park("llm", Duration::from_secs(7));
    for attempt in 1..=3 {
        life.apply(&granted(u64::from(attempt), attempt));
        let refused = AttemptEnd {
            report: Some(Box::new(report.clone())),
            ..end(attempt.into(), AttemptOutcome::Exited(1))
        };
        let event = life.attempt_ended(refused, rules(&policy)).expect("the token is current");
        assert!(
            matches!(event, TaskEvent::AttemptEnded { next: Next::RetryAfter(wait), .. } if wait.as_secs() == 7)
        );
        life.apply(&event);
    }
    life.apply(&granted(4, 4));
    let failed = life.attempt_ended(end(4, AttemptOutcome::Exited(1)), rules(&policy));
    assert!(matches!(failed, Ok(TaskEvent::AttemptEnded { next: Next::Finish(TaskOutcome::Failed(_)), .. })));
}

#[test]
fn cancelling_twice_says_nothing_new() {
    assert_eq!(life(&[granted(5, 1), TaskEvent::CancelAsked]).cancel(), Err(Refusal::Repeated));
}

#[test]
fn an_operators_retry_forgives_failures_and_goes_on_counting_attempts() {
    let policy = RetryPolicy::default();
    let mut life = life(&[granted(5, 1)]);
    let event = life.attempt_ended(end(5, AttemptOutcome::Exited(3)), rules(&policy));
    life.apply(&event.expect("the token is current"));
    life.apply(&life.retry().expect("it has failed"));
    assert_eq!(life.may_grant(), Ok(AttemptNumber(2)));
}

fn started(token: u64) -> TaskEvent {
    TaskEvent::Started { token: Token(token), pid: 7, order: 1 }
}

/// A life in which a machine died under each of the first `times` attempts; the last event is the last end.
fn dying(times: u32, runs: bool, poison_after: u32) -> (Life, Option<TaskEvent>) {
    let (policy, mut life, mut last) = (RetryPolicy::default(), Life::default(), None);
    for n in 1..=times {
        life.apply(&granted(u64::from(n), n));
        if runs {
            life.apply(&started(u64::from(n)));
        }
        let end = end(u64::from(n), AttemptOutcome::Lost(LossReason::HostDied));
        let event = life.attempt_ended(end, EndRules { poison_after, ..rules(&policy) }).expect("current");
        life.apply(&event);
        last = Some(event);
    }
    (life, last)
}

#[test]
fn a_task_that_kills_workers_is_set_aside_with_its_story_and_freed_by_a_retry() {
    let (mut life, last) = dying(3, true, 3);
    let Some(TaskEvent::AttemptEnded { next: Next::Finish(outcome @ TaskOutcome::Poisoned(_)), .. }) = last
    else {
        panic!("{last:?}");
    };
    assert_eq!(
        outcome.to_string(),
        "set aside: machines died while it ran, attempt 1 on a (host-died), attempt 2 on a (host-died), attempt 3 on a (host-died)"
    );
    assert_eq!(life.state(), &State::Ended(outcome));
    life.apply(&life.retry().expect("an operator frees it"));
    assert_eq!(life.may_grant(), Ok(AttemptNumber(4)));
    life.apply(&granted(9, 4));
    life.apply(&started(9));
    let again = life
        .attempt_ended(end(9, AttemptOutcome::Lost(LossReason::HostDied)), rules(&RetryPolicy::default()));
    assert!(matches!(again, Ok(TaskEvent::AttemptEnded { next: Next::RetryAfter(_), .. })), "{again:?}");
}

#[test]
fn a_task_that_did_not_run_when_its_machine_died_cannot_have_killed_it() {
    assert_eq!(dying(5, false, 3).0.state(), &State::Idle);
    assert_eq!(dying(5, true, 0).0.state(), &State::Idle, "and nobody is set aside where that is off");
}

#[test]
fn what_a_machine_could_not_start_does_not_use_up_attempts() {
    let policy = RetryPolicy { max_attempts: 1, ..RetryPolicy::default() };
    let mut life = life(&[granted(1, 1)]);
    let outcome = AttemptOutcome::SpawnFailed(SpawnFailure::of_node("no memory"));
    let event = life.attempt_ended(end(1, outcome), rules(&policy)).expect("current");
    assert!(matches!(&event, TaskEvent::AttemptEnded { next: Next::RetryAfter(_), .. }), "{event:?}");
    life.apply(&event);
    life.apply(&granted(2, 2));
    let event = life.attempt_ended(end(2, AttemptOutcome::Exited(1)), rules(&policy)).expect("current");
    assert!(matches!(&event, TaskEvent::AttemptEnded { next: Next::Finish(_), .. }), "{event:?}");
}

#[test]
fn a_task_whose_graph_has_no_retry_left_fails_as_its_last_attempt_did() {
    let policy = RetryPolicy { max_attempts: 9, ..RetryPolicy::default() };
    let mut life = life(&[granted(1, 1)]);
    assert!(life.out_of_retries(20).is_err(), "it runs");
    life.apply(&life.attempt_ended(end(1, AttemptOutcome::Exited(3)), rules(&policy)).expect("current"));
    let event = life.out_of_retries(20).expect("it waits");
    let TaskEvent::Finished(outcome) = &event else { panic!("{event:?}") };
    assert_eq!(outcome.to_string(), "failed: exited with 3, and the 20 retries of its graph are used up");
    life.apply(&event);
    assert!(life.retry().is_ok() && life.out_of_retries(20).is_err());
}

/// What an actor could be told.
fn inputs() -> impl Strategy<Value = Vec<(u8, u64)>> {
    prop::collection::vec((0u8..7, 0u64..4), 0..60)
}

proptest! {
    #[test]
    fn at_most_one_attempt_is_live_and_tokens_grow(inputs in inputs()) {
        let policy = RetryPolicy { max_attempts: 3, ..RetryPolicy::default() };
        let mut life = Life::default();
        let (mut counter, mut last) = (0u64, Token(0));
        let mut own_failures = 0;
        for (input, back) in inputs {
            let token = Token(counter.saturating_sub(back));
            let events = match input {
                0 | 1 => match life.may_grant() {
                    Ok(attempt) => { counter += 1; vec![granted(counter, attempt.0)] }
                    Err(_) => vec![],
                },
                2 => life.started(token, 1, 1).into_iter().collect(),
                3 => life.attempt_ended(end(token.0, AttemptOutcome::Exited(1)), rules(&policy)).into_iter().collect(),
                4 => life.attempt_ended(end(token.0, AttemptOutcome::Lost(LossReason::Unknown)), rules(&policy)).into_iter().collect(),
                5 => life.cancel().unwrap_or_default(),
                _ => life.attempt_ended(end(token.0, AttemptOutcome::Exited(0)), rules(&policy)).into_iter().collect(),
            };
            for event in events {
                prop_assert!(!matches!(life.state(), State::Ended(_)), "{event:?} after the end");
                if let TaskEvent::Granted { token, .. } = &event {
                    prop_assert!(life.holder().is_none() && *token > last);
                    last = *token;
                }
                if let TaskEvent::AttemptEnded { outcome: AttemptOutcome::Exited(1), .. } = &event {
                    own_failures += 1;
                }
                life.apply(&event);
            }
        }
        prop_assert!(own_failures <= 3);
    }
}

#[test]
fn deaths_of_which_it_is_not_to_blame_do_not_set_it_aside() {
    let (policy, mut life) = (RetryPolicy::default(), Life::default());
    for attempt in 1..=4 {
        let token = u64::from(attempt);
        life.apply(&granted(token, attempt));
        let started = life.started(Token(token), 7, 1).expect("it is granted");
        life.apply(&started);
        let end = end(token, AttemptOutcome::Lost(LossReason::HostDied));
        let event = life.attempt_ended(end, EndRules { excused: 1, ..rules(&policy) }).expect("current");
        let TaskEvent::AttemptEnded { next, .. } = &event else { panic!("{event:?}") };
        let is_over = matches!(next, Next::Finish(TaskOutcome::Poisoned(deaths)) if deaths.len() == 4);
        assert_eq!(is_over, attempt == 4, "{attempt}: {next:?}");
        life.apply(&event);
    }
}

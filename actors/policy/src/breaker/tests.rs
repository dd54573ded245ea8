//! The tables, the bug list and the law of breakers.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::bounds::{Overrun, TimeLimit};
use crate::task::SpawnFailure;

const RULES: BreakerRules = BreakerRules {
    failures: 5,
    open: Duration::from_secs(60),
    trials: 3,
    success_percent: 67,
    kinds_count_failures: false,
};

fn at(seconds: u64) -> Moment {
    Moment(0) + Duration::from_secs(seconds)
}

/// The end of an attempt that was granted as the `n`th, and ended before the next was.
fn end(n: u64, verdict: Verdict) -> End {
    End { token: Token(2 * n), at: Token(2 * n + 1), verdict }
}

fn tripped() -> Breaker {
    let mut breaker = Breaker::default();
    for n in 1..=5 {
        breaker.ended(end(n, Verdict::NodeFailed), at(0), &RULES);
    }
    breaker
}

fn half_open() -> Breaker {
    let mut breaker = tripped();
    assert_eq!(breaker.tick(at(60)), Some(Change::HalfOpened));
    breaker
}

/// A whole trial of task `n` under token `2n`.
fn trial(breaker: &mut Breaker, n: u64, verdict: Verdict) -> Option<Change> {
    assert!(breaker.reserve(TaskId(n)), "there is a place");
    breaker.granted(TaskId(n), Token(2 * n));
    breaker.ended(end(n, verdict), at(61), &RULES)
}

#[test]
fn five_failures_in_a_row_open_it_and_one_success_between_them_does_not() {
    let mut breaker = Breaker::default();
    for n in 1..=4 {
        assert_eq!(breaker.ended(end(n, Verdict::NodeFailed), at(0), &RULES), None);
    }
    breaker.ended(end(5, Verdict::Worked), at(0), &RULES);
    for n in 6..=9 {
        assert_eq!(breaker.ended(end(n, Verdict::NodeFailed), at(0), &RULES), None);
    }
    let opened = Change::Opened { failures: 5, wait: RULES.open };
    assert_eq!(breaker.ended(end(10, Verdict::NodeFailed), at(0), &RULES), Some(opened));
    assert!(!breaker.reserve(TaskId(1)));
}

#[test]
fn what_dies_together_is_one_failure() {
    let mut breaker = Breaker::default();
    for n in 1..=100 {
        let end = End { token: Token(n), at: Token(1000 + n), verdict: Verdict::NodeFailed };
        assert_eq!(breaker.ended(end, at(0), &RULES), None, "{n}");
    }
}

#[test]
fn a_task_that_fails_by_its_own_fault_shows_that_the_node_works() {
    let mut breaker = Breaker::default();
    for n in 1..=100 {
        let verdict = if n % 5 == 0 { Verdict::TaskFailed } else { Verdict::NodeFailed };
        assert_eq!(breaker.ended(end(n, verdict), at(0), &RULES), None);
    }
}

#[test]
fn it_stays_open_for_its_time_and_then_lets_one_at_a_time_through() {
    let mut breaker = tripped();
    assert_eq!((breaker.tick(at(59)), breaker.places(9)), (None, 0));
    assert_eq!(breaker.tick(at(60)), Some(Change::HalfOpened));
    assert!(breaker.reserve(TaskId(1)));
    assert!(!breaker.reserve(TaskId(2)));
}

#[test]
fn three_successful_trials_close_it() {
    let mut breaker = half_open();
    assert_eq!(trial(&mut breaker, 10, Verdict::Worked), None);
    assert_eq!(trial(&mut breaker, 11, Verdict::Worked), None);
    assert_eq!(trial(&mut breaker, 12, Verdict::Worked), Some(Change::Closed));
    assert!(breaker.is_clean());
}

#[test]
fn any_failure_of_a_trial_opens_it_again() {
    let mut breaker = half_open();
    trial(&mut breaker, 10, Verdict::Worked);
    trial(&mut breaker, 11, Verdict::Worked);
    let opened = Change::Opened { failures: 1, wait: RULES.open };
    assert_eq!(trial(&mut breaker, 12, Verdict::NodeFailed), Some(opened));
    assert_eq!(breaker.open_until(), Some(at(121)));
}

#[test]
fn a_cancelled_or_declined_trial_gives_its_place_back() {
    let mut breaker = half_open();
    for n in 10..30 {
        assert_eq!(trial(&mut breaker, n, Verdict::Nothing), None);
        assert!(breaker.reserve(TaskId(n)));
        breaker.declined(TaskId(n));
    }
    assert_eq!(breaker.places(9), 1);
}

#[test]
fn an_end_from_before_it_opened_is_no_trials() {
    let mut breaker = half_open();
    assert!(breaker.reserve(TaskId(4)));
    assert_eq!(
        breaker.ended(end(4, Verdict::NodeFailed), at(61), &RULES),
        None,
        "an earlier attempt of the task"
    );
    breaker.granted(TaskId(4), Token(40));
    assert_eq!(breaker.ended(end(5, Verdict::Worked), at(61), &RULES), None);
    assert_eq!(breaker.places(9), 0, "the trial is still under way");
}

#[test]
fn rules_of_nothing_divide_nothing_by_zero() {
    let rules = BreakerRules { failures: 0, trials: 0, success_percent: 0, ..RULES };
    let mut breaker = Breaker::default();
    assert!(matches!(breaker.ended(end(1, Verdict::NodeFailed), at(0), &rules), Some(Change::Opened { .. })));
    breaker.tick(at(60));
    assert!(breaker.reserve(TaskId(2)));
    breaker.granted(TaskId(2), Token(4));
    assert_eq!(breaker.ended(end(2, Verdict::Worked), at(61), &rules), Some(Change::Closed));
    assert_eq!(BreakerRules { trials: u32::MAX, success_percent: 255, ..RULES }.successes(), u32::MAX);
}

#[test]
fn what_counts_against_a_machine_is_what_is_its_fault() {
    let spawn = |nodes_fault| AttemptOutcome::SpawnFailed(SpawnFailure { reason: "".into(), nodes_fault });
    let verdict = |outcome: AttemptOutcome| Verdict::from(&outcome);
    assert_eq!(verdict(AttemptOutcome::Exited(0)), Verdict::Worked);
    assert_eq!(verdict(AttemptOutcome::Exited(1)), Verdict::TaskFailed);
    assert_eq!(
        verdict(AttemptOutcome::TimedOut(Box::new(Overrun {
            limit: TimeLimit::Timeout,
            allowed: Duration::from_secs(60),
            used: Duration::from_secs(61),
        }))),
        Verdict::TaskFailed
    );
    assert_eq!((verdict(spawn(false)), verdict(spawn(true))), (Verdict::TaskFailed, Verdict::NodeFailed));
    assert_eq!(verdict(AttemptOutcome::Lost(LossReason::HostDied)), Verdict::NodeFailed);
    assert_eq!(verdict(AttemptOutcome::Lost(LossReason::Evicted)), Verdict::Nothing);
    assert_eq!(verdict(AttemptOutcome::Cancelled), Verdict::Nothing);
}

fn kind(name: &str) -> Arc<str> {
    name.into()
}

#[test]
fn a_kind_that_breaks_on_a_node_is_kept_from_it_and_others_are_not() {
    let rules = BreakerRules { kinds_count_failures: true, ..RULES };
    let (mut board, build) = (Board::default(), kind("build"));
    let changes: Vec<_> =
        (1..=5).flat_map(|n| board.ended(Some(&build), end(n, Verdict::TaskFailed), at(0), &rules)).collect();
    assert_eq!(changes, [(Some(kind("build")), Change::Opened { failures: 5, wait: rules.open })]);
    assert_eq!(
        (board.places(Some("build"), 9), board.places(Some("test"), 9), board.places(None, 9)),
        (0, 9, 9)
    );
    assert!(!board.reserve(TaskId(1), Some("build")) && board.reserve(TaskId(1), Some("test")));
    assert_eq!(board.seen(at(20)), [(Some(kind("build")), Seen::Open(Duration::from_secs(40)))]);
    assert_eq!(board.tick(at(60)), [(Some(kind("build")), Change::HalfOpened)]);
}

#[test]
fn by_default_a_kinds_failures_are_the_tasks_own() {
    let (mut board, build) = (Board::default(), kind("build"));
    for n in 1..=50 {
        assert_eq!(board.ended(Some(&build), end(n, Verdict::TaskFailed), at(0), &RULES), []);
    }
    assert_eq!(board, Board::default(), "and nothing is remembered of them");
}

#[test]
fn kinds_are_remembered_within_a_limit() {
    let mut board = Board::default();
    for n in 1..=1000 {
        board.ended(
            Some(&kind(&n.to_string())),
            end(n, Verdict::NodeFailed),
            at(0),
            &BreakerRules { failures: u32::MAX, ..RULES },
        );
    }
    assert_eq!(board.kinds(), KINDS_LIMIT);
}

#[test]
fn what_is_recorded_brings_it_back_to_where_it_was() {
    let mut board = Board::default();
    let opened = Change::Opened { failures: 5, wait: RULES.open };
    let recorded = |change| Recorded { change, at: Token(50), left: Duration::from_secs(20), failures: 0 };
    board.apply(&None, &recorded(opened), at(100));
    assert_eq!((board.places(None, 9), board.due()), (0, Some(at(120))));
    board.apply(&Some(kind("build")), &recorded(Change::HalfOpened), at(100));
    board.apply(&None, &recorded(Change::Closed), at(100));
    assert_eq!((board.places(None, 9), board.places(Some("build"), 9)), (9, 1));
    board.restored(TaskId(1), Some("build"), Token(49));
    assert_eq!(board.places(Some("build"), 9), 1, "granted before it was half-open");
    board.restored(TaskId(2), Some("build"), Token(51));
    assert_eq!(board.places(Some("build"), 9), 0);
}

#[derive(Debug, Clone)]
enum Input {
    Reserve,
    Grant,
    Decline,
    End(usize, Verdict),
    Wait(u64),
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let verdict = prop_oneof![
        Just(Verdict::Worked),
        Just(Verdict::TaskFailed),
        Just(Verdict::NodeFailed),
        Just(Verdict::NodeFailed),
        Just(Verdict::Nothing)
    ];
    let input = prop_oneof![
        3 => Just(Input::Reserve),
        3 => Just(Input::Grant),
        1 => Just(Input::Decline),
        4 => (0_usize..8, verdict).prop_map(|(which, verdict)| Input::End(which, verdict)),
        1 => (0_u64..40).prop_map(Input::Wait),
    ];
    prop::collection::vec(input, 0..300)
}

proptest! {
    /// The law: nothing is let through while open, one at a time while half-open, and every change has a cause.
    #[test]
    fn no_history_lets_more_through_than_the_law_allows(
        inputs in inputs(),
        failures in 0_u32..4,
        trials in 0_u32..5,
        success_percent in 0_u8..=100,
    ) {
        let rules = BreakerRules { failures, trials, success_percent, ..RULES };
        let (mut breaker, mut now, mut next) = (Breaker::default(), 0, 1);
        let (mut reserved, mut running, mut trial): (Vec<TaskId>, Vec<(TaskId, Token)>, Vec<TaskId>) = Default::default();
        for input in inputs {
            next += 1;
            let change = match input {
                Input::Reserve => {
                    let (open, half) = (breaker.open_until().is_some(), breaker.is_half_open());
                    if breaker.reserve(TaskId(next)) {
                        prop_assert!(!open);
                        reserved.push(TaskId(next));
                        if half { trial.push(TaskId(next)); }
                    }
                    None
                }
                Input::Grant => {
                    if let Some(task) = reserved.pop() {
                        breaker.granted(task, Token(next));
                        running.push((task, Token(next)));
                    }
                    None
                }
                Input::Decline => {
                    if let Some(task) = reserved.pop() {
                        breaker.declined(task);
                        trial.retain(|one| *one != task);
                    }
                    None
                }
                Input::End(which, verdict) if which < running.len() => {
                    let (task, token) = running.remove(which);
                    let change = breaker.ended(End { token, at: Token(next), verdict }, at(now), &rules);
                    if let Some(Change::Opened { .. }) = change {
                        prop_assert_eq!(verdict, Verdict::NodeFailed);
                    }
                    if let Some(Change::Closed) = change {
                        prop_assert!(trial.contains(&task));
                    }
                    trial.retain(|one| *one != task);
                    change
                }
                Input::End(..) => None,
                Input::Wait(seconds) => {
                    now += seconds;
                    breaker.tick(at(now))
                }
            };
            if change.is_some() {
                trial.clear();
            }
            breaker.check(&rules);
            if breaker.is_half_open() {
                prop_assert!(trial.len() <= 1, "{trial:?}");
                prop_assert_eq!(breaker.places(9), u32::from(trial.is_empty()), "no place is leaked");
            }
        }
    }
}

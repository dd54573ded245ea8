//! The stages of attempts, by the model that says in words what must hold of their order.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::bounds::{Overrun, TimeLimit};
use crate::event::Next;
use crate::retry::{self, Tally};
use crate::task::{AttemptOutcome, LossReason, RetryPolicy, SpawnFailure, TaskOutcome};

const MOST: Plan = Plan { machine_before: 1, before: 2, gate: true, after: 2, machine_after: 1 };

/// What happens to the present command.
#[derive(Debug, Clone)]
enum Happens {
    Ends(AttemptOutcome),
    /// It ends by itself while somebody asks for the attempt's end.
    EndsAsked(AttemptOutcome, AttemptOutcome),
    /// It is asked to stop before it has begun.
    Stopped(AttemptOutcome),
}

fn exits(code: i32) -> AttemptOutcome {
    AttemptOutcome::Exited(code)
}

fn late() -> AttemptOutcome {
    let (allowed, used) = (Duration::from_secs(5), Duration::from_secs(6));
    AttemptOutcome::TimedOut(Overrun { limit: TimeLimit::Timeout, allowed, used }.into())
}

/// Everything that is begun, and how it is over.
fn run(plan: Plan, mut happens: impl FnMut(Step) -> Happens) -> (Vec<Step>, AttemptOutcome) {
    let mut course = Course::new(plan);
    let mut begun = Vec::new();
    loop {
        let step = course.at();
        let turn = match happens(step) {
            Happens::Ends(how) => {
                begun.push(step);
                course.ended(&how, "said", None)
            }
            Happens::EndsAsked(how, asked) => {
                begun.push(step);
                course.ended(&how, "said", Some(&asked))
            }
            Happens::Stopped(asked) => match course.stopped(&asked) {
                // One after is begun nevertheless.
                Turn::Begin(same) if same == step => {
                    begun.push(step);
                    course.ended(&exits(0), "", Some(&asked))
                }
                turn => turn,
            },
        };
        match turn {
            Turn::Begin(next) => assert_eq!(next, course.at()),
            Turn::Over(outcome) => return (begun, outcome),
        }
    }
}

fn names(steps: &[Step]) -> Vec<String> {
    steps.iter().map(ToString::to_string).collect()
}

#[test]
fn everything_is_done_in_order_where_all_goes_well() {
    let (begun, outcome) = run(MOST, |_| Happens::Ends(exits(0)));
    let expected = [
        "machine's before hook 1",
        "before hook 1",
        "before hook 2",
        "command",
        "gate",
        "after hook 1",
        "after hook 2",
        "machine's after hook 1",
    ];
    assert_eq!((names(&begun), outcome), (expected.map(str::to_owned).into(), exits(0)));
}

#[test]
fn who_has_nothing_around_its_command_has_its_command_alone() {
    for how in [exits(0), exits(3), AttemptOutcome::Signalled(9), AttemptOutcome::Cancelled, late()] {
        let (begun, outcome) = run(Plan::default(), |_| Happens::Ends(how.clone()));
        assert_eq!((names(&begun), outcome), (vec!["command".to_owned()], how));
    }
}

#[test]
fn a_gate_that_fails_is_told_apart_from_a_command_that_does() {
    let fails = |at: Stage| run(MOST, move |step| Happens::Ends(exits(i32::from(step.stage == at)))).1;
    assert_eq!(fails(Stage::Gate).to_string(), "gate exited with 1: said");
    assert_eq!(fails(Stage::Command), exits(1));
    assert_eq!(word(&fails(Stage::Gate)), "gate:exit:1");
    assert_eq!(word(&fails(Stage::Command)), "exit:1");
    assert_eq!(fails(Stage::After), exits(0), "what fails after changes nothing");
}

#[test]
fn a_hook_of_the_task_is_its_failure_and_one_of_the_machine_is_that_machines() {
    let of = |failing: Step| run(MOST, move |step| Happens::Ends(exits(i32::from(step == failing))));
    let (begun, outcome) = of(Step::hook(Stage::Before, false, 1));
    assert_eq!(outcome.to_string(), "before hook 2 exited with 1: said");
    assert!(!outcome.is_loss() && !begun.contains(&Step::COMMAND) && !begun.contains(&Step::GATE));
    let (begun, outcome) = of(Step::hook(Stage::Before, true, 0));
    assert_eq!(outcome.to_string(), "not started: machine's before hook 1 exited with 1: said");
    assert!(outcome.is_loss());
    assert_eq!(begun.len(), 4, "it and what is done after: {begun:?}");
}

#[test]
fn what_a_machine_lacks_is_its_fault_in_every_stage() {
    let no_room = AttemptOutcome::SpawnFailed(SpawnFailure::of_node("too many processes"));
    let (_, outcome) = run(MOST, |step| match step.stage {
        Stage::Gate => Happens::Ends(no_room.clone()),
        _ => Happens::Ends(exits(0)),
    });
    assert!(outcome.is_loss(), "{outcome}");
    let missing = AttemptOutcome::SpawnFailed(SpawnFailure::of_task("command not found"));
    let (_, outcome) = run(MOST, |step| match step.stage {
        Stage::Gate => Happens::Ends(missing.clone()),
        _ => Happens::Ends(exits(0)),
    });
    assert_eq!(outcome.to_string(), "gate could not be started: command not found: said");
}

#[test]
fn a_machines_hook_that_takes_too_long_says_nothing_of_the_task() {
    let hangs = |of: Step| run(MOST, move |step| Happens::Ends(if step == of { late() } else { exits(0) })).1;
    assert!(hangs(Step::hook(Stage::Before, true, 0)).is_loss());
    assert_eq!(hangs(Step::hook(Stage::Before, false, 0)), late());
}

#[test]
fn after_the_right_to_run_is_over_nothing_is_done_any_more() {
    let lost = AttemptOutcome::Lost(LossReason::LeaseLost);
    let (begun, outcome) = run(MOST, |step| match step.stage {
        Stage::Command => Happens::Ends(lost.clone()),
        _ => Happens::Ends(exits(0)),
    });
    assert_eq!((begun.last(), outcome), (Some(&Step::COMMAND), lost.clone()));
    let (begun, outcome) = run(MOST, |step| match step.stage {
        Stage::After => Happens::Stopped(lost.clone()),
        _ => Happens::Ends(exits(0)),
    });
    assert_eq!((begun.last(), outcome), (Some(&Step::GATE), exits(0)), "it had succeeded by then");
}

#[test]
fn a_gate_is_worth_another_attempt_by_the_rules_for_commands() {
    let failed = |code: i32| {
        let (end, said) = (StepOutcome::Exited(code), "".into());
        StepFailure { step: Step::GATE, end, said }.outcome(false)
    };
    let policy = RetryPolicy { max_attempts: 2, retryable_exit_codes: vec![75], ..RetryPolicy::default() };
    let next = |code, failures| retry::next(&policy, &failed(code), Tally { failures, losses: 0 }, 500);
    assert!(matches!(next(75, 1), Next::RetryAfter(_)));
    assert_eq!(next(75, 2), Next::Finish(TaskOutcome::Failed(failed(75))));
    assert_eq!(next(1, 1), Next::Finish(TaskOutcome::Failed(failed(1))));
}

#[test]
fn the_last_lines_are_told_on_one_line_and_harmless() {
    assert_eq!(&*said_of(b"a\n\nb\n\x1b[31mc\x1b[0m\nd\n"), "b | [31mc[0m | d");
    assert_eq!(&*said_of(b"\xff\n"), "\u{fffd}");
    assert_eq!(said_of("x".repeat(1000).as_bytes()).len(), 240);
    assert_eq!(&*said_of(b""), "");
}

fn any_end() -> impl Strategy<Value = AttemptOutcome> {
    prop_oneof![
        4 => Just(exits(0)),
        2 => (1..5_i32).prop_map(exits),
        1 => Just(AttemptOutcome::Signalled(9)),
        1 => Just(late()),
        1 => Just(AttemptOutcome::SpawnFailed(SpawnFailure::of_task("gone"))),
        1 => any_stop(),
    ]
}

fn any_stop() -> impl Strategy<Value = AttemptOutcome> {
    prop_oneof![
        Just(AttemptOutcome::Cancelled),
        Just(late()),
        Just(AttemptOutcome::Lost(LossReason::Preempted)),
        Just(AttemptOutcome::Lost(LossReason::LeaseLost)),
    ]
}

fn any_happening() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => any_end().prop_map(Happens::Ends),
        1 => (any_end(), any_stop()).prop_map(|(how, asked)| Happens::EndsAsked(how, asked)),
        1 => any_stop().prop_map(Happens::Stopped),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_order_holds_and_what_comes_after_is_done(
        (machine_before, before, gate) in (0..3_u16, 0..3_u16, any::<bool>()),
        (after, machine_after) in (0..3_u16, 0..3_u16),
        happens in prop::collection::vec(any_happening(), 16),
    ) {
        let plan = Plan { machine_before, before, gate, after, machine_after };
        let mut told = happens.iter().cloned();
        let mut log = Vec::new();
        let (begun, outcome) = run(plan, |step| {
            let next = told.next().expect("no more than there are commands");
            log.push((step, next.clone()));
            next
        });
        // In order, nothing twice.
        let key = |step: &Step| {
            let own = if step.stage == Stage::After { step.of_machine } else { !step.of_machine };
            (step.stage, own, step.place)
        };
        prop_assert!(begun.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])), "{:?}", names(&begun));
        // The gate only behind a command that succeeded.
        let ends_of = |stage: Stage| log.iter().find(|(step, _)| step.stage == stage).map(|(_, happens)| happens.clone());
        if begun.contains(&Step::GATE) {
            prop_assert!(matches!(ends_of(Stage::Command), Some(Happens::Ends(AttemptOutcome::Exited(0)))));
        }
        // Success is one of the command and of the gate.
        if outcome.is_success() {
            prop_assert!(begun.contains(&Step::COMMAND) && (begun.contains(&Step::GATE) == gate));
        }
        // Nothing but what comes after behind a failure or a stop.
        let bad = log.iter().position(|(step, happens)| {
            step.stage != Stage::After && !matches!(happens, Happens::Ends(AttemptOutcome::Exited(0)))
        });
        if let Some(bad) = bad {
            prop_assert!(log[bad + 1..].iter().all(|(step, _)| step.stage == Stage::After), "{log:?}");
        }
        // What comes after is done, all of it, unless the right to run was over.
        let lost = AttemptOutcome::Lost(LossReason::LeaseLost);
        let is_lost = log.iter().any(|(_, happens)| match happens {
            Happens::Ends(how) => *how == lost,
            Happens::EndsAsked(how, asked) => *how == lost || *asked == lost,
            Happens::Stopped(asked) => *asked == lost,
        });
        let done = begun.iter().filter(|step| step.stage == Stage::After).count();
        if !is_lost {
            prop_assert_eq!(done, usize::from(after + machine_after));
        }
        // What happens after does not change how it ended.
        let cut = log.iter().position(|(step, _)| step.stage == Stage::After).unwrap_or(log.len());
        let mut again = log[..cut].iter().map(|(_, happens)| happens.clone());
        let (_, without) = run(plan, |_| again.next().unwrap_or_else(|| Happens::Ends(exits(0))));
        prop_assert_eq!(outcome, without);
    }
}

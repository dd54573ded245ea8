//! Attempts with more than their command: what is done before and after it, and its gate.

use std::time::Duration;

use actors::clock::Clock;
use actors::process::protocol::{HostReport, HostedPhase, StagePlan, Start, StopReason};
use policy::bounds::AttemptBounds;
use policy::stages::{Step, StepEnd};
use policy::task::{AttemptOutcome, LossReason};
use policy::text::OsText;

use crate::bed::{Bed, until};

crate::tests![
    commands_run_one_after_the_other_in_one_place,
    a_hook_that_fails_keeps_the_command_from_running_and_says_why,
    a_gate_decides_and_is_asked_only_after_a_success,
    what_is_done_after_knows_how_it_went_and_changes_nothing,
    a_cancelled_gate_leaves_nothing_and_what_is_done_after_is_done,
    what_a_stage_leaves_running_is_gone_before_the_next_begins,
    what_takes_too_long_after_is_ended_and_what_is_left_is_not_done,
    a_machines_command_has_nothing_of_the_tasks_environment,
    a_timeout_is_one_for_all_that_comes_before_the_end,
    nothing_is_done_after_the_lease,
    the_host_goes_on_by_itself_while_nobody_is_connected,
    a_command_that_cannot_be_started_is_told_by_its_stage,
];

fn sh(script: &str) -> Vec<OsText> {
    ["sh", "-c", script].map(OsText::from).into()
}

/// Each of these where there is a script.
fn plan(before: &[&str], gate: Option<&str>, after: &[&str]) -> StagePlan {
    StagePlan {
        before: before.iter().map(|script| sh(script)).collect(),
        gate: gate.map(sh),
        after: after.iter().map(|script| sh(script)).collect(),
        machine_environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        before_timeout: Duration::from_secs(20),
        after_timeout: Duration::from_secs(20),
        ..StagePlan::default()
    }
}

fn staged(plan: StagePlan) -> impl FnOnce(&mut Start) {
    move |start| start.stages = Some(Box::new(plan))
}

fn steps(bed: &mut Bed, token: u64) -> Vec<StepEnd> {
    bed.wait("an end", |report| match report {
        HostReport::Ended { token: of, steps, .. } if of.0 == token => Some(steps.clone()),
        _ => None,
    })
}

fn names(steps: &[StepEnd]) -> Vec<String> {
    steps.iter().map(|end| format!("{} {}", end.step, end.end)).collect()
}

fn begun(bed: &Bed, token: u64) -> Vec<String> {
    let step = |report: &HostReport| match report {
        HostReport::Started { token: of, step: Some(step), .. } if of.0 == token => Some(step.to_string()),
        _ => None,
    };
    bed.heard().iter().filter_map(step).collect()
}

fn commands_run_one_after_the_other_in_one_place() {
    let mut bed = Bed::new();
    let mut plan = plan(&["echo $CRAB_STAGE >> all; pwd"], Some("echo $CRAB_STAGE >> all"), &["cat all"]);
    plan.machine_before = vec![sh("echo machine-$CRAB_STAGE >> all")];
    plan.machine_after = vec![sh("rm all")];
    bed.start_with(1, &["sh", "-c", "echo $CRAB_STAGE >> all; exit 0"], staged(plan));
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(0));
    let expected = [
        "machine's before hook 1",
        "before hook 1",
        "command",
        "gate",
        "after hook 1",
        "machine's after hook 1",
    ];
    assert_eq!(begun(&bed, 1), expected);
    let ends: Vec<String> = expected.iter().map(|step| format!("{step} exited with 0")).collect();
    assert_eq!(names(&steps(&mut bed, 1)), ends);
    assert!(!bed.home().join("all").exists());
    let said = bed.output(1);
    assert!(said.contains("crab: before hook 1: sh -c echo"), "{said}");
    assert!(
        said.ends_with("machine-before\nbefore\ncommand\ngate\ncrab: machine's after hook 1: sh -c rm all\n"),
        "{said}"
    );
}

fn a_hook_that_fails_keeps_the_command_from_running_and_says_why() {
    let mut bed = Bed::new();
    let before = ["true", "echo one >&2; echo no database >&2; exit 3", "touch never"];
    bed.start_with(1, &["touch", "never"], staged(plan(&before, None, &["touch after"])));
    let outcome = bed.ended(1);
    assert_eq!(outcome.to_string(), "before hook 2 exited with 3: one | no database");
    assert!(!outcome.is_loss() && bed.home().join("after").exists() && !bed.home().join("never").exists());
    let mut of_machine = plan(&[], None, &[]);
    of_machine.machine_before = vec![sh("echo disk full >&2; exit 1")];
    bed.start_with(2, &["touch", "never"], staged(of_machine));
    let outcome = bed.ended(2);
    assert_eq!(outcome.to_string(), "not started: machine's before hook 1 exited with 1: disk full");
    assert!(outcome.is_loss() && !bed.home().join("never").exists());
}

fn a_gate_decides_and_is_asked_only_after_a_success() {
    let mut bed = Bed::new();
    bed.start_with(1, &["true"], staged(plan(&[], Some("exit 1"), &[])));
    bed.start_with(2, &["sh", "-c", "exit 4"], staged(plan(&[], Some("touch asked"), &[])));
    bed.start_with(3, &["true"], staged(plan(&[], Some("true"), &[])));
    assert_eq!(bed.ended(1).to_string(), "gate exited with 1");
    assert_eq!(bed.ended(2), AttemptOutcome::Exited(4));
    assert!(!bed.home().join("asked").exists());
    assert_eq!(bed.ended(3), AttemptOutcome::Exited(0));
    assert_eq!(names(&steps(&mut bed, 2)), ["command exited with 4"]);
    assert!(bed.output(1).ends_with("crab: gate: sh -c exit 1\ncrab: gate exited with 1\n"));
}

fn what_is_done_after_knows_how_it_went_and_changes_nothing() {
    let mut bed = Bed::new();
    let told =
        |bed: &Bed, token: u64| std::fs::read_to_string(bed.home().join(format!("out-{token}"))).unwrap();
    for (token, script, gate, expected) in [
        (1, "exit 0", "true", "exit:0"),
        (2, "exit 3", "true", "exit:3"),
        (3, "kill -9 $$", "true", "signal:9"),
        (4, "exit 0", "exit 5", "gate:exit:5"),
    ] {
        let after = format!("printf %s $CRAB_OUTCOME > out-{token}; echo bad >&2; exit 1");
        bed.start_with(
            token,
            &["sh", "-c", script],
            staged(plan(&[], Some(gate), &[&after, "touch second"])),
        );
        let outcome = bed.ended(token);
        assert_eq!(
            (told(&bed, token).as_str(), policy::stages::word(&outcome).as_str()),
            (expected, expected)
        );
        let last = steps(&mut bed, token).into_iter().nth_back(1).unwrap();
        assert_eq!(last.to_string(), "after hook 1 exited with 1: bad");
    }
    assert!(bed.home().join("second").exists());
}

fn a_cancelled_gate_leaves_nothing_and_what_is_done_after_is_done() {
    let mut bed = Bed::new();
    let gate = "trap '' TERM; (trap '' TERM; setsid sleep 1000) & echo $! > child; echo ready; while :; do sleep 1; done";
    let mut plan = plan(&[], Some(gate), &["ls child; printf %s $CRAB_OUTCOME > outcome"]);
    plan.after.push(sh("touch second"));
    bed.start_with(1, &["true"], |start| {
        start.grace = Duration::from_millis(200);
        staged(plan)(start);
    });
    until("it is at its gate", || bed.home().join("child").exists().then_some(()));
    bed.stop(1, StopReason::Cancel);
    assert_eq!(bed.ended(1), AttemptOutcome::Cancelled);
    assert_eq!(std::fs::read_to_string(bed.home().join("outcome")).unwrap(), "cancelled");
    assert!(bed.home().join("second").exists());
    let expected = [
        "command exited with 0",
        "gate was stopped: cancelled",
        "after hook 1 exited with 0",
        "after hook 2 exited with 0",
    ];
    assert_eq!(names(&steps(&mut bed, 1)), expected);
}

fn what_a_stage_leaves_running_is_gone_before_the_next_begins() {
    let mut bed = Bed::new();
    let before =
        "setsid sh -c 'echo $$ > child; exec sleep 1000' & while ! [ -s child ]; do sleep 0.01; done";
    bed.start_with(1, &["sh", "-c", "! kill -0 $(cat child)"], staged(plan(&[before], None, &[])));
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(0), "{}", bed.output(1));
}

fn what_takes_too_long_after_is_ended_and_what_is_left_is_not_done() {
    let mut bed = Bed::new();
    let mut late = plan(&[], None, &["sleep 1000", "touch never"]);
    late.after_timeout = Duration::from_millis(100);
    bed.start_with(1, &["true"], staged(late));
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(0));
    let ends = names(&steps(&mut bed, 1));
    assert!(ends.len() == 2 && ends[1].starts_with("after hook 1 was stopped: timed out"), "{ends:?}");
    let mut late = plan(&[], None, &[]);
    (late.machine_before, late.before_timeout) = (vec![sh("sleep 1000")], Duration::from_millis(100));
    bed.start_with(2, &["touch", "never"], staged(late));
    let outcome = bed.ended(2);
    assert!(
        outcome.is_loss() && outcome.to_string().contains("machine's before hook 1 was stopped"),
        "{outcome}"
    );
    assert!(!bed.home().join("never").exists());
}

fn a_machines_command_has_nothing_of_the_tasks_environment() {
    let mut bed = Bed::new();
    let mut plan = plan(&["env > task"], None, &[]);
    plan.machine_before = vec![sh("env > machine")];
    plan.machine_environment.push(("HERE".into(), "1".into()));
    bed.start_with(1, &["true"], |start| {
        start.environment.push(("LD_PRELOAD".into(), "".into()));
        start.environment.push(("OF_TASK".into(), "1".into()));
        staged(plan)(start);
    });
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(0));
    let read = |name: &str| std::fs::read_to_string(bed.home().join(name)).unwrap();
    assert!(read("machine").contains("HERE=1") && !read("machine").contains("OF_TASK"));
    assert!(read("task").contains("OF_TASK=1") && !read("task").contains("HERE"));
}

fn a_timeout_is_one_for_all_that_comes_before_the_end() {
    let mut bed = Bed::new();
    let after = plan(&["sleep 0.2"], Some("sleep 1000"), &["printf %s $CRAB_OUTCOME > outcome"]);
    bed.start_with(1, &["sleep", "0.2"], |start| {
        let timeout = Some(Duration::from_millis(800));
        start.bounds = AttemptBounds { timeout, ..AttemptBounds::default() };
        start.grace = Duration::from_millis(100);
        staged(after)(start);
    });
    let (outcome, usage) = bed.ended_with(1);
    assert!(matches!(outcome, AttemptOutcome::TimedOut(_)), "{outcome}");
    assert!(usage.wall >= Duration::from_millis(800), "{usage:?}");
    assert_eq!(std::fs::read_to_string(bed.home().join("outcome")).unwrap(), "timeout");
}

fn nothing_is_done_after_the_lease() {
    let mut bed = Bed::new();
    bed.start_with(1, &["sleep", "1000"], staged(plan(&[], None, &["touch never"])));
    bed.start_with(2, &["true"], staged(plan(&[], None, &["touch begun; sleep 1000", "touch never"])));
    bed.started(1);
    until("the second is at its end", || bed.home().join("begun").exists().then_some(()));
    bed.kill_at(Clock::system().now());
    assert_eq!(bed.ended(1), AttemptOutcome::Lost(LossReason::LeaseLost));
    assert_eq!(bed.ended(2), AttemptOutcome::Exited(0), "it had succeeded by then");
    assert!(!bed.home().join("never").exists());
}

fn the_host_goes_on_by_itself_while_nobody_is_connected() {
    let mut bed = Bed::new();
    let plan = plan(&["while ! [ -e go ]; do sleep 0.01; done"], Some("test -e made"), &["touch after"]);
    bed.start_with(1, &["touch", "made"], staged(plan));
    bed.started(1);
    bed.disconnect();
    std::fs::write(bed.home().join("go"), "").unwrap();
    until("it has gone through all of it", || bed.home().join("after").exists().then_some(()));
    bed.connect();
    let steps = until("its end", || match bed.inventory().first()?.phase.clone() {
        HostedPhase::Ended { outcome: AttemptOutcome::Exited(0), steps, .. } => Some(steps),
        _ => None,
    });
    assert_eq!(steps.iter().map(|end| end.step).nth(2), Some(Step::GATE));
}

fn a_command_that_cannot_be_started_is_told_by_its_stage() {
    let mut bed = Bed::new();
    let mut missing = plan(&[], None, &["touch after"]);
    missing.gate = Some(vec!["no-such-gate".into()]);
    bed.start_with(1, &["true"], staged(missing));
    let outcome = bed.ended(1).to_string();
    assert!(outcome.starts_with("gate could not be started: command not found"), "{outcome}");
    assert!(bed.home().join("after").exists());
    bed.start_with(2, &["no-such-command"], staged(plan(&["true"], None, &["touch second"])));
    assert!(matches!(bed.ended(2), AttemptOutcome::SpawnFailed(_)));
    assert!(bed.home().join("second").exists());
}

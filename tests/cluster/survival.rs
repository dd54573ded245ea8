//! Tasks outlive the daemon, and are told lost where they cannot.

use std::fs;

use crate::support::place::Place;
use crate::support::program::Running;
use crate::support::waiting::{SOON, until_true};

/// Lines that the writing task writes.
const LINES: usize = 200;

/// Writes a line at a time until all are there, and waits in the middle for a file: so a test knows that
/// the daemon died while it wrote.
fn writer(place: &Place) -> String {
    let go = place.root().join("go").display().to_string();
    format!(
        "i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i; \
         if [ $i = 100 ]; then while [ ! -e {go} ]; do sleep 0.02; done; fi; done; exit 3"
    )
}

fn expected() -> String {
    (1..=LINES).map(|line| format!("line {line}\n")).collect()
}

#[test]
fn a_task_goes_on_while_the_daemon_is_killed_and_started_again() {
    let place = Place::new();
    let daemon = place.single("1");
    let task = place.submit(&["--", "/bin/sh", "-c", &writer(&place)]);
    until_true("half is written", SOON, || place.run(&["logs", &task]).text().contains("line 100\n"));
    let before = place.wait_state(&task, "running");
    daemon.kill();
    assert!(!place.attempts().is_empty(), "it runs on");
    let _daemon = place.single("1");
    place.file("go", "");
    place.run(&["wait", &task]).expect(1);
    let after = place.show(&task);
    assert_eq!(after["outcome"]["exit_code"], 3);
    assert_eq!(after["attempts"], 1, "it was not started twice");
    assert_eq!(after["attempt_list"][0]["pid"], before["attempt_list"][0]["pid"]);
    assert_eq!(place.run(&["logs", &task]).expect(0).text(), expected());
    assert_eq!(place.attempts(), []);
}

#[test]
fn a_task_that_ends_while_no_daemon_runs_is_known_by_the_next() {
    let place = Place::new();
    let daemon = place.single("1");
    let task = place.submit(&["--", "/bin/sh", "-c", &writer(&place)]);
    until_true("half is written", SOON, || place.run(&["logs", &task]).text().contains("line 100\n"));
    daemon.kill();
    place.file("go", "");
    until_true("it has ended", SOON, || place.attempts().is_empty());
    let _daemon = place.single("1");
    place.run(&["wait", &task]).expect(1);
    let after = place.show(&task);
    assert_eq!((&after["outcome"]["exit_code"], &after["attempts"]), (&3.into(), &1.into()));
    assert_eq!(place.run(&["logs", &task]).expect(0).text(), expected());
}

#[test]
fn a_command_line_that_waits_outlives_the_daemon_it_waits_for() {
    let place = Place::new();
    let daemon = place.single("1");
    let run = Running::start(&mut place.crab(&["run", "--", "/bin/sh", "-c", &writer(&place)]));
    until_true("half is written", SOON, || place.run(&["logs", "t1"]).text().contains("line 100\n"));
    daemon.kill();
    let _daemon = place.single("1");
    place.file("go", "");
    assert_eq!(run.end().expect(3).text(), expected());
}

#[test]
fn a_stop_in_order_lets_tasks_go_on_as_well() {
    let place = Place::new();
    let daemon = place.single("1");
    let task = place.submit(&["--", "/bin/sh", "-c", &writer(&place)]);
    until_true("half is written", SOON, || place.run(&["logs", &task]).text().contains("line 100\n"));
    assert!(daemon.stop().success());
    assert!(!place.attempts().is_empty(), "it runs on");
    let _daemon = place.single("1");
    place.file("go", "");
    place.run(&["wait", &task]).expect(1);
    assert_eq!(place.show(&task)["attempts"], 1);
    assert_eq!(place.run(&["logs", &task]).expect(0).text(), expected());
}

#[test]
fn when_the_host_is_killed_its_tasks_are_stopped_reported_lost_and_tried_again() {
    let place = Place::new();
    let _daemon = place.single("1");
    let marks = place.root().join("marks");
    let script = format!("echo $CRAB_ATTEMPT >> {}; setsid sleep 1000 & sleep 1000", marks.display());
    let task = place.submit(&["--", "/bin/sh", "-c", &script]);
    until_true("it runs with a child", SOON, || place.attempts().len() >= 3);
    let first: Vec<i32> = place.attempts().iter().map(|left| left.pid).collect();
    place.kill_host();
    until_true("the second attempt runs", SOON, || {
        fs::read_to_string(&marks).is_ok_and(|text| text == "1\n2\n")
    });
    let now: Vec<i32> = place.attempts().iter().map(|left| left.pid).collect();
    assert!(
        first.iter().all(|pid| !now.contains(pid)),
        "of the first attempt {first:?} nothing is left: {now:?}"
    );
    let shown = place.show(&task);
    assert_eq!(shown["attempt_list"][0]["outcome"]["kind"], "lost");
    place.run(&["cancel", &task]).expect(0);
    place.run(&["wait", &task]).expect(1);
    assert_eq!(place.attempts(), []);
}

//! Gangs: tasks that run on several machines at once or not at all, with the real programs.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::cluster::fleet::Fleet;
use crate::support::place::Place;
use crate::support::waiting::{SOON, until_true};

/// Submits a gang of three whose members run this script; the tasks, by rank.
fn gang(place: &Place, options: &[&str], script: &str) -> Vec<String> {
    let words = [&["--gang", "3"][..], options, &["--", "sh", "-c", script]].concat();
    let first = place.submit(&words);
    let number: u64 = first[1..].parse().expect("a task");
    (number..number + 3).map(|task| format!("t{task}")).collect()
}

/// Waits until every member runs or has ended like this; the nodes, by rank.
fn all(place: &Place, tasks: &[String], state: &str) -> Vec<String> {
    let shown = tasks.iter().map(|task| place.wait_state(task, state)["node"].clone());
    shown.map(|node| node.as_str().unwrap_or_default().to_owned()).collect()
}

fn explained(place: &Place, task: &str) -> String {
    place.run(&["explain", task]).expect(0).text()
}

/// How the attempts of a task ended.
fn ends(place: &Place, task: &str) -> Vec<String> {
    let shown = place.show(task);
    let attempts = shown["attempt_list"].as_array().expect("a list").iter();
    attempts.map(|attempt| attempt["outcome"].to_string()).collect()
}

#[test]
fn a_gang_starts_whole_and_is_tried_again_whole_when_a_member_fails() {
    let mut fleet = Fleet::start(3);
    let place = &fleet.scheduler;
    let blocker = place.submit(&["--cpus", "2", "--node", "worker1", "--", "sleep", "1000"]);
    place.wait_state(&blocker, "running");
    let ledger = place.root().join("ledger");
    let script = format!(
        "echo $CRAB_ATTEMPT $CRAB_GANG_RANK $CRAB_GANG_SIZE $CRAB_NODE $CRAB_GANG_NODES >> {}; \
         [ $CRAB_ATTEMPT = 2 ] && exit 0; [ $CRAB_GANG_RANK = 1 ] || exec sleep 1000; \
         while ! [ -e go ]; do sleep 0.05; done; exit 7",
        ledger.display()
    );
    let tasks = gang(place, &["--retries", "1"], &script);
    let lacking = "it needs 3 machines at once, and 2 have room now: worker1 needs 1 cpus, 0 available";
    until_true("it is told why it waits", SOON, || explained(place, &tasks[1]).contains(lacking));
    assert!(!ledger.exists(), "nothing of it has begun");

    place.run(&["cancel", &blocker]).expect(0);
    let nodes = all(place, &tasks, "running");
    assert_eq!(nodes.iter().collect::<BTreeSet<_>>().len(), 3, "{nodes:?}");
    let lines = |attempt: &str| {
        let text = fs::read_to_string(&ledger).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
        lines.retain(|line| line.starts_with(attempt));
        lines.sort();
        lines
    };
    until_true("all have written", SOON, || lines("1").len() == 3);
    let expected = (0..3).map(|rank| format!("1 {rank} 3 {} {}", nodes[rank], nodes.join(",")));
    assert_eq!(lines("1"), expected.collect::<Vec<_>>());

    place.file("go", "");
    all(place, &tasks, "succeeded");
    assert_eq!(lines("2").len(), 3, "all of it once more");
    let ended = tasks.iter().map(|task| ends(place, task)).collect::<Vec<_>>();
    assert!(ended[1][0].contains('7') && ended[0][0].contains("recalled"), "{ended:?}");
    let shown = place.show(&tasks[0]);
    assert_eq!(shown["spec"]["gang"], 3);
    let told: Vec<&Value> = shown["events"].as_array().expect("a list").iter().collect();
    let recall =
        told.iter().find(|event| event["event"] == "task.recall-asked").expect("it was told to stop");
    assert_eq!(recall["by"], tasks[1].as_str());
    fleet.stop();
}

#[test]
fn a_gang_gets_all_its_machines_behind_a_stream_of_small_tasks() {
    let mut fleet = Fleet::start(3);
    let place = &fleet.scheduler;
    let stream = place.submit(&["--array", "1-600", "--", "sleep", "0.1"]);
    place.wait_state(&stream, "succeeded");
    // Of another tenant: among equals it would stand behind the stream.
    let tasks = gang(place, &["--cpus", "2", "--tenant", "ring"], "true");
    all(place, &tasks, "succeeded");
    let events = place.run(&["events", "--json", "--after", "0"]).expect(0).json();
    let granted = events.iter().filter(|event| event["event"] == "task.granted");
    let granted: Vec<_> = granted.map(|event| event["task"].as_str().expect("a task")).collect();
    let first = granted.iter().position(|task| tasks.iter().any(|one| one == task)).expect("it was granted");
    assert!(first + 3 < granted.len(), "the stream went on behind it: {first} of {}", granted.len());
    fleet.stop();
}

#[test]
fn a_gang_that_loses_a_machine_stops_and_starts_again_when_there_are_enough() {
    let mut fleet = Fleet::start(3);
    let tasks = gang(&fleet.scheduler, &[], "while ! [ -e go ]; do sleep 0.05; done");
    let nodes = all(&fleet.scheduler, &tasks, "running");
    let lost = nodes.iter().position(|node| node == "worker2").expect("it runs everywhere");
    fleet.kill_worker(2);
    let others: Vec<String> = tasks.iter().filter(|task| **task != tasks[lost]).cloned().collect();
    all(&fleet.scheduler, &others, "ready");
    let told = explained(&fleet.scheduler, &others[0]);
    assert!(
        told.contains("it needs 3 machines at once") || told.contains("of its gang is not ready"),
        "{told}"
    );

    fleet.start_worker(2);
    let place = &fleet.scheduler;
    all(place, &tasks, "running");
    place.file("go", "");
    all(place, &tasks, "succeeded");
    assert!(ends(place, &others[0])[0].contains("recalled"), "that cost it nothing: it has no retries");
    fleet.stop();
    fleet.nothing_runs();
}

#[test]
fn a_gang_survives_the_scheduler_and_is_cancelled_as_one() {
    let mut fleet = Fleet::start(3);
    let tasks = gang(&fleet.scheduler, &[], "exec sleep 1000");
    let nodes = all(&fleet.scheduler, &tasks, "running");
    fleet.kill_scheduler();
    fleet.start_scheduler();
    let place = &fleet.scheduler;
    place.wait_nodes(3);
    let next = place.submit(&["--cpus", "1", "--", "true"]);
    place.wait_state(&next, "succeeded");
    assert_eq!(all(place, &tasks, "running"), nodes);
    assert!(tasks.iter().all(|task| ends(place, task).len() == 1), "by the same attempts");

    place.run(&["cancel", &tasks[1]]).expect(0);
    all(place, &tasks, "cancelled");
    let large = place.run(&["submit", "--gang", "4", "--", "true"]);
    let told = format!("{}{}", large.text(), large.err);
    assert!(told.contains("needs so many machines at once, and finds 3"), "{told}");
    fleet.stop();
    fleet.nothing_runs();
}

//! Machines that are gone, or seem to be: their tasks run elsewhere, and never in two places at once.

use std::collections::BTreeSet;
use std::fs;

use nix::sys::signal::Signal;

use super::fleet::Fleet;
use super::history::{all_records, stories};
use crate::support::waiting::{SOON, until, until_true};

/// A task that notes each of its lives, and its end by the polite signal.
const SCRIPT: &str = "echo $CRAB_NODE >> nodes; while [ ! -e go ]; do sleep 0.05; done";

/// Starts the task and tells it and the number of the worker that runs it.
fn start(fleet: &Fleet) -> (String, usize) {
    let task = fleet.scheduler.submit(&["--", "/bin/sh", "-c", SCRIPT]);
    let shown = fleet.scheduler.wait_state(&task, "running");
    let node = shown["node"].as_str().expect("a node").to_owned();
    (task, usize::from(node == "worker1"))
}

/// Nodes on which the task was started, in order.
fn lives(fleet: &Fleet) -> Vec<String> {
    let text = fs::read_to_string(fleet.scheduler.root().join("nodes")).unwrap_or_default();
    text.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn a_frozen_worker_loses_its_task_to_another_after_its_processes_are_gone() {
    let mut fleet = Fleet::start(2);
    let (task, first) = start(&fleet);
    fleet.worker(first).signal(Signal::SIGSTOP);
    // Whenever the second life begins, the first one's processes are gone: the host saw to it.
    until("it runs elsewhere", SOON, || {
        let before = fleet.workers[first].attempts();
        let lives = lives(&fleet);
        assert!(lives.len() < 2 || before.is_empty(), "in two places at once: {lives:?} {before:?}");
        (lives.len() == 2).then_some(())
    });
    assert_eq!(lives(&fleet).iter().collect::<BTreeSet<_>>().len(), 2, "on two nodes");
    fleet.worker(first).signal(Signal::SIGCONT);
    fleet.scheduler.wait_nodes(2);
    fleet.scheduler.file("go", "");
    fleet.scheduler.run(&["wait", &task]).expect(0);
    let shown = fleet.scheduler.show(&task);
    assert_eq!(shown["attempts"], 2, "{shown:#}");
    assert_eq!(shown["attempt_list"][0]["outcome"]["kind"], "lost");
    stories(&fleet.scheduler.ask(all_records).expect("the history can be read"));
    fleet.nothing_runs();
    fleet.stop();
}

#[test]
fn a_worker_that_comes_back_in_time_keeps_its_task() {
    let mut fleet = Fleet::start(2);
    let (task, first) = start(&fleet);
    fleet.kill_worker(first);
    fleet.start_worker(first);
    fleet.scheduler.wait_nodes(2);
    fleet.scheduler.file("go", "");
    fleet.scheduler.run(&["wait", &task]).expect(0);
    assert_eq!(fleet.scheduler.show(&task)["attempts"], 1);
    assert_eq!(lives(&fleet).len(), 1);
    fleet.stop();
}

#[test]
fn a_worker_that_stays_away_is_lost_and_its_processes_end_without_it() {
    let mut fleet = Fleet::start(2);
    let (task, first) = start(&fleet);
    fleet.kill_worker(first);
    until_true("it runs elsewhere", SOON, || lives(&fleet).len() == 2);
    assert_eq!(fleet.workers[first].attempts(), [], "the host has ended them");
    fleet.scheduler.file("go", "");
    fleet.scheduler.run(&["wait", &task]).expect(0);
    let nodes = fleet.scheduler.run(&["nodes", "--json"]).expect(0).json();
    assert!(nodes.iter().any(|node| node["health"] == "lost"), "{nodes:?}");
    fleet.start_worker(first);
    fleet.scheduler.wait_nodes(2);
    fleet.nothing_runs();
    fleet.stop();
}

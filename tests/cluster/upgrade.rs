//! A daemon is replaced by another program while many tasks write, and nothing of what they write is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use actors::client::random_key;
use policy::event::Item;
use policy::id::{GraphId, TaskId};
use policy::submission::Submission;
use policy::task::TaskSpec;

use crate::support::place::{Daemon, Place};
use crate::support::waiting::{SOON, until_true};

fn ended(place: &Place, graph: GraphId) -> u64 {
    let row = place.ask(|client| async move { client.graph(graph).await });
    row.map_or(0, |row| row.tasks.succeeded + row.tasks.failed + row.tasks.cancelled)
}

/// Tasks that write while a daemon is replaced.
const WRITERS: usize = 50;

#[test]
fn an_upgrade_among_fifty_tasks_that_write_loses_no_line() {
    let place = Place::new();
    let before = place.single("50");
    let go = place.root().join("go");
    let script = format!(
        "n=0; while [ ! -e {} ]; do n=$((n+1)); echo line $n; sleep 0.2; done; echo end $n",
        go.display()
    );
    let task = |number: usize| {
        let argv = ["/bin/sh", "-c", &script].map(Into::into).to_vec();
        Item::new(TaskSpec { directory: Some("/".into()), ..TaskSpec::new(format!("w{number}"), argv) })
    };
    let submission = Submission::new(random_key(), Arc::from("writers"), (0..WRITERS).map(task).collect());
    let submitted = place.ask(|client| async move { client.submit(submission).await }).expect("it is sound");
    let spools = || fs::read_dir(place.data().join("host/output")).into_iter().flatten().flatten().count();
    until_true("all write", SOON, || spools() == WRITERS);
    assert!(before.stop().success());
    // Another program, as after an upgrade.
    let other = other_program(&place);
    let mut command = Command::new(&other);
    command.env_remove("CRAB_DATA_DIR").env_remove("CRAB_ADDRESS").arg("--data-dir").arg(place.data());
    let _after = Daemon::of(command.args(["--cpus", "50", "--name", "one"]), &place);
    place.wait_ready();
    place.wait_nodes(1);
    place.file("go", "");
    let graph = submitted.graph;
    until_true("all have ended", SOON, || ended(&place, graph) == WRITERS as u64);
    for number in 0..WRITERS as u64 {
        let task = TaskId(submitted.graph.first_task().0 + number).to_string();
        assert_eq!(place.show(&task)["attempts"], 1, "{task} was started once");
        let said = place.run(&["logs", &task]).expect(0).text();
        let lines = said.lines().count() - 1;
        let expected: String = (1..=lines).map(|line| format!("line {line}\n")).collect();
        assert_eq!(said, format!("{expected}end {lines}\n"), "{task}");
    }
}

fn other_program(place: &Place) -> PathBuf {
    let other = place.root().join("crabd-next");
    fs::copy(Path::new(env!("CARGO_BIN_EXE_crabd")), &other).expect("there is room");
    other
}

//! Tasks with hooks and gates, with the real programs.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::place::Place;
use crate::support::waiting::{SOON, until, until_true};

/// What the last attempt's end tells of its commands.
fn steps(shown: &Value) -> Vec<String> {
    let events = shown["events"].as_array().expect("a list");
    let end = events.iter().rfind(|event| event["event"] == "task.attempt-ended").expect("it has ended");
    let steps = end["report"]["steps"].as_array().cloned().unwrap_or_default();
    let of = |step: &Value| {
        format!(
            "{} {} {}",
            step["of"].as_str().expect("who"),
            step["stage"].as_str().expect("which"),
            step["exit_code"]
        )
    };
    steps.iter().map(of).collect()
}

fn git(at: &Path, words: &[&str]) {
    let out = Command::new("git").arg("-C").arg(at).args(words).output().expect("there is git");
    assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn hooks_and_a_gate_run_in_order_in_one_worktree_and_are_told() {
    let place = Place::new();
    let hooks =
        "[hooks]\nbefore = [[\"sh\", \"-c\", \"echo machine >> order\"]]\nafter = [[\"rm\", \"order\"]]\n";
    let config = place.file("crabd.toml", hooks);
    let _daemon = place.daemon(&["--cpus", "1", "--name", "one", "--config", &config.display().to_string()]);
    place.wait_nodes(1);
    let repository = place.root().join("repo");
    fs::create_dir(&repository).expect("it is new");
    git(&repository, &["init", "--quiet", "--initial-branch=main"]);
    git(
        &repository,
        &["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--allow-empty", "-m", "first"],
    );
    let file = r#"
        [task.build]
        workspace = { worktree = "repo" }
        shell = "echo command >> order"
        gate = "echo gate >> order; test $PWD = $CRAB_WORKSPACE"
        hooks = { before = [["sh", "-c", "echo before >> order"]], after = ["cat order; echo $CRAB_STAGE $CRAB_OUTCOME"] }
    "#;
    place.file("build.toml", file);
    let task = place.submit(&["build.toml"]);
    place.run(&["wait", &task]).expect(0);
    let shown = place.show(&task);
    let expected = [
        "machine before 0",
        "task before 0",
        "task command 0",
        "task gate 0",
        "task after 0",
        "machine after 0",
    ];
    assert_eq!(steps(&shown), expected);
    assert_eq!(shown["spec"]["gate"][0], "/bin/sh");
    assert_eq!(shown["spec"]["hooks"]["before"][0][2], "echo before >> order");
    let log = place.run(&["logs", &task]).expect(0).text();
    assert!(log.contains("machine\nbefore\ncommand\ngate\nafter exit:0\n"), "{log}");
    let all = place.run(&["logs", "--stderr", &task]).expect(0).text();
    assert!(
        all.contains("crab: gate: /bin/sh -c echo gate")
            && all.contains("crab: machine's after hook 1: rm order"),
        "{all}"
    );
    let text = place.run(&["show", &task]).expect(0).text();
    for told in ["gate began, pid ", "machine's before hook 1 ", "before hook  sh -c", "was removed"] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let phases = place.run(&["timeline", "--json", &task]).expect(0).json()[0]["phases"].clone();
    let names: Vec<&str> =
        phases.as_array().expect("a list").iter().filter_map(|one| one["phase"].as_str()).collect();
    let is_in_order =
        ["before", "run", "gate", "after"].iter().map(|name| names.iter().position(|one| one == name));
    let places: Vec<Option<usize>> = is_in_order.collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{names:?}");
}

#[test]
fn a_gate_that_fails_fails_the_attempt_and_is_tried_again_by_the_tasks_rules() {
    let place = Place::new();
    let _daemon = place.single("1");
    let gate = "test -e passed || { touch passed; echo 3 tests failed >&2; exit 1; }";
    let words = [
        "--retries",
        "1",
        "--gate",
        gate,
        "--after-hook",
        "echo $CRAB_OUTCOME >> told",
        "--",
        "sh",
        "-c",
        "echo ran >> told",
    ];
    let task = place.submit(&words);
    place.run(&["wait", &task]).expect(0);
    let shown = place.show(&task);
    let first = &shown["attempt_list"][0]["outcome"];
    assert_eq!(
        (first["kind"].as_str(), first["stage"].as_str(), &first["exit_code"]),
        (Some("stage-failed"), Some("gate"), &1.into())
    );
    assert_eq!(first["reason"], "gate exited with 1: 3 tests failed");
    assert_eq!(shown["attempt_list"][1]["outcome"]["kind"], "succeeded");
    assert_eq!(
        fs::read_to_string(place.root().join("told")).expect("it is there"),
        "ran\ngate:exit:1\nran\nexit:0\n"
    );
    let failing = place.run(&["run", "--gate", "exit 9", "--", "true"]).expect(9);
    failing.says(&["gate exited with 9"]);
}

#[test]
fn a_task_that_is_cancelled_at_its_gate_leaves_nothing_and_has_its_after_hooks_run() {
    let place = Place::new();
    let _daemon = place.single("1");
    let gate = "touch at-gate; (setsid sleep 1000 &) ; sleep 1000";
    let after = ["--after-hook", "printf %s $CRAB_OUTCOME > outcome", "--after-hook", "exit 3"];
    let task = place.submit(&[&["--grace", "1s", "--gate", gate], &after[..], &["--", "true"]].concat());
    until_true("it is at its gate", SOON, || place.root().join("at-gate").exists());
    let row = until("its row says so", SOON, || {
        Some(place.show(&task)).filter(|row| row["step"]["stage"] == "gate")
    });
    assert_eq!(row["state"], "running");
    assert!(place.run(&["show", &task]).text().contains("running: gate since"));
    let row = place.rows("tasks").remove(0);
    assert_eq!((row["state"].as_str(), row["progress"].as_str()), (Some("running"), Some("gate")));
    let explained = place.run(&["explain", &task]).expect(0).text();
    assert!(explained.contains("it is running: gate on one"), "{explained}");
    place.run(&["cancel", &task]).expect(0);
    let shown = place.wait_state(&task, "cancelled");
    assert_eq!(fs::read_to_string(place.root().join("outcome")).expect("it is there"), "cancelled");
    assert_eq!(steps(&shown), ["task command 0", "task gate null", "task after 0", "task after 3"]);
    assert!(place.run(&["show", &task]).text().contains("; warning: after hook 2 exited with 3"));
    assert_eq!(place.attempts(), []);
}

#[test]
fn a_daemon_that_is_killed_at_a_gate_changes_nothing() {
    let place = Place::new();
    let first = place.single("1");
    let gate = "touch at-gate; while test ! -e go; do sleep 0.02; done; echo passed";
    let task =
        place.submit(&["--gate", gate, "--after-hook", "touch after", "--", "sh", "-c", "echo once >> ran"]);
    until_true("it is at its gate", SOON, || place.root().join("at-gate").exists());
    first.kill();
    place.file("go", "");
    until_true("the host has gone on", SOON, || place.root().join("after").exists());
    let _second = place.single("1");
    place.run(&["wait", &task]).expect(0);
    let shown = place.show(&task);
    assert_eq!(
        (shown["attempt_list"].as_array().map(Vec::len), steps(&shown)),
        (Some(1), vec!["task command 0".into(), "task gate 0".into(), "task after 0".into()])
    );
    assert_eq!(fs::read_to_string(place.root().join("ran")).expect("it is there"), "once\n");
    assert!(place.run(&["logs", &task]).expect(0).text().contains("passed"));
}

#[test]
fn a_hook_of_the_machine_that_fails_counts_against_the_machine_and_not_against_the_task() {
    let place = Place::new();
    let text = "[hooks]\nbefore = [[\"sh\", \"-c\", \"test -e mended || { echo no disk >&2; exit 1; }\"]]\n\
                [breaker]\nfailures = 2\nopen = \"1s\"\npoison_after = 0\n";
    let config = place.file("crabd.toml", text);
    let _daemon = place.daemon(&["--cpus", "1", "--name", "one", "--config", &config.display().to_string()]);
    place.wait_nodes(1);
    let task = place.submit(&["--", "true"]);
    let breakers = || place.run(&["nodes", "--json"]).expect(0).json()[0]["breakers"].clone();
    until_true("its breaker is open", SOON, || breakers()[0]["state"] == "open");
    place.file("mended", "");
    place.run(&["wait", &task]).expect(0);
    let shown = place.show(&task);
    let reason = shown["attempt_list"][0]["outcome"]["reason"].as_str().expect("a reason").to_owned();
    assert_eq!(reason, "machine's before hook 1 exited with 1: no disk");
    assert_eq!(shown["spec"]["max_attempts"], 1, "none of them was the task's");
}

#[test]
fn a_hook_of_the_task_that_fails_is_its_failure_and_wrong_ones_are_refused() {
    let place = Place::new();
    let _daemon = place.single("1");
    let hooks =
        ["--before-hook", "true", "--before-hook", "echo no tools >&2; exit 4", "--", "touch", "never"];
    let task = place.submit(&hooks);
    place.run(&["wait", &task]).expect(1);
    assert_eq!(place.show(&task)["outcome"]["reason"], "before hook 2 exited with 4: no tools");
    assert!(!place.root().join("never").exists());
    place.file("wrong.toml", "[task.a]\ncommand = [\"true\"]\ngate = []\nhooks = { before = \"x\" }\n");
    place.run(&["submit", "wrong.toml"]).expect(2).says(&["3", "gate", "must be a command", "hooks.before"]);
    let none = [&["submit"], &["--before-hook", "true"].repeat(9)[..], &["--", "true"]].concat();
    place.run(&none).expect(7).says(&["hooks.before = 9", "must be at most 8 commands"]);
}

#[test]
fn without_a_daemon_a_gate_decides_as_well() {
    let place = Place::new();
    place.run(&["run", "--gate", "test -e made", "--after-hook", "rm made", "--", "touch", "made"]).expect(0);
    assert!(!place.root().join("made").exists());
    place.run(&["run", "--gate", "false", "--", "true"]).expect(1).says(&["gate exited with 1"]);
}

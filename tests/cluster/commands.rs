//! The command line as a script sees it: documented fields, exit codes, names instead of ids.

use serde_json::Value;

use crate::support::place::Place;
use crate::support::program::Running;
use crate::support::waiting::{SOON, until_true};

/// Panics unless the object has exactly these fields.
fn fields(object: &Value, wanted: &[&str]) {
    let mut has: Vec<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut wanted = wanted.to_vec();
    has.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(has, wanted, "{object}");
    assert_eq!(object["v"], 1);
}

const GRAPH: &[&str] =
    &["v", "graph", "name", "submitted", "ended", "duration_s", "tasks", "budget", "unschedulable"];
const TASK: &[&str] =
    &["v", "task", "graph", "name", "state", "priority", "tenant", "attempts", "node", "since", "outcome"];
const NODE: &[&str] = &[
    "v",
    "node",
    "health",
    "capacity",
    "allocated",
    "running",
    "staged",
    "heard",
    "labels",
    "labels_put",
    "breakers",
    "version",
    "cordoned",
    "draining",
    "drained",
    "drain_deadline",
    "halted",
    "halted_here",
    "said",
    "strain",
    "strain_reason",
];

#[test]
fn every_command_writes_the_json_that_is_documented() {
    let place = Place::new();
    let _daemon = place.single("2");
    let json = |args: &[&str], code: i32| place.run(&[&["--json"], args].concat()).expect(code).json();
    let submitted = json(&["submit", "--name", "hello", "--", "echo", "hi"], 0);
    fields(&submitted[0], &["v", "graph", "tasks", "first_task", "repeated", "warnings"]);
    fields(&json(&["wait", "g1"], 0)[0], GRAPH);
    fields(&json(&["wait", "t1"], 0)[0], TASK);
    fields(&json(&["list"], 0)[0], GRAPH);
    let status = json(&["status"], 0).remove(0);
    let overview = [
        "v",
        "name",
        "version",
        "started",
        "epoch",
        "last_event",
        "graphs",
        "halted",
        "halted_said",
        "paused",
        "tasks",
        "queued",
        "tenants",
        "oldest",
        "awake",
        "pressure",
        "warnings",
        "nodes",
    ];
    fields(&status, &overview);
    assert_eq!((&status["epoch"], &status["tasks"]["succeeded"]), (&1.into(), &1.into()));
    let of_graph = json(&["status", "g1"], 0);
    fields(&of_graph[0], GRAPH);
    fields(&of_graph[1], TASK);
    fields(&json(&["nodes"], 0)[0], NODE);
    let detail =
        ["array_index", "submitted", "dependencies", "waits_for", "spec", "result", "attempt_list", "events"];
    let shown = place.show("t1");
    fields(&shown, &[TASK, &detail].concat());
    assert_eq!(shown["spec"]["argv"], serde_json::json!(["echo", "hi"]));
    fields(&json(&["logs", "t1"], 0)[0], &["v", "task", "attempt", "at", "stream", "text", "omitted_bytes"]);
    let digest = json(&["logs", "t1", "--digest"], 0);
    let of_digest = ["v", "task", "attempt", "lines", "bytes", "trouble_lines", "omitted_bytes", "parts"];
    fields(&digest[0], &of_digest);
    assert_eq!((&digest[0]["parts"][0]["line"], &digest[0]["parts"][0]["text"]), (&1.into(), &"hi".into()));
    let events = json(&["events", "--after", "0"], 0);
    assert!(events.iter().enumerate().all(|(place, event)| event["number"] == place as u64 + 1));
    let asked = ["v", "target", "tasks"];
    fields(&json(&["cancel", "g1"], 0)[0], &asked);
    fields(&json(&["retry", "g1"], 0)[0], &asked);
    let run = json(&["run", "--", "true"], 0);
    fields(run.last().expect("the graph"), GRAPH);
    let schema: Value = serde_json::from_slice(&place.run(&["schema"]).expect(0).out).expect("JSON");
    assert!(schema["properties"]["task"].is_object());
}

#[test]
fn a_graph_shows_its_own_tasks_and_no_others() {
    let place = Place::new();
    let _daemon = place.single("2");
    for _ in 0..3 {
        place.run(&["submit", "--wait", "--array", "1-4", "--", "true"]).expect(0);
    }
    for (graph, first) in [("g1", 1), ("g5", 5), ("g9", 9)] {
        let rows = place.run(&["status", graph, "--json"]).expect(0).json();
        let tasks: Vec<&str> = rows.iter().filter_map(|row| row["task"].as_str()).collect();
        assert_eq!(tasks, (first..first + 4).map(|task| format!("t{task}")).collect::<Vec<_>>());
    }
    let some = place.run(&["status", "g5", "--json", "--limit", "3"]).expect(0).json();
    assert_eq!(some.len(), 1 + 3);
    assert_eq!(place.run(&["status", "g5", "--json", "--state", "failed"]).expect(0).json().len(), 1);
}

#[test]
fn a_single_command_or_array_can_be_called_by_its_name() {
    let place = Place::new();
    let _daemon = place.single("2");
    place.run(&["submit", "--wait", "--name", "one", "--", "echo", "hi"]).expect(0);
    place.run(&["submit", "--wait", "--name", "many", "--array", "1-3", "--", "true"]).expect(0);
    assert_eq!(place.run(&["logs", "one"]).expect(0).text(), "hi\n");
    place.run(&["wait", "one", "many"]).expect(0);
    place.run(&["status", "many"]).expect(0);
    place.run(&["show", "many"]).expect(2).says(&["g2 has 3 tasks"]);
    let text = "name = \"same\"\n[task.same]\ncommand = [\"true\"]\n[task.other]\ncommand = [\"true\"]\n";
    let file = place.file("graph.toml", text).display().to_string();
    place.run(&["submit", "--wait", &file]).expect(0);
    place.run(&["show", "same"]).expect(2).says(&["graph g5, task t5"]);
    place.run(&["submit", "--wait", "--name", "one", "--", "true"]).expect(0);
    place.run(&["logs", "one"]).expect(2).says(&["graph g7, graph g1"]);
}

#[test]
fn exit_codes_tell_what_happened() {
    let place = Place::new();
    place.run(&["status"]).expect(6);
    place.run(&["submit", "--", "true"]).expect(6);
    place.run(&["--json", "nodes"]).expect(6).says(&["\"exit_code\":6"]);
    let _daemon = place.single("2");
    let code = |args: &[&str], code: i32| place.run(args).expect(code);
    code(&["run", "--", "/bin/sh", "-c", "exit 7"], 7);
    code(&["run", "--", "/bin/sh", "-c", "kill -9 $$"], 137);
    code(&["submit", "--wait", "--", "false"], 1);
    code(&["submit", "--wait", "--", "true"], 0);
    code(&["wait", "t1"], 1);
    code(&["wait", "t4"], 0);
    let slow = place.submit(&["--name", "slow", "--", "sleep", "1000"]);
    code(&["wait", "--timeout", "1s", &slow], 3);
    code(&["wait", "--timeout", "1s", "slow"], 3);
    for command in ["show", "status", "wait", "cancel", "retry", "logs"] {
        code(&[command, "t99999"], 4).says(&["t99999"]);
        code(&[command, "nobody"], 4).says(&["nobody"]);
    }
    code(&["status", "g99999"], 4).says(&["g99999"]);
    code(&["events", "g99999"], 4);
    code(&["retry", &slow], 1).says(&["only a failed or cancelled task can be tried again"]);
    code(&["nonsense"], 2);
    code(&["status", "--state", "bad"], 2).says(&["--state"]);
    code(&["--address", "127.0.0.1:1", "status"], 6).says(&["127.0.0.1:1"]);
    code(&["run", "/no/such/file.toml"], 2);
    code(&["--help"], 0);
    code(&["completions", "bash"], 0);
    code(&["cancel", "slow"], 0);
}

#[test]
fn logs_follow_a_task_through_its_attempts() {
    let place = Place::new();
    let _daemon = place.single("2");
    let script = "echo attempt $CRAB_ATTEMPT; while [ ! -e go ]; do sleep 0.02; done; test $CRAB_ATTEMPT = 2";
    let task = place.submit(&["--retries", "1", "--", "/bin/sh", "-c", script]);
    let follow = Running::start(&mut place.crab(&["logs", "-f", &task]));
    // Who comes later follows the attempt that there is then.
    until_true("the first attempt is followed", SOON, || follow.out() == "attempt 1\n");
    place.file("go", "");
    assert_eq!(follow.end().expect(0).text(), "attempt 1\nattempt 2\n");
    assert_eq!(place.run(&["logs", "--attempt", "1", &task]).expect(0).text(), "attempt 1\n");
    assert_eq!(place.run(&["logs", &task]).expect(0).text(), "attempt 2\n");
}

#[test]
fn how_far_a_task_is_and_what_came_of_it_is_shown() {
    let place = Place::new();
    let _daemon = place.single("2");
    let script = r#"say() { echo "$1" >> "$CRAB_REPORT"; }
        say '{"progress": 0.4, "doing": "linking"}'; say '{"result": {"answer": 41}}'
        while [ ! -e go ]; do sleep 0.02; done; say '{"progress": 1, "result": {"answer": 42, "of": ["all"]}}'"#;
    let task = place.submit(&["--", "/bin/sh", "-c", script]);
    until_true("it has said how far it is", SOON, || place.show(&task)["progress"] == 0.4);
    assert_eq!(place.show(&task)["doing"], "linking");
    assert!(place.run(&["show", &task]).expect(0).text().contains("progress     40% linking"));
    place.file("go", "");
    place.wait_state(&task, "succeeded");
    let shown = place.show(&task);
    assert_eq!(shown["result"], serde_json::json!({"answer": 42, "of": ["all"]}));
    assert!(shown["progress"].is_null(), "it is over");
    assert!(place.run(&["show", &task]).expect(0).text().contains("result       answer 42"));
}

#[test]
fn what_a_running_task_uses_is_shown() {
    let place = Place::new();
    let _daemon = place.single("2");
    let task = place.submit(&["--", "/bin/sh", "-c", "echo hi; sleep 600 & sleep 600"]);
    place.wait_state(&task, "running");
    until_true("it was looked at", SOON, || place.show(&task)["in_use"]["processes"] == 3);
    let used = &place.show(&task)["in_use"];
    assert_eq!(used["output_bytes"], 3);
    assert!(used["memory_bytes"].as_u64() > Some(1 << 16), "{used}");
    let text = place.run(&["show", &task]).expect(0).text();
    assert!(text.contains("3 processes, 3 B written"), "{text}");
    let listed = place.run(&["status", "g1", "--json"]).expect(0).json();
    assert_eq!(listed[1]["in_use"]["processes"], 3);
    place.run(&["cancel", &task]).expect(0);
    place.wait_state(&task, "cancelled");
    assert!(place.show(&task)["in_use"].is_null());
}

#[test]
fn of_a_lot_of_output_the_wanted_lines_are_shown() {
    let place = Place::new();
    let _daemon = place.single("2");
    let script = "seq 1 50000; echo 'error: it broke'; echo 'at x.rs:3'; seq 1 50000; printf done";
    place.run(&["submit", "--wait", "--name", "much", "--", "/bin/sh", "-c", script]).expect(0);
    let logs = |args: &[&str]| place.run(&[&["logs", "much"], args].concat()).expect(0).text();
    assert_eq!(logs(&["-n", "3"]), "49999\n50000\ndone\n");
    assert_eq!(logs(&["--grep", "^4999[89]$", "--since", "1h"]), "49998\n49999\n49998\n49999\n");
    assert_eq!(logs(&["--grep", "(?i)ERROR|x.rs", "-n", "1"]), "at x.rs:3\n");
    assert_eq!(logs(&["--grep", "done", "--stdout"]), "done\n");
    assert_eq!(logs(&["--grep", "done", "--stderr"]), "");
    let digest = logs(&["--digest"]);
    assert!(digest.len() < 400 && digest.ends_with("\ndone\n"), "{digest}");
    assert!(
        digest.contains("[crab: 49999 more lines like this]\nerror: it broke\nat x.rs:3\n1\n"),
        "{digest}"
    );
    place.run(&["logs", "much", "--digest=1 MiB"]).expect(2).says(&["from 1 KiB to 256 KiB"]);
    let shown = place.run(&["logs", "much", "-n", "1", "--json"]).expect(0).json();
    assert_eq!(shown[0]["text"], "done\n");
}

#[test]
fn the_last_lines_are_followed_by_what_comes() {
    let place = Place::new();
    let _daemon = place.single("2");
    let script = "seq 1 100; while [ ! -e go ]; do sleep 0.02; done; echo more";
    let task = place.submit(&["--", "/bin/sh", "-c", script]);
    until_true("it wrote", SOON, || place.run(&["logs", &task]).text().ends_with("100\n"));
    let follow = Running::start(&mut place.crab(&["logs", "-f", "-n", "2", &task]));
    place.file("go", "");
    let shown = follow.end().expect(0).text();
    assert!(shown.ends_with("100\nmore\n") && shown.lines().count() <= 3, "{shown}");
}

#[test]
fn a_lot_of_output_comes_through_whole_and_in_order() {
    let place = Place::new();
    let _daemon = place.single("2");
    let ran = place.run(&["run", "--", "/bin/sh", "-c", "seq 1 200000; echo end >&2"]).expect(0);
    let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    assert!(ran.text() == expected, "{} bytes instead of {}", ran.out.len(), expected.len());
    assert_eq!(ran.err, "end\n");
    let again = place.run(&["logs", "--stdout", "t1"]).expect(0).text();
    assert!(again == expected, "{} bytes instead of {}", again.len(), expected.len());
}

#[test]
fn a_shell_is_offered_the_tasks_and_machines_that_there_are() {
    let place = Place::new();
    let daemon = place.single("2");
    let task = place.submit(&["--name", "slow", "--", "sleep", "600"]);
    place.wait_state(&task, "running");
    let offered = |words: &[&str]| {
        let mut command = place.crab(&["--", "crab"]);
        command.args(words).env("COMPLETE", "fish");
        crate::support::program::run(&mut command).expect(0).text()
    };
    assert!(offered(&["cancel", "t"]).contains(&format!("{task}\trunning slow")), "with what it is");
    assert!(offered(&["wait", "g"]).contains("g1\tgraph slow"));
    assert_eq!(offered(&["node", "drain", "o"]), "one\tup\n");
    assert!(offered(&["node", "dr"]).starts_with("drain\t"));
    place.run(&["cancel", &task]).expect(0);
    drop(daemon);
    assert_eq!(offered(&["cancel", "t"]), "", "nobody is waited for");
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.run(&["completions", shell]).expect(0).text().contains("COMPLETE"), "{shell}");
    }
}

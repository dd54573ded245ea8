//! What a user may get wrong: each is refused with a message that names field, value and what to do, and
//! nothing else is disturbed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use crate::support::place::Place;
use crate::support::program::{Running, run};
use crate::support::waiting::{SOON, until_true};

/// Submits a file that must be refused, and tells what was said.
fn refused(place: &Place, text: impl AsRef<[u8]>, words: &[&str]) {
    let file = place.file("graph.toml", text).display().to_string();
    for command in ["submit", "run"] {
        place.run(&[command, &file]).expect(2).says(&["graph.toml:"]).says(words);
    }
}

#[test]
fn a_wrong_file_is_refused_whole_with_line_field_and_value() {
    let place = Place::new();
    let _daemon = place.single("2");
    let cycle =
        "[task.a]\nafter = [\"b\"]\ncommand = [\"true\"]\n[task.b]\nafter = [\"a\"]\ncommand = [\"true\"]\n";
    refused(&place, cycle, &["graph.toml:2", r#""a" → "b" → "a""#]);
    let unknown = "[task.a]\nafter = [\"nope\"]\ncommand = [\"true\"]\n";
    refused(&place, unknown, &["graph.toml:2", r#"after = "nope": no such task in this file"#]);
    let twice = "[task.a]\ncommand = [\"true\"]\n[task.a]\ncommand = [\"true\"]\n";
    refused(&place, twice, &["graph.toml:3", "twice", "line 1"]);
    let all =
        "[task.a]\ncommand = [\"true\"]\ncpus = 0\nfoo = 1\n[task.b]\ncommand = [\"true\"]\ncpus = 1e30\n";
    refused(
        &place,
        all,
        &[
            "graph.toml:3: task \"a\": cpus = 0: must be",
            "graph.toml:4",
            "foo: no such field",
            "graph.toml:7",
        ],
    );
    refused(&place, b"[task.a]\ncommand = [\"echo\", \"\xff\"]\n", &["graph.toml:2: not UTF-8"]);
    refused(&place, "[task.a]\ncommand = []\n", &["command"]);
    refused(&place, "", &["task"]);
    assert_eq!(place.run(&["list", "--json"]).expect(0).json().len(), 0, "nothing of them was submitted");
}

#[test]
fn what_is_too_large_is_refused_with_the_limit() {
    let place = Place::new();
    let _daemon = place.single("2");
    let mut huge = b"[task.a]\ncommand = [\"true\"]\n# ".to_vec();
    huge.resize(100_000_000, b'x');
    refused(&place, huge, &["the limit is 16777216"]);
    let long = format!("[task.a]\ncommand = [\"echo\", \"{}\"]\n", "y".repeat(10_000_000));
    refused(&place, long, &["graph.toml:2", "at most 131072 bytes"]);
    // As arguments of crab itself the system would not take 10 MB: as many as it takes.
    let words: Vec<String> = (0..10).map(|_| "y".repeat(100_000)).collect();
    let words = words.iter().map(String::as_str);
    let args: Vec<&str> = ["submit", "--", "/bin/echo"].into_iter().chain(words).collect();
    place.run(&args).expect(7).says(&["bytes"]);
    place.run(&["run", "--", "/bin/true"]).expect(0);
}

#[test]
fn a_command_that_cannot_start_says_why_and_the_exit_code_tells() {
    let place = Place::new();
    let _daemon = place.single("2");
    let plain = place.file("plain", "no program\n").display().to_string();
    let directory = place.root().display().to_string();
    place.run(&["run", "--", "/no/such/program"]).expect(127).says(&["command not found: /no/such/program"]);
    place.run(&["run", "--", "nosuchprogram"]).expect(127).says(&["nosuchprogram", "PATH"]);
    place
        .run(&["run", "--directory", "/no/dir", "--", "true"])
        .expect(126)
        .says(&["no such directory: /no/dir"]);
    place.run(&["run", "--directory", &plain, "--", "true"]).expect(126).says(&["plain"]);
    place.run(&["run", "--", &plain]).expect(126).says(&["not executable", &plain]);
    place.run(&["run", "--", &directory]).expect(126).says(&[&directory]);
    let script = place.file("script", "#!/no/such/interpreter\n");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("it is ours");
    let script = script.display().to_string();
    place.run(&["run", "--", &script]).expect(126).says(&["the interpreter or loader", &script]);
    place.run(&["run", "--", "/bin/true"]).expect(0);
}

#[test]
fn options_out_of_range_are_refused_with_the_range() {
    let place = Place::new();
    let _daemon = place.single("2");
    let refused = |args: &[&str], words: &[&str]| {
        let all = [&["submit"], args, &["--", "true"]].concat();
        place.run(&all).expect(2).says(words);
    };
    refused(&["--cpus", "0"], &["--cpus", "between 0.001 and 1,000,000"]);
    refused(&["--cpus", "99999999999"], &["--cpus", "between 0.001 and 1,000,000"]);
    refused(&["--memory", "999999999TiB"], &["--memory", "1 PiB"]);
    refused(&["--array", "5-1"], &["--array"]);
    refused(&["--array", "0-99999999999999999999"], &["--array"]);
    refused(&["--array", "1-5%0"], &["--array"]);
    refused(&["--timeout", "soon"], &["--timeout", "length of time"]);
    refused(&["--env", "=x"], &["--env =x", "NAME=VALUE"]);
    refused(&["--priority", "urgent"], &["--priority"]);
    place.run(&["submit", "--name", "", "--", "true"]).expect(7).says(&["name"]);
    place.run(&["submit", "--tenant", "A B", "--", "true"]).expect(7).says(&["tenant"]);
    place.run(&["submit"]).expect(2);
    place.run(&["submit", "/no/such/file.toml"]).expect(2).says(&["/no/such/file.toml"]);
}

#[test]
fn bytes_that_are_no_text_pass_through_unchanged() {
    let place = Place::new();
    let _daemon = place.single("2");
    let odd = OsStr::from_bytes(b"d\xffd");
    let directory = place.root().join(odd);
    std::fs::create_dir(&directory).expect("it can be made");
    let mut command = place.crab(&["run", "--", "/bin/sh", "-c", r#"pwd; printf '%s\376' "$0""#]);
    command.arg(OsStr::from_bytes(b"x\xfey")).current_dir(&directory);
    let ran = run(&mut command).expect(0);
    assert_eq!(ran.out, [directory.as_os_str().as_bytes(), b"\nx\xfey\xfe"].concat());
    let shown = place.run(&["logs", "--json", "sh"]).expect(0).json();
    let text: String = shown.iter().filter_map(|line| line["text"].as_str()).collect();
    assert!(text.ends_with("x\u{fffd}y\u{fffd}"), "{text:?}");
    assert_eq!(place.run(&["logs", "sh"]).expect(0).out, ran.out);
}

#[test]
fn a_task_that_is_larger_than_every_node_does_not_wait_in_silence() {
    let place = Place::new();
    let _daemon = place.patient("2");
    let large = place.submit(&["--cpus", "512", "--", "true"]);
    let odd = place.submit(&["--resource", "licence=1", "--", "true"]);
    let why = |task: &str, words: &[&str]| {
        let shown = place.run(&["show", task]).expect(0).text();
        assert!(words.iter().all(|word| shown.contains(word)), "{shown}");
    };
    why(&large, &["no node can ever run it: one too small", "512 cpus"]);
    why(&odd, &["no node can ever run it: one too small", "licence"]);
    let status = place.run(&["status", "--json"]).expect(0).json();
    let warnings = status[0]["warnings"].as_array().expect("a list");
    assert!(
        warnings
            .iter()
            .any(|warning| warning.as_str().is_some_and(|text| text.contains("1 task waits in vain")))
    );
    let shown = place.show(&large);
    assert_eq!(shown["state"], "ready");
    assert!(shown["waits_for"].as_str().is_some_and(|why| why.contains("no node")), "{shown}");
    place.run(&["run", "--", "/bin/true"]).expect(0);
    let run = Running::start(&mut place.crab(&["run", "--cpus", "3", "--timeout", "1s", "--", "true"]));
    until_true("it is there", SOON, || place.run(&["show", "t4"]).code == Some(0));
    // It says why after some seconds; then it is asked to stop.
    until_true("it says why", SOON, || {
        run.err().contains("t4 true waits: no node can ever run it: one too small")
    });
    run.signal(nix::sys::signal::Signal::SIGINT);
    run.end().expect(130);
    place.run(&["cancel", &large, &odd]).expect(0);
    let status = place.run(&["status", "--json"]).expect(0).json();
    assert_eq!(status[0]["warnings"], serde_json::json!([]));
}

#[test]
fn what_this_machine_can_never_run_is_refused_without_a_daemon_too() {
    let place = Place::new();
    let large = ["run", "--cpus", "512", "--", "true"];
    place.run(&large).expect(2).says(&["cpu_millis = 512000", "local comes closest"]);
    let gang = ["run", "--gang", "2", "--", "true"];
    place.run(&gang).expect(2).says(&["gang = 2", "and finds 1"]);
    let elsewhere = ["run", "--require", "rack=left", "--", "true"];
    place.run(&elsewhere).expect(2).says(&["label rack=left missing"]);
    place.run(&["run", "--", "/bin/true"]).expect(0);
}

#[test]
fn what_no_machine_can_ever_run_is_refused_where_no_machine_can_join_and_nothing_of_it_is_there() {
    let place = Place::new();
    let _daemon = place.single("2");
    let file = place.file(
        "graph.toml",
        "[task.small]\ncommand = [\"true\"]\n[task.giant]\ncommand = [\"true\"]\ncpus = 64\n",
    );
    let words = ["cpu_millis = 64000", "task \"giant\"", "one comes closest and has 2000", "unschedulable"];
    place.run(&["submit", &file.display().to_string()]).expect(7).says(&words);
    place.run(&["run", "--cpus", "64", "--", "true"]).expect(2).says(&["cpu_millis = 64000"]);
    assert_eq!(place.run(&["list", "--json"]).expect(0).json(), Vec::<serde_json::Value>::new());
    assert_eq!(place.submit(&["--", "true"]), "t1");
    place
        .run(&["submit", "--into", "g1", "--name", "more", "--cpus", "64", "--", "true"])
        .expect(7)
        .says(&["64000"]);
}

#[test]
fn where_machines_can_join_it_is_taken_in_with_a_warning_and_the_operator_can_say_otherwise() {
    let place = Place::new();
    let refuse = place.file("refuse.toml", "[scheduler]\nunschedulable = \"refuse\"\n").display().to_string();
    let listening = ["--listen", "127.0.0.1:0", "--cpus", "2", "--name", "one"];
    let daemon = place.daemon(&listening);
    place.wait_nodes(1);
    let giant = ["submit", "--json", "--cpus", "64", "--", "true"];
    let told = place.run(&giant).expect(0).json();
    let warnings = told[0]["warnings"].as_array().expect("a list");
    assert!(warnings[0].as_str().is_some_and(|text| text.contains("one comes closest")), "{told:?}");
    place.run(&["submit", "--cpus", "64", "--", "true"]).expect(0).says(&["warning: cpu_millis = 64000"]);
    assert!(daemon.stop().success());
    let _daemon = place.daemon(&[&listening[..], &["--config", &refuse]].concat());
    place.wait_nodes(1);
    place.run(&giant).expect(7);
    let shown = place.run(&["config", "show", "--origin", "--json"]).expect(0).json();
    let row = shown.iter().find(|row| row["key"] == "scheduler.unschedulable").expect("it is shown");
    assert_eq!(row["value"], "\"refuse\"");
}

#[test]
fn what_no_node_can_run_is_told_once_and_runs_when_a_node_comes_that_can() {
    let place = Place::new();
    let daemon = place.patient("2");
    place.run(&["submit", "--cpus", "64", "--array", "1-3", "--", "true"]).expect(0);
    let told = || -> Vec<serde_json::Value> {
        let events = place.run(&["events", "--json", "g1"]).expect(0).json();
        events.into_iter().filter(|event| event["event"] == "task.unschedulable").collect()
    };
    until_true("it is told", SOON, || !told().is_empty());
    assert!(told()[0]["reason"].as_str().is_some_and(|why| why.contains("too small")), "{:?}", told());
    assert_eq!((&told()[0]["task"], &told()[0]["tasks"]), (&"t1".into(), &3.into()));
    let shown = place.show("t2");
    assert!(
        shown["events"]
            .as_array()
            .is_some_and(|events| events.iter().any(|one| one["event"] == "task.unschedulable"))
    );
    let waited = place.run(&["wait", "--timeout", "10ms", "--json", "g1"]).expect(3).json();
    assert_eq!(waited[0]["unschedulable"], 3);
    let waits = Running::start(&mut place.crab(&["wait", "t3"]));
    until_true("waiting says why", SOON, || {
        waits.err().contains("t3 true[3] waits: no node can ever run it")
    });
    assert!(daemon.stop().success());

    let daemon = place.patient("64");
    waits.end().expect(0);
    place.run(&["wait", "g1"]).expect(0);
    assert_eq!(told().len(), 1, "once, also after a restart");
    assert!(daemon.stop().success());
}

//! Commands in sessions: what goes in, what comes out, and how often they run.

use std::fs;

use super::bed::Bed;
use crate::support::program::{Ran, run, write};
use crate::support::waiting::{SOON, until_true};

const RUNNER: [&str; 6] = ["--repo", "r", "--work", "w", "--role", "runner"];
const AGENT: [&str; 6] = ["--repo", "r", "--work", "w", "--role", "agent"];

fn exec(bed: &Bed, which: &[&str], options: &[&str], argv: &[&str]) -> Ran {
    bed.run(&[&["exec"], which, options, &["--"], argv].concat())
}

#[test]
fn both_streams_and_the_exit_status_come_back() {
    let bed = Bed::new();
    let ran =
        exec(&bed, &RUNNER, &["--env", "A=b c"], &["sh", "-c", "echo \"$A\"; pwd; echo bad >&2; exit 7"]);
    assert_eq!(ran.text(), format!("b c\n{}\n", bed.base().join("r").canonicalize().unwrap().display()));
    assert_eq!(ran.err, "bad\n");
    assert_eq!(ran.code, Some(7));
    assert!(bed.list().is_empty(), "a runner ends with its work");
    assert_eq!(exec(&bed, &RUNNER, &[], &["/no/such"]).code, Some(127));
    assert_eq!(exec(&bed, &RUNNER, &[], &["sh", "-c", "kill -9 $$"]).code, Some(137));
    exec(&bed, &RUNNER, &[], &["-c"]).expect(2);
}

#[test]
fn an_agents_pane_keeps_its_status_and_its_session_takes_the_next_command() {
    let bed = Bed::new();
    exec(&bed, &AGENT, &[], &["sh", "-c", "exit 7"]).expect(7);
    until_true("the pane is dead", SOON, || bed.list()[0]["dead_status"] == 7);
    exec(&bed, &AGENT, &[], &["true"]).expect(0);
    let row = bed.list().remove(0);
    assert_eq!(
        (&row["panes"], &row["attempt"]["number"], &row["attempt"]["exit_code"]),
        (&2.into(), &2.into(), &0.into())
    );
}

#[test]
fn hostile_arguments_arrive_unchanged_and_nothing_else_happens() {
    let bed = Bed::new();
    let marker = bed.root().join("marker").display().to_string();
    let mut words: Vec<String> = [
        "",
        " ",
        "a  b",
        "\n",
        "a\nb\n",
        "'",
        "\"",
        "`id`",
        "$HOME",
        "\\",
        "\\'",
        "*",
        "~",
        "!!",
        "#{pane_id}",
        "%n",
        "-n",
        "--",
        "=",
        "é🦀",
        "\u{1b}[2J",
        "\u{7f}",
        "end",
        ";",
        "&&",
        "|",
    ]
    .map(Into::into)
    .into();
    for evil in [
        "$(touch M)",
        "`touch M`",
        "; touch M;",
        "' ; touch M; '",
        "\"; touch M; \"",
        "\n touch M\n",
        "#(touch M)",
        "| touch M",
        "&& touch M",
        "> M",
    ] {
        words.push(evil.replace('M', &marker));
    }
    words.push("x".repeat(300));
    let script = "for word in \"$@\"; do printf '%s\\0' \"$word\"; done";
    let mut argv = vec!["sh", "-c", script, "sh"];
    argv.extend(words.iter().map(String::as_str));
    for ran in [exec(&bed, &RUNNER, &[], &argv), {
        let args = [&["exec", "--repo", "r", "--work", "here", "--role", "runner", "--"], &argv[..]].concat();
        run(&mut bed.here(&args))
    }] {
        let text = ran.expect(0).text();
        let came: Vec<&str> = text.strip_suffix('\0').expect("the last ends").split('\0').collect();
        assert_eq!(came, words);
    }
    assert!(!fs::exists(&marker).unwrap());
}

#[test]
fn hostile_names_never_reach_a_shell() {
    let bed = Bed::new();
    let marker = bed.root().join("marker");
    let mut made = 0;
    for evil in [
        "$(touch ../../../../../marker)",
        "`touch x`",
        "a'b",
        "a\"b",
        "a;b",
        "-rf",
        "a\nb",
        "#(touch x)",
        "é",
        "a b  c",
        "=x",
        "%1",
        "~",
    ] {
        if evil.contains('/') {
            bed.run(&["attach", "--repo", evil, "--work", "w", "--role", "human"]).expect(2);
            continue;
        }
        bed.repository(evil);
        // A name of its own for each, since what is not plain becomes the same.
        let work = format!("--work={evil}{made}");
        let repo = format!("--repo={evil}");
        let ran = bed.run(&["exec", &repo, &work, "--role", "agent", "--", "pwd"]);
        made += 1;
        assert_eq!(
            ran.expect(0).text(),
            format!("{}\n", bed.base().canonicalize().unwrap().join(evil).display())
        );
    }
    assert_eq!(bed.names().len(), made);
    assert!(!marker.exists());
    assert!(fs::read_dir(bed.base()).unwrap().flatten().all(|entry| entry.file_name() != "x"));
}

#[test]
fn twenty_identical_calls_are_one_run() {
    let bed = Bed::new();
    let count = bed.root().join("count").display().to_string();
    let script = "echo run >>\"$1\"; echo said";
    let argv = [&["exec"], &RUNNER[..], &["--key", "k1", "--", "sh", "-c", script, "sh", &count]].concat();
    let calls: Vec<_> = (0..20).map(|_| bed.start(&argv)).collect();
    for call in calls {
        assert_eq!(call.end().expect(0).text(), "said\n");
    }
    assert_eq!(fs::read_to_string(&count).unwrap(), "run\n");
    bed.run(&argv).expect(0);
    assert_eq!(fs::read_to_string(&count).unwrap(), "run\n", "also when it is long over");
}

#[test]
fn one_command_at_a_time_and_larger_tokens_only() {
    let bed = Bed::new();
    let go = bed.root().join("go");
    let script = "until [ -e \"$1\" ]; do sleep 0.05; done; exit 3";
    let argv =
        ["--key", "first", "--token", "5", "--detach", "--", "sh", "-c", script, "sh", go.to_str().unwrap()];
    bed.run(&[&["exec"], &AGENT[..], &argv].concat()).expect(0);
    exec(&bed, &AGENT, &["--token", "6"], &["true"]).expect(125).says(&["is at work"]);
    // What an earlier attempt could have left is not believed.
    let attempts = bed.session("aivcs__r__w__agent").join("a");
    let first = fs::read_dir(&attempts).unwrap().flatten().next().unwrap().path();
    write(&first.join("exit"), "0123456789abcdef0123456789abcdef exited 0 1\n");
    assert_eq!(bed.list()[0]["attempt"]["state"], "running");
    fs::remove_file(first.join("exit")).unwrap();
    write(&go, "");
    until_true("it has ended", SOON, || bed.list()[0]["attempt"]["state"] == "ended");
    assert_eq!(bed.list()[0]["attempt"]["exit_code"], 3);
    exec(&bed, &AGENT, &["--token", "4"], &["true"]).expect(125).says(&["larger token 5"]);
    exec(&bed, &AGENT, &["--token", "6"], &["true"]).expect(0);
    exec(&bed, &AGENT, &["--key", "first", "--token", "7"], &["true"]).expect(125).says(&["a later attempt"]);
}

#[test]
fn what_takes_too_long_or_says_too_much_is_ended() {
    let bed = Bed::new();
    let slow = format!("86{}", std::process::id());
    exec(&bed, &RUNNER, &["--timeout", "1s", "--grace", "100ms"], &["sleep", &slow])
        .expect(124)
        .says(&["timed-out"]);
    assert!(bed.processes(&slow).is_empty());
    let noisy = exec(
        &bed,
        &RUNNER,
        &["--output-limit", "1KiB", "--grace", "100ms"],
        &["sh", "-c", "while echo much; do :; done"],
    );
    assert!(noisy.code != Some(0) && noisy.err.contains("output-limit"), "{:?}", noisy.code);
}

#[test]
fn a_session_is_made_in_time_or_not_at_all() {
    let mut bed = Bed::new();
    bed.slow_once(8);
    let late = exec(&bed, &RUNNER, &["--setup-timeout", "1s"], &["true"]).expect(125);
    assert!(late.err.contains("has not answered within"), "{}", late.err);
    bed.slow_once(8);
    exec(&bed, &RUNNER, &["--setup-timeout", "30s"], &["true"]).expect(0);
}

#[test]
fn a_runner_that_stays_is_there_to_be_looked_at() {
    let bed = Bed::new();
    exec(&bed, &RUNNER, &["--stays", "--tied", "10s"], &["sh", "-c", "echo said; exit 3"]).expect(3);
    until_true("its pane is dead, and there", SOON, || bed.list()[0]["dead_panes"] == 1);
    // Also where tmux has not asked for it yet.
    let row = bed.list().remove(0);
    assert_eq!((&row["dead_status"], &row["attempt"]["exit_code"]), (&3.into(), &3.into()));
    let said = bed.run(&[&["logs"], &RUNNER[..]].concat()).expect(0).text();
    assert_eq!(said, "said\n");
    bed.run(&[&["kill", "--purge"], &RUNNER[..]].concat()).expect(0);
    assert!(bed.list().is_empty());
}

#[test]
fn logs_tell_what_was_written_and_follow_it() {
    let bed = Bed::new();
    let go = bed.root().join("go");
    let script = "echo one; echo two >&2; until [ -e \"$1\" ]; do sleep 0.05; done; echo three";
    let argv = ["--detach", "--", "sh", "-c", script, "sh", go.to_str().unwrap()];
    bed.run(&[&["exec"], &AGENT[..], &argv].concat()).expect(0);
    let named = ["--session", "aivcs__r__w__agent"];
    let following = bed.start(&[&["logs", "-f"], &named[..]].concat());
    until_true("it has begun to follow", SOON, || following.err() == "two\n");
    write(&go, "");
    let followed = following.end().expect(0);
    assert_eq!((followed.text().as_str(), followed.err.as_str()), ("one\nthree\n", "two\n"));
    let tail = bed.run(&[&["logs", "--tail", "6"], &named[..]].concat()).expect(0);
    assert_eq!(tail.text(), "three\n");
    bed.run(&["logs", "--session", "aivcs__r__none__agent"]).expect(4);
}

#[test]
fn the_doctor_finds_what_is_there_and_what_is_not() {
    let bed = Bed::new();
    let checks = bed.run(&["doctor", "--json"]).expect(0).json();
    let result =
        |name: &str| checks.iter().find(|check| check["check"] == name).expect(name)["result"].clone();
    for name in
        ["connection", "sharing", "tmux", "files", "base", "clock", "processes", "marks", "boot", "owners"]
    {
        assert_eq!(result(name), "ok", "{name}: {checks:?}");
    }
    bed.run(&["--base-dir", "/no/such", "doctor"]).expect(2);
    run(bed.there(&["doctor"]).env("AIVCS_SSH_CONFIG", bed.ssh_config("strange", "no_hosts"))).expect(2);
}

#[test]
fn only_what_was_started_to_listen_is_spoken_to() {
    let bed = Bed::new();
    let steer = |text: &str| bed.run(&[&["steer"], &AGENT[..], &["--", text]].concat());
    assert!(steer("x").expect(4).err.contains("no such session"));
    exec(&bed, &AGENT, &[], &["true"]).expect(0);
    assert!(steer("x").expect(5).err.contains("nothing runs"));
    let start =
        |options: &[&str], argv: &[&str]| exec(&bed, &AGENT, &[&["--detach"], options].concat(), argv);
    let ended = || until_true("it has ended", SOON, || bed.list()[0]["attempt"]["state"] == "ended");
    start(&[], &["sh", "-c", "sleep 1"]).expect(0);
    assert!(steer("x").expect(5).err.contains("--steerable"));
    ended();
    start(&["--steerable"], &["sh", "-c", "IFS= read -r line; printf '%s|' \"$line\"; exit 4"]).expect(0);
    assert!(steer(&"y".repeat(4096)).expect(1).err.contains("4095"));
    let hostile = "  a 'b' $(touch M) `id` \\n \u{1b}[2J ;-";
    steer(hostile).expect(0);
    ended();
    let logs = bed.run(&[&["logs"], &AGENT[..]].concat()).expect(0);
    assert_eq!(logs.text(), format!("{hostile}|"));
    let mut deaf = start(&["--steerable"], &["sh", "-c", "sleep 30"]).expect(0);
    while deaf.code == Some(0) {
        deaf = steer(&"z".repeat(4000));
    }
    assert!(deaf.expect(5).err.contains("does not read"));
    bed.run(&[&["kill"], &AGENT[..]].concat()).expect(0);
    bed.run(&["attach", "--session", "aivcs__r__other__agent"]).expect(4);
}

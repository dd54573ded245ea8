//! Connections that end in the middle of a command: it goes on, and every byte comes once.

use std::path::Path;
use std::time::{Duration, Instant};

use super::bed::Bed;
use crate::support::program::Running;
use crate::support::program::write;
use crate::support::waiting::{SOON, until_true};

/// Says numbers; stops for a file after every hundred.
const NUMBERS: &str = "\
    n=0
    while [ $n -lt 300 ]; do
      n=$((n + 1)); echo $n; echo $n >&2
      if [ $((n % 100)) -eq 0 ]; then until [ -e \"$1/go$n\" ]; do sleep 0.05; done; fi
    done
    exit 9";

fn begin(bed: &Bed) -> Running {
    let root = bed.root().display().to_string();
    let argv = ["--", "sh", "-c", NUMBERS, "sh", &root];
    bed.start(&[&["exec", "--repo", "r", "--work", "w", "--role", "runner"], &argv[..]].concat())
}

fn go(root: &Path, from: u32) {
    write(&root.join(format!("go{from}")), "");
}

fn whole(running: Running) {
    let ran = running.end();
    let numbers: String = (1..=300).map(|number| format!("{number}\n")).collect();
    assert_eq!(ran.text(), numbers);
    let said: String = ran
        .err
        .lines()
        .filter(|line| line.bytes().all(|byte| byte.is_ascii_digit()))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(said, numbers);
    assert_eq!(ran.code, Some(9));
}

#[test]
fn a_killed_ssh_loses_and_doubles_nothing() {
    let bed = Bed::new();
    let running = begin(&bed);
    for stop in [100, 200] {
        let last = format!("\n{stop}\n");
        until_true("a hundred have come", SOON, || running.err().contains(&last));
        bed.cut();
        go(bed.root(), stop);
    }
    go(bed.root(), 300);
    whole(running);
}

#[test]
fn a_machine_that_cannot_be_reached_for_a_while_is_waited_for() {
    let mut bed = Bed::new();
    let running = begin(&bed);
    until_true("a hundred have come", SOON, || running.err().contains("\n100\n"));
    bed.stop_sshd();
    bed.cut();
    for stop in [100, 200, 300] {
        go(bed.root(), stop);
    }
    let start = Instant::now();
    until_true("it is told", SOON, || running.err().matches("connecting again").count() >= 3);
    assert!(start.elapsed() >= Duration::from_secs(1), "it waits longer each time: {:?}", start.elapsed());
    bed.start_sshd();
    whole(running);
}

#[test]
fn a_machine_that_is_not_there_is_told_of() {
    let mut bed = Bed::new();
    bed.stop_sshd();
    bed.run(&["list"]).expect(6).says(&["cannot reach box"]);
    bed.run(&["exec", "--repo", "r", "--work", "w", "--role", "runner", "--", "true"]).expect(125);
}

#[test]
fn what_nobody_reads_any_more_ends_on_the_machine() {
    let bed = Bed::new();
    let running = begin(&bed);
    until_true("a hundred have come", SOON, || running.err().contains("\n100\n"));
    until_true("it is read", SOON, || bed.readers() == 1);
    drop(running);
    until_true("nobody reads", SOON, || bed.readers() == 0);
    bed.run(&["kill", "--grace", "100ms", "--session", "aivcs__r__w__runner"]).expect(0);
}

#[test]
fn one_connection_serves_many_questions() {
    let bed = Bed::new();
    for _ in 0..5 {
        bed.run(&["list"]).expect(0);
    }
    let log = bed.wait_file(&bed.root().join("sshd.log"));
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
}

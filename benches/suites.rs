//! (p) How much sooner is a suite through in two shards, and how near is that to the best split there is?
//!
//! 240 tests of Rust's own harness that sleep, few of them long: what they take does not depend on who else uses the machine.
//! The limit is half of what all of them sleep.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::support::daemon::Daemon;
use crate::support::{peers, report};

pub(crate) fn ask() {
    report::title("(p) suites: 240 tests in two shards", "within 10 % of the best split");
    let daemon = Daemon::with_two_slots();
    let directory = tempfile::tempdir().expect("a directory");
    let asleep = suite(directory.path(), report::size(240, 40));
    let best = asleep as f64 / 2e3;
    let cargo = |words: &[&str]| at(Command::new("cargo"), words, directory.path());
    timed(&mut [cargo(&["test", "--no-run"])]);
    let crab = |words: &[&str]| at(daemon.crab(), &[&["test", "-q"], words].concat(), directory.path());
    let line = |what: &str, took: f64| {
        report::row(what, &format!("{took:.2} s"), &format!("{:.2} × half of all sleep", took / best));
    };
    line("cargo test, one thread", timed(&mut [cargo(&["test", "-q", "--", "--test-threads", "1"])]));
    line("crab test, one shard", timed(&mut [crab(&["--shards", "1"])]));
    line("crab test, two shards, by count", timed(&mut [crab(&["--shards", "2", "--by", "count"])]));
    line("crab test, two shards, by time", timed(&mut [crab(&["--shards", "2"])]));
    if peers::is_here("cargo-nextest") {
        for split in ["slice", "hash"] {
            let half = |half: u8| {
                cargo(&["nextest", "run", "--test-threads", "1", "--partition", &format!("{split}:{half}/2")])
            };
            line(&format!("cargo nextest, {split}:1/2 beside {split}:2/2"), timed(&mut [half(1), half(2)]));
        }
    }
}

/// Makes a package of so many tests and tells how many milliseconds all of them sleep.
fn suite(directory: &Path, tests: u64) -> u64 {
    let mut text = String::from(
        "#![cfg(test)]\nfn nap(millis: u64) { std::thread::sleep(std::time::Duration::from_millis(millis)) }\n",
    );
    let mut asleep = 0;
    for test in 0..tests {
        // From 12 ms to a second and a half, one in two hundred of these.
        let millis = (12 * tests / (1 + test * 7919 % tests)).min(1500);
        asleep += millis;
        writeln!(text, "#[test] fn t{test:03}() {{ nap({millis}) }}").expect("a string grows");
    }
    fs::create_dir(directory.join("src")).expect("a directory");
    fs::write(directory.join("src/lib.rs"), text).expect("a file");
    let manifest = "[package]\nname = \"sleepy\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(directory.join("Cargo.toml"), manifest).expect("a file");
    asleep
}

fn at(mut command: Command, words: &[&str], directory: &Path) -> Command {
    command.args(words).current_dir(directory).env("CARGO_TARGET_DIR", directory.join("target"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Seconds until all of them are through.
fn timed(commands: &mut [Command]) -> f64 {
    let start = Instant::now();
    let children: Vec<_> = commands.iter_mut().map(|command| command.spawn().expect("it starts")).collect();
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    start.elapsed().as_secs_f64()
}

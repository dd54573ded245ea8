//! The process host with real processes.
//!
//! This program is the tests, the host they start, and the helpers that the hosts run: which one is said by
//! its first argument.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a test harness prints")]

#[path = "process/bed.rs"]
mod bed;
#[path = "process/ends.rs"]
mod ends;
#[path = "process/escapes.rs"]
mod escapes;
#[path = "process/groups.rs"]
mod groups;
#[path = "process/helpers.rs"]
mod helpers;
#[path = "process/lives.rs"]
mod lives;
#[path = "process/output.rs"]
mod output;
#[path = "process/rate.rs"]
mod rate;
#[path = "process/stages.rs"]
mod stages;
#[path = "process/staging.rs"]
mod staging;

#[path = "process/worker.rs"]
mod worker;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

type Test = (&'static str, fn());

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [actors::process::protocol::HOST_ARGUMENT, directory] => {
            let ended = actors::process::host::main(Path::new(directory));
            ended
                .inspect_err(|error| eprintln!("host: {error}"))
                .map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
        }
        [helpers::ARGUMENT, rest @ ..] => helpers::main(rest),
        options => run(options),
    }
}

/// The part of the usual test harness that people and nextest use.
fn run(options: &[&str]) -> ExitCode {
    let tests: Vec<Test> = [
        ends::TESTS,
        output::TESTS,
        escapes::TESTS,
        lives::TESTS,
        stages::TESTS,
        staging::TESTS,
        groups::TESTS,
        worker::TESTS,
    ]
    .concat();
    let ignored_too = options.contains(&"--include-ignored");
    let only_ignored = options.contains(&"--ignored");
    let mut chosen = if only_ignored { Vec::new() } else { tests };
    if only_ignored || ignored_too {
        chosen.extend(rate::TESTS);
    }
    let exact = options.contains(&"--exact");
    let names: Vec<&&str> =
        options.iter().filter(|option| !option.starts_with('-') && **option != "terse").collect();
    chosen.retain(|(name, _)| {
        names.is_empty()
            || names.iter().any(|wanted| if exact { name == *wanted } else { name.contains(**wanted) })
    });
    if options.contains(&"--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let failed: Vec<&str> = chosen.iter().filter(|test| !passes(test)).map(|(name, _)| *name).collect();
    println!("\n{} passed, {} failed: {failed:?}", chosen.len() - failed.len(), failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn passes((name, test): &Test) -> bool {
    let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
    println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
    passed
}

/// Names each test function once.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) const TESTS: &[crate::Test] = &[$((concat!(module_path!(), "::", stringify!($name)), $name)),*];
    };
}
pub(crate) use tests;

//! What `crab test` takes.

use std::ffi::OsString;
use std::path::PathBuf;

use actors::worker::suites::TIMES_VARIABLE;
use clap::{Args, ValueEnum};
use policy::shards::By;

use crate::cli::args::TaskOptions;

pub(crate) const TEST_EXAMPLES: &str = "\
Examples:
  crab test                                       the tests of this directory, by the runner that its files tell of
  crab test --shards 4 -- -p parser               arguments go to the runner: here cargo's
  crab test --runner pytest --retries 2 --junit results.xml -- tests/unit
  crab test --list 'ls cases' --run './check {tests}'      whatever prints its tests, one a line, and runs those it is given

Each shard is a task with the options of `crab submit`: --cpus, --memory, --timeout and so on hold for each. What failed is run again
alone (--retries), and what passes then is named as flaky and is no failure. How long tests took is remembered in the data directory for the next split.

Exit codes: 0 all passed, 1 tests failed or could not be built or listed, 2 usage, 125 scheduling itself failed, 130 interrupted.";

/// Runs a suite in pieces that run at once, and puts together what came of them.
#[derive(Debug, Args)]
#[command(mut_arg("retries", |arg| arg.help("How often a test that failed is run again, without the others [default: 0]")))]
pub(crate) struct Test {
    /// How many pieces run at once [default: as many as the machines have room for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) shards: Option<u16>,
    /// How tests are divided: time (as measured before), count (in turn), slice (neighbours together) or hash (of the name)
    #[arg(long, value_name = "HOW", default_value_t)]
    pub(crate) by: By,
    /// Who runs the tests
    #[arg(long, value_enum, value_name = "RUNNER", default_value_t)]
    pub(crate) runner: Runner,
    /// A shell command that prints the tests, one a line
    #[arg(long, value_name = "COMMAND", requires = "run")]
    pub(crate) list: Option<String>,
    /// A shell command that runs some of them, which stand for {tests}, and fails where one does
    #[arg(long, value_name = "COMMAND", requires = "list")]
    pub(crate) run: Option<String>,
    /// Writes what came of them as JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Only tells how the tests would be divided
    #[arg(long)]
    pub(crate) plan: bool,
    /// What holds for each shard: a task file of one task, whose paths are seen from --base. Of `shard` in task files
    #[arg(long, hide = true, value_name = "JSON", requires = "base")]
    pub(crate) item: Option<String>,
    #[arg(long, hide = true, value_name = "DIR")]
    pub(crate) base: Option<PathBuf>,
    /// Where the times of tests are remembered
    #[arg(long, hide = true, value_name = "DIR", env = TIMES_VARIABLE)]
    pub(crate) times: Option<PathBuf>,
    /// For the runner: which tests, and how it runs them
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) args: Vec<OsString>,
    #[command(flatten)]
    pub(crate) task: TaskOptions,
}

/// Programs that run tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, ValueEnum, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Runner {
    /// What the files of the directory tell of: Cargo.toml, go.mod, Package.swift, else pytest
    #[default]
    Auto,
    /// cargo test, one process for each of its programs
    Cargo,
    /// cargo nextest
    Nextest,
    /// pytest
    Pytest,
    /// go test
    Go,
    /// swift test
    Swift,
    /// xcodebuild test
    Xcodebuild,
    /// Of --list and --run
    #[value(skip)]
    Command,
}

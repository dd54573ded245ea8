//! What an agent can see.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::cli::mcp::line::Line;
use crate::cli::mcp::tool::{Arguments, Call};

/// How long the end is waited for where nothing is said: below the patience of the usual clients.
const WAIT_SECONDS: f64 = 50.0;

/// The command that waits for a graph or a task.
pub(super) fn wait_for(target: String, seconds: f64) -> Call {
    Wait { targets: vec![target], timeout_seconds: Some(seconds) }.call("wait")
}

/// The command that tells what matters of a task's output.
pub(super) fn logs_of(task: String) -> Call {
    Logs { task, attempt: None, since: None, grep: None, only_stderr: false, lines: None, whole: false }
        .call("logs")
}

/// What is waited for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    /// Graphs (g12), tasks (t12), or names
    targets: Vec<String>,
    /// How long at the most; 50 where nothing is said. Then they are told as they are
    timeout_seconds: Option<f64>,
}

impl Arguments for Wait {
    fn call(self, command: &str) -> Call {
        let seconds = self.timeout_seconds.unwrap_or(WAIT_SECONDS);
        Call::of(Line::new(command).option("timeout", Some(format!("{seconds}s"))).values(self.targets))
    }
}

/// What is to be told of.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Status {
    /// A graph (g12), a task (t12), or a name; everything where none is given
    target: Option<String>,
    /// Only tasks in these states: waiting, ready, backing-off, granted, running, succeeded, failed, cancelled, skipped
    #[serde(default)]
    states: Vec<String>,
    /// At most so many tasks; 50 where nothing is said
    limit: Option<u32>,
}

impl Arguments for Status {
    fn call(self, command: &str) -> Call {
        let line = Line::new(command).each("state", self.states).option("limit", self.limit);
        Call::of(line.values(self.target))
    }
}

/// The newest graphs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Graphs {
    /// At most so many; 20 where nothing is said
    limit: Option<u32>,
}

impl Arguments for Graphs {
    fn call(self, command: &str) -> Call {
        Call::of(Line::new(command).option("limit", self.limit))
    }
}

/// A task.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OneTask {
    /// A task (t12), or its name
    task: String,
}

impl Arguments for OneTask {
    fn call(self, command: &str) -> Call {
        Call::of(Line::new(command).values([self.task]))
    }
}

/// Whose output.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Logs {
    /// A task (t12), or its name
    task: String,
    /// Of this attempt, counted from 1; of the last where none is named
    attempt: Option<u32>,
    /// Only what was written within the last so long, such as 10m
    since: Option<String>,
    /// Only lines that match this pattern
    grep: Option<String>,
    /// Only standard error
    #[serde(default)]
    only_stderr: bool,
    /// Only the last so many lines, all of each
    lines: Option<u32>,
    /// All of it, instead of what matters: first and last lines, and those that tell of trouble
    #[serde(default)]
    whole: bool,
}

impl Arguments for Logs {
    fn call(self, command: &str) -> Call {
        let is_digest = !self.whole && self.lines.is_none();
        let line = Line::new(command)
            .option("attempt", self.attempt)
            .option("since", self.since)
            .option("grep", self.grep)
            .option("lines", self.lines)
            .flag("stderr", self.only_stderr)
            .flag("digest", is_digest)
            .values([self.task]);
        Call { json: false, ..Call::of(line) }
    }
}

/// Which events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Events {
    /// Of a graph (g12), a task (t12), or a name; the last hundred of all where none is given
    target: Option<String>,
    /// Those of the last so long, such as 10m
    since: Option<String>,
    /// Only those of these types, such as task.granted, or all of node.*
    #[serde(default)]
    types: Vec<String>,
}

impl Arguments for Events {
    fn call(self, command: &str) -> Call {
        let line = Line::new(command).option("since", self.since).each("type", self.types);
        Call::of(line.values(self.target))
    }
}

/// All machines.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nodes {}

impl Arguments for Nodes {
    fn call(self, command: &str) -> Call {
        Call::of(Line::new(command))
    }
}

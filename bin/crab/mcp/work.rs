//! What an agent can have done.

use std::collections::BTreeMap;

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::cli::mcp::line::Line;
use crate::cli::mcp::tool::{Arguments, Call};

/// The command behind both ways to submit.
const SUBMIT: &str = "submit";

/// One command.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Command {
    /// Program and arguments. No shell reads it, unless it is the program: ["sh", "-c", "make && ./test | tail"]
    command: Vec<String>,
    /// Absolute path of the directory it runs in; the server's where none is given
    directory: Option<String>,
    /// Variables of its environment
    env: Option<BTreeMap<String, String>>,
    /// A name to find it by
    name: Option<String>,
    /// low, normal, high or critical
    priority: Option<String>,
    /// What sort of work it is, such as build or test
    kind: Option<String>,
    /// Who is charged its share
    tenant: Option<String>,
    /// Cores, such as 0.5; 1 where nothing is said
    cpus: Option<f64>,
    /// Memory to set aside, such as 4GiB
    memory: Option<String>,
    /// Memory it must not exceed, such as 8GiB
    memory_limit: Option<String>,
    /// Slots of the GPU
    gpu: Option<u64>,
    /// Conditions on its machine's labels, such as os=macos or xcode>=16
    #[serde(default)]
    require: Vec<String>,
    /// The one machine that may run it
    node: Option<String>,
    /// The longest an attempt may take, such as 20m
    timeout: Option<String>,
    /// The longest it may write nothing, such as 5m
    idle_timeout: Option<String>,
    /// Attempts after the first where it fails
    retries: Option<u32>,
    /// One task for each index, such as 1-100, or 1-100%8 for at most 8 at once; each finds its own in CRAB_ARRAY_INDEX
    array: Option<String>,
    /// Tasks it waits for: t12 to have succeeded, t12:end to have run, t12:always to be over. It joins their graph
    #[serde(default)]
    after: Vec<String>,
    /// A graph it is added to
    into: Option<String>,
    /// The same key again is the same submission: give one, and calling again after a doubt runs nothing twice
    key: Option<String>,
    /// Wait so long for its end before answering
    wait_seconds: Option<f64>,
}

impl Arguments for Command {
    fn call(self, _: &str) -> Call {
        let env = self.env.unwrap_or_default().into_iter().map(|(name, value)| format!("{name}={value}"));
        let line = Line::new(SUBMIT)
            .option("directory", self.directory)
            .each("env", env)
            .option("name", self.name)
            .option("priority", self.priority)
            .option("kind", self.kind)
            .option("tenant", self.tenant)
            .option("cpus", self.cpus)
            .option("memory", self.memory)
            .option("memory-limit", self.memory_limit)
            .option("gpu", self.gpu)
            .each("require", self.require)
            .option("node", self.node)
            .option("timeout", self.timeout)
            .option("idle-timeout", self.idle_timeout)
            .option("retries", self.retries)
            .option("array", self.array)
            .each("after", self.after)
            .option("into", self.into)
            .option("key", self.key)
            .values(self.command);
        Call { wait_seconds: self.wait_seconds, ..Call::of(line) }
    }
}

/// A graph.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tasks {
    /// A task file: {"task": {"build": {"command": ["make"], "cpus": 4},
    /// "test": {"shell": "make test | tail", "after": ["build"], "retries": 1, "timeout": "20m"}}}, or its text in TOML
    tasks: File,
    /// A graph these are added to; they may depend on its tasks by name
    into: Option<String>,
    /// The same key again is the same submission
    key: Option<String>,
    /// Wait so long for its end before answering
    wait_seconds: Option<f64>,
}

/// As an agent finds it easiest.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum File {
    Text(String),
    Object(JsonObject),
}

impl File {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Object(object) => Value::Object(object).to_string(),
        }
    }
}

impl Arguments for Tasks {
    fn call(self, _: &str) -> Call {
        let line = Line::new(SUBMIT).option("into", self.into).option("key", self.key);
        // Where a file would be named, and how faults call it; its text is given by hand.
        let line = line.file("tasks");
        Call { tasks: Some(self.tasks.text()), wait_seconds: self.wait_seconds, ..Call::of(line) }
    }
}

/// What is to be ended, or tried again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Targets {
    /// Graphs (g12), tasks (t12), or names
    targets: Vec<String>,
}

impl Arguments for Targets {
    fn call(self, command: &str) -> Call {
        Call::of(Line::new(command).values(self.targets))
    }
}

/// A word to what a task runs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Signal {
    /// A task (t12), or its name
    task: String,
    /// HUP, INT, QUIT, USR1, USR2 or WINCH
    signal: String,
}

impl Arguments for Signal {
    fn call(self, command: &str) -> Call {
        Call::of(Line::new(command).values([self.task, self.signal]))
    }
}

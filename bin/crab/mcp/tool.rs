//! The tools: their names, what an agent is told of them, and what they take.

use rmcp::model::{JsonObject, Tool as Described, ToolAnnotations};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::mcp::line::Line;
use crate::cli::mcp::{watch, work};

/// A command that is to be run.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) line: Line,
    /// A task file's text, for a submission of one.
    pub(super) tasks: Option<String>,
    /// How long the end of what is submitted is waited for.
    pub(super) wait_seconds: Option<f64>,
    /// Whether it answers with JSON.
    pub(super) json: bool,
}

impl Call {
    pub(super) fn of(line: Line) -> Self {
        Self { line, tasks: None, wait_seconds: None, json: true }
    }
}

/// What a tool takes, and what that makes of the command of its name.
pub(super) trait Arguments: DeserializeOwned + JsonSchema {
    fn call(self, command: &str) -> Call;
}

/// What a tool does to the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touch {
    Reads,
    Adds,
    Ends,
}

/// One tool.
#[derive(Debug)]
pub(super) struct Tool {
    name: &'static str,
    about: &'static str,
    touch: Touch,
    schema: fn() -> JsonObject,
    read: fn(JsonObject, &str) -> Result<Call, serde_json::Error>,
}

/// All of them.
pub(super) static TOOLS: [Tool; 13] = [
    tool::<work::Command>(
        "submit_command",
        "Run one command on the fleet. Answers with its graph and task at once, or after wait_seconds with how it stands",
        Touch::Adds,
    ),
    tool::<work::Tasks>(
        "submit_tasks",
        "Run a graph of tasks that depend on each other, given as the text of a task file",
        Touch::Adds,
    ),
    tool::<watch::Wait>(
        "wait",
        "Wait until graphs or tasks have ended, and tell how they stand",
        Touch::Reads,
    ),
    tool::<watch::Status>(
        "status",
        "How the fleet stands, or one graph and its tasks, or one task",
        Touch::Reads,
    ),
    tool::<watch::Graphs>("graphs", "The graphs, newest first", Touch::Reads),
    tool::<watch::OneTask>("show", "Everything about a task: specification, attempts, events", Touch::Reads),
    tool::<watch::OneTask>(
        "explain",
        "Why a task does not run yet: what it waits for, what is in the way and who has it, and when it should start",
        Touch::Reads,
    ),
    tool::<watch::Logs>(
        "logs",
        "What a task has written: what matters of it in 8 KiB, or as asked",
        Touch::Reads,
    ),
    tool::<watch::Events>("events", "What has happened to a graph or a task, or to the fleet", Touch::Reads),
    tool::<watch::Nodes>("nodes", "The machines: what they have, what is used, how they are", Touch::Reads),
    tool::<work::Targets>(
        "cancel",
        "End graphs or tasks: SIGTERM, and SIGKILL after their grace",
        Touch::Ends,
    ),
    tool::<work::Signal>(
        "signal",
        "Send a signal to what a task runs, such as USR1; what has no handler for it is ended by it",
        Touch::Ends,
    ),
    tool::<work::Targets>("retry", "Try again what has ended without success", Touch::Adds),
];

pub(super) fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

const fn tool<A: Arguments>(name: &'static str, about: &'static str, touch: Touch) -> Tool {
    Tool { name, about, touch, schema: schema::<A>, read: read::<A> }
}

impl Tool {
    /// As an agent is told of it.
    pub(super) fn described(&self) -> Described {
        let annotations = ToolAnnotations::new()
            .read_only(self.touch == Touch::Reads)
            .destructive(self.touch == Touch::Ends);
        Described::new(self.name, self.about, (self.schema)()).with_annotations(annotations)
    }

    /// The command for these arguments.
    ///
    /// # Errors
    /// Names what is not taken, or missing, or not of its type.
    pub(super) fn read(&self, arguments: JsonObject) -> Result<Call, serde_json::Error> {
        (self.read)(arguments, self.name)
    }
}

fn read<A: Arguments>(arguments: JsonObject, command: &str) -> Result<Call, serde_json::Error> {
    let arguments: A = serde_json::from_value(Value::Object(arguments))?;
    Ok(arguments.call(command))
}

fn schema<A: Arguments>() -> JsonObject {
    let mut schema = match schemars::schema_for!(A).to_value() {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    };
    // Of no use to an agent, which pays for each word.
    schema.remove("title");
    schema.remove("$schema");
    schema
}

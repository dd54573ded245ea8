//! Tasks that are messages to an agent: `handler` names their kind, `payload` is what it is told.

use std::borrow::Cow;

use policy::handler;
use policy::resources::Resources;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Number;

use super::build::value;
use super::fault::Fault;
use super::reader::{At, Read, Reader};
use super::shape::{Common, Task};
use super::tree::{Node, Value};

/// A text as it is, anything else as JSON.
#[derive(Debug, Clone, Default)]
pub(super) struct Payload(pub(super) String);

impl Read for Payload {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let json = match &node.value {
            Value::Text(text) => return Some(Self(text.clone())),
            _ => json(node, reader)?,
        };
        Some(Self(json.to_string()))
    }
}

impl JsonSchema for Payload {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Payload".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "examples": ["a text", { "width": 640 }] })
    }
}

fn json(node: &Node, reader: &mut Reader<'_>) -> Option<serde_json::Value> {
    Some(match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Boolean(value) => (*value).into(),
        Value::Number(digits) => match digits.parse::<Number>() {
            Ok(number) => number.into(),
            Err(_) => return reader.wrong(node, "is no number of JSON"),
        },
        Value::Text(text) => text.as_str().into(),
        Value::Date => return reader.wrong(node, "JSON has no dates: make it a text"),
        Value::List(nodes) => nodes.iter().map(|one| json(one, reader)).collect::<Option<_>>()?,
        Value::Table(entries) => {
            let fields = entries.iter().map(|entry| Some((entry.key.clone(), json(&entry.node, reader)?)));
            serde_json::Value::Object(fields.collect::<Option<_>>()?)
        }
    })
}

/// What a task for a handler needs; `None` where it is a command. Of the defaults nothing that is for commands counts.
pub(super) fn need(task: &Task) -> Option<Resources> {
    value(&task.handler).map(|kind| handler::need(&kind.0))
}

/// What is for commands alone, or means nothing without a handler.
pub(super) fn conflicts(name: &str, task: &At<Task>) -> Vec<Fault> {
    let fault = |line: usize, field: &str, expected: &str| Fault {
        line,
        task: Some(name.to_owned()),
        field: field.to_owned(),
        value: String::new(),
        expected: expected.to_owned(),
    };
    let Task { handler, payload, command, shell, common, .. } = &task.value;
    let Some(handler) = handler else {
        let alone = payload.as_ref();
        let needs = |payload: &At<Payload>| fault(payload.line, "payload", "needs a handler that is told it");
        return alone.map(needs).into_iter().collect();
    };
    let beside = [command.as_ref().map(At::line), shell.as_ref().map(At::line)];
    let beside = beside.into_iter().flatten().next();
    let beside =
        beside.map(|_| fault(handler.line, "handler", "stands beside command or shell: keep one of them"));
    let of_commands = "is for commands: what handles a task is no process of its own";
    let own =
        for_commands(common).into_iter().filter_map(|(field, line)| Some(fault(line?, field, of_commands)));
    beside.into_iter().chain(own).collect()
}

fn for_commands(common: &Common) -> [(&'static str, Option<usize>); 18] {
    [
        ("cpus", common.cpus.as_ref().map(At::line)),
        ("memory", common.memory.as_ref().map(At::line)),
        ("gpu", common.gpu.as_ref().map(At::line)),
        ("disk", common.disk.as_ref().map(At::line)),
        ("alternatives", common.alternatives.as_ref().map(At::line)),
        ("resources", common.resources.as_ref().map(At::line)),
        ("directory", common.directory.as_ref().map(At::line)),
        ("workspace", common.workspace.as_ref().map(At::line)),
        ("gate", common.gate.as_ref().map(At::line)),
        ("hooks", common.hooks.as_ref().map(At::line)),
        ("artifacts", common.artifacts.as_ref().map(At::line)),
        ("secrets", common.secrets.as_ref().map(At::line)),
        ("jobserver", common.jobserver.as_ref().map(At::line)),
        ("sandbox", common.sandbox.as_ref().map(At::line)),
        ("memory_limit", common.memory_limit.as_ref().map(At::line)),
        ("process_limit", common.process_limit.as_ref().map(At::line)),
        ("open_files", common.open_files.as_ref().map(At::line)),
        ("qos", common.qos.as_ref().map(At::line)),
    ]
}

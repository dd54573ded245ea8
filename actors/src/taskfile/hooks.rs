//! What is done around a task's command, as a file says it: hooks before and after, and a gate.

use std::borrow::Cow;

use policy::stages::Stages;
use policy::text::OsText;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::build::{pick, shell_argv, value};
use super::field::texts;
use super::reader::{Read, Reader};
use super::shape::{Around, Common};
use super::tree::{Node, Value};

const EXPECTED: &str =
    "must be a command: a list of texts, the program and its arguments, or a text that /bin/sh reads";

/// A command: words, or a line for the shell.
#[derive(Debug, Clone, Default)]
pub(super) struct Line(pub(super) Vec<OsText>);

/// Commands in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(pub(super) Vec<Line>);

impl Read for Line {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Text(script) if !script.is_empty() => Some(Self(shell_argv(script))),
            Value::List(words) if !words.is_empty() => {
                let words = texts(words, reader)?;
                Some(Self(words.iter().map(|word| OsText::from(word.as_str())).collect()))
            }
            _ => reader.wrong(node, EXPECTED),
        }
    }
}

impl Read for Lines {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::List(nodes) = &node.value else {
            return reader
                .wrong(node, "must be a list of commands, such as [[\"make\", \"deps\"], \"echo done\"]");
        };
        nodes.iter().map(|one| Line::read(one, reader)).collect::<Option<_>>().map(Self)
    }
}

fn line_schema() -> serde_json::Value {
    serde_json::json!({
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }]
    })
}

impl JsonSchema for Line {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Line".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }],
            "examples": [["cargo", "test"], "make check && make lint"]
        })
    }
}

impl JsonSchema for Lines {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Lines".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": line_schema(), "examples": [[["make", "deps"], "echo ready"]] })
    }
}

/// What a task has done around its command; `None` where that is nothing.
pub(super) fn stages(own: &Common, defaults: &Common) -> Option<Box<Stages>> {
    let hooks = [&own.hooks, &defaults.hooks].map(value);
    let of = |which: fn(&Around) -> Option<&Lines>| {
        let lines = hooks.iter().flatten().find_map(|around| which(around));
        lines.map(|lines| lines.0.iter().map(|line| line.0.clone()).collect()).unwrap_or_default()
    };
    let stages = Stages {
        before: of(|around| value(&around.before)),
        gate: pick(&own.gate, &defaults.gate).map(|line| line.0.clone()),
        after: of(|around| value(&around.after)),
    };
    (!stages.is_empty()).then(|| Box::new(stages))
}

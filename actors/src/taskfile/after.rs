//! The field `after`: what a task waits for, as names or as tables that say how it must have ended.

use std::borrow::Cow;

use policy::dependency::{Dependency, Need, On};
use rustc_hash::FxHashMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use strum::VariantArray;

use super::fault::Fault;
use super::reader::{At, Read, Reader};
use super::shape::Wanted;
use super::suggest::closest;
use super::tree::{Node, Value};

/// What a task waits for, each with its line.
#[derive(Debug, Clone, Default)]
pub(super) struct After(pub(super) Vec<At<(String, Need)>>);

const EXPECTED: &str =
    "must be a name, { task = NAME, needs = \"success\", \"end\" or \"always\" }, or a list of these";

impl Read for After {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let nodes = match &node.value {
            Value::Text(_) | Value::Table(_) => std::slice::from_ref(node),
            Value::List(nodes) => nodes,
            _ => return reader.wrong(node, EXPECTED),
        };
        // All of them, so that every fault is heard of.
        let read: Vec<_> = nodes.iter().map(|one| wanted(one, reader)).collect();
        read.into_iter().collect::<Option<_>>().map(Self)
    }
}

fn wanted(node: &Node, reader: &mut Reader<'_>) -> Option<At<(String, Need)>> {
    let line = reader.source.line(node.span.start);
    let value = match &node.value {
        Value::Text(name) if !name.is_empty() => (name.clone(), Need::Success),
        Value::Table(_) => {
            let faults = reader.faults.len();
            let wanted = Wanted::read(node, reader)?;
            let Some(task) = wanted.task else {
                // Where something is wrong with the name that has been said.
                return if reader.faults.len() > faults {
                    None
                } else {
                    reader.wrong(node, "names no task: task = NAME")
                };
            };
            (task.value.0, wanted.needs.map_or(Need::Success, |needs| needs.value.0))
        }
        _ => return reader.wrong(node, EXPECTED),
    };
    Some(At { value, line })
}

impl JsonSchema for After {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "After".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<Wanted>();
        let one = json_schema!({ "anyOf": [{ "type": "string" }, table] });
        json_schema!({
            "anyOf": [one, { "type": "array", "items": one }],
            "examples": ["build", ["build", { "task": "test", "needs": "end" }]]
        })
    }
}

/// Reads a need.
pub(super) fn need(node: &Node, reader: &mut Reader<'_>) -> Option<Need> {
    if let Value::Text(text) = &node.value
        && let Ok(need) = text.parse()
    {
        return Some(need);
    }
    let names: Vec<&str> = Need::VARIANTS.iter().map(Into::into).collect();
    reader.wrong(node, format!("must be one of {}", names.join(", ")))
}

/// What the names of a task's `after` stand for. Names that are not in the file are those of the graph it is
/// added to, where it is added to one.
pub(super) fn dependencies(
    name: &str,
    after: Option<&At<After>>,
    (places, adds): (&FxHashMap<&str, u32>, bool),
    faults: &mut Vec<Fault>,
) -> Vec<Dependency> {
    let mut dependencies = Vec::new();
    for At { value: (wanted, needs), line } in after.iter().flat_map(|after| &after.value.0) {
        let on = match places.get(wanted.as_str()) {
            Some(place) => On::Item(*place),
            None if adds => On::Name(wanted.as_str().into()),
            None => {
                faults.push(unknown((name, wanted), *line, places));
                continue;
            }
        };
        let dependency = Dependency { on, needs: *needs };
        if !dependencies.contains(&dependency) {
            dependencies.push(dependency);
        }
    }
    dependencies
}

fn unknown((name, wanted): (&str, &str), line: usize, places: &FxHashMap<&str, u32>) -> Fault {
    Fault {
        line,
        task: Some(name.to_owned()),
        field: "after".to_owned(),
        value: format!("{wanted:?}"),
        expected: match closest(wanted, places.keys().copied()) {
            Some(meant) => format!("no such task; did you mean {meant:?}?"),
            None => "no such task in this file".to_owned(),
        },
    }
}

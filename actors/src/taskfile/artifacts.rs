//! What is kept of what a task leaves behind, as a file says it.

use std::borrow::Cow;

use policy::artifact::{Artifacts, Kind, PATTERN_LIMIT_CHARS, PATTERNS_LIMIT, Pattern};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use strum::VariantArray;

use super::build::pick;
use super::reader::{Read, Reader};
use super::shape::Common;
use super::tree::{Entry, Node, Value};

const EXPECTED: &str =
    "must be a list of patterns, such as [\"target/report.xml\", { path = \"out/**\", kind = \"coverage\" }]";
const TABLE_EXPECTED: &str =
    "must have a path, and may have a kind, such as { path = \"out/**\", kind = \"coverage\" }";

/// Files that are to be kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Leavings(Artifacts);

impl Read for Leavings {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::List(nodes) = &node.value else { return reader.wrong(node, EXPECTED) };
        // All of them, so that every fault is heard of.
        let read: Vec<_> = nodes.iter().map(|one| pattern(one, reader)).collect();
        let patterns = read.into_iter().collect::<Option<_>>()?;
        Some(Self(Artifacts { patterns }))
    }
}

fn pattern(node: &Node, reader: &mut Reader<'_>) -> Option<Pattern> {
    let read = match &node.value {
        Value::Text(text) => text.parse(),
        Value::Table(entries) => {
            let (path, kind) = table(node, entries, reader)?;
            Pattern::new(&path).map(|pattern| Pattern { kind, ..pattern })
        }
        _ => return reader.wrong(node, EXPECTED),
    };
    read.map_or_else(|why| reader.wrong(node, why.to_string()), Some)
}

fn table(node: &Node, entries: &[Entry], reader: &mut Reader<'_>) -> Option<(String, Option<Kind>)> {
    let (mut path, mut kind) = (None, None);
    for entry in entries {
        match (entry.key.as_str(), &entry.node.value) {
            ("path", Value::Text(text)) => path = Some(text.clone()),
            ("kind", _) => kind = Some(super::wish::one_of(&entry.node, reader)?),
            _ => return reader.wrong(&entry.node, TABLE_EXPECTED),
        }
    }
    match path {
        Some(path) => Some((path, kind)),
        None => reader.wrong(node, TABLE_EXPECTED),
    }
}

impl JsonSchema for Leavings {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Leavings".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds: Vec<&str> = Kind::VARIANTS.iter().map(Into::into).collect();
        let path =
            serde_json::json!({ "type": "string", "minLength": 1, "maxLength": PATTERN_LIMIT_CHARS + 16 });
        json_schema!({
            "type": "array",
            "items": { "anyOf": [path, {
                "type": "object",
                "properties": { "path": path, "kind": { "enum": kinds } },
                "required": ["path"],
                "additionalProperties": false
            }] },
            "maxItems": PATTERNS_LIMIT,
            "examples": [["target/report.xml", { "path": "out/**", "kind": "coverage" }]]
        })
    }
}

/// What is to be kept of a task; `None` where that is nothing.
pub(super) fn artifacts(own: &Common, defaults: &Common) -> Option<Box<Artifacts>> {
    let all = pick(&own.artifacts, &defaults.artifacts).map(|one| one.0.clone());
    all.filter(|artifacts| !artifacts.is_empty()).map(Box::new)
}

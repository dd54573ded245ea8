//! What a task claims of the fleet, as a file says it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use policy::claims::{CALLS, Mode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::field::{Amounts, Index, Indices};
use super::reader::{Read, Reader};
use super::tree::{Node, Value};

/// Locks, and how each is held.
#[derive(Debug, Clone, Default)]
pub(super) struct Locks(pub(super) BTreeMap<Box<str>, Mode>);

/// How many indices of each pool.
#[derive(Debug, Clone, Default)]
pub(super) struct Pools(pub(super) BTreeMap<Box<str>, u32>);

/// What is taken of each rate.
#[derive(Debug, Clone, Default)]
pub(super) struct Rates(pub(super) BTreeMap<Box<str>, BTreeMap<Box<str>, u64>>);

const LOCKS_EXPECTED: &str =
    "must be a list of names, or a table such as { repo = \"shared\", database = \"exclusive\" }";
const RATES_EXPECTED: &str =
    "must be a list of names, or a table such as { \"llm:org-1\" = { calls = 1, tokens = 2000 } }";

impl Read for Locks {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::List(nodes) => names(nodes, reader, LOCKS_EXPECTED, Mode::Exclusive).map(Self),
            Value::Table(entries) => {
                let mode = |node: &Node| match &node.value {
                    Value::Text(text) if text == "exclusive" => Some(Mode::Exclusive),
                    Value::Text(text) if text == "shared" => Some(Mode::Shared),
                    _ => None,
                };
                let read = entries.iter().map(|entry| match mode(&entry.node) {
                    Some(mode) => Some((entry.key.as_str().into(), mode)),
                    None => reader.wrong(&entry.node, "must be \"exclusive\" or \"shared\""),
                });
                read.collect::<Option<_>>().map(Self)
            }
            _ => reader.wrong(node, LOCKS_EXPECTED),
        }
    }
}

impl Read for Pools {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            return reader.wrong(node, "must be a table of numbers of indices, such as { ports = 2 }");
        };
        let read = entries.iter().map(|entry| {
            let count = reader.field::<Indices>(entry)?;
            Some((entry.key.as_str().into(), count.value.0))
        });
        read.collect::<Option<_>>().map(Self)
    }
}

impl Read for Rates {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::List(nodes) => names(nodes, reader, RATES_EXPECTED, BTreeMap::new()).map(Self),
            Value::Table(entries) => {
                let read = entries.iter().map(|entry| {
                    let needs = match &entry.node.value {
                        Value::Number(_) => [(CALLS.into(), reader.field::<Index>(entry)?.value.0)].into(),
                        _ => reader.field::<Amounts>(entry)?.value.0,
                    };
                    Some((entry.key.as_str().into(), needs))
                });
                read.collect::<Option<_>>().map(Self)
            }
            _ => reader.wrong(node, RATES_EXPECTED),
        }
    }
}

/// A list of names, each with the same value.
fn names<V: Clone>(
    nodes: &[Node],
    reader: &mut Reader<'_>,
    expected: &str,
    value: V,
) -> Option<BTreeMap<Box<str>, V>> {
    let read = nodes.iter().map(|node| match &node.value {
        Value::Text(name) => Some((name.as_str().into(), value.clone())),
        _ => reader.wrong(node, expected),
    });
    read.collect()
}

macro_rules! schemas {
    ($($Name:ident $schema:tt)*) => {$(
        impl JsonSchema for $Name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($Name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

schemas! {
    Locks {
        "anyOf": [
            { "type": "array", "items": { "type": "string" } },
            { "type": "object", "additionalProperties": { "enum": ["exclusive", "shared"] } }
        ],
        "examples": [["repo"], { "repo": "shared" }]
    }
    Pools { "type": "object", "additionalProperties": { "type": "integer", "minimum": 1 } }
    Rates {
        "anyOf": [
            { "type": "array", "items": { "type": "string" } },
            {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [
                        { "type": "integer", "minimum": 0 },
                        { "type": "object", "additionalProperties": { "type": "integer", "minimum": 0 } }
                    ]
                }
            }
        ],
        "examples": [["llm:org-1"], { "llm:org-1": { "calls": 1, "tokens": 2000 } }]
    }
}

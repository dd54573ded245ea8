//! What a task is given where it runs, as a file says it: secrets, a share of the jobserver, a sandbox.

use std::borrow::Cow;

use policy::provision::{Provision, Secret};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::build::{pick, value};
use super::reader::{Read, Reader};
use super::shape::Common;
use super::tree::{Node, Value};

const EXPECTED: &str = "must be a list of names, or a table of the variables in which their paths are, such as \
                        { npm-token = \"NPM_TOKEN_FILE\" }";

/// Secrets by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Secrets(Vec<Secret>);

impl Read for Secrets {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let read: Option<Vec<Secret>> = match &node.value {
            Value::List(nodes) => {
                let read = nodes.iter().map(|node| match &node.value {
                    Value::Text(name) => Some(Secret::new(name)),
                    _ => reader.wrong(node, EXPECTED),
                });
                read.collect()
            }
            Value::Table(entries) => {
                let read = entries.iter().map(|entry| match &entry.node.value {
                    Value::Text(variable) => {
                        let (name, variable) = (entry.key.as_str().into(), variable.as_str().into());
                        Some(Secret { name, variable })
                    }
                    _ => reader.wrong(&entry.node, "must be the name of a variable"),
                });
                read.collect()
            }
            _ => reader.wrong(node, EXPECTED),
        };
        read.map(Self)
    }
}

impl JsonSchema for Secrets {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secrets".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "array", "items": { "type": "string" } },
                { "type": "object", "additionalProperties": { "type": "string" } }
            ],
            "examples": [["npm-token"], { "npm-token": "NPM_TOKEN_FILE" }]
        })
    }
}

/// What a task asks for; `None` where that is nothing.
pub(super) fn provision(own: &Common, defaults: &Common) -> Option<Box<Provision>> {
    let mut secrets: Vec<Secret> = value(&own.secrets).map(|secrets| secrets.0.clone()).unwrap_or_default();
    for secret in value(&defaults.secrets).into_iter().flat_map(|secrets| &secrets.0) {
        if secrets.iter().all(|one| one.name != secret.name) {
            secrets.push(secret.clone());
        }
    }
    let provision = Provision {
        secrets,
        jobserver: pick(&own.jobserver, &defaults.jobserver).is_some_and(|one| one.0),
        sandbox: pick(&own.sandbox, &defaults.sandbox).map(|one| one.0),
    };
    (!provision.is_empty()).then(|| Box::new(provision))
}

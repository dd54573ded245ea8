//! The table of tasks: each one under its name, in the order of the file.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::reader::{At, Read, Reader};
use super::shape::Task;
use super::tree::{Node, Value};

/// The tasks with their names, in order; the line is that of the name.
#[derive(Debug, Clone, Default)]
pub(super) struct Tasks(pub(super) Vec<(String, At<Task>)>);

impl Read for Tasks {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            return reader.wrong(node, "must be a table for each task under its name: [task.NAME]");
        };
        let mut tasks = Vec::with_capacity(entries.len());
        for entry in entries {
            let line = reader.source.line(entry.key_span.start);
            if let Some(value) = reader.task(entry) {
                tasks.push((entry.key.clone(), At { value, line }));
            }
        }
        Some(Self(tasks))
    }
}

impl JsonSchema for Tasks {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Tasks".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let task = generator.subschema_for::<Task>();
        json_schema!({ "type": "object", "additionalProperties": task, "minProperties": 1 })
    }
}

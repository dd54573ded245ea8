//! Reads tables of a tree into structs, field by field, and collects every fault on the way.
//!
//! One list of fields makes the struct, its reader and its part of the published schema.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::fault::{Fault, Source};
use super::suggest::closest;
use super::tree::{Entry, Node, Value};

/// A value that was read, and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

impl<T> At<T> {
    /// Where it stands.
    pub(super) fn line(&self) -> usize {
        self.line
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// What can be read from a value. Faults go to the reader; nothing is returned then.
pub(super) trait Read: Sized {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self>;
}

/// A table with a fixed set of fields.
pub(super) trait Fields: Default {
    fn names() -> Vec<&'static str>;
    /// Reads one field; `false` where there is none of this name.
    fn take(&mut self, entry: &Entry, reader: &mut Reader<'_>) -> bool;
}

impl<T: Fields> Read for T {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            return reader.wrong(node, "must be a table");
        };
        let mut table = T::default();
        for entry in entries {
            if !table.take(entry, reader) {
                reader.unknown_field(entry, &T::names());
            }
        }
        Some(table)
    }
}

/// Defines a table: each field with its name in the file, its name here, and its type.
macro_rules! fields {
    ($(#[$meta:meta])* struct $Name:ident {
        $($(#[$field_meta:meta])* $key:literal $field:ident: $Type:ty,)*
    } $(with $common:ident: $Common:ty)?) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub(super) struct $Name {
            $($(#[$field_meta])* #[schemars(rename = $key)] pub(super) $field: Option<At<$Type>>,)*
            $(#[schemars(flatten)] pub(super) $common: $Common,)?
        }

        impl Fields for $Name {
            fn names() -> Vec<&'static str> {
                [&[$($key),*][..], $(&<$Common>::names())?].concat()
            }

            fn take(&mut self, entry: &Entry, reader: &mut Reader<'_>) -> bool {
                match entry.key.as_str() {
                    $($key => {
                        self.$field = reader.field(entry);
                        true
                    })*
                    _ => false $(|| self.$common.take(entry, reader))?,
                }
            }
        }
    };
}
pub(super) use fields;

/// Where the reading stands, and what was wrong so far.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    pub(super) source: &'t Source<'t>,
    task: Option<String>,
    path: Vec<String>,
    pub(super) faults: Vec<Fault>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(source: &'t Source<'t>) -> Self {
        Self { source, task: None, path: Vec::new(), faults: Vec::new() }
    }

    /// Reads one field; nothing where it is `null` or wrong.
    pub(super) fn field<T: Read>(&mut self, entry: &Entry) -> Option<At<T>> {
        if entry.node.value == Value::Null {
            return None;
        }
        self.path.push(entry.key.clone());
        let value = T::read(&entry.node, self);
        self.path.pop();
        let line = self.source.line(entry.key_span.start);
        value.map(|value| At { value, line })
    }

    /// Reads the table of one task, so that its faults name it.
    pub(super) fn task<T: Read>(&mut self, entry: &Entry) -> Option<T> {
        let path = std::mem::take(&mut self.path);
        self.task = Some(entry.key.clone());
        let task = T::read(&entry.node, self);
        self.task = None;
        self.path = path;
        task
    }

    /// Records that a value is not what it must be.
    pub(super) fn wrong<T>(&mut self, node: &Node, expected: impl Into<String>) -> Option<T> {
        let value = match node.value {
            Value::Table(_) => "{…}".to_owned(),
            _ => self.source.shown(&node.span),
        };
        self.fault(node.span.start, value, expected.into());
        None
    }

    fn unknown_field(&mut self, entry: &Entry, names: &[&str]) {
        let expected = match closest(&entry.key, names.iter().copied()) {
            Some(name) => format!("no such field; did you mean {name:?}?"),
            None => format!("no such field; there are {}", names.join(", ")),
        };
        self.path.push(entry.key.clone());
        self.fault(entry.key_span.start, String::new(), expected);
        self.path.pop();
    }

    fn fault(&mut self, offset: usize, value: String, expected: String) {
        let (line, field) = (self.source.line(offset), self.path.join("."));
        self.faults.push(Fault { line, task: self.task.clone(), field, value, expected });
    }
}

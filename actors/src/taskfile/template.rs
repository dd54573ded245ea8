//! Task files as templates: `[parameters]` says what may be said beside a file, `{{name}}` in a text is where it goes.
//!
//! A value goes into the tree of a file and never into its text: whatever it holds, it stays one text in one place. Files without
//! parameters are left as they are. Must not know what fields mean.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::FILE_LIMIT_BYTES;
use super::fault::{Fault, Source};
use super::reader::{Read, Reader};
use super::suggest::closest;
use super::tree::{Node, Value};

/// Where the values come from, by the names of the parameters.
pub type Given = BTreeMap<String, String>;

/// Parameters of one file: more than anybody says.
const PARAMETERS_LIMIT: usize = 64;
/// The field of a file.
const FIELD: &str = "parameters";
const OPENS: &str = "{{";
const CLOSES: &str = "}}";
const EXPECTED: &str = "must be its usual value (a text, a number, true or false), or a table such as \
                        { help = \"what it is\" } for one that must be given";

/// What a file says of its parameters, in its order.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters(Vec<(String, Parameter)>);

#[derive(Debug, Clone)]
struct Parameter {
    /// What it is where nobody gives it; `None` where somebody must.
    usual: Option<Value>,
    help: Option<String>,
}

impl Read for Parameters {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            return reader.wrong(node, "must be a table of parameters, such as { branch = \"main\" }");
        };
        if entries.len() > PARAMETERS_LIMIT {
            return reader.wrong(node, format!("must be at most {PARAMETERS_LIMIT} parameters"));
        }
        let mut read = Vec::with_capacity(entries.len());
        for entry in entries {
            if !is_name(&entry.key) {
                return reader
                    .wrong(&entry.node, "the name of a parameter must be of letters, digits, _ and -");
            }
            read.push((entry.key.clone(), reader.field::<Parameter>(entry)?.value));
        }
        Some(Self(read))
    }
}

impl Read for Parameter {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            let usual = plain(&node.value).cloned();
            return if usual.is_some() {
                Some(Self { usual, help: None })
            } else {
                reader.wrong(node, EXPECTED)
            };
        };
        let mut read = Self { usual: None, help: None };
        for entry in entries {
            match (entry.key.as_str(), &entry.node.value) {
                ("help", Value::Text(help)) => read.help = Some(help.clone()),
                ("default", value) if plain(value).is_some() => read.usual = Some(value.clone()),
                _ => return reader.wrong(&entry.node, EXPECTED),
            }
        }
        Some(read)
    }
}

fn plain(value: &Value) -> Option<&Value> {
    matches!(value, Value::Text(_) | Value::Number(_) | Value::Boolean(_)).then_some(value)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

impl JsonSchema for Parameters {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Parameters".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let usual = json_schema!({ "type": ["string", "number", "boolean"] });
        json_schema!({
            "type": "object",
            "additionalProperties": { "anyOf": [usual, {
                "type": "object",
                "properties": { "default": usual, "help": { "type": "string" } },
                "additionalProperties": false
            }] },
            "examples": [{ "branch": "main", "goal": { "help": "what is to be done" } }]
        })
    }
}

/// Puts what was given, and else what is usual, where the file names it. Where something is wrong with that, the file is not
/// worth reading on.
pub(super) fn fill(root: &mut Node, given: &Given, source: &Source<'_>) -> Vec<Fault> {
    let Value::Table(entries) = &mut root.value else { return Vec::new() };
    let table = entries.iter().find(|entry| entry.key == FIELD);
    let line = table.map_or(0, |entry| source.line(entry.key_span.start));
    let mut reader = Reader::new(source);
    let declared = match table.map(|entry| reader.field::<Parameters>(entry)) {
        None if given.is_empty() => return Vec::new(),
        None => Parameters::default(),
        Some(None) => return reader.faults,
        Some(Some(declared)) => declared.value,
    };
    let mut filling = Filling { values: BTreeMap::new(), bytes: 0, source, faults: Vec::new() };
    filling.settle(&declared, given, line);
    if table.is_some() && filling.faults.is_empty() {
        for entry in entries.iter_mut().filter(|entry| entry.key != FIELD) {
            filling.key(&mut entry.key, entry.key_span.start);
            filling.node(&mut entry.node);
        }
    }
    filling.faults
}

struct Filling<'f> {
    values: BTreeMap<&'f str, Value>,
    /// Of all that was put in: a value may be named often.
    bytes: u64,
    source: &'f Source<'f>,
    faults: Vec<Fault>,
}

impl<'f> Filling<'f> {
    /// What each parameter is.
    fn settle(&mut self, declared: &'f Parameters, given: &Given, line: usize) {
        let names = || declared.0.iter().map(|(name, _)| name.as_str());
        for name in given.keys().filter(|name| names().all(|known| known != name.as_str())) {
            let expected = match closest(name, names()) {
                _ if declared.0.is_empty() => "the file has no parameters".to_owned(),
                Some(near) => format!("no such parameter; did you mean {near:?}?"),
                None => format!("no such parameter; there are {}", names().collect::<Vec<_>>().join(", ")),
            };
            self.fault(line, name, "", expected);
        }
        for (name, parameter) in &declared.0 {
            match (given.get(name), &parameter.usual) {
                (Some(text), usual) => match like(usual.as_ref(), text) {
                    Ok(value) => drop(self.values.insert(name, value)),
                    Err(expected) => self.fault(line, name, text, expected.to_owned()),
                },
                (None, Some(usual)) => drop(self.values.insert(name, usual.clone())),
                (None, None) => {
                    let help = parameter.help.iter().map(|help| format!(" ({help})")).collect::<String>();
                    self.fault(line, name, "", format!("must be given{help}: --set {name}=VALUE"));
                }
            }
        }
    }

    fn fault(&mut self, line: usize, name: &str, value: &str, expected: String) {
        let (field, value) = (format!("{FIELD}.{name}"), super::fault::shown(value));
        self.faults.push(Fault { line, task: None, field, value, expected });
    }

    fn node(&mut self, node: &mut Node) {
        let start = node.span.start;
        match &mut node.value {
            Value::Text(text) => match self.whole(text) {
                Some(value) => node.value = value,
                None => self.key(text, start),
            },
            Value::List(nodes) => nodes.iter_mut().for_each(|node| self.node(node)),
            Value::Table(entries) => entries.iter_mut().for_each(|entry| {
                self.key(&mut entry.key, entry.key_span.start);
                self.node(&mut entry.node);
            }),
            Value::Null | Value::Boolean(_) | Value::Number(_) | Value::Date => {}
        }
    }

    /// The value of a text that is one parameter and nothing else: it keeps its type.
    fn whole(&mut self, text: &str) -> Option<Value> {
        let name = text.trim().strip_prefix(OPENS)?.strip_suffix(CLOSES)?.trim();
        let value = self.values.get(name)?.clone();
        self.put(said(&value).len());
        Some(value)
    }

    /// Replaces parameters within a text.
    fn key(&mut self, text: &mut String, start: usize) {
        if !text.contains(OPENS) {
            return;
        }
        let (mut filled, mut rest) = (String::with_capacity(text.len()), text.as_str());
        while let Some((before, from)) = rest.split_once(OPENS) {
            filled.push_str(before);
            match from.split_once(CLOSES).map(|(name, behind)| (name.trim(), behind)) {
                // Braces of others, such as {{.Names}}, are left to them.
                Some((name, behind)) if is_name(name) => {
                    match self.values.get(name) {
                        Some(value) => {
                            let value = said(value).into_owned();
                            filled.push_str(&value);
                            if !self.put(value.len()) {
                                return;
                            }
                        }
                        None => self.unknown(name, start),
                    }
                    rest = behind;
                }
                _ => {
                    filled.push_str(OPENS);
                    rest = from;
                }
            }
        }
        filled.push_str(rest);
        *text = filled;
    }

    fn unknown(&mut self, name: &str, start: usize) {
        let known = self.values.keys().copied().collect::<Vec<_>>().join(", ");
        let expected = format!("is named here and not in [{FIELD}]; there are {known}");
        self.fault(self.source.line(start), name, "", expected);
    }

    /// `false` where the file has become larger than any may be.
    fn put(&mut self, bytes: usize) -> bool {
        let had_room = self.bytes <= FILE_LIMIT_BYTES;
        self.bytes = self.bytes.saturating_add(bytes as u64);
        let has_room = self.bytes <= FILE_LIMIT_BYTES;
        if had_room && !has_room {
            let expected = format!("with its parameters the file has more than {FILE_LIMIT_BYTES} bytes");
            self.faults.push(Fault {
                line: 0,
                task: None,
                field: FIELD.to_owned(),
                value: String::new(),
                expected,
            });
        }
        has_room
    }
}

/// A value that was given as text, of the type of the usual one.
fn like(usual: Option<&Value>, text: &str) -> Result<Value, &'static str> {
    match usual {
        Some(Value::Number(_)) if text.parse::<f64>().is_ok_and(f64::is_finite) => {
            Ok(Value::Number(text.to_owned()))
        }
        Some(Value::Number(_)) => Err("must be a number, as its usual value is"),
        Some(Value::Boolean(_)) => match text {
            "true" | "false" => Ok(Value::Boolean(text == "true")),
            _ => Err("must be true or false, as its usual value is"),
        },
        _ => Ok(Value::Text(text.to_owned())),
    }
}

fn said(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Text(text) | Value::Number(text) => text.into(),
        Value::Boolean(value) => value.to_string().into(),
        Value::Null | Value::Date | Value::List(_) | Value::Table(_) => "".into(),
    }
}

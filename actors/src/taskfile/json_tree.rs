//! JSON into a tree that knows where its values stand.
//!
//! serde_json keeps no positions, but it can hand out the text of each value as a part of its input.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::tree::{Entry, Malformed, Node, Value};

/// Tables within tables within lists: more than any task file has.
const DEPTH_LIMIT: usize = 16;

/// Reads the text. A name that is used twice in one object is an error, as it is in TOML.
pub(super) fn read(text: &str) -> (Node, Vec<Malformed>) {
    let mut reader = Reader { text, malformed: Vec::new() };
    let node = match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => reader.node(raw, 0),
        Err(error) => {
            let at = offset_of(text, error.line(), error.column());
            reader.malformed.push(Malformed::fatal(at..at, without_place(&error)));
            Node { span: 0..0, value: Value::Null }
        }
    };
    (node, reader.malformed)
}

struct Reader<'t> {
    text: &'t str,
    malformed: Vec<Malformed>,
}

impl<'t> Reader<'t> {
    fn node(&mut self, raw: &'t RawValue, depth: usize) -> Node {
        let span = self.span(raw.get());
        if depth > DEPTH_LIMIT {
            let what = format!("more than {DEPTH_LIMIT} levels of tables and lists");
            self.malformed.push(Malformed::fatal(span.clone(), what));
            return Node { span, value: Value::Null };
        }
        let value = match self.value(raw.get(), depth) {
            Ok(value) => value,
            Err(error) => {
                self.malformed.push(Malformed::fatal(span.clone(), without_place(&error)));
                Value::Null
            }
        };
        Node { span, value }
    }

    fn value(&mut self, raw: &'t str, depth: usize) -> serde_json::Result<Value> {
        Ok(match raw.as_bytes().first() {
            Some(b'{') => {
                let fields: Fields<'t> = serde_json::from_str(raw)?;
                self.table(fields, depth)
            }
            Some(b'[') => {
                let values: Vec<&'t RawValue> = serde_json::from_str(raw)?;
                Value::List(values.into_iter().map(|value| self.node(value, depth + 1)).collect())
            }
            Some(b'"') => Value::Text(serde_json::from_str(raw)?),
            Some(b't') => Value::Boolean(true),
            Some(b'f') => Value::Boolean(false),
            Some(b'n') => Value::Null,
            _ => Value::Number(plain(raw)),
        })
    }

    fn table(&mut self, fields: Fields<'t>, depth: usize) -> Value {
        let mut seen = rustc_hash::FxHashMap::default();
        let mut entries = Vec::with_capacity(fields.0.len());
        for (key, raw) in fields.0 {
            let node = self.node(raw, depth + 1);
            if let Some(first) = seen.insert(key.clone(), node.span.start) {
                let what = format!("{key:?} is there twice");
                self.malformed.push(Malformed {
                    span: node.span.clone(),
                    what,
                    first: Some(first),
                    recovered: true,
                });
                continue;
            }
            entries.push(Entry { key: key.into_owned(), key_span: node.span.clone(), node });
        }
        Value::Table(entries)
    }

    /// Where a part of the text stands in it.
    fn span(&self, part: &str) -> Range<usize> {
        let start = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        start..start + part.len()
    }
}

/// The fields of an object, in order, repeated names included.
struct Fields<'t>(Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// Without an exponent.
fn plain(number: &str) -> String {
    if !number.contains(['e', 'E']) {
        return number.to_owned();
    }
    number.parse::<f64>().map_or_else(|_| number.to_owned(), |number| number.to_string())
}

fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]).to_owned()
}

fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_where_they_stand() {
        let text = "{\n  \"a\": [1, \"x\\n\"],\n  \"b\": 1e3\n}";
        let (node, malformed) = read(text);
        assert_eq!(malformed, []);
        let Value::Table(fields) = node.value else { panic!("a table") };
        let Value::List(values) = &fields[0].node.value else { panic!("a list") };
        assert_eq!(&text[values[1].span.clone()], "\"x\\n\"");
        assert_eq!(values[1].value, Value::Text("x\n".into()));
        assert_eq!(fields[1].node.value, Value::Number("1000".into()));
    }

    #[test]
    fn a_repeated_name_is_an_error_that_knows_the_first() {
        let (_, malformed) = read("{\"a\": 1,\n\"a\": 2}");
        assert_eq!(malformed[0].first, Some(6));
        assert_eq!(malformed[0].what, "\"a\" is there twice");
    }

    #[test]
    fn an_error_has_its_place_and_depth_is_limited() {
        let (_, malformed) = read("{\n  \"a\": }");
        assert_eq!(malformed[0].span, 9..9);
        assert_eq!(malformed[0].what, "expected value");
        let (_, malformed) = read(&format!("{}{}", "[".repeat(100), "]".repeat(100)));
        assert_eq!(malformed[0].what, "more than 16 levels of tables and lists");
    }
}

//! TOML into a tree, with every syntax error and not only the first.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::tree::{Entry, Malformed, Node, Value};

/// Reads the text; the tree holds what could be read.
pub(super) fn read(text: &str) -> (Node, Vec<Malformed>) {
    let (document, errors) = DeTable::parse_recoverable(text);
    let malformed = errors.iter().filter_map(|error| malformed(text, error)).collect();
    let span = document.span();
    (Node { span, value: table(document.into_inner()) }, malformed)
}

fn table(table: DeTable<'_>) -> Value {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| Entry {
            key_span: key.span(),
            key: key.into_inner().into_owned(),
            node: node(value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_span.start);
    Value::Table(entries)
}

fn node(value: Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => Value::Number(integer(number.as_str(), number.radix())),
        DeValue::Float(number) => Value::Number(float(number.as_str())),
        DeValue::Boolean(value) => Value::Boolean(value),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(values) => Value::List(values.into_iter().map(node).collect()),
        DeValue::Table(values) => table(values),
    };
    Node { span, value }
}

fn integer(digits: &str, radix: u32) -> String {
    i128::from_str_radix(digits, radix).map_or_else(|_| digits.to_owned(), |number| number.to_string())
}

/// Without an exponent; `f64` shows the shortest digits that read back as the same number.
fn float(digits: &str) -> String {
    digits.parse::<f64>().map_or_else(|_| digits.to_owned(), |number| number.to_string())
}

/// `None` for an error that only follows from another one.
fn malformed(text: &str, error: &Error) -> Option<Malformed> {
    let span = error.span().unwrap_or(0..0);
    if error.message() != "duplicate key" {
        return Some(Malformed::fatal(span, error.message().replace('\n', "; ")));
    }
    let name = text.get(span.clone()).unwrap_or_default().to_owned();
    let first = first_use(text, &span);
    let in_repeated_table = first.is_none() && !line_at(text, span.start).starts_with('[');
    (!in_repeated_table).then(|| Malformed {
        span,
        what: format!("{name} is there twice"),
        first,
        recovered: true,
    })
}

/// Where the header, or the key of the same table, at `span` was used before.
fn first_use(text: &str, span: &Range<usize>) -> Option<usize> {
    let start = line_start(text, span.start);
    let line = line_at(text, span.start);
    let mut offset = start;
    let mut found = None;
    for earlier in text.get(..start)?.lines().rev() {
        offset = line_start(text, offset.saturating_sub(1));
        if line.starts_with('[') {
            if header(earlier) == header(line) {
                found = Some(offset);
            }
        } else if earlier.trim_start().starts_with('[') {
            break;
        } else if key(earlier) == key(line) {
            found = Some(offset);
        }
    }
    found
}

fn line_start(text: &str, offset: usize) -> usize {
    text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

fn line_at(text: &str, offset: usize) -> &str {
    text.get(line_start(text, offset)..).and_then(|rest| rest.lines().next()).unwrap_or_default().trim_start()
}

fn header(line: &str) -> &str {
    line.split_once(']').map_or(line, |(header, _)| header).trim()
}

fn key(line: &str) -> Option<&str> {
    line.split_once('=').map(|(key, _)| key.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_line_of(text: &str) -> Option<usize> {
        let (_, malformed) = read(text);
        assert_eq!(malformed.len(), 1, "{malformed:?}");
        malformed[0].first.map(|offset| text[..offset].matches('\n').count() + 1)
    }

    #[test]
    fn a_repeated_table_is_one_error_that_knows_the_first() {
        assert_eq!(first_line_of("a = 1\n[task.b]\nx = 1\n[task.c]\n[task.b]\nx = 2\n"), Some(2));
    }

    #[test]
    fn a_repeated_key_is_one_error_that_knows_the_first() {
        assert_eq!(first_line_of("[task.a]\nx = 1\n[task.b]\nx = 1\ny = 2\nx = 2\n"), Some(4));
    }

    #[test]
    fn every_syntax_error_is_found() {
        let (_, malformed) = read("a = \nb = [1,,2]\nc = 1\n");
        assert_eq!(malformed.len(), 2, "{malformed:?}");
    }

    #[test]
    fn fields_stand_in_the_order_of_the_file() {
        let (node, malformed) = read("[task.z]\nc = 1e-3\nb = 0x10\n[task.a]\n");
        assert_eq!(malformed, []);
        let Value::Table(root) = node.value else { panic!("a document is a table") };
        let Value::Table(tasks) = &root[0].node.value else { panic!("task is a table") };
        assert_eq!(tasks.iter().map(|entry| &*entry.key).collect::<Vec<_>>(), ["z", "a"]);
        let Value::Table(fields) = &tasks[0].node.value else { panic!("z is a table") };
        assert_eq!(fields[0].node.value, Value::Number("0.001".into()));
        assert_eq!(fields[1].node.value, Value::Number("16".into()));
    }
}

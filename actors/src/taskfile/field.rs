//! The values that fields take: how each is read, and how the published schema describes it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use policy::bounds::Deadline;
use policy::budget::OnReached;
use policy::constraint::{AvoidFailed, Condition, Distance, Near, Preference, Spread};
use policy::dependency::Need;
use policy::event::ArraySpec;
use policy::gang::GANG_LIMIT;
use policy::provision::Sandbox;
use policy::shards::By;
use policy::task::{Priority, Qos};
use policy::workspace::Keep;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::quantity::{self, QuantityError};
use super::reader::{Read, Reader};
use super::shape::Range;
use super::tree::{Node, Value};

/// The most attempts at a task: what admission takes.
const ATTEMPT_LIMIT: u64 = 1000;
/// The most tasks of an array that may be asked to run at once: more than any fleet does.
const PARALLEL_LIMIT: u64 = 1_000_000;
/// The largest amount of a budget: more than anybody counts.
const UNITS_LIMIT: u64 = 1_000_000_000_000;
/// The largest factor between two waits.
const FACTOR_LIMIT_PERCENT: u64 = 100_000;

/// Defines a value: its type, its schema, and how it is read.
macro_rules! values {
    ($($(#[$meta:meta])* $Name:ident($Type:ty) $schema:tt = $read:expr;)*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Default)]
            pub(super) struct $Name(pub(super) $Type);

            impl Read for $Name {
                fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
                    let read: fn(&Node, &mut Reader<'_>) -> Option<$Type> = $read;
                    read(node, reader).map(Self)
                }
            }

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
        )*
    };
}

values! {
    /// A text that is not empty.
    Text(String) { "type": "string", "minLength": 1 } = text;
    /// A list of texts that is not empty.
    Words(Vec<String>) { "type": "array", "items": { "type": "string" }, "minItems": 1 } = words;
    /// How a dependency must have ended.
    Manner(Need) { "enum": ["success", "end", "always"] } = super::after::need;
    /// Variables in order.
    Environment(Vec<(String, String)>) {
        "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] }
    } = environment;
    /// Thousandths of a core.
    Cpus(u64) { "type": "number", "minimum": 0.001, "maximum": 1_000_000 } = |node, reader| {
        amount(node, reader, quantity::cpus, QuantityError::Cpus)
    };
    /// Bytes.
    Memory(u64) { "type": ["string", "integer"], "examples": ["4 GiB", "512 MB"] } = |node, reader| {
        amount(node, reader, quantity::size, QuantityError::Size)
    };
    /// A length of time.
    Length(Duration) { "type": ["string", "number"], "examples": ["90s", "5m", "1h30m"] } = |node, reader| {
        amount(node, reader, quantity::duration, QuantityError::Duration)
    };
    /// A point in time.
    Until(Option<Deadline>) {
        "type": ["string", "number"], "examples": ["2h", "2026-12-24T18:00:00Z"]
    } = |node, reader| amount(node, reader, quantity::deadline, QuantityError::Deadline).map(Some);
    /// A number of slots.
    Slots(u64) { "type": "integer", "minimum": 0, "maximum": 1_000_000 } = |node, reader| {
        whole(node, reader, 0, 1_000_000)
    };
    /// Amounts by name.
    Amounts(BTreeMap<Box<str>, u64>) {
        "type": "object", "additionalProperties": { "type": "integer", "minimum": 0 }
    } = amounts;
    /// Conditions on labels that must hold.
    Conditions(Vec<Condition>) {
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "maxItems": 16 }],
        "examples": ["os=macos", ["xcode>=16", "rack in left,right", "gpu", "production!=yes"]]
    } = super::wish::texts;
    /// Conditions on labels that should hold.
    Preferences(Vec<Preference>) {
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "maxItems": 16 }],
        "examples": ["rack=left", ["rack=left", "50:disk=ssd"]]
    } = super::wish::texts;
    /// Data by name, with weights.
    Nearness(Vec<Near>) {
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "maxItems": 16 }],
        "examples": ["imagenet", ["50:imagenet", "weights-7b"]]
    } = super::wish::texts;
    /// How a group is spread.
    Spreads(Vec<Spread>) {
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "maxItems": 8 }],
        "examples": ["node=1", ["node=2", "rack=4"]]
    } = super::wish::texts;
    /// Groups.
    Groups(Vec<String>) {
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "maxItems": 8 }],
        "examples": ["builds", ["builds", "benchmarks"]]
    } = super::wish::texts;
    /// Groups, with weights.
    Distances(Vec<Distance>) {
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "maxItems": 8 }],
        "examples": ["builds", ["50:builds", "web"]]
    } = super::wish::texts;
    /// How the node of the last failure is avoided.
    Avoiding(AvoidFailed) { "enum": ["no", "prefer", "require"] } = super::wish::one_of;
    /// How much processes matter to the machine.
    Quality(Qos) { "enum": ["default", "utility", "background"] } = super::wish::one_of;
    /// Where it may write.
    Walls(Sandbox) { "enum": ["workspace"] } = super::wish::one_of;
    /// When a workspace stays.
    KeptWhen(Keep) { "enum": ["unsaved", "on_failure", "always", "never"] } = super::workspace::kept_when;
    /// A priority.
    Urgency(Priority) { "enum": ["low", "normal", "high", "critical"] } = super::wish::one_of;
    /// Attempts after the first one.
    Retries(u32) { "type": "integer", "minimum": 0, "maximum": 999 } = |node, reader| {
        small(node, reader, (0, ATTEMPT_LIMIT - 1))
    };
    /// Attempts in all.
    Attempts(u32) { "type": "integer", "minimum": 1, "maximum": 1000 } = |node, reader| {
        small(node, reader, (1, ATTEMPT_LIMIT))
    };
    /// How many tasks of an array may run at once.
    Parallel(u32) { "type": "integer", "minimum": 1, "maximum": 1_000_000 } = |node, reader| {
        small(node, reader, (1, PARALLEL_LIMIT))
    };
    /// Machines that a gang needs at once.
    Members(u32) { "type": "integer", "minimum": 2, "maximum": GANG_LIMIT } = |node, reader| {
        small(node, reader, (2, GANG_LIMIT.into()))
    };
    /// A number of indices.
    Indices(u32) { "type": "integer", "minimum": 1, "maximum": 65536 } = |node, reader| {
        small(node, reader, (1, 65_536))
    };
    /// An index of an array.
    Index(u64) { "type": "integer", "minimum": 0 } = |node, reader| whole(node, reader, 0, u64::MAX);
    /// Hundredths.
    Factor(u32) { "type": "number", "minimum": 1, "maximum": 1000 } = factor;
    /// Exit codes.
    ExitCodes(Vec<i32>) {
        "type": "array", "items": { "type": "integer", "minimum": 1, "maximum": 255 }
    } = exit_codes;
    /// Signals by number.
    SignalNumbers(Vec<i32>) {
        "type": "array", "items": { "type": "integer", "minimum": 1, "maximum": 64 }
    } = |node, reader| numbers(node, reader, 64, "must be a list of signals by number, such as [9, 15]");
    /// True or false.
    Truth(bool) { "type": "boolean" } = |node, reader| match node.value {
        Value::Boolean(value) => Some(value),
        _ => reader.wrong(node, "must be true or false"),
    };
    /// Retries of a whole graph.
    RetryBudget(u64) { "type": "integer", "minimum": 1, "maximum": 1_000_000_000_000_u64 } = |node, reader| {
        whole(node, reader, 1, UNITS_LIMIT)
    };
    /// Amounts of a budget.
    Units(u64) { "type": "integer", "minimum": 1, "maximum": 1_000_000_000_000_u64 } = |node, reader| {
        whole(node, reader, 1, UNITS_LIMIT)
    };
    /// What follows when a budget is reached.
    Follows(OnReached) { "enum": ["pause", "cancel"] } = |node, reader| match &node.value {
        Value::Text(text) if text.parse::<OnReached>().is_ok() => text.parse().ok(),
        _ => reader.wrong(node, "must be pause or cancel"),
    };
    /// How tests are divided.
    Dividing(By) { "enum": ["time", "count", "slice", "hash"] } = |node, reader| match &node.value {
        Value::Text(text) if text.parse::<By>().is_ok() => text.parse().ok(),
        _ => reader.wrong(node, "must be time, count, slice or hash"),
    };
    /// How often a task may be lost.
    Losses(u32) { "type": "integer", "minimum": 0, "maximum": 1000 } = |node, reader| {
        small(node, reader, (0, ATTEMPT_LIMIT))
    };
}

/// The indices of an array, as `"1-1000"`, `"0-9%4"`, or a table.
#[derive(Debug, Clone)]
pub(super) struct Array(pub(super) ArraySpec);

impl Read for Array {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let spec = match &node.value {
            Value::Text(text) => array(text),
            Value::Table(_) => {
                let range = Range::read(node, reader)?;
                array_of(&range)
            }
            _ => None,
        };
        match spec {
            Some(spec) => Some(Self(spec)),
            None => reader.wrong(node, ARRAY_EXPECTED),
        }
    }
}

impl JsonSchema for Array {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Array".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<Range>();
        let text = json_schema!({ "type": "string", "pattern": "^[0-9]+-[0-9]+(%[0-9]+)?$" });
        json_schema!({ "anyOf": [text, table], "examples": ["1-1000", "0-9%4"] })
    }
}

/// What the indices of an array must be.
pub const ARRAY_EXPECTED: &str =
    "must be the first and last index, such as \"1-1000\", with \"%4\" behind for at most 4 at once";

/// Reads `1-1000` or `0-9%4`.
#[must_use]
pub fn array(text: &str) -> Option<ArraySpec> {
    let (range, limit) = text.split_once('%').map_or((text, None), |(range, limit)| (range, Some(limit)));
    let (from, to) = range.split_once('-')?;
    let parallel_limit = match limit {
        None => None,
        Some(limit) => Some(limit.trim().parse().ok().filter(|&limit| limit > 0)?),
    };
    array_spec(from.trim().parse().ok()?, to.trim().parse().ok()?, parallel_limit)
}

fn array_of(range: &Range) -> Option<ArraySpec> {
    let from = range.from.as_ref().map_or(0, |from| from.value.0);
    array_spec(from, range.to.as_ref()?.value.0, range.limit.as_ref().map(|limit| limit.value.0))
}

fn array_spec(first: u64, last: u64, parallel_limit: Option<u32>) -> Option<ArraySpec> {
    let count = last.checked_sub(first)?.checked_add(1)?;
    Some(ArraySpec { first, count, parallel_limit })
}

fn text(node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    match &node.value {
        Value::Text(text) if !text.is_empty() => Some(text.clone()),
        _ => reader.wrong(node, "must be a text that is not empty"),
    }
}

fn words(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<String>> {
    const EXPECTED: &str = "must be a list of texts: the program and its arguments, such as [\"make\", \"-j2\"]; \
                            for a line that a shell reads write shell = \"…\"";
    let Value::List(nodes) = &node.value else { return reader.wrong(node, EXPECTED) };
    if nodes.is_empty() {
        return reader.wrong(node, EXPECTED);
    }
    texts(nodes, reader)
}

/// The words of a command.
pub(super) fn texts(nodes: &[Node], reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let text = |word: &Node| match &word.value {
        Value::Text(text) => Some(text.clone()),
        _ => reader.wrong(word, "must be a text: arguments stand in quotes"),
    };
    nodes.iter().map(text).collect()
}

fn environment(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<(String, String)>> {
    let Value::Table(entries) = &node.value else {
        return reader.wrong(node, "must be a table of variables, such as { RUST_LOG = \"info\" }");
    };
    let mut variables = Vec::with_capacity(entries.len());
    for entry in entries {
        let value = match &entry.node.value {
            Value::Text(text) | Value::Number(text) => text.clone(),
            Value::Boolean(value) => value.to_string(),
            _ => return reader.wrong(&entry.node, format!("variable {:?} must be a text", entry.key)),
        };
        variables.push((entry.key.clone(), value));
    }
    Some(variables)
}

fn amounts(node: &Node, reader: &mut Reader<'_>) -> Option<BTreeMap<Box<str>, u64>> {
    let Value::Table(entries) = &node.value else {
        return reader.wrong(node, "must be a table of amounts, such as { license = 1 }");
    };
    let mut amounts = BTreeMap::new();
    for entry in entries {
        let amount = reader.field::<Index>(entry)?;
        if amount.value.0 > 0 {
            amounts.insert(entry.key.as_str().into(), amount.value.0);
        }
    }
    Some(amounts)
}

fn factor(node: &Node, reader: &mut Reader<'_>) -> Option<u32> {
    let Value::Number(text) = &node.value else { return reader.wrong(node, "must be between 1 and 1000") };
    let percent = quantity::cpus(text).ok().map(|thousandths| thousandths / 10);
    match percent
        .filter(|percent| (100..=FACTOR_LIMIT_PERCENT).contains(percent))
        .and_then(|p| u32::try_from(p).ok())
    {
        Some(percent) => Some(percent),
        None => reader.wrong(node, "must be between 1 and 1000"),
    }
}

fn exit_codes(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<i32>> {
    numbers(node, reader, 255, "must be a list of exit codes, such as [75, 137]")
}

fn numbers(node: &Node, reader: &mut Reader<'_>, most: u64, expected: &str) -> Option<Vec<i32>> {
    let Value::List(nodes) = &node.value else { return reader.wrong(node, expected) };
    nodes.iter().map(|one| whole(one, reader, 1, most).and_then(|one| i32::try_from(one).ok())).collect()
}

/// A number or a text that `parse` reads.
fn amount<T>(
    node: &Node,
    reader: &mut Reader<'_>,
    parse: fn(&str) -> Result<T, QuantityError>,
    otherwise: QuantityError,
) -> Option<T> {
    let read = match &node.value {
        Value::Number(text) | Value::Text(text) => parse(text),
        _ => Err(otherwise),
    };
    read.map_or_else(|error| reader.wrong(node, error.to_string()), Some)
}

fn whole(node: &Node, reader: &mut Reader<'_>, from: u64, to: u64) -> Option<u64> {
    if let Value::Number(text) = &node.value
        && let Some(number) = text.parse().ok().filter(|number| (from..=to).contains(number))
    {
        return Some(number);
    }
    let expected = match to {
        u64::MAX => "must be a whole number from 0".to_owned(),
        _ => format!("must be a whole number between {from} and {}", grouped(to)),
    };
    reader.wrong(node, expected)
}

pub(super) fn small(node: &Node, reader: &mut Reader<'_>, (from, to): (u64, u64)) -> Option<u32> {
    whole(node, reader, from, to).and_then(|number| u32::try_from(number).ok())
}

/// `1000000` as `1,000,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read_as_written() {
        assert_eq!(array("1-1000"), Some(ArraySpec { first: 1, count: 1000, parallel_limit: None }));
        assert_eq!(array("0-9%4"), Some(ArraySpec { first: 0, count: 10, parallel_limit: Some(4) }));
        for wrong in ["", "5", "9-0", "1-2%0", "1-2%", "-1-2", "0-18446744073709551615", "a-b"] {
            assert_eq!(array(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(255), "255");
        assert_eq!(grouped(1_000_000), "1,000,000");
    }
}

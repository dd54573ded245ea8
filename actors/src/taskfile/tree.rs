//! A task file as a tree of values that know where they stand, whatever the format was.
//!
//! Knows nothing of tasks: what the tables and fields mean is for the readers above.

use std::ops::Range;

/// A value and where it stands in the file, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) value: Value,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// JSON's `null`: as if the field was not there.
    Null,
    Boolean(bool),
    /// In plain decimal notation, as long as it is finite.
    Number(String),
    Text(String),
    /// A date or time of TOML, which no field takes.
    Date,
    List(Vec<Node>),
    /// In the order of the file.
    Table(Vec<Entry>),
}

/// A field of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) node: Node,
}

/// Something in the text that is against the rules of its format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) span: Range<usize>,
    pub(super) what: String,
    /// Where a name is used twice, the place where it was used first.
    pub(super) first: Option<usize>,
    /// Whether the rest of the tree can still be trusted.
    pub(super) recovered: bool,
}

impl Malformed {
    /// An error after which nothing of the tree can be trusted.
    pub(super) fn fatal(span: Range<usize>, what: impl Into<String>) -> Self {
        Self { span, what: what.into(), first: None, recovered: false }
    }
}

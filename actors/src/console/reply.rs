//! What a question is answered with: rows of typed cells, and nothing of how they look.
//!
//! The terminal, JSON and whoever links the library get the same reply. Its JSON schema is [`schema`].

use std::time::Duration;

use policy::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::say;

/// The version of the field names in what is written as JSON.
pub const VERSION: u32 = 1;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Reply {
    /// What each row is: `task`, `actor`.
    pub what: String,
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// The rows; each has a cell for every column.
    pub rows: Vec<Vec<Cell>>,
    /// How it should be shown.
    pub shape: Shape,
    /// What is to be known beside the rows.
    pub notes: Vec<String>,
    /// Whether something is found wrong: a script should fail.
    pub alarm: bool,
}

/// How rows are best shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Below each other.
    #[default]
    Table,
    /// As a table whose first column is indented by the column `level`.
    Tree,
    /// Each by itself, field below field.
    Card,
    /// The first column beside the second, without heads.
    Lines,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Column {
    /// Its name, also that of the field in JSON.
    pub name: String,
    /// What stands in it.
    pub kind: Kind,
    /// How long it stays where there is no room for all: 0 goes last.
    pub rank: u8,
}

/// What stands in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Words, which may be cut short.
    Text,
    /// A name by which one asks for more; never cut short.
    Id,
    /// A word for how something is.
    State,
    /// How many.
    Number,
    /// How many bytes.
    Bytes,
    /// Thousandths of a core.
    Cores,
    /// How long, in microseconds.
    Length,
    /// When, in microseconds since 1970.
    Time,
}

/// What stands in one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Cell {
    /// Nothing.
    #[default]
    Nothing,
    /// An amount, as the column says.
    Number(u64),
    /// Words.
    Text(String),
}

impl Column {
    /// A column called `name`.
    #[must_use]
    pub fn new(name: &str, kind: Kind, rank: u8) -> Self {
        Self { name: name.to_owned(), kind, rank }
    }

    /// Whether amounts stand in it.
    #[must_use]
    pub fn is_amount(&self) -> bool {
        !matches!(self.kind, Kind::Text | Kind::Id | Kind::State)
    }

    /// A cell of this column, for people.
    #[must_use]
    pub fn text(&self, cell: &Cell) -> String {
        match (cell, self.kind) {
            (Cell::Nothing, _) => String::new(),
            (Cell::Text(text), _) => say::harmless(text),
            (Cell::Number(amount), Kind::Bytes) => say::size(*amount),
            (Cell::Number(amount), Kind::Cores) => say::cores(*amount),
            (Cell::Number(micros), Kind::Length) => short(Duration::from_micros(*micros)),
            (Cell::Number(at), Kind::Time) => say::clock_time(Timestamp(*at)),
            (Cell::Number(amount), _) => amount.to_string(),
        }
    }

    /// Its name in JSON: lengths of time are seconds.
    #[must_use]
    pub fn field(&self) -> String {
        let name = self.name.replace([' ', '-'], "_");
        match self.kind {
            Kind::Length => format!("{name}_s"),
            Kind::Bytes => format!("{name}_bytes"),
            _ => name,
        }
    }

    /// A cell of this column as JSON.
    #[must_use]
    pub fn json(&self, cell: &Cell) -> serde_json::Value {
        match (cell, self.kind) {
            (Cell::Nothing, _) => serde_json::Value::Null,
            (Cell::Text(text), _) => text.as_str().into(),
            (Cell::Number(micros), Kind::Length) => Duration::from_micros(*micros).as_secs_f64().into(),
            (Cell::Number(at), Kind::Time) => say::rfc3339(Timestamp(*at)).into(),
            (Cell::Number(millis), Kind::Cores) => Duration::from_millis(*millis).as_secs_f64().into(),
            (Cell::Number(amount), _) => (*amount).into(),
        }
    }
}

/// As [`say::length`], and finer below a hundredth of a second, as mailboxes need.
#[must_use]
pub fn short(length: Duration) -> String {
    match length.as_micros() {
        0 => "0".to_owned(),
        micros @ 1..1000 => format!("{micros}us"),
        micros @ 1000..10_000 => format!("{}.{}ms", micros / 1000, micros / 100 % 10),
        _ => say::length(length),
    }
}

impl Reply {
    /// Rows of `what` with these columns.
    #[must_use]
    pub fn new(what: &str, columns: &[(&str, Kind, u8)]) -> Self {
        let columns = columns.iter().map(|(name, kind, rank)| Column::new(name, *kind, *rank)).collect();
        Self { what: what.to_owned(), columns, ..Self::default() }
    }

    /// Lines of words: what each is about, and what is said of it.
    #[must_use]
    pub fn lines(what: &str) -> Self {
        Self { shape: Shape::Lines, ..Self::new(what, &[("about", Kind::Id, 0), ("text", Kind::Text, 0)]) }
    }

    /// Adds a line to [`Self::lines`].
    pub fn line(&mut self, about: impl Into<String>, text: impl Into<String>) {
        self.rows.push(vec![Cell::Text(about.into()), Cell::Text(text.into())]);
    }

    /// The place of a column; as the beginning of its name where that is only one's.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        let name = name.to_ascii_lowercase();
        let is = |column: &Column| column.name.eq_ignore_ascii_case(&name) || column.field() == name;
        self.columns.iter().position(is).or_else(|| {
            let mut begin =
                self.columns.iter().enumerate().filter(|(_, column)| column.name.starts_with(&name));
            begin.next().map(|(at, _)| at).filter(|_| begin.next().is_none())
        })
    }

    /// Each row as a JSON object on a line of its own.
    #[must_use]
    pub fn json_lines(&self) -> String {
        let mut lines = String::new();
        for row in &self.rows {
            let mut object = serde_json::Map::new();
            object.insert("v".to_owned(), VERSION.into());
            object.insert("what".to_owned(), self.what.as_str().into());
            for (column, cell) in self.columns.iter().zip(row) {
                object.insert(column.field(), column.json(cell));
            }
            lines.push_str(&serde_json::Value::Object(object).to_string());
            lines.push('\n');
        }
        lines
    }
}

impl Cell {
    /// Words; nothing where there are none.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "values are made in place, by whoever tells them")]
    pub fn text(text: impl ToString) -> Self {
        let text = text.to_string();
        if text.is_empty() { Self::Nothing } else { Self::Text(text) }
    }

    /// Words, if there are some.
    #[must_use]
    pub fn maybe(text: Option<impl ToString>) -> Self {
        text.map_or(Self::Nothing, Self::text)
    }

    /// A length of time.
    #[must_use]
    pub fn length(length: Duration) -> Self {
        Self::Number(u64::try_from(length.as_micros()).unwrap_or(u64::MAX))
    }

    /// A time.
    #[must_use]
    pub fn time(time: Timestamp) -> Self {
        Self::Number(time.0)
    }
}

/// The JSON schema of a [`Reply`].
#[must_use]
pub fn schema() -> String {
    serde_json::to_string_pretty(&schemars::schema_for!(Reply)).unwrap_or_default()
}

//! What stands behind `|`: rows left out, ordered, counted, columns chosen.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;

use crate::console::fault::Fault;
use crate::console::reply::{Cell, Column, Kind, Reply, Shape};
use crate::console::syntax::Word;
use crate::console::verb::STAGES;
use crate::taskfile::quantity;
use crate::taskfile::suggest::closest;

/// Rows where nobody says how many.
const HEAD: usize = 10;

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Rows for which it holds.
    Where {
        /// Of this column.
        field: Word,
        /// Compared so.
        op: Op,
        /// With this.
        value: Word,
    },
    /// In the order of this column.
    Sort {
        /// Which.
        field: Word,
        /// Whether the largest comes first.
        falling: bool,
    },
    /// The first so many.
    Head(usize),
    /// These columns.
    Select(Vec<Word>),
    /// How many.
    Count,
    /// How many for each value of this column.
    By(Word),
    /// As JSON; the renderer's.
    Json,
}

/// How two cells are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Op {
    Is,
    IsNot,
    Less,
    AtMost,
    More,
    AtLeast,
    Contains,
    Lacks,
}

/// Longer ones before those they begin with.
const OPS: [(&str, Op); 8] = [
    ("!=", Op::IsNot),
    ("!~", Op::Lacks),
    ("<=", Op::AtMost),
    (">=", Op::AtLeast),
    ("=", Op::Is),
    ("<", Op::Less),
    (">", Op::More),
    ("~", Op::Contains),
];

/// Reads the words between two bars.
pub(super) fn stage(words: &[Word], end: usize) -> Result<Stage, Fault> {
    let Some((name, rest)) = words.split_first() else {
        return Err(Fault::usage(end..end, "something should stand behind |").possible(stage_names()));
    };
    let usage = || STAGES.iter().find(|(stage, ..)| *stage == name.text).map_or("", |(_, usage, _)| *usage);
    let wrong =
        |span: Range<usize>| Fault::usage(span, format!("{} wants: {} {}", name.text, name.text, usage()));
    let at = rest.first().map_or(name.span.end..name.span.end, |word| word.span.clone());
    match (name.text.as_str(), rest) {
        ("where", rest) if !rest.is_empty() => condition(rest).ok_or_else(|| wrong(at)),
        ("sort", [field]) => {
            let falling = field.text.starts_with('-');
            let text = field.text.trim_start_matches(['-', '+']).to_owned();
            Ok(Stage::Sort { field: Word { text, span: field.span.clone() }, falling })
        }
        ("head", []) => Ok(Stage::Head(HEAD)),
        ("head", [number]) => number.text.parse().map(Stage::Head).map_err(|_| wrong(at)),
        ("select", [_, ..]) => {
            let fields = rest.iter().flat_map(|word| {
                word.text
                    .split(',')
                    .filter(|text| !text.is_empty())
                    .map(|text| Word { text: text.to_owned(), span: word.span.clone() })
            });
            Ok(Stage::Select(fields.collect()))
        }
        ("count", []) => Ok(Stage::Count),
        ("by", [field]) => Ok(Stage::By(field.clone())),
        ("json", []) => Ok(Stage::Json),
        _ if usage().is_empty() && !stage_names().any(|stage| stage == name.text) => {
            let fault = Fault::usage(name.span.clone(), format!("nothing behind | is called {}", name.text));
            let near = closest(&name.text, stage_names());
            let fault =
                near.into_iter().fold(fault, |fault, near| fault.help(format!("did you mean {near}?")));
            Err(fault.possible(stage_names()))
        }
        _ => Err(wrong(at)),
    }
}

fn stage_names() -> impl Iterator<Item = &'static str> {
    STAGES.iter().map(|(name, ..)| *name)
}

/// `mbox > 10`, `mbox>10`, `name ~ "a b"`.
fn condition(words: &[Word]) -> Option<Stage> {
    let joined: Vec<(usize, char)> =
        words.iter().enumerate().flat_map(|(word, text)| text.text.chars().map(move |c| (word, c))).collect();
    let text: String = joined.iter().map(|(_, c)| *c).collect();
    let at = text.char_indices().find(|(_, c)| "!<>=~".contains(*c))?.0;
    let (symbol, op) = OPS.iter().find(|(symbol, _)| text[at..].starts_with(symbol))?;
    let (field, value) = (text[..at].trim(), &text[at + symbol.len()..]);
    // The value keeps the spaces between its words.
    let spoken = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    let spoken = spoken.split_once(symbol).map_or(value, |(_, value)| value.trim());
    let (first, last) = (words.first()?.span.clone(), words.last()?.span.clone());
    (!field.is_empty()).then(|| Stage::Where {
        field: Word { text: field.to_owned(), span: first },
        op: *op,
        value: Word { text: spoken.to_owned(), span: last },
    })
}

/// What becomes of a reply.
///
/// # Errors
/// A column that is not there, or a value that cannot be compared with what stands in it.
pub fn apply(mut reply: Reply, stages: &[Stage]) -> Result<Reply, Fault> {
    for stage in stages {
        reply = step(reply, stage)?;
    }
    Ok(reply)
}

fn step(mut reply: Reply, stage: &Stage) -> Result<Reply, Fault> {
    match stage {
        Stage::Where { field, op, value } => {
            let at = column(&reply, field)?;
            let wanted = Wanted::new(&reply.columns[at], value)?;
            reply.rows.retain(|row| wanted.holds(*op, &row[at]));
            flatten(&mut reply);
        }
        Stage::Sort { field, falling } => {
            let at = column(&reply, field)?;
            reply.rows.sort_by(|one, other| {
                let order = one[at].cmp(&other[at]);
                if *falling { order.reverse() } else { order }
            });
            flatten(&mut reply);
        }
        Stage::Head(rows) => {
            let more = reply.rows.len().saturating_sub(*rows);
            reply.rows.truncate(*rows);
            if more > 0 {
                reply.notes.push(format!("{more} more"));
            }
        }
        Stage::Select(fields) => {
            let places = fields.iter().map(|field| column(&reply, field)).collect::<Result<Vec<_>, _>>()?;
            reply.columns =
                places.iter().map(|at| Column { rank: 0, ..reply.columns[*at].clone() }).collect();
            for row in &mut reply.rows {
                *row = places.iter().map(|at| row[*at].clone()).collect();
            }
            flatten(&mut reply);
        }
        Stage::Count => {
            let mut count = Reply::new("count", &[("count", Kind::Number, 0)]);
            count.rows.push(vec![Cell::Number(reply.rows.len() as u64)]);
            return Ok(count);
        }
        Stage::By(field) => return grouped(&reply, field),
        Stage::Json => {}
    }
    Ok(reply)
}

/// A tree out of order is a list, and what was narrowed is one, too.
fn flatten(reply: &mut Reply) {
    if matches!(reply.shape, Shape::Tree | Shape::Card) {
        reply.shape = Shape::Table;
    }
}

fn grouped(reply: &Reply, field: &Word) -> Result<Reply, Fault> {
    let at = column(reply, field)?;
    let mut counts: BTreeMap<&Cell, u64> = BTreeMap::new();
    for row in &reply.rows {
        *counts.entry(&row[at]).or_default() += 1;
    }
    let mut grouped = Reply { what: "group".to_owned(), ..Reply::default() };
    grouped.columns =
        vec![Column { rank: 0, ..reply.columns[at].clone() }, Column::new("count", Kind::Number, 0)];
    grouped.rows = counts.into_iter().map(|(cell, count)| vec![cell.clone(), Cell::Number(count)]).collect();
    grouped.rows.sort_by(|one, other| other[1].cmp(&one[1]).then_with(|| one[0].cmp(&other[0])));
    Ok(grouped)
}

fn column(reply: &Reply, field: &Word) -> Result<usize, Fault> {
    reply.column(&field.text).ok_or_else(|| {
        let names = || reply.columns.iter().map(|column| column.name.as_str());
        let fault = Fault::usage(field.span.clone(), format!("there is no column {}", field.text));
        let near = closest(&field.text, names());
        near.into_iter()
            .fold(fault, |fault, near| fault.help(format!("did you mean {near}?")))
            .possible(names())
    })
}

/// What cells are compared with.
struct Wanted {
    text: String,
    number: Option<u64>,
}

impl Wanted {
    fn new(column: &Column, value: &Word) -> Result<Self, Fault> {
        let text = value.text.trim().to_lowercase();
        let number = amount(column.kind, &text);
        if column.is_amount() && number.is_none() && !text.is_empty() {
            let what = match column.kind {
                Kind::Time => "nothing; ask for what happened with last=N, or go there with at",
                Kind::Length => "a length of time, such as 5s or 2m",
                Kind::Bytes => "a size, such as 4GiB",
                _ => "a number",
            };
            return Err(Fault::usage(value.span.clone(), format!("{} is compared with {what}", column.name)));
        }
        Ok(Self { text, number })
    }

    fn holds(&self, op: Op, cell: &Cell) -> bool {
        let text = match cell {
            Cell::Nothing => String::new(),
            Cell::Text(text) => text.to_lowercase(),
            Cell::Number(number) => number.to_string(),
        };
        let order = match (cell, self.number) {
            (Cell::Number(one), Some(other)) => one.cmp(&other),
            (Cell::Nothing, Some(other)) => 0.cmp(&other),
            _ => text.cmp(&self.text),
        };
        match op {
            Op::Is => order == Ordering::Equal,
            Op::IsNot => order != Ordering::Equal,
            Op::Less => order == Ordering::Less,
            Op::AtMost => order != Ordering::Greater,
            Op::More => order == Ordering::Greater,
            Op::AtLeast => order != Ordering::Less,
            Op::Contains => text.contains(&self.text),
            Op::Lacks => !text.contains(&self.text),
        }
    }
}

/// An amount as it stands in a column of this kind.
fn amount(kind: Kind, text: &str) -> Option<u64> {
    match kind {
        Kind::Length => match text.strip_suffix("us").and_then(|micros| micros.trim().parse().ok()) {
            Some(micros) => Some(micros),
            None => quantity::duration(text).ok().and_then(|length| u64::try_from(length.as_micros()).ok()),
        },
        Kind::Time => None,
        Kind::Bytes => quantity::size(text).ok(),
        Kind::Cores if text == "0" => Some(0),
        Kind::Cores => quantity::cpus(text).ok(),
        Kind::Number | Kind::Text | Kind::Id | Kind::State => text.parse().ok(),
    }
}

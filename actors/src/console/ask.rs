//! One question after the other: what it needs of whom, and the rows it is answered with.

pub(super) mod actors;
mod because;
mod blame;
mod claims;
pub(super) mod diff;
mod events;
mod fleet;
pub(super) mod followed;
pub(super) mod gather;
mod help;
pub(super) mod incoming;
mod leases;
mod sessions;
pub(super) mod tasks;
pub(super) mod top;
mod trace;
mod tree;
pub(super) mod what_if;

use crate::console::Console;
use crate::console::fault::{Fault, Sort};
use crate::console::reply::Reply;
use crate::console::syntax::{Line, Word};

/// Answers a line that looks.
#[expect(clippy::cognitive_complexity, reason = "one arm for each verb")]
pub(super) async fn ask(console: &Console, line: &Line) -> Result<Vec<Reply>, Fault> {
    let one = match line.verb.name {
        "status" => return fleet::status(console).await,
        "ps" | "tree" => actors::list(console, line).await?,
        "actor" => actors::one(console, line).await?,
        "state" => actors::state(console, line).await?,
        "top" => top::top(console, line).await?,
        "trace" => trace::trace(console, line).await?,
        "leases" => leases::leases(console).await?,
        "nodes" => fleet::nodes(console).await?,
        "node" => return fleet::node(console, line).await,
        "breakers" => fleet::breakers(console).await?,
        "tenants" => fleet::tenants(console).await?,
        "locks" => claims::locks(console).await?,
        "rates" => claims::rates(console).await?,
        "budgets" => claims::budgets(console).await?,
        "sessions" => sessions::sessions(line).await?,
        "tasks" => tasks::list(console, line).await?,
        "task" => return tasks::one(console, line).await,
        "queue" => tasks::queue(console).await?,
        "graphs" => tasks::graphs(console, line).await?,
        "graph" => return tasks::graph(console, line).await,
        "why" => tasks::why(console, line).await?,
        "blame" => blame::blame(console, line).await?,
        "lints" => super::lint::ask(console).await?,
        "events" => events::last(console, line).await?,
        "help" => help::help(line)?,
        other => return Err(Fault::of(Sort::Usage, format!("{other} is not a question"))),
    };
    Ok(vec![one])
}

/// The names of the columns that a verb is answered with, for completion.
pub(super) fn columns(verb: &str) -> Vec<&'static str> {
    let columns = match verb {
        "ps" | "tree" => actors::COLUMNS,
        "top" => top::TOP,
        "tasks" | "queue" | "task" | "graph" => tasks::TASK,
        "graphs" => tasks::GRAPH,
        "nodes" | "node" => fleet::NODE,
        "events" => events::EVENT,
        "locks" => claims::LOCK,
        "rates" => claims::RATE,
        "budgets" => claims::BUDGET,
        "sessions" => sessions::SESSION,
        "lints" => super::lint::LINT,
        _ => &[],
    };
    columns.iter().map(|(name, ..)| *name).collect()
}

/// The first plain word, which the verb's table has made sure of.
fn word(line: &Line) -> Result<&Word, Fault> {
    line.plain().next().ok_or_else(|| Fault::usage(line.span.clone(), "something is missing behind it"))
}

/// A number behind `key=`.
fn number(line: &Line, key: &str, usual: usize) -> Result<usize, Fault> {
    let Some(word) = line.pair(key) else { return Ok(usual) };
    word.text.parse().map_err(|_| Fault::usage(word.span.clone(), format!("{key} is a number")))
}

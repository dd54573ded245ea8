//! Actors of all machines, as their inspectors tell of them.

use std::time::Duration;

use policy::id::NodeId;
use supervision::{ChildState, First};

use crate::client::Client;
use crate::console::Console;
use crate::console::ask::gather::{Where, gather};
use crate::console::ask::incoming::{self, Coming};
use crate::console::ask::word;
use crate::console::fault::{Fault, Sort};
use crate::console::reply::{Cell, Kind, Reply, Shape, short};
use crate::console::syntax::{Line, Word};
use crate::taskfile::suggest::closest;
use crate::wire::inspect::{ActorRow, CHILDREN_LIMIT, Look, Sight};

/// Handling one message for so long is more than work: handlers never wait.
pub(crate) const STUCK_AFTER: Duration = Duration::from_secs(1);

/// `task/t12`, `scheduler`, `core`; with `@machine` where it is one's.
#[must_use]
pub(crate) fn name_of(row: &ActorRow, machine: Option<&NodeId>) -> String {
    let is_told = row.name.is_empty() || machine.is_some_and(|machine| *machine.0 == *row.name);
    let name = match (is_told, row.is_supervisor) {
        (true, _) => row.kind.to_string(),
        (false, true) => row.name.to_string(),
        (false, false) => format!("{}/{}", row.kind, row.name),
    };
    machine.map_or_else(|| name.clone(), |machine| format!("{name}@{machine}"))
}

/// In a word: how an actor is.
#[must_use]
pub(crate) fn state_of(row: &ActorRow) -> &'static str {
    match row.state {
        ChildState::Running if !row.answered => "silent",
        ChildState::Running if row.current.as_ref().is_some_and(|(_, since)| *since > STUCK_AFTER) => "stuck",
        ChildState::Running => "run",
        ChildState::Starting => "starting",
        ChildState::Restarting => "restarting",
        ChildState::Stopping => "stopping",
        ChildState::Ended => "ended",
        ChildState::Asleep => "asleep",
    }
}

pub(super) const COLUMNS: &[(&str, Kind, u8)] = &[
    ("actor", Kind::Id, 0),
    ("state", Kind::State, 1),
    ("mbox", Kind::Number, 0),
    ("high", Kind::Number, 4),
    ("wait99", Kind::Length, 3),
    ("in/s", Kind::Number, 2),
    ("handled", Kind::Number, 4),
    ("handle99", Kind::Length, 2),
    ("rst", Kind::Number, 2),
    ("lost", Kind::Number, 5),
    ("now", Kind::Text, 1),
    ("level", Kind::Number, 9),
    ("probe", Kind::Number, 8),
];

/// Where the level stands among them, behind which there is the probe.
const LEVEL: usize = COLUMNS.len() - 2;

fn cells(row: &ActorRow, machine: Option<&NodeId>, coming: Option<u64>) -> Vec<Cell> {
    let now = row.current.as_ref().map(|(kind, since)| format!("{kind} {}", short(*since)));
    let lost = row.undelivered + row.dropped;
    vec![
        Cell::text(name_of(row, machine)),
        Cell::text(state_of(row)),
        Cell::Number(row.mailbox),
        Cell::Number(row.high_water),
        Cell::length(row.waits[1]),
        coming.map_or(Cell::Nothing, Cell::Number),
        Cell::Number(row.handled),
        Cell::length(row.handlings[1]),
        Cell::Number(row.restarts.into()),
        Cell::Number(lost),
        Cell::maybe(now),
        Cell::Number(row.level.into()),
        Cell::Number(row.probe.0),
    ]
}

pub(super) async fn list(console: &Console, line: &Line) -> Result<Reply, Fault> {
    let is_tree = line.verb.name == "tree";
    let client = console.live("what actors do")?;
    let named = line.plain().next().map(|word| split(&word.text));
    let pair = line.pair("node").map(|word| word.text.as_str());
    let place = Where::of(named.as_ref().and_then(|(_, machine)| machine.as_deref()).or(pair));
    let name = named.as_ref().map(|(name, _)| name.as_str());
    let limit = if is_tree { 16 } else { CHILDREN_LIMIT };
    let look = Look::Actors { only: name.map(Into::into), first: First::Oldest, limit };
    let mut reply = Reply::new("actor", COLUMNS);
    reply.shape = if is_tree { Shape::Tree } else { Shape::Table };
    let (sides, coming) = incoming::look(console, client, (&place, &look), line).await?;
    for side in sides {
        match side.rows {
            Ok(rows) => fill(&mut reply, &rows, (side.machine.as_ref(), name, is_tree), &coming),
            Err(why) => reply.notes.push(unseen(side.machine.as_ref(), &why)),
        }
        if side.more > 0 {
            reply.notes.push(format!("{} more actors; name the one that is wanted", side.more));
        }
    }
    if let Some(word) = line.plain().next().filter(|_| reply.rows.is_empty()) {
        return Err(nobody(word, &[]));
    }
    reply.notes.extend(console.dropped());
    if is_tree {
        super::tree::beside(client, &mut reply, (0, LEVEL + 1)).await;
    }
    Ok(reply)
}

fn fill(
    reply: &mut Reply,
    rows: &[ActorRow],
    (machine, named, is_tree): (Option<&NodeId>, Option<&str>, bool),
    coming: &Coming,
) {
    let wanted = |row: &&ActorRow| match named {
        Some(name) => is_called(row, name) || (is_tree && row.is_supervisor),
        // Supervisors are of the tree; a list is of those that work.
        None => is_tree || !row.is_supervisor,
    };
    // The shards of a dynamic supervisor are how it is made, not what it is: while they are well, their children
    // stand below it.
    let mut passed = 0;
    for row in together(rows.iter().filter(wanted).collect()) {
        if is_tree && is_well_shard(row) && named.is_none() {
            passed = row.level;
            continue;
        }
        let is_below = passed > 0 && row.level > passed;
        if !is_below {
            passed = 0;
        }
        let level = row.level - u8::from(is_below);
        let row = &ActorRow { level, ..row.clone() };
        reply.rows.push(cells(row, machine, coming.of(machine, row.probe)));
        if row.more > 0 && is_tree {
            let mut more = vec![Cell::Nothing; COLUMNS.len()];
            more[0] = Cell::Text(format!("... {} more", row.more));
            more[LEVEL] = Cell::Number(u64::from(row.level) + 1);
            reply.rows.push(more);
        } else if row.more > 0 {
            let name = name_of(row, machine);
            reply.notes.push(format!("{} more below {name}; `ps NAME` finds each", row.more));
        }
    }
}

fn is_well_shard(row: &ActorRow) -> bool {
    &*row.kind == "shard" && row.is_supervisor && row.answered && row.restarts == 0 && row.more == 0
}

/// Those below the shards of one supervisor behind all of these, by their numbers: on which shard one is says nothing.
fn together(mut rows: Vec<&ActorRow>) -> Vec<&ActorRow> {
    let is_one = |row: &ActorRow, of: &ActorRow| {
        is_well_shard(row)
            || (!row.is_supervisor && row.kind == of.kind && row.name.contains(|c: char| c.is_ascii_digit()))
    };
    let mut from = 0;
    while from < rows.len() {
        let worker = rows[from..].iter().copied().find(|row| !is_well_shard(row));
        let length = worker.map_or(1, |of| rows[from..].iter().take_while(|row| is_one(row, of)).count());
        let length = length.max(1);
        rows[from..from + length].sort_by(|one, other| numbers(one).cmp(&numbers(other)));
        from += length;
    }
    rows
}

/// Shards first, in the order in which they are.
fn numbers(row: &ActorRow) -> Option<Vec<(&str, u64)>> {
    (!row.is_supervisor).then(|| crate::inspect::numbers(&row.name))
}

fn unseen(machine: Option<&NodeId>, why: &str) -> String {
    machine.map_or_else(
        || format!("the scheduler side is not seen: {why}"),
        |node| format!("{node} is not seen: {why}"),
    )
}

/// The name, and the machine behind `@`.
fn split(word: &str) -> (String, Option<String>) {
    match word.rsplit_once('@') {
        Some((name, machine)) if !name.is_empty() => (name.to_owned(), Some(machine.to_owned())),
        _ => (word.to_owned(), None),
    }
}

fn is_called(row: &ActorRow, name: &str) -> bool {
    name == &*row.name
        || name == &*row.kind
        || name.strip_prefix('#').is_some_and(|id| id == row.probe.0.to_string())
        || name.split_once('/').is_some_and(|(kind, rest)| kind == &*row.kind && rest == &*row.name)
}

fn nobody(word: &Word, known: &[String]) -> Fault {
    let fault = Fault::of(Sort::NotFound, format!("there is no actor {}", word.text)).at(word.span.clone());
    let near = closest(&word.text, known.iter().map(String::as_str));
    let fault = near.into_iter().fold(fault, |fault, near| fault.help(format!("did you mean {near}?")));
    fault.help("`ps` and `tree` show them; `kind/name@machine`, or #probe")
}

/// The one actor that a word names, and where it is.
pub(crate) async fn find(client: &Client, word: &Word) -> Result<(ActorRow, Option<NodeId>), Fault> {
    let (name, machine) = split(&word.text);
    let look = Look::Actors { only: Some(name.as_str().into()), first: First::Oldest, limit: CHILDREN_LIMIT };
    let sides = gather(client, &Where::of(machine.as_deref()), &look).await?;
    let mut found = Vec::new();
    let mut known = Vec::new();
    for side in sides {
        let Ok(rows) = side.rows else { continue };
        known.extend(rows.iter().map(|row| name_of(row, side.machine.as_ref())));
        found.extend(
            rows.into_iter().filter(|row| is_called(row, &name)).map(|row| (row, side.machine.clone())),
        );
    }
    // The one that works goes before a supervisor of the same name.
    if found.iter().any(|(row, _)| !row.is_supervisor) {
        found.retain(|(row, _)| !row.is_supervisor);
    }
    match found.len() {
        0 => Err(nobody(word, &known)),
        1 => Ok(found.remove(0)),
        many => {
            let text = format!("{} names {many} actors", word.text);
            let names = found.iter().map(|(row, machine)| name_of(row, machine.as_ref()));
            Err(Fault::usage(word.span.clone(), text).possible(names))
        }
    }
}

pub(super) async fn one(console: &Console, line: &Line) -> Result<Reply, Fault> {
    let client = console.live("what actors do")?;
    let (row, machine) = find(client, word(line)?).await?;
    let mut reply = Reply::new(
        "actor",
        &[
            ("actor", Kind::Id, 0),
            ("state", Kind::State, 0),
            ("now", Kind::Text, 0),
            ("mbox", Kind::Number, 0),
            ("high", Kind::Number, 0),
            ("enqueued", Kind::Number, 0),
            ("handled", Kind::Number, 0),
            ("undelivered", Kind::Number, 0),
            ("dropped", Kind::Number, 0),
            ("wait50", Kind::Length, 0),
            ("wait99", Kind::Length, 0),
            ("handle50", Kind::Length, 0),
            ("handle99", Kind::Length, 0),
            ("restarts", Kind::Number, 0),
            ("restarted", Kind::Text, 0),
            ("probe", Kind::Number, 0),
        ],
    );
    let now = row.current.as_ref().map(|(kind, since)| format!("{kind} for {}", short(*since)));
    let restarted = row.restarted.iter().rev().map(|ago| short(*ago)).collect::<Vec<_>>().join(", ");
    let restarted = if restarted.is_empty() { restarted } else { format!("{restarted} ago") };
    reply.shape = Shape::Card;
    reply.rows.push(vec![
        Cell::text(name_of(&row, machine.as_ref())),
        Cell::text(state_of(&row)),
        Cell::maybe(now),
        Cell::Number(row.mailbox),
        Cell::Number(row.high_water),
        Cell::Number(row.enqueued),
        Cell::Number(row.handled),
        Cell::Number(row.undelivered),
        Cell::Number(row.dropped),
        Cell::length(row.waits[0]),
        Cell::length(row.waits[1]),
        Cell::length(row.handlings[0]),
        Cell::length(row.handlings[1]),
        Cell::Number(row.restarts.into()),
        Cell::text(restarted),
        Cell::Number(row.probe.0),
    ]);
    Ok(reply)
}

/// `busy 12.4s in Dispatch, 41 waiting`.
#[must_use]
pub(crate) fn busy(row: &ActorRow) -> String {
    match &row.current {
        Some((kind, since)) => format!("busy {} in {kind}, {} waiting", short(*since), row.mailbox),
        None => format!("it does not answer, {} waiting", row.mailbox),
    }
}

pub(super) async fn state(console: &Console, line: &Line) -> Result<Reply, Fault> {
    let client = console.live("what actors hold")?;
    let word = word(line)?;
    let (row, machine) = find(client, word).await?;
    let mut reply = Reply::lines("fact");
    reply.line("actor", name_of(&row, machine.as_ref()));
    match client.inspect(machine, Look::State(row.probe)).await? {
        Sight::State(facts) => {
            facts.iter().for_each(|fact| reply.line(&*fact.name, &*fact.value));
            if facts.is_empty() {
                reply.notes.push("it shows nothing of what it holds".to_owned());
            }
        }
        Sight::Busy(row) => {
            reply.line("state", busy(&row));
            reply.alarm = true;
        }
        Sight::Unseen(why) => return Err(Fault::of(Sort::Unreachable, why.to_string())),
        Sight::NoActor
        | Sight::Actors { .. }
        | Sight::Traced { .. }
        | Sight::Restarted
        | Sight::Workspaces(..)
        | Sight::Discarded(_)
        | Sight::Changes(_)
        | Sight::Levels(_) => {
            return Err(nobody(word, &[]));
        }
    }
    Ok(reply)
}

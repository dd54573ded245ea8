//! The actors with the most, by what happens between two looks.

use std::time::Duration;

use rustc_hash::FxHashMap;
use supervision::{First, ProbeId};

use crate::console::Console;
use crate::console::ask::actors::{name_of, state_of};
use crate::console::ask::gather::{Gathered, Where, gather_for};
use crate::console::fault::Fault;
use crate::console::reply::{Cell, Kind, Reply, short};
use crate::console::syntax::Line;
use crate::taskfile::quantity;
use crate::wire::inspect::{ActorRow, Look};

/// Between the two looks, where nobody says.
const WINDOW: Duration = Duration::from_secs(1);
/// The longest window: who wants to wait longer watches.
pub(super) const WINDOW_LIMIT: Duration = Duration::from_secs(60);
/// Actors that are told: a screen.
const SHOWN: usize = 20;

/// By what they are ordered.
const BY: &[&str] = &["mbox", "grow", "in", "wait", "handle", "restarts"];

/// What happened to one actor between two looks.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) row: ActorRow,
    pub(crate) machine: Option<policy::id::NodeId>,
    /// Messages put into its mailbox, in a second.
    pub(crate) coming: u64,
    /// Messages handled, in a second.
    pub(crate) going: u64,
    /// By how many more wait now.
    pub(crate) growth: i64,
}

/// Of the rows of `actor`.
pub(super) const TOP: &[(&str, Kind, u8)] = &[
    ("actor", Kind::Id, 0),
    ("state", Kind::State, 1),
    ("mbox", Kind::Number, 0),
    ("grow", Kind::Text, 1),
    ("in/s", Kind::Number, 1),
    ("out/s", Kind::Number, 2),
    ("wait99", Kind::Length, 2),
    ("handle99", Kind::Length, 2),
    ("rst", Kind::Number, 2),
    ("now", Kind::Text, 1),
];

pub(super) async fn top(console: &Console, line: &Line) -> Result<Reply, Fault> {
    let by = line.pair("by");
    let key = by.map_or("mbox", |word| word.text.as_str());
    if let Some(word) = by.filter(|word| !BY.contains(&word.text.as_str())) {
        let text = format!("nothing is ordered by {}", word.text);
        return Err(Fault::usage(word.span.clone(), text).possible(BY));
    }
    let window = match line.pair("window") {
        None => WINDOW,
        Some(word) => match quantity::duration(&word.text) {
            Ok(window) if !window.is_zero() && window <= WINDOW_LIMIT => window,
            _ => {
                let text = format!("a window is at most {}", short(WINDOW_LIMIT));
                return Err(Fault::usage(word.span.clone(), text));
            }
        },
    };
    let place = line.pair("node").map_or(Where::Everywhere, |word| Where::Machine(word.text.as_str().into()));
    let mut changes = changes(console, &place, window).await?;
    // Supervisors and what they ask each other are of the one who looks.
    changes.retain(|change| !change.row.is_supervisor);
    changes.sort_by_key(|change| std::cmp::Reverse(amount(change, key)));
    let mut reply = Reply::new("actor", TOP);
    reply.rows = changes.iter().take(SHOWN).map(cells).collect();
    reply.notes.push(format!("by {key}, within {}", short(window)));
    reply.notes.extend(console.dropped());
    Ok(reply)
}

fn cells(change: &Change) -> Vec<Cell> {
    let Change { row, machine, coming, going, growth } = change;
    let now = row.current.as_ref().map(|(kind, since)| format!("{kind} {}", short(*since)));
    vec![
        Cell::text(name_of(row, machine.as_ref())),
        Cell::text(state_of(row)),
        Cell::Number(row.mailbox),
        if *growth == 0 { Cell::Nothing } else { Cell::text(format!("{growth:+}")) },
        Cell::Number(*coming),
        Cell::Number(*going),
        Cell::length(row.waits[1]),
        Cell::length(row.handlings[1]),
        Cell::Number(row.restarts.into()),
        Cell::maybe(now),
    ]
}

fn amount(change: &Change, key: &str) -> (u64, u64) {
    let micros = |length: Duration| u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
    let row = &change.row;
    let first = match key {
        "grow" => u64::try_from(change.growth).unwrap_or(0),
        "in" => change.coming,
        "wait" => micros(row.waits[1]),
        "handle" => row.current.as_ref().map_or(0, |(_, since)| micros(*since)).max(micros(row.handlings[1])),
        "restarts" => row.restarts.into(),
        _ => row.mailbox,
    };
    (first, change.coming)
}

/// Looks twice.
pub(crate) async fn changes(
    console: &Console,
    place: &Where,
    window: Duration,
) -> Result<Vec<Change>, Fault> {
    let client = console.live("what actors do")?;
    let look = Look::Actors { only: None, first: First::Deepest, limit: 64 };
    let before = gather_for(console, client, (place, &look)).await?;
    tokio::time::sleep(window).await;
    let after = gather_for(console, client, (place, &look)).await?;
    Ok(between(&before, after, window))
}

/// What happened between two looks.
pub(crate) fn between(before: &[Gathered], after: Vec<Gathered>, window: Duration) -> Vec<Change> {
    let key = |side: &Gathered, row: &ActorRow| (side.machine.clone(), row.probe);
    let mut known: FxHashMap<(Option<policy::id::NodeId>, ProbeId), &ActorRow> = FxHashMap::default();
    for side in before {
        let rows = side.rows.iter().flatten();
        known.extend(rows.map(|row| (key(side, row), row)));
    }
    let a_second = |count: u64| {
        let micros = u64::try_from(window.as_micros()).unwrap_or(u64::MAX).max(1);
        count.saturating_mul(1_000_000) / micros
    };
    let mut changes = Vec::new();
    for side in after {
        let machine = side.machine.clone();
        for row in side.rows.iter().flatten() {
            let earlier = known.get(&key(&side, row));
            let since = |now: u64, then: fn(&ActorRow) -> u64| {
                now.saturating_sub(earlier.map_or(0, |earlier| then(earlier)))
            };
            let coming = a_second(since(row.enqueued, |row| row.enqueued));
            let going = a_second(since(row.handled, |row| row.handled));
            let then = earlier.map_or(0, |earlier| earlier.mailbox);
            let growth =
                i64::try_from(row.mailbox).unwrap_or(i64::MAX) - i64::try_from(then).unwrap_or(i64::MAX);
            changes.push(Change { row: row.clone(), machine: machine.clone(), coming, going, growth });
        }
    }
    changes
}

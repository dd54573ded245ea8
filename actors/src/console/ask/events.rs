//! What has happened, in order.

use policy::event::Record;

use crate::console::Console;
use crate::console::ask::number;
use crate::console::fault::Fault;
use crate::console::reply::{Cell, Kind, Reply};
use crate::console::syntax::Line;
use crate::say;
use crate::wire::client::{EventFilter, Target};

/// Events that are told where nobody says how many.
const EVENTS: usize = 40;

/// Of the rows of `event`.
pub(super) const EVENT: &[(&str, Kind, u8)] =
    &[("event", Kind::Number, 0), ("at", Kind::Time, 1), ("cause", Kind::Number, 4), ("what", Kind::Text, 0)];

/// Events as rows.
pub(crate) fn table<'a>(records: impl Iterator<Item = &'a Record>) -> Reply {
    let mut reply = Reply::new("event", EVENT);
    let number = |number: u64| if number == 0 { Cell::Nothing } else { Cell::Number(number) };
    reply.rows = records
        .map(|record| {
            let what = Cell::text(say::event::text(&record.event));
            vec![number(record.number), Cell::time(record.at), number(record.cause), what]
        })
        .collect();
    reply
}

pub(super) async fn last(console: &Console, line: &Line) -> Result<Reply, Fault> {
    let limit = number(line, "last", EVENTS)?;
    let target = match line.plain().next() {
        Some(word) => Some(console.target(word).await?),
        None => None,
    };
    let Some(client) = console.client() else {
        let fold = console.past.fold();
        let wanted = |record: &&Record| target.is_none_or(|target| fold.is_about(record, target));
        let mut records: Vec<_> = console.past.upto(fold.number()).rev().filter(wanted).take(limit).collect();
        records.reverse();
        return Ok(table(records.into_iter()));
    };
    let (filter, all) = match target {
        None => (EventFilter::All, false),
        Some(Target::Task(task)) => (EventFilter::Task(task), true),
        Some(Target::Graph(graph)) => (EventFilter::Graph(graph), true),
    };
    let durable = client.hello().await?.durable;
    // Of one target all have to be looked through: where they stand is not known beforehand.
    let mut after = if all { 0 } else { durable.saturating_sub(limit as u64) };
    let mut records = Vec::new();
    while after < durable {
        let page = client.events_page(after, filter, std::time::Duration::ZERO).await?;
        if page.next_after <= after {
            break;
        }
        after = page.next_after;
        records.extend(page.records);
        let beyond = records.len().saturating_sub(limit);
        records.drain(..beyond);
    }
    Ok(table(records.iter()))
}

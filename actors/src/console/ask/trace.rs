//! The messages that go through an actor, for a while.

use std::collections::BTreeMap;
use std::time::Duration;

use supervision::First;

use crate::console::Console;
use crate::console::ask::actors::{find, name_of};
use crate::console::ask::gather::{Where, gather};
use crate::console::ask::{number, word};
use crate::console::fault::{Fault, Sort};
use crate::console::reply::{Cell, Kind, Reply, short};
use crate::console::syntax::Line;
use crate::taskfile::quantity;
use crate::wire::inspect::{CHILDREN_LIMIT, Look, Sight, TRACE_LIMIT};

/// Behind the actor: what messages show of themselves is wanted as well.
const PAYLOAD: &str = "payload";
/// Messages where nobody says how many.
const MESSAGES: usize = 50;
/// How long where nobody says.
const USUAL: Duration = Duration::from_secs(5);

pub(super) async fn trace(console: &Console, line: &Line) -> Result<Reply, Fault> {
    let client = console.live("what goes through actors")?;
    let (row, machine) = find(client, word(line)?).await?;
    let limit = u32::try_from(number(line, "max", MESSAGES)?).unwrap_or(u32::MAX);
    let within = match line.pair("for") {
        None => USUAL,
        Some(word) => match quantity::duration(&word.text) {
            Ok(within) if within <= TRACE_LIMIT => within,
            _ => {
                let text = format!("a trace takes at most {}", short(TRACE_LIMIT));
                return Err(Fault::usage(word.span.clone(), text));
            }
        },
    };
    let look = Look::Trace { probe: row.probe, limit, within };
    let (messages, missed) = match client.inspect(machine.clone(), look).await? {
        Sight::Traced { messages, missed } => (messages, missed),
        Sight::Unseen(why) => return Err(Fault::of(Sort::Busy, why.to_string())),
        _ => return Err(Fault::of(Sort::NotFound, "that actor is gone")),
    };
    let place = machine.clone().map_or(Where::Scheduler, Where::Machine);
    let look = Look::Actors { only: None, first: First::Oldest, limit: CHILDREN_LIMIT };
    let sides = gather(client, &place, &look).await?;
    let rows = sides.iter().filter_map(|side| side.rows.as_ref().ok()).flatten();
    let names: BTreeMap<_, _> = rows.map(|row| (row.probe, name_of(row, None))).collect();
    let wants_payload = line.has(PAYLOAD);
    let mut columns = vec![
        ("message", Kind::Number, 1),
        ("after", Kind::Length, 0),
        ("kind", Kind::Id, 0),
        ("from", Kind::Text, 0),
        ("waited", Kind::Length, 0),
        ("took", Kind::Length, 0),
        ("cause", Kind::Number, 2),
    ];
    columns.extend(wants_payload.then_some(("payload", Kind::Text, 0)));
    let mut reply = Reply::new("message", &columns);
    for one in messages {
        // An actor that is gone by now has no name any more.
        let from = one.from.map(|from| names.get(&from).cloned().unwrap_or_else(|| format!("#{}", from.0)));
        let (kind, payload) = one.kind.split_once(' ').unwrap_or((&one.kind, ""));
        let mut row = vec![
            Cell::Number(one.number),
            Cell::length(one.after),
            Cell::text(kind),
            Cell::maybe(from),
            Cell::length(one.waited),
            Cell::length(one.took),
            if one.cause == 0 { Cell::Nothing } else { Cell::Number(one.cause) },
        ];
        row.extend(wants_payload.then(|| Cell::text(payload)));
        reply.rows.push(row);
    }
    if missed > 0 || reply.rows.len() >= limit as usize {
        reply.notes.push(format!("the limit of {limit} was reached; max=N traces more"));
    }
    Ok(reply)
}

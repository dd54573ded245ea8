//! Why a machine takes nothing, and which events led to one.

use policy::event::Record;
use policy::strain::Level;

use crate::console::Console;
use crate::console::eye::Eye;
use crate::console::fault::{Fault, Sort};
use crate::console::lint;
use crate::console::reply::{Kind, Reply};
use crate::console::syntax::Word;
use crate::say;
use crate::wire::client::{EventFilter, NodeHealth, NodeRow};

/// Links of a chain of causes that are told: as many as a person follows.
const CHAIN_LIMIT: usize = 20;

/// The number in `e81`; `None` where it is something else.
pub(super) fn event_in(word: &Word) -> Option<u64> {
    word.text.strip_prefix('e').and_then(|number| number.parse().ok())
}

/// An event and those that led to it, back to the first.
pub(super) async fn event(console: &Console, word: &Word, mut number: u64) -> Result<Reply, Fault> {
    let mut reply = Reply::new("event", &[("event", Kind::Number, 0), ("what", Kind::Text, 0)]);
    while number > 0 && reply.rows.len() < CHAIN_LIMIT {
        let Some(record) = record(console, number).await? else {
            if reply.rows.is_empty() {
                let text = format!("there is no event {number}");
                return Err(Fault::of(Sort::NotFound, text).at(word.span.clone()));
            }
            reply.notes.push(format!("event {number} was removed by retention"));
            break;
        };
        let led = if reply.rows.is_empty() { "" } else { "because of: " };
        let what = format!("{led}{}", say::harmless(&say::event::text(&record.event)));
        reply
            .rows
            .push(vec![crate::console::reply::Cell::Number(number), crate::console::reply::Cell::text(what)]);
        number = record.cause;
    }
    Ok(reply)
}

async fn record(console: &Console, number: u64) -> Result<Option<Record>, Fault> {
    match console.client() {
        None => Ok(console.past.upto(number).next_back().filter(|record| record.number == number).cloned()),
        Some(client) => {
            let after = number.saturating_sub(1);
            let page = client.events_page(after, EventFilter::All, std::time::Duration::ZERO).await?;
            Ok(page.records.into_iter().next().filter(|record| record.number == number))
        }
    }
}

/// Whether a machine takes work, and why not; `None` where there is none of this name.
pub(super) async fn node(console: &Console, eye: Eye<'_>, word: &Word) -> Result<Option<Reply>, Fault> {
    let nodes = eye.nodes().await?;
    let Some(row) = nodes.iter().find(|row| *row.node.0 == *word.text) else { return Ok(None) };
    let mut reply = Reply::lines("reason");
    let because = refusals(row);
    let verdict =
        if because.is_empty() { "it takes work that it has room for" } else { "it takes no new work" };
    reply.line("verdict", format!("{} is {}: {verdict}", row.node, row.health));
    because.into_iter().for_each(|why| reply.line("because", why));
    let free = row.capacity.cpu_millis.saturating_sub(row.allocated.cpu_millis);
    let memory = row.capacity.memory_bytes.saturating_sub(row.allocated.memory_bytes);
    let free =
        format!("{} cores and {} of memory, {} running", say::cores(free), say::size(memory), row.running);
    reply.line("free", free);
    for lint in lint::of_nodes(std::slice::from_ref(row), console.now()) {
        reply.line("lint", format!("{}; {}", lint.evidence, lint.fix));
    }
    Ok(Some(reply))
}

fn refusals(row: &NodeRow) -> Vec<String> {
    let directed = &row.directed;
    let said = [
        (row.health == NodeHealth::Lost, "nothing was heard of it for longer than its lease"),
        (directed.halted || directed.halted_here, "it is halted: `unhalt`"),
        (directed.draining, "an operator empties it: `uncordon`"),
        (directed.cordoned, "an operator keeps new work from it: `uncordon`"),
    ];
    let said = said.into_iter().filter(|(holds, _)| *holds).map(|(_, why)| why.to_owned());
    let breaker = row.breakers.iter().filter(|(kind, _)| kind.is_none());
    let strain = match row.strain.level {
        Level::Normal => None,
        Level::Warn => Some(format!("nothing heavy comes while it is strained, {}", row.strain)),
        Level::Critical => Some(format!("it is strained, {}", row.strain)),
    };
    let said = said.chain(strain);
    said.chain(breaker.map(|(_, seen)| format!("its breaker is {seen}"))).collect()
}

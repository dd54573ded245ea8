//! `crab nodes`.

use actors::client::Client;
use actors::clock::Clock;
use actors::say;
use actors::wire::client::{Directed, NodeRow};
use policy::strain::Level;
use policy::time::Timestamp;

use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::{json, text};

pub(crate) async fn run(client: &Client, screen: &mut Screen) -> anyhow::Result<Exit> {
    let nodes = client.nodes().await?;
    if screen.json {
        for node in &nodes {
            screen.object(&json::Node::from(node))?;
        }
    } else if nodes.is_empty() {
        screen.note("there are no machines yet; join one with `crabd --join HOST:PORT`");
    } else {
        screen.line(table(&nodes, Clock::system().wall()))?;
    }
    Ok(Exit::SUCCESS)
}

/// How it is, and which of its breakers are not closed: `up, breaker open for another 40s`.
pub(crate) fn health(node: &NodeRow) -> String {
    let breakers = node.breakers.iter().map(|(kind, seen)| match kind {
        None => format!(", breaker {seen}"),
        Some(kind) => format!(", breaker for {kind} {seen}"),
    });
    let said = node.directed.said.as_ref().map(|said| format!(" ({})", text::harmless(&say::said(said))));
    let said = said.unwrap_or_default();
    let strain = match node.strain.level {
        Level::Normal => String::new(),
        Level::Warn | Level::Critical => format!(", strained ({})", node.strain),
    };
    format!("{}{}{said}{strain}{}", node.health, directed(&node.directed), breakers.collect::<String>())
}

/// What operators have said of it: `, draining until 12:00:00`.
fn directed(directed: &Directed) -> String {
    let taking = match directed {
        Directed { drained: true, .. } => ", drained".to_owned(),
        Directed { draining: true, drain_deadline: Some(deadline), .. } => {
            format!(", draining until {}", text::clock_time(*deadline))
        }
        Directed { draining: true, .. } => ", draining".to_owned(),
        Directed { cordoned: true, .. } => ", cordoned".to_owned(),
        _ => String::new(),
    };
    let halted = match (directed.halted, directed.halted_here) {
        (_, true) => ", halted on the machine",
        (true, false) => ", halted",
        (false, false) => "",
    };
    format!("{taking}{halted}")
}

/// A row for each machine.
pub(crate) fn table(nodes: &[NodeRow], now: Timestamp) -> String {
    let of = |taken: String, all: String| format!("{taken} / {all}");
    let rows = nodes.iter().map(|node| {
        let (taken, all) = (&node.allocated, &node.capacity);
        vec![
            node.node.to_string(),
            health(node),
            of(text::cores(taken.cpu_millis), text::cores(all.cpu_millis)),
            of(text::size(taken.memory_bytes), text::size(all.memory_bytes)),
            of(taken.gpu_slots.to_string(), all.gpu_slots.to_string()),
            of(text::size(taken.disk_bytes), text::size(all.disk_bytes)),
            node.running.to_string(),
            node.staged.to_string(),
            text::age(now, node.heard),
            node.version.to_string(),
        ]
    });
    text::table(
        &["node", "health", "cpus", "memory", "gpu", "disk", "running", "staged", "heard", "version"],
        rows,
    )
}

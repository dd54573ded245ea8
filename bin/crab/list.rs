//! `crab list`.

use actors::client::Client;
use actors::clock::Clock;
use actors::wire::client::GraphRow;
use policy::time::Timestamp;

use crate::cli::args::List;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::{json, text};

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: List) -> anyhow::Result<Exit> {
    let graphs = client.graphs(args.limit).await?;
    if screen.json {
        for graph in &graphs {
            screen.object(&json::Graph::from(graph))?;
        }
    } else if graphs.is_empty() {
        screen.note("nothing was submitted yet; try `crab submit -- echo hello`");
    } else {
        screen.line(table(&graphs, Clock::system().wall()))?;
    }
    Ok(Exit::SUCCESS)
}

fn table(graphs: &[GraphRow], now: Timestamp) -> String {
    let rows = graphs.iter().map(|graph| {
        let tasks = &graph.tasks;
        vec![
            graph.graph.to_string(),
            graph.name.to_string(),
            state(graph).to_owned(),
            format!("{} / {}", tasks.ended(), tasks.total()),
            tasks.active.to_string(),
            (tasks.failed + tasks.cancelled + tasks.skipped).to_string(),
            text::age(now, graph.submitted),
            text::length(graph.ended.unwrap_or(now).since(graph.submitted)),
        ]
    });
    text::table(&["graph", "name", "state", "ended", "running", "not ok", "submitted", "took"], rows)
}

fn state(graph: &GraphRow) -> &'static str {
    match graph.ended {
        Some(_) if graph.tasks.succeeded == graph.tasks.total() => "succeeded",
        Some(_) if graph.tasks.failed > 0 => "failed",
        Some(_) => "cancelled",
        None if graph.tasks.active > 0 => "running",
        None => "waiting",
    }
}

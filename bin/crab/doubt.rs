//! Says why nothing happens, where a graph waits and nothing of it runs, or a task waits for a node.

use std::time::Duration;

use actors::client::Client;
use actors::wire::client::{StateName, Target, TaskFilter};
use policy::id::{GraphId, TaskId};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::cli::text;

/// Long enough that a scheduler and workers that restart are through with it, short enough for somebody who
/// sits before it.
const PATIENCE: Duration = Duration::from_secs(8);

/// Asks now and then, and tells each reason once.
#[derive(Debug)]
pub(crate) struct Doubt {
    ticks: Interval,
    told: String,
}

impl Doubt {
    pub(crate) fn new() -> Self {
        let mut ticks = interval_at(Instant::now() + PATIENCE, PATIENCE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, told: String::new() }
    }

    /// Waits until there is a reason that was not told yet. Cancel safe: what is missed is asked again.
    pub(crate) async fn next(&mut self, client: &Client, target: Target) -> String {
        loop {
            self.ticks.tick().await;
            let reason = match target {
                Target::Graph(graph) => of_graph(client, graph).await,
                Target::Task(task) => of_task(client, task).await,
            };
            let Some((label, why)) = reason else { continue };
            // The kind of the reason stands before the amounts, which change all the time.
            let kind = why.split(':').next().unwrap_or_default();
            if kind != self.told {
                kind.clone_into(&mut self.told);
                return format!("{label} waits: {}", text::harmless(&why));
            }
        }
    }
}

/// Which task of the graph is ready, and why it does not run, where nothing of the graph runs.
async fn of_graph(client: &Client, graph: GraphId) -> Option<(String, Box<str>)> {
    let counts = client.graph(graph).await.ok()?.tasks;
    if counts.active > 0 || counts.ready == 0 {
        return None;
    }
    let filter = TaskFilter { graph: Some(graph), states: vec![StateName::Ready] };
    let first = client.tasks(&filter, 1).await.ok()?.into_iter().next()?;
    of_task(client, first.task).await
}

async fn of_task(client: &Client, task: TaskId) -> Option<(String, Box<str>)> {
    let detail = client.task(task).await.ok()?;
    let why = detail.waits_for?;
    Some((format!("{task} {}", text::harmless(&detail.row.name)), why))
}

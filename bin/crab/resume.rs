//! `crab resume`: what was paused goes on, or a graph whose budget was used up.

use actors::client::Client;
use actors::wire::client::Target;
use policy::budget::Raise;

use crate::cli::args::operators::{Paused, Resume, Why};
use crate::cli::exit::{Exit, Usage};
use crate::cli::screen::Screen;
use crate::cli::{json, operate, target, text};

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: Resume) -> anyhow::Result<Exit> {
    let Resume { what, graph, reason, time: wall, cpu_time: cpu, attempts, cost, retries } = args;
    let Some(wanted) = graph else {
        return operate::resume(client, screen, Paused::scope(what, Why { reason })).await;
    };
    let Target::Graph(graph) = target::find(client, &wanted).await? else {
        return Err(Usage(format!("{wanted} is a task: budgets are those of graphs")).into());
    };
    let tasks = client.resume(graph, Raise { wall, cpu, attempts, cost, retries }).await?;
    if screen.json {
        screen.object(&json::Asked::of(graph.to_string(), tasks))?;
    } else {
        screen.note(format_args!("{graph} goes on: {} ready", text::count(tasks, "task")));
    }
    Ok(Exit::SUCCESS)
}

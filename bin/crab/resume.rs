//! `crab resume`: a graph whose budget was used up goes on.

use actors::client::Client;
use actors::wire::client::Target;
use policy::budget::Raise;

use crate::cli::args::Resume;
use crate::cli::exit::{Exit, Usage};
use crate::cli::screen::Screen;
use crate::cli::{json, target, text};

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: Resume) -> anyhow::Result<Exit> {
    let Target::Graph(graph) = target::find(client, &args.graph).await? else {
        return Err(Usage(format!("{} is a task: budgets are those of graphs", args.graph)).into());
    };
    let Resume { graph: _, time: wall, cpu_time: cpu, attempts, cost, retries } = args;
    let tasks = client.resume(graph, Raise { wall, cpu, attempts, cost, retries }).await?;
    if screen.json {
        screen.object(&json::Asked::of(graph.to_string(), tasks))?;
    } else {
        screen.note(format_args!("{graph} goes on: {} ready", text::count(tasks, "task")));
    }
    Ok(Exit::SUCCESS)
}

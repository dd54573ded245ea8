//! `crab wait`.

use std::time::Duration;

use actors::client::{Client, ClientError};
use actors::wire::client::{GraphRow, StateName, Target, TaskRow};
use policy::id::{GraphId, TaskId};
use tokio::time::Instant;

use crate::cli::args::Wait;
use crate::cli::doubt::Doubt;
use crate::cli::exit::Exit;
use crate::cli::screen::{Color, Screen};
use crate::cli::{json, target, text};

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: Wait) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let mut worst = Exit::SUCCESS;
    for wanted in &args.targets {
        let left = args.timeout.map(|timeout| timeout.saturating_sub(started.elapsed()));
        let exit = match target::find(client, wanted).await? {
            Target::Graph(graph) => self::graph(client, screen, graph, left).await?,
            Target::Task(task) => self::task(client, screen, task, left).await?,
        };
        worst = if exit.0 > worst.0 { exit } else { worst };
    }
    Ok(worst)
}

/// Waits for a graph and says how it ended.
pub(crate) async fn graph(
    client: &Client,
    screen: &mut Screen,
    graph: GraphId,
    limit: Option<Duration>,
) -> anyhow::Result<Exit> {
    let row = doubting(client, screen, Target::Graph(graph), client.wait(graph, limit)).await?;
    tell(screen, &row)
}

/// Waits, and says meanwhile why nothing happens where nothing does.
async fn doubting<R>(
    client: &Client,
    screen: &mut Screen,
    target: Target,
    end: impl Future<Output = Result<R, ClientError>>,
) -> Result<R, ClientError> {
    let (mut end, mut doubt) = (Box::pin(end), Doubt::new());
    loop {
        tokio::select! {
            biased;
            ended = &mut end => return ended,
            why = doubt.next(client, target) => screen.note(format_args!("crab: {why}")),
        }
    }
}

/// Says how a graph is.
pub(crate) fn tell(screen: &mut Screen, row: &GraphRow) -> anyhow::Result<Exit> {
    if screen.json {
        screen.object(&json::Graph::from(row))?;
    } else if !screen.quiet {
        screen.line(graph_line(screen, row))?;
    }
    Ok(match row.ended {
        None => Exit::CONDITION,
        Some(_) if row.tasks.succeeded == row.tasks.total() => Exit::SUCCESS,
        Some(_) => Exit::FAILURE,
    })
}

async fn task(
    client: &Client,
    screen: &mut Screen,
    task: TaskId,
    limit: Option<Duration>,
) -> anyhow::Result<Exit> {
    let row = doubting(client, screen, Target::Task(task), client.wait_task(task, limit)).await?.row;
    if screen.json {
        screen.object(&json::Task::from(&row))?;
    } else if !screen.quiet {
        screen.line(task_line(&row))?;
    }
    Ok(match row.state {
        StateName::Succeeded => Exit::SUCCESS,
        state if state.has_ended() => Exit::FAILURE,
        _ => Exit::CONDITION,
    })
}

fn task_line(row: &TaskRow) -> String {
    let how = row.outcome.as_ref().map_or_else(|| format!("still {}", row.state), ToString::to_string);
    format!("{} {}: {how}", row.task, text::harmless(&row.name))
}

/// One line about a graph: `g12 build: 5 tasks succeeded in 3m20s`.
pub(crate) fn graph_line(screen: &Screen, row: &GraphRow) -> String {
    let tasks = &row.tasks;
    let name = text::harmless(&row.name);
    let Some(ended) = row.ended else {
        let (done, all) = (tasks.ended(), tasks.total());
        let nowhere = match row.unschedulable {
            0 => String::new(),
            some => format!(", {some} can be run by no node there is"),
        };
        return format!("{} {name}: {done} of {all} tasks have ended{nowhere}", row.graph);
    };
    let took = text::length(ended.since(row.submitted));
    if tasks.succeeded == tasks.total() {
        let what = format!("{} succeeded", text::count(tasks.succeeded, "task"));
        let what = screen.painted(Color::Green, &what, "");
        return format!("{} {name}: {what} in {took}", row.graph);
    }
    let counts = [
        (tasks.failed, "failed"),
        (tasks.cancelled, "cancelled"),
        (tasks.skipped, "skipped"),
        (tasks.succeeded, "succeeded"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, how)| format!("{count} {how}"));
    let what = screen.painted(Color::Red, &counts.collect::<Vec<_>>().join(", "), "");
    format!("{} {name}: {what} in {took}", row.graph)
}

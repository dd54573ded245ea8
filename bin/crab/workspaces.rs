//! `crab workspaces`: the directories that machines keep of tasks that are over, and removing them.

use actors::client::{Client, ClientError};
use actors::clock::Clock;
use actors::wire::client::{NodeHealth, Target};
use actors::wire::inspect::{Action, Look, Sight, WorkspaceRow};
use policy::id::{NodeId, TaskId};
use policy::time::Timestamp;

use crate::cli::args::space::Workspaces;
use crate::cli::exit::Exit;
use crate::cli::operate::by;
use crate::cli::screen::Screen;
use crate::cli::{json, target, text};

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: Workspaces) -> anyhow::Result<Exit> {
    let (rows, exit) = all(client, screen).await?;
    if let Some(task) = &args.discard {
        let task = target::find_task(client, task).await?;
        discard(client, screen, (task, &args.reason), &rows).await?;
        return Ok(exit);
    }
    if screen.json {
        for (node, row) in &rows {
            screen.object(&json::Workspace::of(node, row))?;
        }
    } else if rows.is_empty() {
        screen.note("no workspace is kept anywhere");
    } else {
        screen.line(table(&rows, Clock::system().wall()))?;
    }
    Ok(exit)
}

type Kept = (NodeId, WorkspaceRow);

/// Of all machines that are up. What one does not tell is said, and is no end of it.
async fn all(client: &Client, screen: &mut Screen) -> anyhow::Result<(Vec<Kept>, Exit)> {
    let (mut rows, mut exit) = (Vec::new(), Exit::SUCCESS);
    for node in client.nodes().await?.into_iter().filter(|node| node.health != NodeHealth::Lost) {
        let node = node.node;
        match client.inspect(Some(node.clone()), Look::Workspaces).await? {
            Sight::Workspaces(found, more) => {
                rows.extend(found.into_iter().map(|row| (node.clone(), row)));
                if more > 0 {
                    screen.note(format_args!("{node} keeps {more} more"));
                }
            }
            Sight::Unseen(why) => {
                screen.note(format_args!("{node}: {why}"));
                exit = Exit::UNREACHABLE;
            }
            other => anyhow::bail!("{node} answered what was not asked: {other:?}"),
        }
    }
    Ok((rows, exit))
}

async fn discard(
    client: &Client,
    screen: &mut Screen,
    (task, reason): (TaskId, &str),
    rows: &[Kept],
) -> anyhow::Result<()> {
    let mut machines: Vec<&NodeId> =
        rows.iter().filter(|(_, row)| row.task == task).map(|(node, _)| node).collect();
    machines.dedup();
    if machines.is_empty() {
        screen.note(format_args!("no workspace of {task} is kept anywhere"));
        return Err(ClientError::NotFound(Target::Task(task)).into());
    }
    for machine in machines {
        let action = Action::Discard { machine: machine.clone(), task };
        let done = client.operate(&by(), reason, action).await?;
        screen.note(format_args!("{machine}: {done}"));
    }
    Ok(())
}

fn table(rows: &[Kept], now: Timestamp) -> String {
    let rows = rows.iter().map(|(node, row)| {
        let cells = [
            format!("{} {}", row.task, row.name),
            node.to_string(),
            row.source.to_string(),
            text::age(now, row.since),
            text::size(row.bytes),
            row.why.to_string(),
            row.path.to_string(),
        ];
        cells.map(|cell| text::harmless(&cell)).into()
    });
    text::table(&["task", "node", "workspace", "kept", "size", "why", "path"], rows)
}

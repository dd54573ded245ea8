//! `crab prio`: how urgent tasks are that still wait, said anew.

use actors::client::Client;
use actors::client::error::target_text;

use crate::cli::args::operators::Prio;
use crate::cli::exit::Exit;
use crate::cli::operate::by;
use crate::cli::screen::Screen;
use crate::cli::{json, target, text};

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: Prio) -> anyhow::Result<Exit> {
    let Prio { target, priority, reason } = args;
    let target = target::find(client, &target).await?;
    let tasks = client.prioritise((&by(), &reason), target, priority).await?;
    if screen.json {
        screen.object(&json::Asked::of(target::id(target), tasks))?;
        return Ok(Exit::SUCCESS);
    }
    let target = target_text(target);
    match tasks {
        0 => screen.note(format_args!("{target} has {priority} priority already")),
        _ => screen.note(format_args!("{target}: {priority} priority for {}", text::count(tasks, "task"))),
    }
    Ok(Exit::SUCCESS)
}

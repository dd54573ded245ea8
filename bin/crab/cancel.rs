//! `crab cancel` and `crab retry`: the same question to several targets.

use actors::client::Client;
use actors::client::error::target_text;
use actors::wire::client::Target;

use crate::cli::args::Targets;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::{json, target, text};

pub(crate) async fn cancel(client: &Client, screen: &mut Screen, args: Targets) -> anyhow::Result<Exit> {
    for wanted in &args.targets {
        let target = target::find(client, wanted).await?;
        let tasks = client.cancel(target).await?;
        tell(screen, target, tasks, ("cancelling", "has ended already"))?;
    }
    Ok(Exit::SUCCESS)
}

pub(crate) async fn retry(client: &Client, screen: &mut Screen, args: Targets) -> anyhow::Result<Exit> {
    for wanted in &args.targets {
        let target = target::find(client, wanted).await?;
        let tasks = client.retry(target).await?;
        tell(screen, target, tasks, ("trying again", "has nothing to try again"))?;
    }
    Ok(Exit::SUCCESS)
}

fn tell(
    screen: &mut Screen,
    target: Target,
    tasks: u64,
    (doing, nothing): (&str, &str),
) -> anyhow::Result<()> {
    if screen.json {
        return screen.object(&json::Asked::of(target::id(target), tasks));
    }
    let target = target_text(target);
    match tasks {
        0 => screen.note(format_args!("{target} {nothing}")),
        _ => screen.note(format_args!("{target}: {doing} {}", text::count(tasks, "task"))),
    }
    Ok(())
}

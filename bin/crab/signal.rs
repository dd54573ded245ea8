//! `crab signal`: a word to what a task runs.

use actors::client::Client;

use crate::cli::args::operators::Signal;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::{json, target};

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: Signal) -> anyhow::Result<Exit> {
    let task = target::find_task(client, &args.task).await?;
    let node = client.signal(task, args.signal).await?;
    if screen.json {
        screen.object(&json::Signalled::of(task, args.signal, &node))?;
    } else {
        screen.note(format_args!("{task}: {} was sent to what it runs on {node}", args.signal));
    }
    Ok(Exit::SUCCESS)
}

//! `crab explain`: what a task waits for.

use actors::client::Client;
use actors::clock::Clock;
use actors::say::explain::{headline, reasons};

use crate::cli::args::Show;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::{json, target, text};

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: Show) -> anyhow::Result<Exit> {
    let task = target::find_task(client, &args.task).await?;
    let told = client.explain(task).await?;
    if screen.json {
        screen.object(&json::Explanation::from(&told))?;
        return Ok(Exit::SUCCESS);
    }
    let now = Clock::system().wall();
    screen.line(text::harmless(&headline(&told, now)))?;
    for (name, value) in reasons(&told) {
        screen.line(format_args!("  {name:<13}{}", text::harmless(&value)))?;
    }
    Ok(Exit::SUCCESS)
}

//! What operators say: cordon, drain, pause, halt.

use std::time::Duration;

use actors::client::Client;
use actors::metrics::json::Metrics;
use actors::process::halt;
use policy::directive::{Directive, Scope};
use policy::id::NodeId;
use tokio::time::{Instant, sleep};

use crate::cli::args::operators::{Drain, Halt, Label, Node, NodeName, Pause, Paused, Why};
use crate::cli::exit::{Exit, Usage};
use crate::cli::json;
use crate::cli::screen::Screen;
use crate::cli::session::Session;
use crate::cli::text;

/// Between two looks at a node that is drained: soon enough for whoever waits, seldom enough for the scheduler.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(crate) async fn node(client: &Client, screen: &mut Screen, args: Node) -> anyhow::Result<Exit> {
    let id = |name: &NodeName| NodeId::from(name.node.as_str());
    let (directive, name) = match args {
        Node::Cordon(name) => (Directive::Cordon(id(&name)), name),
        Node::Uncordon(name) => (Directive::Uncordon(id(&name)), name),
        Node::Remove(name) => (Directive::Remove(id(&name)), name),
        Node::Drain(args) => return drain(client, screen, args).await,
        Node::Label(args) => return label(client, screen, args).await,
    };
    say(client, screen, directive, &name.why).await
}

pub(crate) async fn pause(client: &Client, screen: &mut Screen, args: Pause) -> anyhow::Result<Exit> {
    let (scope, why) = Paused::scope(args.what, args.why);
    say(client, screen, Directive::Pause(scope), &why).await
}

pub(crate) async fn resume(
    client: &Client,
    screen: &mut Screen,
    (scope, why): (Scope, Why),
) -> anyhow::Result<Exit> {
    say(client, screen, Directive::Resume(scope), &why).await
}

/// Halts, or ends a halt.
pub(crate) async fn halt(
    session: &Session,
    screen: &mut Screen,
    args: Halt,
    halted: bool,
) -> anyhow::Result<Exit> {
    if args.here {
        let directory = session.own_data_dir()?.join("host");
        let changed = if halted { halt::set(&directory, &by())? } else { halt::clear(&directory)? };
        tell(screen, if halted { "halt-here" } else { "unhalt-here" }, changed)?;
        return Ok(Exit::SUCCESS);
    }
    let node = args.node.as_deref().map(NodeId::from);
    let directive = if halted { Directive::Halt(node) } else { Directive::Unhalt(node) };
    let said = say(&session.connect()?, screen, directive, &args.why).await;
    if said.is_err() && halted {
        screen.note("crab: a machine can be halted without its scheduler: `crab halt --here` on the machine");
    }
    said
}

async fn say(client: &Client, screen: &mut Screen, directive: Directive, why: &Why) -> anyhow::Result<Exit> {
    let kind: &'static str = (&directive).into();
    let changed = client.direct(directive, (&by(), &why.reason)).await?;
    tell(screen, kind, changed)?;
    Ok(Exit::SUCCESS)
}

fn tell(screen: &mut Screen, directive: &'static str, changed: bool) -> anyhow::Result<()> {
    if screen.json {
        return screen.object(&json::Said::of(directive, changed));
    }
    if !changed {
        screen.note("crab: nothing has changed by that");
    }
    Ok(())
}

async fn label(client: &Client, screen: &mut Screen, Label { name, labels }: Label) -> anyhow::Result<Exit> {
    let node = NodeId::from(name.node.as_str());
    if !labels.is_empty() {
        return say(client, screen, Directive::Label { node, labels }, &name.why).await;
    }
    let rows = client.nodes().await?;
    let Some(row) = rows.iter().find(|row| row.node == node) else {
        return Err(Usage(format!("there is no node {node}; `crab nodes` shows those there are")).into());
    };
    if screen.json {
        screen.object(&json::Node::from(row))?;
        return Ok(Exit::SUCCESS);
    }
    for (name, value) in &row.labels {
        let is_put = row.directed.labels.iter().any(|(put, _)| **put == **name);
        let whose = if is_put { "   (put there)" } else { "" };
        screen.line(format_args!("{}={}{whose}", text::harmless(name), text::harmless(value)))?;
    }
    Ok(Exit::SUCCESS)
}

async fn drain(client: &Client, screen: &mut Screen, args: Drain) -> anyhow::Result<Exit> {
    let node = NodeId::from(args.name.node.as_str());
    let changed = client.drain(node.clone(), args.deadline, (&by(), &args.name.why.reason)).await?;
    tell(screen, "drain", changed)?;
    if !args.wait {
        return Ok(Exit::SUCCESS);
    }
    let started = Instant::now();
    loop {
        let rows = client.nodes().await?;
        let Some(row) = rows.into_iter().find(|row| row.node == node) else {
            return Err(Usage(format!("{node} is not there any more")).into());
        };
        if row.directed.drained {
            screen.note(format_args!("{node} is drained"));
            return Ok(Exit::SUCCESS);
        }
        if !row.directed.draining {
            return Err(Usage(format!("{node} is not drained any more: somebody has said otherwise")).into());
        }
        if args.timeout.is_some_and(|timeout| started.elapsed() >= timeout) {
            let left = row.running + row.staged;
            screen.note(format_args!("{node} is being drained; {left} attempts are left"));
            return Ok(Exit::CONDITION);
        }
        sleep(LOOK_EVERY).await;
    }
}

pub(crate) async fn metrics(client: &Client, screen: &mut Screen) -> anyhow::Result<Exit> {
    let sample = client.metrics().await?;
    if screen.json {
        screen.object(&Metrics::from(&sample))?;
    } else {
        screen.text(&actors::metrics::text::text(&sample))?;
    }
    Ok(Exit::SUCCESS)
}

/// Who says it, for the record.
pub(crate) fn by() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "?".to_owned());
    let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let by: String = format!("{user}@{host}").chars().filter(|c| !c.is_control()).collect();
    by.chars().take(64).collect()
}

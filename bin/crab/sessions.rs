//! `crab sessions`: what is on the machines that are reached by SSH alone, and whose it is.
//!
//! `aivcs-session` says what is there, the daemon which of its tasks run; a session of this scheduler whose task has
//! ended is a ghost.

use std::time::Duration;

use actors::client::Client;
use actors::session::node::is_reached;
use actors::session::owner::Owner;
use actors::wire::client::{WayRow, WhereTo};
use anyhow::{Context, bail};
use policy::id::NodeId;
use serde::Deserialize;

use crate::cli::args::remote::Sessions;
use crate::cli::exit::Exit;
use crate::cli::remote::program;
use crate::cli::screen::Screen;
use crate::cli::{json, text};

/// A session, as `aivcs-session list --json` tells of it.
#[derive(Debug, Deserialize)]
struct Listed {
    name: String,
    work: String,
    role: String,
    age_s: u64,
    attached: u64,
    attempt: Option<Attempt>,
}

#[derive(Debug, Deserialize)]
struct Attempt {
    state: String,
}

/// A session with what is known of it.
#[derive(Debug)]
struct Row {
    node: NodeId,
    session: Listed,
    owner: Owner,
    ended: bool,
}

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: Sessions) -> anyhow::Result<Exit> {
    let (mut rows, mut exit) = (Vec::new(), Exit::SUCCESS);
    for node in nodes(client, args.node.as_deref()).await? {
        let way = client.way(WhereTo::Node(node)).await?;
        match on(client, &way, args.prune).await {
            Ok(found) => rows.extend(found),
            Err(error) => {
                screen.note(format_args!("{}: {error:#}", way.node));
                exit = Exit::UNREACHABLE;
            }
        }
    }
    show(screen, &rows)?;
    Ok(exit)
}

/// Those that are reached by SSH alone, or the one that was named.
async fn nodes(client: &Client, wanted: Option<&str>) -> anyhow::Result<Vec<NodeId>> {
    if let Some(wanted) = wanted {
        return Ok(vec![wanted.into()]);
    }
    let reached = client.nodes().await?.into_iter().filter(|node| is_reached(&node.labels));
    Ok(reached.map(|node| node.node).collect())
}

/// The sessions of a machine; with `prune` the ghosts among them are ended.
async fn on(client: &Client, way: &WayRow, prune: bool) -> anyhow::Result<Vec<Row>> {
    let listed = ask(way, &["list"])?;
    let lines = listed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut rows = Vec::new();
    for line in lines {
        let session: Listed = serde_json::from_slice(line).context("reading what aivcs-session said")?;
        let owner = Owner::of(client, &session.work, &way.tag).await?;
        let ended = prune && matches!(owner, Owner::Ghost(_));
        if ended {
            ask(way, &["kill", "--purge", "--session", &session.name])?;
        }
        rows.push(Row { node: way.node.clone(), session, owner, ended });
    }
    Ok(rows)
}

fn ask(way: &WayRow, words: &[&str]) -> anyhow::Result<Vec<u8>> {
    let output = program(way).arg("--json").args(words).output().context("starting aivcs-session")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

fn show(screen: &mut Screen, rows: &[Row]) -> anyhow::Result<()> {
    if screen.json {
        for row in rows {
            screen.object(&object(row))?;
        }
    } else if rows.is_empty() {
        screen.note("there are no sessions");
    } else {
        let heads = ["node", "session", "of", "state", "age", "attached"];
        screen.line(text::table(&heads, rows.iter().map(cells)))?;
    }
    Ok(())
}

fn object(row: &Row) -> json::Session<'_> {
    let Row { node, session, owner, ended } = row;
    json::Session {
        v: json::VERSION,
        node: node.to_string(),
        session: &session.name,
        role: &session.role,
        age_s: session.age_s,
        attached: session.attached,
        attempt: session.attempt.as_ref().map(|attempt| &*attempt.state),
        task: match owner {
            Owner::Task(task) | Owner::Ghost(task) => Some(task.to_string()),
            Owner::Other => None,
        },
        ghost: matches!(owner, Owner::Ghost(_)),
        ended: *ended,
    }
}

fn cells(Row { node, session, owner, ended }: &Row) -> Vec<String> {
    let of = match owner {
        Owner::Task(task) => task.to_string(),
        Owner::Ghost(task) => format!("{task}, which has ended"),
        Owner::Other => session.role.clone(),
    };
    let state = match (ended, &session.attempt) {
        (true, _) => "ended now",
        (false, Some(attempt)) => &attempt.state,
        (false, None) => "open",
    };
    let age = text::length(Duration::from_secs(session.age_s));
    let name = session.name.clone();
    let cells = [node.to_string(), name, of, state.to_owned(), age, session.attached.to_string()];
    cells.map(|cell| text::harmless(&cell)).into()
}

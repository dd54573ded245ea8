//! `crab attach`, `crab steer` and `crab shell`: being where a task runs, on a machine that is reached by SSH alone.
//!
//! The daemon knows the way, `aivcs-session` goes it: here and now it takes the place of this program.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use actors::client::Client;
use actors::wire::client::{WayRow, WhereTo};
use anyhow::Context;

use crate::cli::args::remote::{Attach, Shell, Steer};
use crate::cli::exit::{Exit, Usage};
use crate::cli::screen::Screen;
use crate::cli::target;

/// The program that goes there.
const PROGRAM: &str = "aivcs-session";

pub(crate) async fn attach(client: &Client, screen: &Screen, args: Attach) -> anyhow::Result<Exit> {
    let task = target::find_task(client, &args.task).await?;
    let way = client.way(WhereTo::Task(task)).await?;
    go(screen, &way, &["attach".into(), session(&way)?])
}

pub(crate) async fn steer(client: &Client, screen: &Screen, args: Steer) -> anyhow::Result<Exit> {
    let task = target::find_task(client, &args.task).await?;
    let way = client.way(WhereTo::Task(task)).await?;
    if !way.steerable {
        let node = &way.node;
        let why = format!("tasks on {node} do not listen: set ssh_nodes.{node}.steer = true for later ones");
        return Err(Usage(why).into());
    }
    go(screen, &way, &["steer".into(), session(&way)?, "--".into(), args.text])
}

pub(crate) async fn shell(client: &Client, screen: &Screen, args: Shell) -> anyhow::Result<Exit> {
    let way = client.way(WhereTo::Node(args.node.as_str().into())).await?;
    let repo = format!("--repo={}", way.repo).into();
    go(screen, &way, &["attach".into(), repo, "--work=shell".into(), "--role=human".into()])
}

fn session(way: &WayRow) -> anyhow::Result<OsString> {
    let session = way.session.as_deref().context("the daemon has named no session")?;
    Ok(format!("--session={session}").into())
}

/// Becomes `aivcs-session`.
fn go(screen: &Screen, way: &WayRow, words: &[OsString]) -> anyhow::Result<Exit> {
    let mut command = program(way);
    if screen.json {
        command.arg("--json");
    }
    Err(command.args(words).exec()).with_context(|| format!("starting {}", command.get_program().display()))
}

/// `aivcs-session`, the one beside this program or else that of PATH, led to a machine.
pub(crate) fn program(way: &WayRow) -> Command {
    let beside = std::env::current_exe().ok().map(|this| this.with_file_name(PROGRAM));
    let beside = beside.filter(|program| program.is_file());
    let mut command = Command::new(beside.unwrap_or_else(|| PROGRAM.into()));
    command.args(way.options.iter().map(|option| OsStr::from_bytes(option.as_bytes())));
    command
}

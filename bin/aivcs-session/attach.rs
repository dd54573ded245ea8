//! `attach`: makes a session where it is not there, and attaches the terminal to it.

use std::io::{self, IsTerminal};
use std::process::Command;

use actors::session::SessionError;
use actors::session::script::Script;
use anyhow::{Context, anyhow};

use crate::cli::args::Wanted;
use crate::cli::exit::Exit;
use crate::cli::json::Made;
use crate::cli::place::{Place, identity};
use crate::cli::screen::Screen;

/// What `ssh` exits with where the connection is to blame.
const SSH_TROUBLE: i32 = 255;

pub(crate) fn run(place: &Place, screen: &Screen, wanted: &Wanted) -> anyhow::Result<Exit> {
    let identity = identity(wanted)?;
    let name = identity.name();
    if place.dry_run {
        let mark = actors::session::fresh_key()?;
        place.show(screen, &Script::ensure(&identity, &place.base, &mark)?)?;
        let line = place.sessions.way().attach("/usr/bin/tmux", &name);
        place.show_line(screen, &line.context("a tmux whose path is plain")?, None)?;
        return Ok(Exit::SUCCESS);
    }
    let (made, tmux) = place.sessions.ensure(&identity, &place.base)?;
    let has_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if screen.json || !has_terminal {
        let told = Made { made: Some(made), ..Made::of(&place.host, name.as_str()) };
        if screen.json {
            screen.object(&told)?;
        } else {
            screen.line(&name)?;
        }
        return Ok(Exit::SUCCESS);
    }
    let line = place.sessions.way().attach(&tmux, &name);
    let line = line.ok_or_else(|| {
        anyhow!("cannot attach with {tmux:?}: its path has characters that a shell could misread")
    })?;
    let mut command = Command::new(&line.0[0]);
    let status = command.args(&line.0[1..]).status().context("starting ssh or sh")?;
    if status.code() == Some(SSH_TROUBLE) {
        let why = "the connection was cut; the session goes on, attach again".into();
        return Err(SessionError::Unreachable { host: place.host.as_str().into(), why }.into());
    }
    Ok(if status.success() { Exit::SUCCESS } else { Exit::FAILURE })
}

//! `attach`: makes a session where it is not there, and attaches the terminal to it.

use std::io::{self, IsTerminal};
use std::process::Command;

use actors::session::SessionError;
use actors::session::script::Script;
use anyhow::{Context, anyhow};
use policy::session::{Identity, SessionName};

use crate::cli::args::{Wanted, Which};
use crate::cli::exit::Exit;
use crate::cli::json::Made;
use crate::cli::place::{Place, identity, name};
use crate::cli::screen::Screen;

/// What `ssh` exits with where the connection is to blame.
const SSH_TROUBLE: i32 = 255;
/// Stands for the tmux of a machine that is not asked.
const SOME_TMUX: &str = "/usr/bin/tmux";

pub(crate) fn run(place: &Place, screen: &Screen, which: &Which) -> anyhow::Result<Exit> {
    match wanted(which) {
        Some(wanted) => make(place, screen, &identity(&wanted)?),
        None => join(place, screen, &name(which)?),
    }
}

/// What a session is made of; `None` where one that is there was named.
fn wanted(which: &Which) -> Option<Wanted> {
    let Which { repo, work, role, .. } = which.clone();
    Some(Wanted { repo: repo?, work: work?, role: role? })
}

fn make(place: &Place, screen: &Screen, identity: &Identity) -> anyhow::Result<Exit> {
    let name = identity.name();
    if place.dry_run {
        let mark = actors::session::fresh_key()?;
        place.show(screen, &Script::ensure(identity, &place.base, &mark)?)?;
        return show_line(place, screen, &name);
    }
    let (made, tmux) = place.sessions.ensure(identity, &place.base)?;
    attach(place, screen, (&name, &tmux), Some(made))
}

fn join(place: &Place, screen: &Screen, name: &SessionName) -> anyhow::Result<Exit> {
    if place.dry_run {
        place.show(screen, &Script::list(std::slice::from_ref(name))?)?;
        return show_line(place, screen, name);
    }
    let tmux = place.sessions.tmux(name)?;
    attach(place, screen, (name, &tmux), None)
}

fn show_line(place: &Place, screen: &Screen, name: &SessionName) -> anyhow::Result<Exit> {
    let line = place.sessions.way().attach(SOME_TMUX, name);
    place.show_line(screen, &line.context("a tmux whose path is plain")?, None)?;
    Ok(Exit::SUCCESS)
}

fn attach(
    place: &Place,
    screen: &Screen,
    (name, tmux): (&SessionName, &str),
    made: Option<bool>,
) -> anyhow::Result<Exit> {
    if screen.json {
        screen.object(&Made { made, ..Made::of(&place.host, name.as_str()) })?;
        return Ok(Exit::SUCCESS);
    }
    if !has_terminal() {
        screen.line(name)?;
        return Ok(Exit::SUCCESS);
    }
    Ok(if look(place, name, tmux)? { Exit::SUCCESS } else { Exit::FAILURE })
}

/// Has the terminal show the session until it ends or somebody detaches from it; tells whether all went well.
pub(crate) fn look(place: &Place, name: &SessionName, tmux: &str) -> anyhow::Result<bool> {
    let line = place.sessions.way().attach(tmux, name);
    let line = line.ok_or_else(|| {
        anyhow!("cannot attach with {tmux:?}: its path has characters that a shell could misread")
    })?;
    let mut command = Command::new(&line.0[0]);
    let status = command.args(&line.0[1..]).status().context("starting ssh or sh")?;
    if status.code() == Some(SSH_TROUBLE) {
        let why = "the connection was cut; the session goes on, attach again".into();
        return Err(SessionError::Unreachable { host: place.host.as_str().into(), why }.into());
    }
    Ok(status.success())
}

/// Whether somebody sits at a terminal.
pub(crate) fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

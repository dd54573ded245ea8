//! `steer`: says a line to what runs in a session.

use std::os::unix::ffi::OsStrExt;

use actors::session::STEER_LIMIT_BYTES;
use actors::session::script::Script;
use anyhow::bail;

use crate::cli::args::Steer;
use crate::cli::exit::Exit;
use crate::cli::json::Made;
use crate::cli::place::{Place, name};
use crate::cli::screen::Screen;

pub(crate) fn run(place: &Place, screen: &Screen, steer: &Steer) -> anyhow::Result<Exit> {
    let (name, text) = (name(&steer.which)?, steer.text.as_bytes());
    if text.len() > STEER_LIMIT_BYTES {
        bail!("TEXT has {} bytes, and may have {STEER_LIMIT_BYTES}: say it in parts", text.len());
    }
    if place.dry_run {
        place.show(screen, &Script::steer(&name, text)?)?;
        return Ok(Exit::SUCCESS);
    }
    place.sessions.steer(&name, text)?;
    if screen.json {
        screen.object(&Made::of(&place.host, name.as_str()))?;
    }
    Ok(Exit::SUCCESS)
}

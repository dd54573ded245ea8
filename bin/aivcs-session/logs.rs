//! `logs`: what the last command in a session wrote, to the streams that it wrote it to.

use std::io::{self, IsTerminal, Write};

use actors::session::SessionError;
use actors::session::follow::{Sinks, follow};
use actors::session::refusal::{Refusal, Why};
use actors::session::script::{Script, Side};

use crate::cli::args::Logs;
use crate::cli::exit::Exit;
use crate::cli::place::{Place, name};
use crate::cli::screen::Screen;

pub(crate) fn run(place: &Place, screen: &Screen, logs: &Logs) -> anyhow::Result<Exit> {
    let name = name(&logs.which)?;
    if place.dry_run {
        place.show(screen, &Script::list(std::slice::from_ref(&name))?)?;
        return Ok(Exit::SUCCESS);
    }
    let attempt = place.sessions.look(&name)?.attempt;
    let none = || SessionError::Refused(Refusal { host: place.host.as_str().into(), why: Why::NoSession });
    let attempt = attempt.ok_or_else(none)?;
    let from = attempt.written.map(|written| logs.tail.map_or(0, |tail| written.saturating_sub(tail)));
    let (mut out, mut err) = (Shown::new(io::stdout()), Shown::new(io::stderr()));
    if logs.follow && attempt.goes_on() {
        let sinks = Sinks { out: &mut out, err: &mut err, report: None };
        let mut cut = |error: &SessionError| screen.note(format_args!("aivcs-session: {error}"));
        follow(&place.sessions, (&name, &attempt), from, sinks, &mut cut)?;
        return Ok(Exit::SUCCESS);
    }
    let [from_out, from_err] = from;
    let sessions = &place.sessions;
    sessions.read((&name, &attempt.key, Side::Out, from_out), &mut |bytes| out.write_all(bytes))?;
    sessions.read((&name, &attempt.key, Side::Err, from_err), &mut |bytes| err.write_all(bytes))?;
    Ok(Exit::SUCCESS)
}

/// A stream of ours. On a terminal nothing is passed on that a terminal obeys, but for newlines and tabs.
struct Shown<W> {
    to: W,
    tame: bool,
}

impl<W: Write + IsTerminal> Shown<W> {
    fn new(to: W) -> Self {
        let tame = to.is_terminal();
        Self { to, tame }
    }
}

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.tame {
            return self.to.write(bytes);
        }
        let mut shown = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            match byte {
                b'\n' | b'\t' | 0x20..=0x7e | 0x80.. => shown.push(byte),
                _ => shown.extend(byte.escape_ascii()),
            }
        }
        self.to.write_all(&shown)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

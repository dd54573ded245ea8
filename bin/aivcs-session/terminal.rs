//! `exec --tty`: a command that has the caller's terminal, and whose exit code is passed on.

use std::io::{self, Write};

use actors::session::AttemptRow;
use actors::session::script::{Side, Start};
use policy::session::SessionName;

use crate::cli::attach::{has_terminal, look};
use crate::cli::exec::of_end;
use crate::cli::exit::Exit;
use crate::cli::place::Place;
use crate::cli::screen::Screen;

pub(crate) fn run(place: &Place, screen: &Screen, name: &SessionName, start: &Start) -> anyhow::Result<Exit> {
    if !has_terminal() {
        screen.note("aivcs-session: --tty is for somebody at a terminal, and this is none");
        return Ok(Exit::USAGE);
    }
    let begun = place.sessions.start(start)?.row;
    if begun.goes_on() {
        // It begins when somebody looks.
        let tmux = place.sessions.tmux(name)?;
        look(place, name, &tmux)?;
    }
    let last = place.sessions.look(name)?.attempt.filter(|attempt| attempt.key == begun.key);
    match last {
        Some(ended) if !ended.goes_on() => {
            show_output(place, name, &ended)?;
            Ok(of_end(screen, &ended, false))
        }
        _ => {
            screen.note(format_args!("aivcs-session: it goes on in {name}: attach to it again, or kill it"));
            Ok(Exit::EXEC_TROUBLE)
        }
    }
}

/// What was left on the terminal, which was another one than ours.
fn show_output(place: &Place, name: &SessionName, ended: &AttemptRow) -> anyhow::Result<()> {
    let mut out = io::stdout();
    place.sessions.read((name, &ended.key, Side::Out, 0), &mut |bytes| out.write_all(bytes))?;
    Ok(out.flush()?)
}

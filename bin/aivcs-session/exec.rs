//! `exec`: runs a command in a session, passes its output on, and exits as it did.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;

use actors::session::follow::{Sinks, follow};
use actors::session::script::Start;
use actors::session::{AttemptRow, AttemptState, SessionRow, fresh_key, words};
use policy::session::Identity;

use crate::cli::args::Exec;
use crate::cli::exit::Exit;
use crate::cli::json::{Attempt, Made};
use crate::cli::keep::Keep;
use crate::cli::place::{Place, identity};
use crate::cli::report::Report;
use crate::cli::screen::Screen;
use crate::cli::{terminal, tied};

pub(crate) fn run(place: &Place, screen: &Screen, exec: Exec) -> anyhow::Result<Exit> {
    let identity = identity(&exec.wanted)?;
    let (detach, tied, stays, tty) = (exec.detach, exec.tied.is_some(), exec.stays, exec.tty);
    let report = exec.report.clone();
    let grace = exec.grace;
    let keep = Keep::of(&exec);
    let start = start_of(place, &identity, exec)?;
    if place.dry_run {
        place.show(screen, &place.sessions.start_script(&start)?)?;
        return Ok(Exit::SUCCESS);
    }
    let name = identity.name();
    if tty {
        return terminal::run(place, screen, &name, &start);
    }
    keep.as_ref().map(Keep::prepare).transpose()?;
    let hearing = tied.then(|| tied::hear(place.sessions.clone(), (name.clone(), start.key.clone()), grace));
    let hearing = hearing.transpose()?;
    let begun = place.sessions.start(&start)?.row;
    if detach {
        if screen.json {
            let attempt = Some(Attempt::of(&begun));
            screen.object(&Made { attempt, ..Made::of(&place.host, name.as_str()) })?;
        } else {
            screen.line(&name)?;
        }
        return Ok(Exit::SUCCESS);
    }
    // What was signalled before is handed on now.
    drop(hearing);
    let ended = stay((place, screen), &name, &begun, report.map(Report::new));
    if let (Some(keep), Ok(ended)) = (&keep, &ended) {
        keep.fetch((place, screen), &start, ended);
    }
    if tied {
        tied::clear(place, &name, stays);
    }
    let ended = ended?;
    if screen.json {
        screen.note(serde_json::to_string(&Attempt::of(&ended))?);
    }
    Ok(of_end(screen, &ended, tied))
}

fn start_of(place: &Place, identity: &Identity, exec: Exec) -> anyhow::Result<Start> {
    let bytes = |words: Vec<OsString>| words.into_iter().map(OsStringExt::into_vec).collect();
    let key = match &exec.key {
        Some(key) => words::key_of(key),
        None => fresh_key()?,
    };
    Ok(Start {
        identity: identity.clone(),
        base: place.base.as_str().into(),
        key,
        mark: fresh_key()?,
        token: exec.token,
        grace: exec.grace,
        timeout: exec.timeout.unwrap_or_default(),
        output_limit_bytes: exec.output_limit,
        tied: exec.tied.unwrap_or_default(),
        steerable: exec.steerable,
        stays: exec.stays,
        terminal: exec.tty,
        reports: exec.report.is_some(),
        directory: exec.directory.unwrap_or_default().into_vec(),
        environment: bytes(exec.env),
        argv: bytes(exec.argv),
    })
}

/// Passes on what it writes, until it has ended.
fn stay(
    (place, screen): (&Place, &Screen),
    name: &policy::session::SessionName,
    begun: &AttemptRow,
    mut report: Option<Report>,
) -> anyhow::Result<AttemptRow> {
    let report = report.as_mut().map(|report| report as &mut dyn io::Write);
    let sinks = Sinks { out: &mut io::stdout(), err: &mut io::stderr(), report };
    let mut cut = |error: &actors::session::SessionError| {
        screen.note(format_args!("aivcs-session: {error}; it goes on there, connecting again"));
    };
    Ok(follow(&place.sessions, (name, begun), [0, 0], sinks, &mut cut)?)
}

pub(crate) fn of_end(screen: &Screen, ended: &AttemptRow, tied: bool) -> Exit {
    let outcome = ended.outcome.as_deref().unwrap_or("lost");
    if ended.state == AttemptState::Lost {
        screen.note("aivcs-session: its machine has lost it: it neither runs nor says how it ended");
        return Exit::EXEC_TROUBLE;
    }
    if outcome != "exited" {
        screen.note(format_args!("aivcs-session: {outcome}"));
    }
    if tied && matches!(outcome, "abandoned" | "hung-up" | "killed") {
        return Exit::EXEC_TROUBLE;
    }
    ended.code.map_or(Exit::EXEC_TROUBLE, Exit::of_code)
}

/// How far a session is, in a word.
pub(crate) fn standing(row: &SessionRow) -> String {
    match &row.attempt {
        Some(attempt) => attempt.standing(),
        None if row.panes[0] > row.panes[1] => "open".to_owned(),
        None => row.dead_status.map_or_else(|| "closed".to_owned(), |status| format!("closed {status}")),
    }
}

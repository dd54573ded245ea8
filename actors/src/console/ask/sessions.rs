//! Sessions of tmux that are ours: here, or on a machine behind SSH.

use std::path::PathBuf;

use policy::session::target::Target;
use policy::time::Timestamp;

use crate::console::fault::{Fault, Sort};
use crate::console::reply::{Cell, Kind, Reply};
use crate::console::syntax::Line;
use crate::session::way::Way;
use crate::session::{SessionError, SessionRow, Sessions};

/// Of the rows of `session`.
pub(super) const SESSION: &[(&str, Kind, u8)] = &[
    ("session", Kind::Id, 0),
    ("repo", Kind::Text, 3),
    ("work", Kind::Text, 2),
    ("role", Kind::State, 2),
    ("state", Kind::State, 0),
    ("attempt", Kind::Number, 1),
    ("attached", Kind::Number, 1),
    ("panes", Kind::Number, 3),
    ("age", Kind::Length, 1),
];

pub(super) async fn sessions(line: &Line) -> Result<Reply, Fault> {
    let host = line.pair("host");
    let target = Target::new(host.map(|word| word.text.as_str()), None, None).map_err(|refused| {
        let span = host.map_or_else(|| line.span.clone(), |word| word.span.clone());
        Fault::usage(span, refused.to_string())
    })?;
    let listed = tokio::task::spawn_blocking(move || list(target)).await;
    let (now, rows) = match listed {
        Ok(listed) => listed.map_err(|error| told(&error))?,
        Err(ended) => return Err(Fault::of(Sort::Unreachable, ended.to_string())),
    };
    let mut reply = Reply::new("session", SESSION);
    reply.rows = rows.iter().map(|row| cells(row, now)).collect();
    Ok(reply)
}

/// Nobody is asked for a password: whoever needs one makes a connection with `aivcs-session` first.
fn list(target: Target) -> Result<(Timestamp, Vec<SessionRow>), SessionError> {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let way = Way::new(target, false);
    // Without a shared connection it makes one of its own.
    let way = home.and_then(|home| way.clone().sharing(&home).ok()).unwrap_or(way);
    Sessions::new(way).list(&[])
}

fn told(error: &SessionError) -> Fault {
    let sort = match error {
        SessionError::Unreachable { .. } | SessionError::Silent { .. } => Sort::Unreachable,
        _ => Sort::Refused,
    };
    Fault::of(sort, error.to_string()).help("`aivcs-session doctor` tells what is missing")
}

fn cells(row: &SessionRow, now: Timestamp) -> Vec<Cell> {
    let identity = &row.identity;
    vec![
        Cell::text(row.name.as_str()),
        Cell::text(identity.repo()),
        Cell::text(identity.work()),
        Cell::text(identity.role()),
        Cell::text(standing(row)),
        row.attempt.as_ref().map_or(Cell::Nothing, |attempt| Cell::Number(attempt.number)),
        Cell::Number(row.attached),
        Cell::Number(row.panes[0]),
        Cell::length(now.since(row.made)),
    ]
}

fn standing(row: &SessionRow) -> String {
    match &row.attempt {
        _ if !row.live => "files only".to_owned(),
        Some(attempt) => attempt.standing(),
        None if row.panes[0] > row.panes[1] => "open".to_owned(),
        None => "closed".to_owned(),
    }
}

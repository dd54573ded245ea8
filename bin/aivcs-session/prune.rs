//! `kill` and `prune`: ends one session, or those that have been left.

use std::time::Duration;

use actors::session::refusal::Why;
use actors::session::script::Script;
use actors::session::{SessionError, SessionRow};
use policy::session::prune::PruneRule;

use crate::cli::args::{Kill, Prune};
use crate::cli::exit::Exit;
use crate::cli::json::{Gone, VERSION};
use crate::cli::place::{Place, name};
use crate::cli::screen::Screen;

/// Between SIGTERM and SIGKILL for what has been left in a session: nothing of it works.
const PRUNE_GRACE: Duration = Duration::from_secs(2);

pub(crate) fn kill(place: &Place, screen: &Screen, kill: &Kill) -> anyhow::Result<Exit> {
    let name = name(&kill.which)?;
    if place.dry_run {
        place.show(screen, &Script::end(&name, kill.grace, kill.purge, None)?)?;
        return Ok(Exit::SUCCESS);
    }
    place.sessions.end(&name, kill.grace, kill.purge, None)?;
    tell(place, screen, name.as_str(), None)?;
    Ok(Exit::SUCCESS)
}

pub(crate) fn run(place: &Place, screen: &Screen, prune: &Prune) -> anyhow::Result<Exit> {
    let role = prune.role.as_deref().map(str::parse).transpose()?;
    let rule = PruneRule { older_than: Duration::from_hours(prune.older_than), role };
    let (now, rows) = place.sessions.list(&[])?;
    let mut exit = Exit::SUCCESS;
    for row in rows {
        let kept = match rule.verdict(&row.standing(), now) {
            Err(kept) => Some(kept.to_string()),
            Ok(()) if place.dry_run => {
                place.show(screen, &Script::end(&row.name, PRUNE_GRACE, true, Some(row.seen))?)?;
                continue;
            }
            Ok(()) => match end(place, &row) {
                Ok(kept) => kept,
                // The others go all the same.
                Err(error @ SessionError::Refused(_)) => {
                    screen.trouble(&error.into(), Exit::FAILURE);
                    exit = Exit::FAILURE;
                    continue;
                }
                Err(error) => return Err(error.into()),
            },
        };
        if !place.dry_run && (kept.is_none() || screen.json) {
            tell(place, screen, row.name.as_str(), kept)?;
        }
    }
    Ok(exit)
}

/// Ends a session that nobody has used since; gives back why it was kept.
fn end(place: &Place, row: &SessionRow) -> Result<Option<String>, SessionError> {
    match place.sessions.end(&row.name, PRUNE_GRACE, true, Some(row.seen)) {
        Ok(_) => Ok(None),
        Err(SessionError::Refused(refusal)) if refusal.why == Why::Used => {
            Ok(Some("used meanwhile".to_owned()))
        }
        // Somebody else has pruned it.
        Err(SessionError::Refused(refusal)) if refusal.why == Why::NoSession => Ok(None),
        Err(error) => Err(error),
    }
}

fn tell(place: &Place, screen: &Screen, name: &str, kept: Option<String>) -> anyhow::Result<()> {
    if screen.json {
        return screen.object(&Gone { v: VERSION, host: &place.host, name, ended: kept.is_none(), kept });
    }
    Ok(screen.line(format_args!("{name} ended"))?)
}

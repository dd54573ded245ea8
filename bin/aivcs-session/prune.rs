//! `kill` and `prune`: ends one session, or those that have been left.

use std::time::Duration;

use actors::session::script::Script;
use actors::session::{PRUNE_GRACE, SessionError};
use policy::session::prune::PruneRule;

use crate::cli::args::{Kill, Prune};
use crate::cli::exit::Exit;
use crate::cli::json::{Gone, VERSION};
use crate::cli::place::{Place, name};
use crate::cli::screen::Screen;

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
            Ok(()) => match place.sessions.prune(&row) {
                Ok(is_gone) => (!is_gone).then(|| "used meanwhile".to_owned()),
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

fn tell(place: &Place, screen: &Screen, name: &str, kept: Option<String>) -> anyhow::Result<()> {
    if screen.json {
        return screen.object(&Gone { v: VERSION, host: &place.host, name, ended: kept.is_none(), kept });
    }
    Ok(screen.line(format_args!("{name} ended"))?)
}

//! `list`: the sessions of a machine.

use std::time::Duration;

use actors::session::SessionRow;
use actors::session::script::Script;
use policy::session::Role;
use policy::time::Timestamp;

use crate::cli::args::List;
use crate::cli::exec::standing;
use crate::cli::exit::Exit;
use crate::cli::json::Session;
use crate::cli::place::Place;
use crate::cli::screen::Screen;

pub(crate) fn run(place: &Place, screen: &Screen, list: &List) -> anyhow::Result<Exit> {
    let role = list.role.as_deref().map(str::parse::<Role>).transpose()?;
    if place.dry_run {
        place.show(screen, &Script::list(&[])?)?;
        return Ok(Exit::SUCCESS);
    }
    let (now, rows) = place.sessions.list(&[])?;
    let wanted =
        |row: &&SessionRow| (row.live || list.all) && role.is_none_or(|role| row.identity.role() == role);
    let rows: Vec<&SessionRow> = rows.iter().filter(wanted).collect();
    let width = rows.iter().map(|row| row.name.as_str().len()).max().unwrap_or(0);
    for row in rows {
        if screen.json {
            screen.object(&Session::of(&place.host, row, now))?;
        } else {
            screen.line(line(row, width, now))?;
        }
    }
    Ok(Exit::SUCCESS)
}

fn line(row: &SessionRow, width: usize, now: Timestamp) -> String {
    let attached = if row.attached > 0 { "  attached" } else { "" };
    let files = if row.live { "" } else { "  files only" };
    let (age, state) = (age(now.since(row.made)), standing(row));
    format!("{:width$}  created {age} ago  {state}{attached}{files}", row.name.as_str())
}

/// `40s`, `2m`, `3h`, `4d`.
fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_one_unit() {
        let ages = [0, 59, 125, 7200, 90_000].map(|seconds| age(Duration::from_secs(seconds)));
        assert_eq!(ages, ["0s", "59s", "2m", "2h", "1d"]);
    }
}

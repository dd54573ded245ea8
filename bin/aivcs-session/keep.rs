//! `exec --keep`: files that a command has left come to a directory here when it has ended.

use std::fs;
use std::path::PathBuf;

use actors::say::{count, plain};
use actors::session::keep::{Fetched, Site, Wish};
use actors::session::script::Start;
use actors::session::{AttemptRow, AttemptState};
use actors::workspace::Cancel;
use anyhow::Context;
use policy::artifact::{Artifacts, KeepLimits, PATTERNS_LIMIT};

use crate::cli::args::Exec;
use crate::cli::json;
use crate::cli::place::Place;
use crate::cli::screen::Screen;

/// What is wanted, and where.
#[derive(Debug)]
pub(crate) struct Keep {
    artifacts: Artifacts,
    into: PathBuf,
}

impl Keep {
    /// `None` where nothing is wanted.
    pub(crate) fn of(exec: &Exec) -> Option<Self> {
        let into = exec.keep_into.clone()?;
        Some(Self { artifacts: Artifacts { patterns: exec.keep.clone() }, into })
    }

    /// Makes the directory: whoever cannot have the files does not want the run.
    pub(crate) fn prepare(&self) -> anyhow::Result<()> {
        let patterns = self.artifacts.patterns.len();
        anyhow::ensure!(patterns <= PATTERNS_LIMIT, "--keep: {patterns} patterns, at most {PATTERNS_LIMIT}");
        fs::create_dir_all(&self.into).with_context(|| format!("making {}", self.into.display()))
    }

    /// Fetches them and says what has come of it; how the command ended stays what it is.
    pub(crate) fn fetch(&self, (place, screen): (&Place, &Screen), start: &Start, ended: &AttemptRow) {
        let fetched = if has_left_something(ended) {
            self.fetched((place, screen), start)
        } else {
            let why = format!("nothing is fetched of what ended so: {}", ended.standing());
            Fetched { fault: Some(why.into()), ..Fetched::default() }
        };
        self.say(screen, &fetched);
    }

    fn fetched(&self, (place, screen): (&Place, &Screen), start: &Start) -> Fetched {
        let site =
            Site { key: None, base: &start.base, repo: start.identity.repo(), directory: &start.directory };
        let (limits, cancel) = (KeepLimits::default(), Cancel::default());
        let wish = Wish { artifacts: &self.artifacts, limits, into: &self.into, cancel: &cancel };
        place.sessions.fetch(&site, &wish, &mut |error| {
            screen.note(format_args!("aivcs-session: {error}; fetching goes on, connecting again"));
        })
    }

    fn say(&self, screen: &Screen, fetched: &Fetched) {
        if screen.json {
            return screen.note(json::Keep::of(&self.into, fetched).line());
        }
        for one in &fetched.left_out {
            let path = String::from_utf8_lossy(one.path.as_bytes());
            screen.note(plain(&format!("aivcs-session: not fetched: {path}: {}", one.why)));
        }
        if let Some(fault) = &fetched.fault {
            screen.note(plain(&format!("aivcs-session: {fault}")));
        }
        if fetched.kept.is_empty() && fetched.fault.is_some() {
            return;
        }
        let files = count(fetched.kept.len() as u64, "file");
        screen.note(format_args!("aivcs-session: fetched {files} into {}", self.into.display()));
    }
}

/// What was ended from outside is not wanted any more, and what never ran has left nothing.
fn has_left_something(ended: &AttemptRow) -> bool {
    let by_itself = ["exited", "timed-out", "output-limit"];
    ended.state == AttemptState::Ended && ended.outcome.as_deref().is_some_and(|how| by_itself.contains(&how))
}

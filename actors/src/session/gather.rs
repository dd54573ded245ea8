//! What tasks on a machine behind SSH leave and is to be kept: brought here by its worker when an attempt is over.
//!
//! An attempt's `aivcs-session exec` has ended by then, and with it all that it ran there; of one that was killed the rest is
//! ended first. So neither the attempt's time nor its exit status knows of the fetching, and after a restart of the daemon it is
//! done again. Must not know how it is kept here.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::artifact::KeepLimits;
use policy::task::AttemptOutcome;

use super::Sessions;
use super::keep::{Site, Wish};
use super::node::SshNode;
use crate::artifact::source::{Brought, Source};
use crate::artifact::{Storing, Wanted};
use crate::workspace::record::Record;
use crate::workspace::{Cancel, path_of};

/// See the module.
#[derive(Debug)]
struct Gatherer {
    sessions: Sessions,
    node: SshNode,
    base: Box<str>,
    /// Where the records of workspaces are: which of them have a worktree there is written in them.
    workspaces: PathBuf,
}

/// Keeps what is brought from the machine of `node`; its repository is below `base` there, records of workspaces below
/// `workspaces` here.
#[must_use]
pub fn storing(
    storing: Storing,
    (node, sessions): (SshNode, Sessions),
    base: &str,
    workspaces: PathBuf,
) -> Storing {
    let gatherer = Gatherer { sessions, node, base: base.into(), workspaces };
    Storing { source: Some(Arc::new(gatherer)), ..storing }
}

impl Gatherer {
    /// Where it ran, seen from the repository there. Every directory of this machine does not count.
    fn directory(&self, wanted: &Wanted) -> Vec<u8> {
        let record = Record::read(&self.workspaces, wanted.token).ok().flatten();
        let worktree = record.and_then(|record| record.elsewhere).map(|there| path_of(&there));
        let directory = path_of(&wanted.directory);
        let is_there = worktree.is_some_and(|worktree| directory.starts_with(worktree));
        if is_there { directory.as_os_str().as_bytes().to_vec() } else { Vec::new() }
    }
}

impl Source for Gatherer {
    fn bring(
        &self,
        wanted: &Wanted,
        outcome: Option<&AttemptOutcome>,
        limits: KeepLimits,
        into: &Path,
    ) -> Brought {
        if let Some(why) = unwanted(outcome) {
            return Brought { fault: Some(why.into()), ..Brought::default() };
        }
        let (key, directory) = (self.node.key_of(wanted.task, wanted.token), self.directory(wanted));
        let site = Site { key: Some(&key), base: &self.base, repo: &self.node.repo, directory: &directory };
        let cancel = Cancel::default();
        let wish = Wish { artifacts: &wanted.artifacts, limits, into, cancel: &cancel };
        let token = wanted.token;
        let fetched = self.sessions.fetch(&site, &wish, &mut |error| {
            tracing::info!(%token, %error, "fetching artifacts goes on over another connection");
        });
        Brought { left_out: fetched.left_out, fault: fetched.fault }
    }
}

/// Why nothing is fetched of an attempt that ended so: nobody waits for it, or it is tried again elsewhere.
fn unwanted(outcome: Option<&AttemptOutcome>) -> Option<&'static str> {
    match outcome? {
        AttemptOutcome::Cancelled => {
            Some("nothing is fetched from a machine behind SSH after a cancellation")
        }
        AttemptOutcome::Lost(_) => Some("nothing is fetched from a machine behind SSH of a lost attempt"),
        AttemptOutcome::Exited(_)
        | AttemptOutcome::Signalled(_)
        | AttemptOutcome::TimedOut(_)
        | AttemptOutcome::OverLimit(_)
        | AttemptOutcome::SpawnFailed(_)
        | AttemptOutcome::StepFailed(_) => None,
    }
}

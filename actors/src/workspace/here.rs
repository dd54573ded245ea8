//! Workspaces on this machine's own disk.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use policy::workspace::{ALL_SORTS, Source, Unsaved};

use super::git::Git;
use super::ground::{Away, Ground, Work};
use super::record::{self, Record};
use super::{Prepared, Unmade, copy, disk, path_of};
use crate::process::os;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Here {
    pub(super) root: PathBuf,
    /// What git finds in its environment.
    pub(super) environment: Vec<(OsString, OsString)>,
}

impl Here {
    fn git<'g>(&'g self, work: &Work<'g>) -> Git<'g> {
        Git { environment: &self.environment, cancel: work.cancel, clock: work.clock, until: work.until }
    }
}

impl Ground for Here {
    fn says(&self) -> Box<str> {
        ALL_SORTS.into()
    }

    fn make(&self, record: &mut Record, work: &Work<'_>) -> Result<Prepared, Unmade> {
        let (root, git) = (&self.root, self.git(work));
        let failed = |error: io::Error| Unmade::of_disk("making a directory in", root, &error);
        let (outer, path) = (record::outer(root, record.token), record::inner(root, record.token));
        disk::make(&outer).map_err(failed)?;
        match &record.workspace.source {
            Source::Scratch => disk::make(&path).map_err(failed)?,
            Source::Copy { of } => {
                let of = path_of(of);
                copy::copy(&of, &path, root, git.cancel)?;
                record.copied = git.state_of_copy(&path)?;
            }
            Source::Worktree { repository, commit } => {
                let worktree = git.add(&path_of(repository), commit, &path)?;
                record.worktree = Some(worktree);
            }
        }
        let home = record.workspace.private_home.then(|| (outer.join("home"), outer.join("tmp")));
        if let Some((home, temporary)) = &home {
            disk::make(home).and_then(|()| disk::make(temporary)).map_err(failed)?;
        }
        Ok(Prepared { made: record.made, path, home })
    }

    fn look(&self, record: &Record, work: &Work<'_>) -> Result<Unsaved, Away> {
        let (path, git) = (self.path(record), self.git(work));
        Ok(match &record.worktree {
            Some(worktree) => git.look(worktree, &path),
            None => git.look_at_copy(record.copied.as_ref(), &path),
        })
    }

    fn erase(&self, record: &Record, work: &Work<'_>) -> io::Result<()> {
        disk::remove(&record::outer(&self.root, record.token))?;
        match &record.workspace.source {
            Source::Worktree { repository, .. } => {
                self.git(work).forget(&path_of(repository), &self.path(record))
            }
            Source::Scratch | Source::Copy { .. } => Ok(()),
        }
    }

    fn path(&self, record: &Record) -> PathBuf {
        record::inner(&self.root, record.token)
    }

    fn bytes(&self, record: &Record) -> u64 {
        disk::bytes(&record::outer(&self.root, record.token))
    }

    fn free_bytes(&self) -> u64 {
        os::free_disk_bytes(&self.root)
    }
}

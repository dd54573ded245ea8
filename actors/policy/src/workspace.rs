//! Where an attempt works: in place, or in a directory of its own; and what becomes of that at its end.
//!
//! Decides which workspaces are kept and which of the kept ones go. Must not know how one is made, looked through or
//! removed.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::id::Token;
use crate::task::AttemptOutcome;
use crate::text::OsText;
use crate::time::Timestamp;

/// What names the commit of a worktree where nobody says.
pub const COMMIT_USUAL: &str = "HEAD";

/// What a machine says of its workspaces (`constraint::WORKSPACES`) that makes all sorts.
pub const ALL_SORTS: &str = "yes";

/// What a task says of a directory of its own; one that says nothing works in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// What is in it when the attempt starts.
    pub source: Source,
    /// Whether it stays when the attempt is over.
    pub keep: Keep,
    /// Whether HOME and TMPDIR are directories of the attempt's own as well.
    pub private_home: bool,
}

/// What is in a workspace at first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// Nothing.
    Scratch,
    /// What is in a directory, copied without taking room for it where the file system can.
    Copy {
        /// The directory; absolute.
        of: OsText,
    },
    /// The files of a commit, as a worktree of git that is on no branch.
    Worktree {
        /// The repository; absolute.
        repository: OsText,
        /// What names the commit: a branch, a tag, its id.
        commit: Box<str>,
    },
}

/// When a workspace stays.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum Keep {
    /// Where it holds work that is nowhere else.
    #[default]
    Unsaved,
    /// There, and where the attempt failed.
    OnFailure,
    /// In any case.
    Always,
    /// In no case: what is unsaved is lost.
    Never,
}

/// What a workspace holds that is nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsaved {
    /// Nothing that anybody has to ask for.
    Nothing,
    /// Work.
    Work {
        /// Files that were changed or made, and are not ignored.
        changed: u32,
        /// Commits that no branch, tag or remote has.
        commits: u32,
    },
    /// That cannot be told.
    Unknown(Box<str>),
}

/// Why a workspace was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhyKept {
    /// It holds work that is nowhere else.
    Unsaved {
        /// Files that were changed or made, and are not ignored.
        changed: u32,
        /// Commits that no branch, tag or remote has.
        commits: u32,
    },
    /// Whether it does cannot be told.
    Unknown(Box<str>),
    /// The attempt failed, and the task wants it then.
    Failed,
    /// The task wants it.
    Asked,
}

/// What became of an attempt's workspace, as its end tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceEnd {
    /// How long making it took.
    pub prepared: Duration,
    /// Where it is, and why it was kept; `None` where it was removed.
    pub kept: Option<(OsText, WhyKept)>,
}

/// What is to become of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It goes.
    Remove,
    /// It stays.
    Keep(WhyKept),
}

/// What becomes of a workspace in which an attempt has ended so; `None` where nobody knows how.
#[must_use]
pub fn fate(keep: Keep, outcome: Option<&AttemptOutcome>, unsaved: Unsaved) -> Fate {
    match (keep, unsaved) {
        (Keep::Never, _) => Fate::Remove,
        (_, Unsaved::Work { changed, commits }) => Fate::Keep(WhyKept::Unsaved { changed, commits }),
        (_, Unsaved::Unknown(why)) => Fate::Keep(WhyKept::Unknown(why)),
        (Keep::Always, Unsaved::Nothing) => Fate::Keep(WhyKept::Asked),
        (Keep::OnFailure, Unsaved::Nothing) if outcome.is_some_and(has_failed) => Fate::Keep(WhyKept::Failed),
        (Keep::OnFailure | Keep::Unsaved, Unsaved::Nothing) => Fate::Remove,
    }
}

/// By its own fault: what was cancelled, stopped for others or lost has nothing to show.
fn has_failed(outcome: &AttemptOutcome) -> bool {
    match outcome {
        AttemptOutcome::Exited(code) => *code != 0,
        AttemptOutcome::Signalled(_)
        | AttemptOutcome::TimedOut(_)
        | AttemptOutcome::OverLimit(_)
        | AttemptOutcome::SpawnFailed(_)
        | AttemptOutcome::StepFailed(_) => true,
        AttemptOutcome::Cancelled | AttemptOutcome::Lost(_) => false,
    }
}

impl Workspace {
    /// About how many bytes it takes when encoded.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.source {
            Source::Scratch => 0,
            Source::Copy { of } => of.len(),
            Source::Worktree { repository, commit } => repository.len() + commit.len(),
        }
    }
}

impl Workspace {
    /// What a machine may say of its workspaces that makes one like this. Machines behind SSH make worktrees of their own
    /// repository alone, wherever the task's is: it has the same name.
    #[must_use]
    pub fn made_by(&self) -> Vec<Box<str>> {
        let repository = match &self.source {
            Source::Worktree { repository, .. } if !self.private_home => name_of(repository),
            Source::Worktree { .. } | Source::Copy { .. } | Source::Scratch => None,
        };
        [ALL_SORTS.into()].into_iter().chain(repository.map(worktrees_of)).collect()
    }
}

/// What a machine says that makes worktrees of a repository of this name alone.
#[must_use]
pub fn worktrees_of(repository: &str) -> Box<str> {
    format!("worktrees of {repository}").into()
}

/// The last name of a path.
fn name_of(path: &OsText) -> Option<&str> {
    let mut names = path.as_bytes().split(|byte| *byte == b'/').filter(|name| !matches!(name, [] | [b'.']));
    names.next_back().filter(|name| *name != b"..").and_then(|name| std::str::from_utf8(name).ok())
}

impl Keep {
    /// Whether it matters what is in the workspace.
    #[must_use]
    pub fn looks(self) -> bool {
        self != Self::Never
    }
}

impl WhyKept {
    /// Whether work is lost, as far as anybody can tell, when it goes.
    #[must_use]
    pub fn is_unsaved(&self) -> bool {
        match self {
            Self::Unsaved { .. } | Self::Unknown(_) => true,
            Self::Failed | Self::Asked => false,
        }
    }
}

/// A workspace that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The grant of its attempt.
    pub token: Token,
    /// Since when.
    pub since: Timestamp,
    /// What it takes of the disk.
    pub bytes: u64,
    /// Whether work is lost with it.
    pub is_unsaved: bool,
}

/// When kept workspaces go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reclaim {
    /// How long they stay at the most.
    pub age: Duration,
    /// Bytes of the disk that are to be free: the oldest go while there are fewer.
    pub free_bytes: u64,
    /// Whether those go as well that hold unsaved work.
    pub unsaved_too: bool,
}

/// Which of the kept ones go, the oldest first, where `free_bytes` of the disk are free.
#[must_use]
pub fn reclaimed(kept: &[Kept], terms: Reclaim, now: Timestamp, free_bytes: u64) -> Vec<Token> {
    let mut may_go: Vec<&Kept> = kept.iter().filter(|one| terms.unsaved_too || !one.is_unsaved).collect();
    may_go.sort_by_key(|one| (one.since, one.token));
    let (mut free, mut gone) = (free_bytes, Vec::new());
    for one in may_go {
        if now.since(one.since) < terms.age && free >= terms.free_bytes {
            break;
        }
        free = free.saturating_add(one.bytes);
        gone.push(one.token);
    }
    gone
}

/// `scratch`, `copy of /src`, `worktree of /repo at main`.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scratch => f.write_str("scratch"),
            Self::Copy { of } => write!(f, "copy of {of}"),
            Self::Worktree { repository, commit } => write!(f, "worktree of {repository} at {commit}"),
        }
    }
}

/// `3 changed files and 1 commit that is nowhere else`.
impl fmt::Display for WhyKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = |n: u32| format!("{n} changed {}", if n == 1 { "file" } else { "files" });
        let commits = |n: u32| match n {
            1 => "1 commit that is on no branch".to_owned(),
            n => format!("{n} commits that are on no branch"),
        };
        match self {
            Self::Unsaved { changed, commits: 0 } => f.write_str(&files(*changed)),
            Self::Unsaved { changed: 0, commits: these } => f.write_str(&commits(*these)),
            Self::Unsaved { changed, commits: these } => {
                write!(f, "{} and {}", files(*changed), commits(*these))
            }
            Self::Unknown(why) => write!(f, "whether it is saved cannot be told: {why}"),
            Self::Failed => f.write_str("the attempt failed"),
            Self::Asked => f.write_str("the task asked for it"),
        }
    }
}

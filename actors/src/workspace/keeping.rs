//! Workspaces that stay after their attempts: which there are, and when they go.

use std::path::PathBuf;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use policy::id::{TaskId, Token};
use policy::time::Timestamp;
use policy::workspace::{self, Kept, WhyKept};

use super::record::{self, Record, State};
use super::{Keeping, Workspaces};

/// A workspace that was kept, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptWorkspace {
    /// The grant of its attempt.
    pub token: Token,
    /// Its task.
    pub task: TaskId,
    /// What that is called.
    pub name: Box<str>,
    /// What was in it at first.
    pub source: Box<str>,
    /// Where it is.
    pub path: PathBuf,
    /// Since when.
    pub since: Timestamp,
    /// What it takes of the disk.
    pub bytes: u64,
    /// Why.
    pub why: WhyKept,
}

impl Workspaces {
    /// It stays.
    pub(super) fn keep(&self, keeping: &Keeping, mut record: Record, why: WhyKept) {
        let token = record.token;
        let bytes = keeping.ground.bytes(&record);
        record.state = State::Kept { since: self.clock.wall(), bytes, why };
        if let Err(error) = record.write(&keeping.root) {
            // It stays as it is, and is looked through again by the next daemon.
            return tracing::error!(%token, %error, "that a workspace is kept cannot be written down");
        }
        if let Some(known) = self.known().get_mut(&token).filter(|known| !known.is_kept) {
            known.is_kept = true;
            self.in_use.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Those that were kept, by their tokens.
    #[must_use]
    pub fn kept(&self) -> Vec<KeptWorkspace> {
        let Some(keeping) = &self.keeping else { return Vec::new() };
        let tokens: Vec<Token> =
            self.known().iter().filter(|(_, known)| known.is_kept).map(|(token, _)| *token).collect();
        let shown = |token| shown(keeping, record::find(&keeping.root, token)?);
        tokens.into_iter().filter_map(shown).collect()
    }

    /// Removes those whose time is over, or whose room is needed; gives back how many went.
    pub fn reclaim(&self) -> usize {
        let Some(keeping) = &self.keeping else { return 0 };
        let kept: Vec<Kept> = self.kept().iter().map(of_policy).collect();
        if kept.is_empty() {
            return 0;
        }
        let free = keeping.ground.free_bytes();
        let gone = workspace::reclaimed(&kept, keeping.reclaim, self.clock.wall(), free);
        gone.into_iter().filter(|token| self.discard(*token)).count()
    }

    /// Removes one that was kept, with all that is in it. `false` where there is none.
    pub fn discard(&self, token: Token) -> bool {
        let Some(keeping) = &self.keeping else { return false };
        let Some(known) = self.known().get(&token).filter(|known| known.is_kept).cloned() else {
            return false;
        };
        let _turn = known.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = record::find(&keeping.root, token) else { return false };
        tracing::info!(%token, task = %record.task, "removes a kept workspace");
        self.remove(keeping, record);
        true
    }
}

fn of_policy(kept: &KeptWorkspace) -> Kept {
    let is_unsaved = kept.why.is_unsaved();
    Kept { token: kept.token, since: kept.since, bytes: kept.bytes, is_unsaved }
}

fn shown(keeping: &Keeping, record: Record) -> Option<KeptWorkspace> {
    let path = keeping.ground.path(&record);
    let State::Kept { since, bytes, why } = record.state else { return None };
    let (token, task, name) = (record.token, record.task, record.name);
    let source = record.workspace.source.to_string().into();
    Some(KeptWorkspace { token, task, name, source, path, since, bytes, why })
}

//! One lock: held by one, or by several that share it.

use std::collections::BTreeSet;

use crate::claims::Mode;
use crate::id::TaskId;

/// Who holds it.
#[derive(Debug, Clone)]
pub(super) struct Lock {
    pub(super) mode: Mode,
    pub(super) holders: BTreeSet<TaskId>,
}

impl Lock {
    pub(super) fn held_by(task: TaskId, mode: Mode) -> Self {
        Self { mode, holders: BTreeSet::from([task]) }
    }

    /// Whether somebody else may have it in this way.
    pub(super) fn admits(&self, mode: Mode) -> bool {
        self.mode == Mode::Shared && mode == Mode::Shared
    }

    pub(super) fn check(&self) {
        assert!(!self.holders.is_empty(), "a lock nobody holds is not kept");
        assert!(self.mode == Mode::Shared || self.holders.len() == 1, "an exclusive lock has one holder");
    }
}

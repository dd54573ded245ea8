//! `[worker]`: what this machine has for tasks.

use std::time::Duration;

use policy::handler;
use policy::workspace::Reclaim;

use crate::config::amount::{Cores, Length, List, Size, Table};
use crate::config::section::{Any, If, section};

/// How long a workspace stays that was kept: two weeks, so that a holiday does not cost anybody a failed build.
const KEPT_FOR: Duration = Duration::from_secs(14 * 24 * 3600);
/// Bytes of the disk that kept workspaces leave free: what one build takes.
const FREE_BYTES: u64 = 10 << 30;

/// Only an agent handles: a process host would take the message for a program.
pub(super) fn none_handles(resources: &Table<u64>) -> bool {
    resources.0.keys().all(|name| handler::kind_of(name).is_none())
}

section! {
    /// `[worker]`
    WorkerConfig {
        /// Cores for tasks.
        cpus: Cores as "all of the machine's", Any("a number of cores");
        /// Memory for tasks.
        memory: Size as "the machine's less 2 GiB", Any("a size");
        /// Slots of the GPU.
        gpu: u64 as "1 on a Mac, 0 elsewhere", Any("a whole number");
        /// Disk for tasks.
        disk: Size as "half of what is free where the data is", Any("a size");
        /// The site's own resources.
        resources: Table<u64> as "none", If(none_handles, "amounts by name, none of them handler.KIND, which agents have");
        /// What is said of this machine.
        labels: Table<String> as "none but os, arch and the like", Any("texts by name");
        /// Variables that tasks inherit from the daemon, besides the usual ones.
        pass_env: List<String> as "none", Any("a list of names");
        /// Where the secrets of this machine are: a file for each, this user's alone, as the directory is.
        secrets: String as "knittingcrab/secrets in the user's configuration directory", If(|path: &String| path.starts_with('/'), "an absolute path");
        /// On a machine that joins a fleet: a data directory whose user may submit, by which tasks here have suites of tests run.
        suites: String as "none, and on the scheduler's own machine its data directory", If(|path: &String| path.starts_with('/'), "an absolute path");
        /// Where workspaces of tasks are: on the disk on which they are to be fast.
        workspaces: String as "workspaces in the data directory", If(|path: &String| path.starts_with('/'), "an absolute path");
        /// How long a workspace stays that was kept.
        workspaces_kept_for: Length = Length(KEPT_FOR), Any("a length of time");
        /// What is to be free of its disk: the oldest of those kept go where less is.
        workspaces_free: Size = Size(FREE_BYTES), Any("a size");
        /// Whether these go as well where they hold work that is nowhere else.
        workspaces_drop_unsaved: bool = false, Any("true or false");
    }
}

impl WorkerConfig {
    /// When workspaces go that were kept.
    #[must_use]
    pub fn reclaim(&self) -> Reclaim {
        Reclaim {
            age: self.workspaces_kept_for().0,
            free_bytes: self.workspaces_free().0,
            unsaved_too: self.workspaces_drop_unsaved(),
        }
    }
}

//! `[worker]`: what this machine has for tasks.

use crate::config::amount::{Cores, List, Size, Table};
use crate::config::section::{Any, section};

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
        resources: Table<u64> as "none", Any("amounts by name");
        /// What is said of this machine.
        labels: Table<String> as "none but os, arch and the like", Any("texts by name");
        /// Variables that tasks inherit from the daemon, besides the usual ones.
        pass_env: List<String> as "none", Any("a list of names");
    }
}

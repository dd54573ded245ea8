//! `[jobserver]`: how many jobs all builds of this machine run together.

use crate::config::section::section;

section! {
    /// `[jobserver]`
    JobserverConfig {
        /// Slots of the jobserver that tasks with `jobserver = true` share, besides one of each; 0 where there is to be none.
        slots: u32 as "as many as the machine has cores", 0..=4096;
    }
}

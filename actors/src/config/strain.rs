//! `[strain]`: when this machine is too strained for new work, and for some of what it has.

use policy::strain::{Limits, StrainRules};

use crate::config::amount::{Length, Size};
use crate::config::section::{Any, section};

/// What holds where nothing is said; in policy::strain it says why.
fn usual() -> StrainRules {
    StrainRules::default()
}

section! {
    /// `[strain]`
    StrainConfig {
        /// Whether the machine is watched at all.
        watch: bool = true, Any("true or false");
        /// With less of its memory to be had, in percent, it takes nothing heavy; here and below 0 is never.
        memory_free_warn: u64 = usual().memory_free.warn, 0..=100;
        /// With less, in percent, it takes nothing, and preemptible attempts are taken off it.
        memory_free_critical: u64 = usual().memory_free.critical, 0..=100;
        /// Where something waits for memory for this much of the time, in percent, it takes nothing heavy (Linux).
        memory_stall_warn: u64 = usual().memory_stall.warn, 0..=100;
        /// For this much, it takes nothing, and preemptible attempts are taken off it.
        memory_stall_critical: u64 = usual().memory_stall.critical, 0..=100;
        /// Where all wait for disks for this much of the time, in percent, it takes nothing heavy (Linux).
        io_stall_warn: u64 = usual().io_stall.warn, 0..=100;
        /// With a load of this much of its cores, in percent, it takes nothing heavy.
        load_warn: u64 = usual().load.warn, 0..;
        /// With less that is free where the data is, it takes nothing heavy.
        disk_free_warn: Size = Size(usual().disk_free.warn), Any("a size");
        /// With less, it takes nothing, and preemptible attempts are taken off it.
        disk_free_critical: Size = Size(usual().disk_free.critical), Any("a size");
        /// How long nothing must have been so before it counts as over.
        calm: Length = Length(usual().calm), Any("a length of time");
        /// What is heavy: more than this of the machine's cores or memory, in percent.
        heavy_percent: u8 = usual().heavy_percent, 0..=100;
    }
}

impl StrainConfig {
    /// When it is strained; `None` where nobody is to look.
    #[must_use]
    pub fn rules(&self) -> Option<StrainRules> {
        self.watch().then(|| StrainRules {
            memory_free: Limits { warn: self.memory_free_warn(), critical: self.memory_free_critical() },
            memory_stall: Limits { warn: self.memory_stall_warn(), critical: self.memory_stall_critical() },
            io_stall: Limits { warn: self.io_stall_warn(), critical: 0 },
            load: Limits { warn: self.load_warn(), critical: 0 },
            disk_free: Limits { warn: self.disk_free_warn().0, critical: self.disk_free_critical().0 },
            unanswered: usual().unanswered,
            calm: self.calm().0,
            heavy_percent: self.heavy_percent(),
        })
    }
}

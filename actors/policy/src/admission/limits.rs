//! How large what is handed in may be, and why not larger.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Problems that a rejection lists: more than anybody reads, and a few kilobytes. The others are counted.
pub const PROBLEMS_LIMIT: usize = 100;
/// Characters of a name: a line of a terminal.
pub(super) const NAME_LIMIT_CHARS: usize = 100;
/// A thousandth of a core more than anybody has, 1,000,000 cores: sums of all tasks cannot overflow.
pub(super) const CPU_LIMIT_MILLIS: u64 = 1_000_000_000;
/// An exbibyte, for the same reason.
pub(super) const MEMORY_LIMIT_BYTES: u64 = 1 << 60;
/// An exbibyte, for the same reason.
pub(super) const DISK_LIMIT_BYTES: u64 = 1 << 60;
/// Slots of the GPU, for the same reason.
pub(super) const GPU_LIMIT_SLOTS: u64 = 1_000_000;
/// Of each of the site's own resources, for the same reason.
pub(super) const NAMED_LIMIT: u64 = 1 << 60;
/// Resources of the site's own that one task names: each is looked at for each node at each choice.
pub(super) const NAMED_LIMIT_COUNT: usize = 64;
/// Locks, rates, pools and amounts of the fleet that one task claims: each is looked at in each round.
pub(super) const CLAIMS_LIMIT_COUNT: usize = 32;
/// The factor between two waits, in hundredths: at least 1, at most 1000.
pub(super) const FACTOR_RANGE_PERCENT: (u64, u64) = (100, 100_000);
/// Exit codes worth another attempt: there are no more.
pub(super) const EXIT_CODES_LIMIT: usize = 255;
/// Signals worth another attempt: there are no more.
pub(super) const SIGNALS_LIMIT: usize = 64;

/// How large what is handed in may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmissionLimits {
    /// Items of a graph: 1,000,000 take 72 MB in the table.
    pub items: usize,
    /// Tasks of a graph: 10,000,000 take 240 MB in the table once all of them have run.
    pub tasks: u64,
    /// Dependencies of an item (an array counts as one): its record then takes half a megabyte of the log.
    pub dependencies_per_item: usize,
    /// Dependencies of all items of a graph: 20,000,000 take 160 MB in the table.
    pub dependencies: usize,
    /// Bytes of a specification beside its arguments and variables: one million of them fit in a log of a
    /// few gigabytes only where they are much smaller, one of them fits in a frame many times.
    pub spec_bytes: usize,
    /// Bytes of all arguments, 128 KiB: what Linux takes as a single argument, and an eighth of a frame, so
    /// that grants still travel several in one.
    pub argv_bytes: usize,
    /// Environment variables.
    pub environment_entries: usize,
    /// Bytes of all names and values of the environment: with the arguments far below what any system
    /// takes (1 MiB on macOS).
    pub environment_bytes: usize,
    /// The longest time limit of an attempt, 30 days: what should run longer is a service.
    pub timeout: Duration,
    /// The longest wait between the polite signal and the last: a day.
    pub grace: Duration,
    /// Attempts that may fail: 1000 at 30 s are a working day of trying.
    pub attempts: u32,
    /// The longest wait between two attempts, 7 days: longer, and nobody remembers why it runs.
    pub backoff: Duration,
    /// Tasks that may wait in all, for dependencies or for their turn: 2,000,000 single tasks take some
    /// 250 MB.
    pub waiting_tasks: u64,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        Self {
            items: 1_000_000,
            tasks: 10_000_000,
            dependencies_per_item: 100_000,
            dependencies: 20_000_000,
            spec_bytes: 64 * 1024,
            argv_bytes: 128 * 1024,
            environment_entries: 256,
            environment_bytes: 32 * 1024,
            timeout: Duration::from_hours(30 * 24),
            grace: Duration::from_hours(24),
            attempts: 1000,
            backoff: Duration::from_hours(7 * 24),
            waiting_tasks: 2_000_000,
        }
    }
}

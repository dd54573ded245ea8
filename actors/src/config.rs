//! Every limit and every setting, typed, with its default and its reason.
//!
//! Read from TOML; a file that names what does not exist or says what cannot be is refused with every
//! mistake named.

use policy::admission::AdmissionLimits;
use policy::graph::Retention;

/// How much of everything the scheduler side takes on.
#[derive(Debug, Clone)]
pub struct Limits {
    /// What a submission may be.
    pub admission: AdmissionLimits,
    /// Task actors awake at once: each takes some 10 KB, so this is about 1 GB. Far above the attempts a
    /// fleet of twenty machines runs at once.
    pub awake_tasks: usize,
    /// Different needs of resources at once: each is compared with each node in every round.
    pub shapes: usize,
    /// How much of what has ended is kept.
    pub retention: Retention,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            admission: AdmissionLimits::default(),
            awake_tasks: 100_000,
            shapes: 10_000,
            retention: Retention::default(),
        }
    }
}

//! `[lease]`: how leases are timed. What the values must be to each other is `policy::lease`'s matter.

use policy::lease::LeaseTerms;

use crate::config::amount::Length;
use crate::config::section::{Any, section};

section! {
    /// `[lease]`
    LeaseConfig {
        /// Between two heartbeats.
        heartbeat: Length = Length(LeaseTerms::default().heartbeat), Any("a length of time");
        /// How long a node may run on without being heard.
        ttl: Length = Length(LeaseTerms::default().ttl), Any("at least three heartbeats");
        /// What the scheduler waits on top before it gives a task to another machine.
        grace: Length = Length(LeaseTerms::default().grace), Any("more than the clocks may drift apart within ttl");
        /// How long before the end of its lease a node begins to kill.
        kill_margin: Length = Length(LeaseTerms::default().kill_margin), Any("less than what ttl leaves");
    }
}

impl LeaseConfig {
    /// How leases are timed.
    #[must_use]
    pub fn terms(&self) -> LeaseTerms {
        LeaseTerms {
            heartbeat: self.heartbeat().0,
            ttl: self.ttl().0,
            grace: self.grace().0,
            kill_margin: self.kill_margin().0,
        }
    }
}

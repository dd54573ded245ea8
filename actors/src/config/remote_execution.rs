//! `[remote_execution]`: how the machines of `[ssh_nodes]` are looked after.

use policy::session::prune::PRUNED_AFTER;
use policy::strain::{Limits, StrainRules};
use std::time::Duration;

use crate::config::amount::Length;
use crate::config::section::{Any, section};
use crate::session::lookout::LookoutRules;

section! {
    /// `[remote_execution]`
    RemoteExecutionConfig {
        /// Between two looks at such a machine.
        health_check_every: Length = Length(Duration::from_secs(15)), Length(Duration::from_secs(1))..;
        /// How long its answer may take, once connected.
        health_check_timeout: Length = Length(Duration::from_secs(5)), Length(Duration::from_secs(1))..;
        /// Looks in a row without an answer after which nothing is sent there; after one, nothing heavy.
        unhealthy_after: u64 = StrainRules::default().unanswered.critical, 1..=1000;
        /// How long a session of a task must have been left before it is ended with its files; 0s is never.
        prune_after: Length = Length(PRUNED_AFTER), Any("a length of time");
    }
}

impl RemoteExecutionConfig {
    /// How often, and what is ended.
    #[must_use]
    pub fn rules(&self) -> LookoutRules {
        LookoutRules {
            every: self.health_check_every().0,
            within: self.health_check_timeout().0,
            prune_after: self.prune_after().0,
        }
    }

    /// When such a machine is strained, where others are by `rules`.
    #[must_use]
    pub fn strain(&self, rules: StrainRules) -> StrainRules {
        StrainRules { unanswered: Limits { warn: 1, critical: self.unhealthy_after() }, ..rules }
    }
}

//! `[remote_execution]`: how the machines of `[ssh_nodes]` are reached and looked after.

use policy::breaker::BreakerRules;
use policy::session::prune::PRUNED_AFTER;
use policy::strain::{Limits, StrainRules};
use std::time::Duration;

use crate::config::amount::Length;
use crate::config::section::{Any, section};
use crate::session::SETUP_TIMEOUT;
use crate::session::rules::RemoteRules;

section! {
    /// `[remote_execution]`
    RemoteExecutionConfig {
        /// Whether the machines below ssh_nodes run tasks.
        enabled: bool = true, Any("true or false");
        /// The host of those that do not say theirs, as SSH knows it.
        host: String as "the node's name", Any("a host");
        /// Who one is on those that do not say so.
        user: String as "as SSH's configuration says", Any("a user");
        /// Where repositories are on those that do not say so.
        repo_base: String as "~/engineering/code/clone-base", Any("a directory");
        /// How long the session of an attempt may take to be made, once connected; what takes longer runs again.
        session_setup_timeout: Length = Length(SETUP_TIMEOUT), Length(Duration::from_secs(1))..=Length(Duration::from_secs(3600));
        /// Between two looks at such a machine.
        health_check_every: Length = Length(Duration::from_secs(15)), Length(Duration::from_secs(1))..;
        /// How long its answer may take, once connected.
        health_check_timeout: Length = Length(Duration::from_secs(5)), Length(Duration::from_secs(1))..;
        /// Looks in a row without an answer after which nothing is sent there; after one, nothing heavy.
        unhealthy_after: u64 = StrainRules::default().unanswered.critical, 1..=1000;
        /// Failures of such a machine in a row after which nothing is started on it.
        failure_threshold: u32 as "breaker.failures", 1..;
        /// How long nothing is started then.
        recovery: Length as "breaker.open", Any("a length of time");
        /// Whether the session of a task ends with it; else it stays to be looked at until it is pruned.
        auto_kill_runner_sessions: bool = true, Any("true or false");
        /// How long a session of a task must have been left before it is ended with its files; 0s is never.
        prune_after: Length = Length(PRUNED_AFTER), Any("a length of time");
    }
}

impl RemoteExecutionConfig {
    /// How they are asked, and what is ended there.
    #[must_use]
    pub fn rules(&self) -> RemoteRules {
        RemoteRules {
            every: self.health_check_every().0,
            within: self.health_check_timeout().0,
            prune_after: self.prune_after().0,
            setup: self.session_setup_timeout().0,
            ends_sessions: self.auto_kill_runner_sessions(),
        }
    }

    /// When such a machine is strained, where others are by `rules`.
    #[must_use]
    pub fn strain(&self, rules: StrainRules) -> StrainRules {
        StrainRules { unanswered: Limits { warn: 1, critical: self.unhealthy_after() }, ..rules }
    }

    /// When such a machine is left alone, where others are by `rules`.
    #[must_use]
    pub fn breaker(&self, rules: BreakerRules) -> BreakerRules {
        let failures = self.failure_threshold.unwrap_or(rules.failures);
        BreakerRules { failures, open: self.recovery.map_or(rules.open, |open| open.0), ..rules }
    }
}

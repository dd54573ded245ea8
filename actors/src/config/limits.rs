//! `[limits]`: how much the scheduler side takes on.

use std::sync::Arc;
use std::time::Duration;

use policy::admission::{AdmissionLimits, Unschedulable};
use policy::breaker::BreakerRules;
use policy::budget::TenantBudgets;
use policy::claims::ClaimRules;
use policy::graph::Retention;
use policy::inflow::Paces;
use policy::pressure::PressureRules;
use policy::retry::POISON_AFTER;
use policy::tenant::Quotas;

use crate::config::amount::{Length, Size};
use crate::config::scheduler::Scheduling;
use crate::config::section::{Any, section};

/// How much of everything the scheduler side takes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// What a submission may be.
    pub admission: AdmissionLimits,
    /// Task actors awake at once: each takes some 10 KB, so this is about 1 GB. Far above the attempts a
    /// fleet of twenty machines runs at once.
    pub awake_tasks: usize,
    /// Different needs of resources at once: each is compared with each node in every round.
    pub shapes: usize,
    /// Tenants at once: people and agents of a site. A share of less than a thousandth is none.
    pub tenants: usize,
    /// How much of what has ended is kept.
    pub retention: Retention,
    /// Bytes of closed segments of the log that are kept for those who follow events, beyond what snapshots
    /// keep: a day of a busy fleet.
    pub log_bytes: u64,
    /// How much may wait, and what happens before it is too much.
    pub pressure: PressureRules,
    /// When a machine on which attempts break is left alone.
    pub breaker: BreakerRules,
    /// The same for those that are reached by SSH alone.
    pub breaker_abroad: BreakerRules,
    /// Machines that may die while a task runs before it is set aside; 0 for any number.
    pub poison_after: u32,
    /// What tenants may have at once.
    pub quotas: Quotas,
    /// How fast tenants may hand in work.
    pub paces: Arc<Paces>,
    /// What tenants may use up.
    pub budgets: Arc<TenantBudgets>,
    /// In which order tasks are started.
    pub scheduling: Scheduling,
    /// What the fleet has for tasks to claim.
    pub claims: Arc<ClaimRules>,
    /// The longest an attempt may run whose task does not say; `None` for no limit.
    pub usual_timeout: Option<Duration>,
    /// What follows for what no machine can ever run.
    pub unschedulable: Unschedulable,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            admission: AdmissionLimits::default(),
            awake_tasks: 100_000,
            shapes: 10_000,
            tenants: 1000,
            retention: Retention::default(),
            log_bytes: 1 << 30,
            pressure: PressureRules::default(),
            breaker: BreakerRules::default(),
            breaker_abroad: BreakerRules::default(),
            poison_after: POISON_AFTER,
            quotas: Quotas::default(),
            paces: Arc::default(),
            budgets: Arc::default(),
            scheduling: Scheduling::default(),
            claims: Arc::default(),
            usual_timeout: None,
            unschedulable: Unschedulable::default(),
        }
    }
}

section! {
    /// `[limits]`
    LimitsConfig {
        /// Tasks that have not ended, in all.
        waiting_tasks: u64 = AdmissionLimits::default().waiting_tasks, 1..;
        /// Graphs that have ended and are kept.
        kept_graphs: usize = Retention::default().graphs, 0..;
        /// Tasks of such graphs.
        kept_tasks: u64 = Retention::default().tasks, 0..;
        /// How long they are kept.
        kept_for: Length = Length(Retention::default().age), Any("a length of time");
        /// How much of the log is kept for those who follow events.
        log: Size = Size(Limits::default().log_bytes), Any("a size");
    }
}

impl LimitsConfig {
    /// How much the scheduler side takes on.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.admission.waiting_tasks = self.waiting_tasks();
        limits.retention.graphs = self.kept_graphs();
        limits.retention.tasks = self.kept_tasks();
        limits.retention.age = self.kept_for().0;
        limits.log_bytes = self.log().0;
        limits
    }
}

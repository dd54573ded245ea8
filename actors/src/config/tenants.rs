//! `[tenants.NAME]`: what is due to one tenant, and how much it may have at once. `[tenants.default]` is for all that are
//! not named, each by itself. `[tenants.NAME.budget]`: what it may use up within a period.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use policy::budget::{Budget, OnReached, TenantBudget, TenantBudgets};
use policy::inflow::{Paces, USUAL_PACE};
use policy::queue::Weights;
use policy::tenant::{Quota, Quotas};

use crate::config::amount::Length;
use crate::config::section::{Any, If, section};

section! {
    /// `[tenants.NAME]`
    TenantConfig {
        /// How much of the fleet is its due, beside others of the same priority.
        weight: u32 = 1, 1..=1000;
        /// Tasks that have not ended; more are told to come back. 0 for no limit.
        max_waiting: u64 = Quota::default().max_waiting, 0..;
        /// Tasks that run; more wait. 0 for no limit.
        max_running: u64 = Quota::default().max_running, 0..;
        /// Submissions that it may hand in a second, as many at once; more are told to come back. 0 for no limit.
        submissions_per_second: u32 = USUAL_PACE, 0..;
        section budget: BudgetConfig;
    }
}

section! {
    /// `[tenants.NAME.budget]`
    BudgetConfig {
        /// Time of all its attempts together. 0s for no limit.
        time: Length = Length(Duration::ZERO), Any("a length of time");
        /// Processor time of all its attempts together. 0s for no limit.
        cpu_time: Length = Length(Duration::ZERO), Any("a length of time");
        /// Attempts that may be started. 0 for no limit.
        attempts: u64 = 0, 0..;
        /// Units of cost that its attempts report. 0 for no limit.
        cost: u64 = 0, 0..;
        /// After how long all of it is there again, counted from 1970 on in UTC.
        per: Length as "never", If(is_period, "between 1s and 8784h");
        /// What follows: nothing more is started, or all of its graphs are cancelled.
        on_reached: OnReached = OnReached::default(), Any("pause or cancel");
    }
}

/// A second is a period that nobody notices; a year of 366 days is as long as anybody counts.
fn is_period(per: &Length) -> bool {
    (Duration::from_secs(1)..=Duration::from_hours(366 * 24)).contains(&per.0)
}

impl BudgetConfig {
    fn budget(&self) -> TenantBudget {
        let budget = Budget {
            wall: self.time().0,
            cpu: self.cpu_time().0,
            attempts: self.attempts(),
            cost: self.cost(),
            retries: 0,
            on_reached: self.on_reached(),
        };
        TenantBudget { budget, per: self.per.map(|per| per.0) }
    }
}

/// The entry for tenants that have none.
pub const DEFAULT: &str = "default";

/// How fast all of them may hand in work.
#[must_use]
pub fn paces(tenants: &BTreeMap<String, TenantConfig>) -> Paces {
    let pace = |config: &TenantConfig| NonZeroU32::new(config.submissions_per_second());
    let named = tenants.iter().filter(|(name, _)| *name != DEFAULT);
    Paces {
        usual: tenants.get(DEFAULT).map_or_else(|| Paces::default().usual, pace),
        named: named.map(|(name, config)| (Arc::from(name.as_str()), pace(config))).collect(),
    }
}

/// What follows for all tenants. One that has an entry of its own has nothing of the default's.
#[must_use]
pub fn quotas(tenants: &BTreeMap<String, TenantConfig>) -> Quotas {
    let quota = |config: &TenantConfig| Quota {
        max_waiting: config.max_waiting(),
        max_running: config.max_running(),
    };
    let named = tenants.iter().filter(|(name, _)| *name != DEFAULT);
    Quotas {
        usual: tenants.get(DEFAULT).map(quota).unwrap_or_default(),
        named: named.map(|(name, config)| (Arc::from(name.as_str()), quota(config))).collect(),
    }
}

/// What each may use up. One that has an entry of its own has nothing of the default's.
#[must_use]
pub fn budgets(tenants: &BTreeMap<String, TenantConfig>) -> TenantBudgets {
    let named = tenants.iter().filter(|(name, _)| *name != DEFAULT);
    TenantBudgets {
        usual: tenants.get(DEFAULT).map(|config| config.budget.budget()).unwrap_or_default(),
        named: named.map(|(name, config)| (Arc::from(name.as_str()), config.budget.budget())).collect(),
    }
}

/// How much each is due beside others, the entry for the unnamed among them.
#[must_use]
pub fn weights(tenants: &BTreeMap<String, TenantConfig>) -> Weights {
    let said = tenants.iter().filter(|(name, config)| *name != DEFAULT || config.weight() != 1);
    said.map(|(name, config)| (Box::from(name.as_str()), config.weight())).collect()
}

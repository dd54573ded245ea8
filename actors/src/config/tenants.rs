//! `[tenants.NAME]`: what is due to one tenant, and how much it may have at once. `[tenants.default]` is for all that are
//! not named, each by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::queue::Weights;
use policy::tenant::{Quota, Quotas};

use crate::config::section::section;

section! {
    /// `[tenants.NAME]`
    TenantConfig {
        /// How much of the fleet is its due, beside others of the same priority.
        weight: u32 = 1, 1..=1000;
        /// Tasks that have not ended; more are told to come back. 0 for no limit.
        max_waiting: u64 = Quota::default().max_waiting, 0..;
        /// Tasks that run; more wait. 0 for no limit.
        max_running: u64 = Quota::default().max_running, 0..;
    }
}

/// The entry for tenants that have none.
pub const DEFAULT: &str = "default";

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

/// How much each is due beside others, the entry for the unnamed among them.
#[must_use]
pub fn weights(tenants: &BTreeMap<String, TenantConfig>) -> Weights {
    let said = tenants.iter().filter(|(name, config)| *name != DEFAULT || config.weight() != 1);
    said.map(|(name, config)| (Box::from(name.as_str()), config.weight())).collect()
}

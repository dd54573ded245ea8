//! How many tasks one tenant may have waiting and running, so that one agent cannot fill the house.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::planted;

/// How much one tenant may have at once; 0 for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Quota {
    /// Tasks that have not ended, those that run among them. A submission that would exceed it is told to come
    /// back.
    pub max_waiting: u64,
    /// Tasks that are granted or run. What is beyond waits.
    pub max_running: u64,
}

/// A tenant has as many as it may.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum OverQuota {
    /// Not taken in.
    #[error(
        "tenant {tenant:?} has {waiting} tasks that have not ended and {new} more would exceed its limit of {limit}"
    )]
    Waiting {
        /// Who.
        tenant: Arc<str>,
        /// Tasks of it that have not ended.
        waiting: u64,
        /// Tasks that would come to them.
        new: u64,
        /// How many there may be.
        limit: u64,
    },
    /// Not started.
    #[error("tenant {tenant:?} has {running} tasks running, as many as it may")]
    Running {
        /// Who.
        tenant: Arc<str>,
        /// How many run.
        running: u64,
    },
    /// Not started: a gang is started whole.
    #[error(
        "tenant {tenant:?} has {running} tasks running of {limit} that it may, and {needs} would start at once"
    )]
    Gang {
        /// Who.
        tenant: Arc<str>,
        /// How many run.
        running: u64,
        /// How many may.
        limit: u64,
        /// How many would come to them.
        needs: u64,
    },
}

/// The quotas of all tenants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quotas {
    /// Of those that are not named.
    pub usual: Quota,
    /// Of single ones, by name.
    pub named: FxHashMap<Arc<str>, Quota>,
}

impl Quotas {
    /// What one may have.
    #[must_use]
    pub fn of(&self, tenant: &str) -> Quota {
        self.named.get(tenant).copied().unwrap_or(self.usual)
    }

    /// Whether nobody is limited.
    #[must_use]
    pub fn are_unlimited(&self) -> bool {
        let unlimited = Quota::default();
        self.usual == unlimited && self.named.values().all(|quota| *quota == unlimited)
    }

    /// Whether `new` tasks of a tenant are taken in beside those of it that have not ended. Where it has none
    /// there is room for everything: otherwise it would be sent away for ever.
    ///
    /// # Errors
    ///
    /// When they are too many.
    pub fn admit(&self, tenant: &Arc<str>, waiting: u64, new: u64) -> Result<(), OverQuota> {
        let limit = self.of(tenant).max_waiting;
        if limit == 0 || waiting == 0 || waiting.saturating_add(new) <= limit {
            return Ok(());
        }
        Err(OverQuota::Waiting { tenant: Arc::clone(tenant), waiting, new, limit })
    }
}

/// Who runs how many.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Running(FxHashMap<Arc<str>, u64>);

impl Running {
    /// One more of a tenant is reserved or runs.
    pub fn start(&mut self, tenant: &Arc<str>) {
        match self.0.get_mut(tenant) {
            Some(running) => *running += 1,
            None => {
                self.0.insert(Arc::clone(tenant), 1);
            }
        }
    }

    /// One fewer.
    pub fn end(&mut self, tenant: &str) {
        if let Some(running) = self.0.get_mut(tenant) {
            *running = running.saturating_sub(1);
            if *running == 0 {
                self.0.remove(tenant);
            }
        }
    }

    /// How many of a tenant run.
    #[must_use]
    pub fn of(&self, tenant: &str) -> u64 {
        self.0.get(tenant).copied().unwrap_or(0)
    }

    /// How many run.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// How many more of a tenant may be started.
    ///
    /// # Errors
    ///
    /// When none may.
    pub fn places(&self, tenant: &Arc<str>, quotas: &Quotas) -> Result<u64, OverQuota> {
        let (running, limit) = (self.of(tenant), quotas.of(tenant).max_running);
        match limit.saturating_sub(running) {
            _ if limit == 0 || planted!(QuotaIgnored) => Ok(u64::MAX),
            0 => Err(OverQuota::Running { tenant: Arc::clone(tenant), running }),
            places => Ok(places),
        }
    }

    /// Whether `needs` of a tenant may be started at once.
    ///
    /// # Errors
    ///
    /// When they are too many.
    pub fn admits(&self, tenant: &Arc<str>, quotas: &Quotas, needs: u32) -> Result<(), OverQuota> {
        let needs = u64::from(needs);
        if self.places(tenant, quotas)? >= needs {
            return Ok(());
        }
        let (running, limit) = (self.of(tenant), quotas.of(tenant).max_running);
        Err(OverQuota::Gang { tenant: Arc::clone(tenant), running, limit, needs })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quotas(max_waiting: u64, max_running: u64) -> Quotas {
        let named = [("agent".into(), Quota { max_waiting, max_running })].into_iter().collect();
        Quotas { usual: Quota::default(), named }
    }

    #[test]
    fn one_tenant_cannot_fill_the_house() {
        let (quotas, agent) = (quotas(10, 2), Arc::from("agent"));
        assert_eq!(quotas.admit(&agent, 9, 1), Ok(()));
        assert_eq!(
            quotas.admit(&agent, 9, 2).unwrap_err().to_string(),
            "tenant \"agent\" has 9 tasks that have not ended and 2 more would exceed its limit of 10"
        );
        assert_eq!(quotas.admit(&agent, 0, 99), Ok(()), "it would be sent away for ever");
        assert_eq!(quotas.admit(&"other".into(), 9, 2), Ok(()));
        let mut running = Running::default();
        running.start(&agent);
        assert_eq!(running.places(&agent, &quotas), Ok(1));
        assert_eq!(running.admits(&agent, &quotas, 1), Ok(()));
        assert_eq!(
            running.admits(&agent, &quotas, 2).unwrap_err().to_string(),
            "tenant \"agent\" has 1 tasks running of 2 that it may, and 2 would start at once"
        );
        running.start(&agent);
        assert_eq!(
            running.places(&agent, &quotas).unwrap_err().to_string(),
            "tenant \"agent\" has 2 tasks running, as many as it may"
        );
        assert_eq!(running.places(&"other".into(), &quotas), Ok(u64::MAX));
    }

    #[test]
    fn what_ends_twice_does_not_wrap() {
        let mut running = Running::default();
        running.start(&"a".into());
        running.end("a");
        running.end("a");
        assert_eq!((running.of("a"), running), (0, Running::default()));
    }

    proptest! {
        #[test]
        fn nobody_runs_more_than_it_may(inputs in prop::collection::vec((any::<bool>(), 0_u8..3), 0..200), limit in 1_u64..4) {
            let names: [Arc<str>; 3] = ["agent", "b", "c"].map(Arc::from);
            let (quotas, mut running, mut model) = (quotas(0, limit), Running::default(), [0_u64; 3]);
            for (start, which) in inputs {
                let (tenant, count) = (&names[usize::from(which)], &mut model[usize::from(which)]);
                if start {
                    if running.places(tenant, &quotas).is_ok() {
                        running.start(tenant);
                        *count += 1;
                    }
                } else if *count > 0 {
                    running.end(tenant);
                    *count -= 1;
                }
                prop_assert_eq!(running.of(tenant), *count);
                prop_assert!(running.of("agent") <= limit);
            }
            prop_assert_eq!(running.total(), model.iter().sum::<u64>());
        }
    }
}

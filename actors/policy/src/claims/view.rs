//! What there is and who holds it, to be shown.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::claims::{Blocked, ClaimTable, Claims, Mode};
use crate::id::{NodeId, TaskId};
use crate::task::Priority;
use crate::time::Moment;

/// A lock that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockView {
    /// Its name.
    pub name: Box<str>,
    /// How it is held.
    pub mode: Mode,
    /// By whom.
    pub holders: Vec<HolderView>,
}

/// Somebody who holds something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderView {
    /// The task.
    pub task: TaskId,
    /// Where it runs.
    pub node: NodeId,
    /// How urgent it is.
    pub priority: Priority,
    /// For how long it has held it.
    pub held_for: Duration,
}

/// A rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateView {
    /// Its name.
    pub name: Box<str>,
    /// For how long it lets nobody in.
    pub parked_for: Option<Duration>,
    /// Its windows.
    pub windows: Vec<WindowView>,
}

/// A window of a rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowView {
    /// What is counted.
    pub unit: Box<str>,
    /// How much is used in the window that ends now.
    pub used: u64,
    /// How much may be.
    pub limit: u64,
    /// How long it is.
    pub length: Duration,
}

/// A pool of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolView {
    /// Its name.
    pub name: Box<str>,
    /// How many indices it has.
    pub size: u64,
    /// How many are free.
    pub free: u64,
    /// Who holds which.
    pub held: Vec<(Box<str>, TaskId)>,
}

/// An amount of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmountView {
    /// Its name.
    pub name: Box<str>,
    /// How much is held.
    pub held: u64,
    /// How much there is.
    pub limit: u64,
}

impl ClaimTable {
    /// Up to `limit` locks that are held, by name.
    #[must_use]
    pub fn lock_views(&self, limit: usize, now: Moment) -> Vec<LockView> {
        let mut names: Vec<_> = self.locks.keys().collect();
        names.sort_unstable();
        let named = names.into_iter().take(limit).map(|name| {
            let lock = &self.locks[name];
            let holders = lock.holders.iter().take(limit).filter_map(|task| self.holder_view(*task, now));
            LockView { name: name.clone(), mode: lock.mode, holders: holders.collect() }
        });
        named.collect()
    }

    fn holder_view(&self, task: TaskId, now: Moment) -> Option<HolderView> {
        let held = self.held.get(&task)?;
        let (node, priority) = (held.holder.node.clone(), held.holder.priority);
        Some(HolderView { task, node, priority, held_for: held.age(now) })
    }

    /// Up to `limit` of those that hold what blocks somebody, by id.
    #[must_use]
    pub fn in_the_way(&self, blocked: &Blocked, limit: usize) -> Vec<TaskId> {
        let holds = |claims: &Claims| match blocked {
            Blocked::Lock { lock, .. } => claims.locks.contains_key(lock),
            Blocked::Pool { pool, .. } => claims.pools.contains_key(pool),
            Blocked::Amount { name, .. } => claims.amounts.contains_key(name),
            Blocked::Behind { .. }
            | Blocked::Rate { .. }
            | Blocked::Parked { .. }
            | Blocked::Undeclared { .. } => false,
        };
        let holders = self.held.iter().filter(|(_, held)| holds(&held.claims));
        holders.map(|(task, _)| *task).take(limit).collect()
    }

    /// All rates. Call [`Self::pass`] before.
    #[must_use]
    pub fn rate_views(&self, now: Moment) -> Vec<RateView> {
        let views = self.rates.iter().map(|(name, rate)| {
            let windows = rate.rule.windows.iter().zip(rate.windows()).map(|(rule, window)| WindowView {
                unit: rule.unit.clone(),
                used: window.used(),
                limit: window.limit(),
                length: rule.length,
            });
            let parked_for = rate.parked().map(|until| until.since(now));
            RateView { name: name.clone(), parked_for, windows: windows.collect() }
        });
        views.collect()
    }

    /// All pools of the fleet.
    #[must_use]
    pub fn pool_views(&self) -> Vec<PoolView> {
        let views = self.pools.iter().map(|(name, pool)| PoolView {
            name: name.clone(),
            size: pool.len() as u64,
            free: pool.free() as u64,
            held: pool.held().map(|(index, task)| (index.into(), task)).collect(),
        });
        views.collect()
    }

    /// All amounts of the fleet.
    #[must_use]
    pub fn amount_views(&self) -> Vec<AmountView> {
        let views = self.rules.amounts.iter().map(|(name, limit)| AmountView {
            name: name.clone(),
            held: self.amounts.get(name).copied().unwrap_or(0),
            limit: *limit,
        });
        views.collect()
    }
}

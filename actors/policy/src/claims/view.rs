//! What there is and who holds it, to be shown.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::claims::table::Held;
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

/// Tasks that ask alike and cannot have what they claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingView {
    /// The first of them.
    pub task: TaskId,
    /// How many.
    pub tasks: u64,
    /// How urgent the most urgent of them is.
    pub priority: Priority,
    /// What is in the way.
    pub blocked: Blocked,
}

/// Everything claimed, and who waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClaimsView {
    /// Locks that somebody holds, by name; at most [`VIEW_LIMIT`].
    pub locks: Vec<LockView>,
    /// All pools, by name.
    pub pools: Vec<PoolView>,
    /// All amounts, by name.
    pub amounts: Vec<AmountView>,
    /// All rates, by name.
    pub rates: Vec<RateView>,
    /// Who waits; at most [`VIEW_LIMIT`].
    pub waiting: Vec<WaitingView>,
}

/// Locks, holders of one thing, and kinds of tasks that wait which one view has: more than anybody reads.
pub const VIEW_LIMIT: usize = 1000;

/// A pool of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolView {
    /// Its name.
    pub name: Box<str>,
    /// How many indices it has.
    pub size: u64,
    /// How many are free.
    pub free: u64,
    /// Who holds which, at most [`VIEW_LIMIT`].
    pub held: Vec<(Box<str>, HolderView)>,
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
    /// Who holds how much, at most [`VIEW_LIMIT`].
    pub holders: Vec<(u64, HolderView)>,
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
    pub fn pool_views(&self, now: Moment) -> Vec<PoolView> {
        let views = self.pools.iter().map(|(name, pool)| PoolView {
            name: name.clone(),
            size: pool.len() as u64,
            free: pool.free() as u64,
            held: pool
                .held()
                .filter_map(|(index, task)| Some((index.into(), self.holder_view(task, now)?)))
                .take(VIEW_LIMIT)
                .collect(),
        });
        views.collect()
    }

    /// All amounts of the fleet.
    #[must_use]
    pub fn amount_views(&self, now: Moment) -> Vec<AmountView> {
        let views = self.rules.amounts.iter().map(|(name, limit)| AmountView {
            name: name.clone(),
            held: self.amounts.get(name).copied().unwrap_or(0),
            limit: *limit,
            holders: self.amount_holders(name, now),
        });
        views.collect()
    }

    fn amount_holders(&self, name: &str, now: Moment) -> Vec<(u64, HolderView)> {
        let of = |held: &Held| held.claims.amounts.get(name).copied();
        let holders = self.held.iter().filter_map(|(task, held)| Some((*task, of(held)?)));
        let views = holders.filter_map(|(task, amount)| Some((amount, self.holder_view(task, now)?)));
        views.take(VIEW_LIMIT).collect()
    }

    /// Everything claimed; who waits is for the caller to add. Call [`Self::pass`] before.
    #[must_use]
    pub fn view(&self, now: Moment) -> ClaimsView {
        ClaimsView {
            locks: self.lock_views(VIEW_LIMIT, now),
            pools: self.pool_views(now),
            amounts: self.amount_views(now),
            rates: self.rate_views(now),
            waiting: Vec::new(),
        }
    }
}

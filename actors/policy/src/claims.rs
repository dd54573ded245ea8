//! The fleet's named things that a task holds or uses: locks, rates, pools of indices, amounts.
//!
//! All of a task's claims are taken together or not at all, when room is reserved for it, and held until the
//! end of its attempt is recorded: so nobody holds one thing and waits for another, and a holder that dies
//! gives everything back. What was taken of a rate stays taken until its window has passed.
//!
//! [`ClaimTable`] owns them, and knows nothing of nodes, queues or what a task runs.

mod blocked;
mod lacking;
mod lock;
mod pool;
mod rate;
mod rules;
mod table;
#[cfg(test)]
mod tests;
mod turn;
mod usage;
mod view;
mod window;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::claims::blocked::Blocked;
pub use crate::claims::lacking::Lacking;
pub use crate::claims::pool::Pool;
pub use crate::claims::rules::{
    BadClaim, CALLS, CLAIM_NAME_RULE, ClaimRules, RateRule, WindowRule, is_claim_name,
};
pub use crate::claims::table::{ClaimTable, Holder};
pub use crate::claims::turn::{Contender, Inversion};
pub use crate::claims::usage::{RateHistory, RateUsage, WindowUsage};
pub use crate::claims::view::{
    AmountView, ClaimsView, HolderView, LockView, PoolView, RateView, VIEW_LIMIT, WaitingView, WindowView,
};

/// What a task claims while it runs, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Claims {
    /// Locks: nobody declares them.
    pub locks: BTreeMap<Box<str>, Mode>,
    /// What it takes of rates at its start, by rate and unit.
    pub rates: BTreeMap<Box<str>, BTreeMap<Box<str>, u64>>,
    /// How many indices of each pool.
    pub pools: BTreeMap<Box<str>, u32>,
    /// How much of each of the fleet's amounts.
    pub amounts: BTreeMap<Box<str>, u64>,
}

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename = "LockMode")]
pub enum Mode {
    /// Beside others that hold it so.
    Shared,
    /// Alone.
    Exclusive,
}

impl Claims {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.locks.is_empty() && self.rates.is_empty() && self.pools.is_empty() && self.amounts.is_empty()
    }

    /// How many different things it claims.
    #[must_use]
    pub fn len(&self) -> usize {
        self.locks.len() + self.rates.len() + self.pools.len() + self.amounts.len()
    }

    /// Bytes of all names.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let names = self.locks.keys().chain(self.rates.keys()).chain(self.pools.keys());
        let units = self.rates.values().flat_map(BTreeMap::keys);
        names.chain(self.amounts.keys()).chain(units).map(|name| name.len() + 8).sum()
    }

    /// Each thing, and whether it is shared with others that share it.
    fn things(&self) -> impl Iterator<Item = (Thing<'_>, Mode)> {
        let locks = self.locks.iter().map(|(name, mode)| (Thing::Lock(name), *mode));
        let rates = self.rates.keys().map(|name| (Thing::Rate(name), Mode::Exclusive));
        let pools = self.pools.keys().map(|name| (Thing::Pool(name), Mode::Exclusive));
        let amounts = self.amounts.keys().map(|name| (Thing::Amount(name), Mode::Exclusive));
        locks.chain(rates).chain(pools).chain(amounts)
    }
}

/// Something that can be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Thing<'a> {
    Lock(&'a str),
    Rate(&'a str),
    Pool(&'a str),
    Amount(&'a str),
}

/// The indices that one attempt was given, by pool.
pub type Indices = BTreeMap<Box<str>, Vec<Box<str>>>;

/// How an attempt learns of its indices: variables with the indices between commas.
pub fn environment(indices: &Indices) -> impl Iterator<Item = (String, String)> {
    indices.iter().map(|(pool, indices)| (pool_variable(pool), indices.join(",")))
}

/// The variable that holds the indices of a pool: `CRAB_POOL_PORTS` for `ports`.
#[must_use]
pub fn pool_variable(pool: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("CRAB_POOL_{}", pool.chars().map(plain).collect::<String>())
}

//! What is declared: the fleet's rates, pools and amounts. Locks need no declaration.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::claims::{Claims, pool_variable};

/// The unit of which a task uses one where it does not say how many.
pub const CALLS: &str = "calls";

/// What names of locks, rates, pools and amounts have to be.
pub const CLAIM_NAME_RULE: &str = "must have 1 to 200 printable characters without spaces, commas or =";

/// Bytes of a name at the most.
const NAME_LIMIT_BYTES: usize = 200;

/// Everything declared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClaimRules {
    /// How many may share a lock at once, by name; any number where it is not named.
    pub readers: BTreeMap<Box<str>, u32>,
    /// Rates by name.
    pub rates: BTreeMap<Box<str>, RateRule>,
    /// The indices of pools, by name, in their order.
    pub pools: BTreeMap<Box<str>, Vec<Box<str>>>,
    /// Amounts by name.
    pub amounts: BTreeMap<Box<str>, u64>,
}

/// One rate: all of its windows hold at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RateRule {
    /// Its windows.
    pub windows: Vec<WindowRule>,
}

/// How much may be used within a length of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRule {
    /// What is counted: `calls`, `tokens`.
    pub unit: Box<str>,
    /// How many.
    pub limit: u64,
    /// Within how long.
    pub length: Duration,
}

/// A claim that can never be met as things are declared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadClaim {
    /// Nothing of that name is declared.
    #[error("there is no {kind} {name:?}")]
    Unknown {
        /// The field of a task: `rates`, `pools` or `amounts`.
        field: &'static str,
        /// `rate`, `pool`, `amount` or the unit of a rate.
        kind: &'static str,
        /// What was named.
        name: Box<str>,
        /// What there is.
        known: Vec<Box<str>>,
    },
    /// It is more than there ever is.
    #[error("{needed} of {name} is more than the {limit} there are")]
    TooMuch {
        /// The field of a task.
        field: &'static str,
        /// Of what.
        name: Box<str>,
        /// How much is claimed.
        needed: u64,
        /// How much there is.
        limit: u64,
    },
}

impl ClaimRules {
    /// How many may share a lock at once.
    pub(super) fn readers(&self, lock: &str) -> u32 {
        self.readers.get(lock).copied().unwrap_or(u32::MAX)
    }

    /// Everything about these claims that can never be met.
    #[must_use]
    pub fn faults(&self, claims: &Claims) -> Vec<BadClaim> {
        let mut faults = Vec::new();
        for (name, needs) in &claims.rates {
            match self.rates.get(name) {
                Some(rule) => rule.faults(name, needs, &mut faults),
                None => faults.push(unknown(("rates", "rate"), name, self.rates.keys())),
            }
        }
        for (name, count) in &claims.pools {
            match self.pools.get(name) {
                Some(members) => {
                    too_much(("pools", name), u64::from(*count), members.len() as u64, &mut faults);
                }
                None => faults.push(unknown(("pools", "pool"), name, self.pools.keys())),
            }
        }
        for (name, amount) in &claims.amounts {
            match self.amounts.get(name) {
                Some(limit) => too_much(("amounts", name), *amount, *limit, &mut faults),
                None => faults.push(unknown(("amounts", "amount"), name, self.amounts.keys())),
            }
        }
        faults
    }

    /// Two pools whose indices a task would find in one and the same variable.
    #[must_use]
    pub fn confused_pools(&self) -> Option<(&str, &str)> {
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        self.pools.keys().find_map(|name| Some((seen.insert(pool_variable(name), name)?, &**name)))
    }
}

impl RateRule {
    fn faults(&self, name: &str, needs: &BTreeMap<Box<str>, u64>, faults: &mut Vec<BadClaim>) {
        for unit in needs.keys().filter(|unit| !self.windows.iter().any(|window| window.unit == **unit)) {
            let kind = ("rates", "unit of the rate");
            faults.push(unknown(kind, unit, self.windows.iter().map(|window| &window.unit)));
        }
        for window in &self.windows {
            let of = format!("{name}.{}", window.unit);
            too_much(("rates", &of), needed(needs, &window.unit), window.limit, faults);
        }
    }
}

/// How much of a unit these needs are: one call where nothing is said of calls.
pub(super) fn needed(needs: &BTreeMap<Box<str>, u64>, unit: &str) -> u64 {
    needs.get(unit).copied().unwrap_or_else(|| u64::from(unit == CALLS))
}

fn too_much((field, name): (&'static str, &str), needed: u64, limit: u64, faults: &mut Vec<BadClaim>) {
    if needed > limit {
        faults.push(BadClaim::TooMuch { field, name: name.into(), needed, limit });
    }
}

fn unknown<'a>(
    (field, kind): (&'static str, &'static str),
    name: &str,
    known: impl Iterator<Item = &'a Box<str>>,
) -> BadClaim {
    BadClaim::Unknown { field, kind, name: name.into(), known: known.cloned().collect() }
}

/// Whether a text can be the name of something to claim.
#[must_use]
pub fn is_claim_name(text: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !",=".contains(c);
    !text.is_empty() && text.len() <= NAME_LIMIT_BYTES && text.chars().all(plain)
}

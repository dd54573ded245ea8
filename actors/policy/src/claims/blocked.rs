//! Why a claim cannot be met now.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::id::TaskId;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Blocked {
    /// Others hold the lock.
    Lock {
        /// Which.
        lock: Box<str>,
        /// Some of those who hold it.
        holders: Vec<TaskId>,
        /// How many hold it in all.
        count: u64,
    },
    /// Others have waited longer or are more urgent.
    Behind {
        /// For what.
        name: Box<str>,
    },
    /// A window is full.
    Rate {
        /// Which rate.
        rate: Box<str>,
        /// What is counted.
        unit: Box<str>,
        /// How much is claimed.
        needed: u64,
        /// How much is used in the window that ends now.
        used: u64,
        /// How much may be.
        limit: u64,
        /// How long until it fits, if nobody else takes anything; `None` where it never does.
        wait: Option<Duration>,
    },
    /// The rate lets nobody in: it has refused somebody.
    Parked {
        /// Which rate.
        rate: Box<str>,
        /// For how long still.
        wait: Duration,
    },
    /// Too few indices of a pool are free.
    Pool {
        /// Which pool.
        pool: Box<str>,
        /// How many are claimed.
        needed: u32,
        /// How many are free.
        free: u64,
    },
    /// Too little of an amount is left.
    Amount {
        /// Of what.
        name: Box<str>,
        /// How much is claimed.
        needed: u64,
        /// How much is left.
        left: u64,
    },
    /// It was declared once and is no more.
    Undeclared {
        /// What.
        name: Box<str>,
    },
}

impl Blocked {
    /// What others hold of it: `lock repo`; `None` where nobody holds it.
    #[must_use]
    pub fn thing(&self) -> Option<String> {
        match self {
            Self::Lock { lock, .. } => Some(format!("lock {lock}")),
            Self::Pool { pool, .. } => Some(format!("pool {pool}")),
            Self::Amount { name, .. } => Some(format!("amount {name}")),
            Self::Behind { .. } | Self::Rate { .. } | Self::Parked { .. } | Self::Undeclared { .. } => None,
        }
    }

    /// How long it is certain to last; `None` where that depends on others.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Rate { wait, .. } => *wait,
            Self::Parked { wait, .. } => Some(*wait),
            _ => None,
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock { lock, holders, count } => {
                let named: Vec<String> = holders.iter().map(ToString::to_string).collect();
                write!(f, "lock {lock} is held by {}", named.join(", "))?;
                match count.saturating_sub(holders.len() as u64) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            Self::Behind { name } => write!(f, "others are before it for {name}"),
            Self::Rate { rate, unit, needed, used, limit, wait } => {
                write!(f, "rate {rate}: needs {needed} {unit}, {used} of {limit} are used")?;
                match wait {
                    Some(wait) => write!(f, ", free in {}s", wait.as_secs_f64().ceil()),
                    None => Ok(()),
                }
            }
            Self::Parked { rate, wait } => {
                write!(f, "rate {rate} lets nobody in for {}s", wait.as_secs_f64().ceil())
            }
            Self::Pool { pool, needed, free } => {
                write!(f, "pool {pool}: needs {needed}, {free} are free")
            }
            Self::Amount { name, needed, left } => write!(f, "{name}: needs {needed}, {left} are left"),
            Self::Undeclared { name } => write!(f, "{name} is not declared any more"),
        }
    }
}

//! What `claims --json` writes: an object for each lock that is held, each pool, amount and rate, and each kind of task
//! that waits.

use policy::claims::{ClaimsView, HolderView, Mode};
use serde::Serialize;

use super::VERSION;

/// One thing, or tasks that wait for some.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Claim {
    Lock { v: u32, name: String, shared: bool, holders: Vec<Held> },
    Pool { v: u32, name: String, size: u64, free: u64, holders: Vec<Held> },
    Amount { v: u32, name: String, held: u64, limit: u64, holders: Vec<Held> },
    Rate { v: u32, name: String, parked_s: Option<f64>, windows: Vec<Window> },
    Waiting { v: u32, task: String, tasks: u64, priority: &'static str, because: &'static str, text: String },
}

/// Somebody who holds something.
#[derive(Debug, Serialize)]
pub(crate) struct Held {
    task: String,
    node: String,
    priority: &'static str,
    held_s: f64,
    /// Which of a pool.
    index: Option<String>,
    /// How much of an amount.
    amount: Option<u64>,
}

/// A window of a rate.
#[derive(Debug, Serialize)]
pub(crate) struct Window {
    unit: String,
    used: u64,
    limit: u64,
    length_s: f64,
}

/// Everything, in this order.
pub(crate) fn claims(claims: &ClaimsView) -> Vec<Claim> {
    let v = VERSION;
    let locks = claims.locks.iter().map(|lock| Claim::Lock {
        v,
        name: lock.name.to_string(),
        shared: lock.mode == Mode::Shared,
        holders: lock.holders.iter().map(Held::from).collect(),
    });
    let pools = claims.pools.iter().map(|pool| {
        let holders = pool.held.iter();
        let holders = holders.map(|(index, by)| Held { index: Some(index.to_string()), ..Held::from(by) });
        let (name, size, free) = (pool.name.to_string(), pool.size, pool.free);
        Claim::Pool { v, name, size, free, holders: holders.collect() }
    });
    let amounts = claims.amounts.iter().map(|amount| {
        let holders = amount.holders.iter();
        let holders = holders.map(|(held, by)| Held { amount: Some(*held), ..Held::from(by) });
        let (name, held, limit) = (amount.name.to_string(), amount.held, amount.limit);
        Claim::Amount { v, name, held, limit, holders: holders.collect() }
    });
    let rates = claims.rates.iter().map(|rate| {
        let windows = rate.windows.iter().map(|window| Window {
            unit: window.unit.to_string(),
            used: window.used,
            limit: window.limit,
            length_s: window.length.as_secs_f64(),
        });
        let parked_s = rate.parked_for.map(|wait| wait.as_secs_f64());
        Claim::Rate { v, name: rate.name.to_string(), parked_s, windows: windows.collect() }
    });
    let waiting = claims.waiting.iter().map(|one| Claim::Waiting {
        v,
        task: one.task.to_string(),
        tasks: one.tasks,
        priority: one.priority.into(),
        because: (&one.blocked).into(),
        text: one.blocked.to_string(),
    });
    locks.chain(pools).chain(amounts).chain(rates).chain(waiting).collect()
}

impl From<&HolderView> for Held {
    fn from(holder: &HolderView) -> Self {
        Self {
            task: holder.task.to_string(),
            node: holder.node.to_string(),
            priority: holder.priority.into(),
            held_s: holder.held_for.as_secs_f64(),
            index: None,
            amount: None,
        }
    }
}

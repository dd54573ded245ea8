//! Whose attempts make room for a more urgent task that no node has room for: the cheapest of those that allow it.
//!
//! It sees each node as its capacity and what runs there, and names those to be stopped; who asks has made sure that
//! nothing is missing but room, and what others hold of the fleet's own things ([`Claimed`]): whoever has a lock has to let go
//! of it wherever it runs.
//!
//! # Who may be a victim
//!
//! An attempt whose task says that it is preemptible, of Low or Normal priority and less urgent than the one that wants
//! its room, and that was not evicted [`EVICTIONS_LIMIT`] times before. So nobody that was evicted can evict in turn,
//! and nobody is evicted for ever.
//!
//! Nor is anybody evicted for a class that has its slice of what runs ([`is_short_of_its_slice`]).
//!
//! # The cost
//!
//! Of all sets that make enough room, on any node and for any of the requests, the one is taken with, in this order:
//!
//! 1. a node that is not held for somebody less urgent (`reserve`); one that is is not taken for what is free there;
//! 2. the fewest of Normal priority;
//! 3. the fewest in all;
//! 4. the least work lost: how long its attempts have run, added up;
//! 5. the request that the task likes best, and the first node by name;
//! 6. the oldest tasks.
//!
//! The search is exact as long as it ends within [`STEPS_LIMIT`]; beyond that the best found by then is taken, of which
//! none can be spared either.

mod search;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::demand::Demand;
use crate::id::TaskId;
use crate::planted;
use crate::preempt::search::{Cost, cheapest};
use crate::resources::Resources;
use crate::task::{Priority, RequestNumber};
use crate::time_slice::Shares;

/// How often one task makes room for others: what was put off thrice is let through.
pub const EVICTIONS_LIMIT: u32 = 3;

/// Attempts that make room at one time at the most, all together: some machines' worth of small ones.
pub const LEAVING_LIMIT: usize = 64;

/// Attempts of one node that are looked at, those first that cost least.
pub const CANDIDATES_LIMIT: usize = 256;

/// Steps of the search on one node for one request: about a millisecond.
pub const STEPS_LIMIT: u32 = 10_000;

/// Whether tasks make room for others.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Preemption {
    /// None does: what was started goes on.
    #[default]
    Off,
    /// For those of Critical priority.
    Critical,
}

/// What a task that has not ended has put up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evicted {
    /// How often it was evicted.
    pub times: u32,
    /// For whom, the last time.
    pub by: TaskId,
}

impl Evicted {
    /// Once more, for `by`.
    #[must_use]
    pub fn again(before: Option<&Self>, by: TaskId) -> Self {
        Self { times: before.map_or(0, |before| before.times) + 1, by }
    }
}

/// An attempt that holds something on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running<'a> {
    /// Its task.
    pub task: TaskId,
    /// What it holds.
    pub need: &'a Resources,
    /// How urgent it is.
    pub priority: Priority,
    /// Whether its task lets others take its room.
    pub is_preemptible: bool,
    /// How long it has run.
    pub ran: Duration,
    /// How often its task was evicted before.
    pub evictions: u32,
    /// Whether it makes room already.
    pub is_leaving: bool,
}

/// A node that could run the task if it were empty.
#[derive(Debug, Clone)]
pub struct Site<'a> {
    /// The node, by its place.
    pub place: usize,
    /// All it has.
    pub capacity: &'a Resources,
    /// Whether it is held for somebody less urgent, who then waits longer.
    pub is_kept: bool,
    /// Everything that holds something there.
    pub running: Vec<Running<'a>>,
}

/// What is missing of the fleet's own things, such as a lock: how much of each, and who has it.
#[derive(Debug, Clone, Default)]
pub struct Claimed<'a> {
    /// How much of each, more than nothing; with all that leaves gone.
    pub missing: Vec<u64>,
    /// Everybody who holds some of that, wherever it runs, and how much of each there is once it has gone.
    pub holders: Vec<(Running<'a>, Vec<u64>)>,
}

/// Where room is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eviction {
    /// The node where it is to start, by its place.
    pub place: usize,
    /// The request that there will be room for.
    pub request: RequestNumber,
    /// Whose attempts are to be stopped, ascending; nobody's where those that leave already make enough room.
    pub victims: Vec<TaskId>,
}

/// Whether a class has less than its slice of what runs, so that others may have to make room for it. In a flood of its
/// tasks they do no longer: what they start in their turns would be stopped as soon as it has begun. `runs` and `waits` count
/// attempts and tasks by priority; slices are shared among those that run or wait.
#[must_use]
pub fn is_short_of_its_slice(priority: Priority, shares: Shares, runs: [u64; 4], waits: [u64; 4]) -> bool {
    let shares = [shares.low, shares.normal, shares.high, shares.critical].map(u64::from);
    let is_there = |one: &usize| runs[*one] > 0 || waits[*one] > 0;
    let (own, all): (_, u64) = (priority as usize, runs.iter().sum());
    let among: u64 = (0..runs.len()).filter(is_there).map(|one| shares[one]).sum();
    runs[own] * among < shares[own] * all
}

/// Whether tasks of this demand and priority may have to make room for any other.
#[must_use]
pub fn may_ever_yield(demand: &Demand, priority: Priority) -> bool {
    demand.is_preemptible && priority <= Priority::Normal
}

impl Running<'_> {
    /// Whether it may have to make room for a task of this priority.
    #[must_use]
    pub fn may_yield_to(&self, priority: Priority) -> bool {
        (self.is_preemptible || planted!(EvictsAnybody))
            && self.priority <= Priority::Normal
            && self.priority < priority
            && self.evictions < EVICTIONS_LIMIT
            && !self.is_leaving
    }
}

/// Whose attempt leaves a machine that is under critical strain: the least urgent that allows it, and of those the one that
/// loses the least work. However often its task was stopped before: the system would stop one that does not allow it.
/// `None` while one leaves already.
#[must_use]
pub fn least_valuable(running: &[Running<'_>]) -> Option<TaskId> {
    if running.iter().any(|one| one.is_leaving) {
        return None;
    }
    let may = running.iter().filter(|one| one.is_preemptible);
    may.min_by_key(|one| (one.priority, one.ran, one.task)).map(|one| one.task)
}

/// Who makes room for a task of this priority that will do with any of these requests, and lacks this besides; `None` where no
/// set of victims is enough.
#[must_use]
pub fn choose<'a>(
    priority: Priority,
    requests: &[(RequestNumber, &Resources)],
    sites: impl IntoIterator<Item = Site<'a>>,
    claimed: &Claimed<'_>,
) -> Option<Eviction> {
    let mut best: Option<(Cost, RequestNumber, usize, Vec<TaskId>)> = None;
    for site in sites {
        for (request, need) in requests.iter().filter(|(_, need)| site.capacity.covers(need)) {
            let Some((cost, victims)) = cheapest(priority, need, &site, claimed) else { continue };
            let found = (cost, *request, site.place, victims);
            best = Some(best.map_or_else(|| found.clone(), |best| best.min(found.clone())));
        }
    }
    best.map(|(_, request, place, victims)| Eviction { place, request, victims })
}

#[cfg(test)]
mod tests;

//! Whose attempts make room for a more urgent task that no node has room for: the cheapest of those that allow it.
//!
//! It sees each node as its capacity and what runs there, and names those to be stopped; who asks has made sure that
//! nothing but room is missing.
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

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::demand::Demand;
use crate::id::TaskId;
use crate::planted;
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

/// Where room is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eviction {
    /// The node, by its place.
    pub place: usize,
    /// The request that there will be room for.
    pub request: RequestNumber,
    /// Whose attempts are to be stopped, ascending; nobody's where those that leave already make enough room.
    pub victims: Vec<TaskId>,
}

/// What a set of victims costs: less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Cost {
    is_kept: bool,
    normal: u32,
    victims: u32,
    lost: Duration,
}

/// Those that hold alike and are of one priority: of them the ones that have run shortest are taken first.
#[derive(Debug)]
struct Alike<'a> {
    /// What each gives of what is missing, by dimension.
    gives: Vec<u64>,
    members: Vec<&'a Running<'a>>,
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

/// Who makes room for a task of this priority that will do with any of these requests; `None` where no set of victims is
/// enough.
#[must_use]
pub fn choose<'a>(
    priority: Priority,
    requests: &[(RequestNumber, &Resources)],
    sites: impl IntoIterator<Item = Site<'a>>,
) -> Option<Eviction> {
    let mut best: Option<(Cost, RequestNumber, usize, Vec<TaskId>)> = None;
    for Site { place, capacity, is_kept, running } in sites {
        for (request, need) in requests.iter().filter(|(_, need)| capacity.covers(need)) {
            let Some((cost, victims)) = cheapest(priority, need, capacity, &running) else { continue };
            // What is free and kept is not room that anybody made.
            if is_kept && victims.is_empty() {
                continue;
            }
            let cost = Cost { is_kept, ..cost };
            let found = (cost, *request, place, victims);
            best = Some(best.map_or_else(|| found.clone(), |best| best.min(found.clone())));
        }
    }
    best.map(|(_, request, place, victims)| Eviction { place, request, victims })
}

/// The cheapest victims on one node.
fn cheapest(
    priority: Priority,
    need: &Resources,
    capacity: &Resources,
    running: &[Running<'_>],
) -> Option<(Cost, Vec<TaskId>)> {
    let missing = missing(need, capacity, running);
    let mut candidates: Vec<_> = running.iter().filter(|one| one.may_yield_to(priority)).collect();
    candidates.sort_by_key(|one| (one.priority, one.ran, one.task));
    candidates.truncate(CANDIDATES_LIMIT);
    let left: Vec<_> = missing.iter().map(|(_, amount)| *amount).collect();
    let mut search = Search { alike: alike(&missing, &candidates), rest: Vec::new(), best: None, steps: 0 };
    search.begin(&left)?;
    search.go(0, &left, Cost::default(), &mut Vec::new());
    search.best
}

/// What is missing there, with all that leaves gone: by resource, more than nothing of each.
fn missing<'a>(need: &'a Resources, capacity: &Resources, running: &[Running<'_>]) -> Vec<(&'a str, u64)> {
    let staying = || running.iter().filter(|one| !one.is_leaving);
    let of = |(resource, needed): (&'a str, u64)| {
        let held = staying().fold(0u64, |sum, one| sum.saturating_add(one.need.amount(resource)));
        let missing = held.saturating_add(needed).saturating_sub(capacity.amount(resource));
        (needed > 0 && missing > 0).then_some((resource, missing))
    };
    need.dimensions().filter_map(of).collect()
}

/// Candidates by what they give of what is missing; who gives nothing is of no use.
fn alike<'a>(missing: &[(&str, u64)], candidates: &[&'a Running<'a>]) -> Vec<Alike<'a>> {
    let mut alike: BTreeMap<(Priority, Vec<u64>), Vec<&Running<'_>>> = BTreeMap::new();
    for one in candidates {
        let gives: Vec<_> =
            missing.iter().map(|(resource, amount)| one.need.amount(resource).min(*amount)).collect();
        if gives.iter().any(|given| *given > 0) {
            alike.entry((one.priority, gives)).or_default().push(one);
        }
    }
    alike.into_iter().map(|((_, gives), members)| Alike { gives, members }).collect()
}

impl Cost {
    fn with(self, one: &Running<'_>) -> Self {
        Self {
            is_kept: self.is_kept,
            normal: self.normal + u32::from(one.priority == Priority::Normal),
            victims: self.victims + 1,
            lost: self.lost + one.ran,
        }
    }
}

/// Looks at how many of each kind are taken.
#[derive(Debug)]
struct Search<'a> {
    alike: Vec<Alike<'a>>,
    /// What this kind and all behind it can give together.
    rest: Vec<Vec<u64>>,
    best: Option<(Cost, Vec<TaskId>)>,
    steps: u32,
}

impl Search<'_> {
    /// A first answer, to be improved on; `None` where all of them together are not enough.
    fn begin(&mut self, left: &[u64]) -> Option<()> {
        let mut rest: Vec<Vec<u64>> = vec![vec![0; left.len()]];
        for alike in self.alike.iter().rev() {
            let count = u64::try_from(alike.members.len()).unwrap_or(u64::MAX);
            let behind = &rest[rest.len() - 1];
            let sum = behind
                .iter()
                .zip(&alike.gives)
                .map(|(sum, one)| sum.saturating_add(one.saturating_mul(count)));
            rest.push(sum.collect());
        }
        rest.reverse();
        self.rest = rest;
        let mut taken: Vec<_> =
            self.alike.iter().flat_map(|one| one.members.iter().map(move |member| (one, *member))).collect();
        let is_enough = |taken: &[(&Alike<'_>, &Running<'_>)]| {
            (0..left.len()).all(|place| {
                taken.iter().fold(0u64, |sum, (alike, _)| sum.saturating_add(alike.gives[place]))
                    >= left[place]
            })
        };
        if !is_enough(&taken) {
            return None;
        }
        // The dearest are spared first.
        for place in (0..taken.len()).rev() {
            let spared = taken.remove(place);
            if !is_enough(&taken) {
                taken.insert(place, spared);
            }
        }
        let cost = taken.iter().fold(Cost::default(), |cost, (_, one)| cost.with(one));
        let mut victims: Vec<_> = taken.iter().map(|(_, one)| one.task).collect();
        victims.sort_unstable();
        self.best = Some((cost, victims));
        Some(())
    }

    /// Of the kinds from this one on, as many as are needed for what is `left`.
    fn go(&mut self, at: usize, left: &[u64], cost: Cost, taken: &mut Vec<TaskId>) {
        self.steps += 1;
        if left.iter().all(|left| *left == 0) {
            let mut victims = taken.clone();
            victims.sort_unstable();
            let found = (cost, victims);
            if self.best.as_ref().is_none_or(|best| found < *best) {
                self.best = Some(found);
            }
            return;
        }
        let reaches = || left.iter().zip(&self.rest[at]).all(|(left, rest)| rest >= left);
        // One more at least.
        let least = Cost { victims: cost.victims + 1, ..cost };
        let is_dear = self.best.as_ref().is_some_and(|(best, _)| least > *best);
        if at == self.alike.len() || self.steps > STEPS_LIMIT || is_dear || !reaches() {
            return;
        }
        self.go(at + 1, left, cost, taken);
        let (mut left, mut cost, before) = (left.to_vec(), cost, taken.len());
        for place in 0..self.alike[at].members.len() {
            let alike = &self.alike[at];
            if left.iter().zip(&alike.gives).all(|(left, gives)| *left == 0 || *gives == 0) {
                break;
            }
            left.iter_mut().zip(&alike.gives).for_each(|(left, gives)| *left = left.saturating_sub(*gives));
            cost = cost.with(alike.members[place]);
            taken.push(alike.members[place].task);
            self.go(at + 1, &left, cost, taken);
        }
        taken.truncate(before);
    }
}

#[cfg(test)]
mod tests;

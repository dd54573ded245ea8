//! The cheapest set of victims for one node and one request, by going through how many of each kind are taken.

use std::collections::BTreeMap;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::id::TaskId;
use crate::preempt::{CANDIDATES_LIMIT, Claimed, Running, STEPS_LIMIT, Site};
use crate::resources::Resources;
use crate::task::Priority;

/// What a set of victims costs: less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Cost {
    pub(super) is_kept: bool,
    normal: u32,
    victims: u32,
    lost: Duration,
}

/// Those that give alike and are of one priority: of them the ones that have run shortest are taken first.
#[derive(Debug)]
struct Alike<'a> {
    /// What each gives of what is missing: of the node's, and behind that of the fleet's.
    gives: Vec<u64>,
    members: Vec<&'a Running<'a>>,
}

/// One that may go, and what it gives.
type Candidate<'a> = (&'a Running<'a>, Vec<u64>);

/// The cheapest victims for one node.
pub(super) fn cheapest(
    priority: Priority,
    need: &Resources,
    site: &Site<'_>,
    claimed: &Claimed<'_>,
) -> Option<(Cost, Vec<TaskId>)> {
    let missing = missing(need, site.capacity, &site.running);
    // What is free and kept is not room that anybody made.
    if site.is_kept && missing.is_empty() {
        return None;
    }
    let candidates = candidates(priority, &missing, &site.running, claimed);
    let left: Vec<_> =
        missing.iter().map(|(_, amount)| *amount).chain(claimed.missing.iter().copied()).collect();
    let mut search = Search { alike: alike(candidates), rest: Vec::new(), best: None, steps: 0 };
    search.begin(&left)?;
    search.go(0, &left, Cost::default(), &mut Vec::new());
    let (cost, victims) = search.best?;
    Some((Cost { is_kept: site.is_kept, ..cost }, victims))
}

/// What is missing there, with all that leaves gone: by resource, more than nothing of each.
pub(super) fn missing<'a>(
    need: &'a Resources,
    capacity: &Resources,
    running: &[Running<'_>],
) -> Vec<(&'a str, u64)> {
    let staying = || running.iter().filter(|one| !one.is_leaving);
    let of = |(resource, needed): (&'a str, u64)| {
        let held = staying().fold(0u64, |sum, one| sum.saturating_add(one.need.amount(resource)));
        let missing = held.saturating_add(needed).saturating_sub(capacity.amount(resource));
        (needed > 0 && missing > 0).then_some((resource, missing))
    };
    need.dimensions().filter_map(of).collect()
}

/// Who may go and gives some of what is missing: of those on the node what it lacks, of all what they hold of the fleet's.
fn candidates<'a>(
    priority: Priority,
    missing: &[(&str, u64)],
    running: &'a [Running<'a>],
    claimed: &'a Claimed<'a>,
) -> Vec<Candidate<'a>> {
    let may = |one: &Running<'_>| one.may_yield_to(priority);
    let here: FxHashSet<TaskId> = running.iter().map(|one| one.task).collect();
    let of_fleet: FxHashMap<TaskId, &[u64]> =
        claimed.holders.iter().map(|(one, gives)| (one.task, &**gives)).collect();
    let nothing = vec![0; claimed.missing.len()];
    let gives = |one: &Running<'_>, is_here: bool| {
        let of_node =
            missing.iter().map(|(name, most)| if is_here { one.need.amount(name).min(*most) } else { 0 });
        let claims = of_fleet.get(&one.task).copied().unwrap_or(&nothing);
        let claims = claims.iter().zip(&claimed.missing).map(|(gives, most)| *gives.min(most));
        of_node.chain(claims).collect::<Vec<_>>()
    };
    let there = running.iter().map(|one| (one, gives(one, true)));
    let elsewhere = claimed.holders.iter().map(|(one, _)| one).filter(|one| !here.contains(&one.task));
    let all = there.chain(elsewhere.map(|one| (one, gives(one, false))));
    let mut all: Vec<_> =
        all.filter(|(one, gives)| may(one) && gives.iter().any(|given| *given > 0)).collect();
    // Whoever holds what the fleet has but once must not be cut off by many who hold cores.
    let gives_room_alone = |gives: &[u64]| gives[missing.len()..].iter().all(|given| *given == 0);
    all.sort_by_key(|(one, gives)| (gives_room_alone(gives), one.priority, one.ran, one.task));
    all.truncate(CANDIDATES_LIMIT);
    all.sort_by_key(|(one, _)| (one.priority, one.ran, one.task));
    all
}

/// Candidates by what they give.
fn alike(candidates: Vec<Candidate<'_>>) -> Vec<Alike<'_>> {
    let mut alike: BTreeMap<(Priority, Vec<u64>), Vec<&Running<'_>>> = BTreeMap::new();
    for (one, gives) in candidates {
        alike.entry((one.priority, gives)).or_default().push(one);
    }
    alike.into_iter().map(|((_, gives), members)| Alike { gives, members }).collect()
}

impl Cost {
    pub(super) fn with(self, one: &Running<'_>) -> Self {
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

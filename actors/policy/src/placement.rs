//! Which node runs a task: those on which it cannot are filtered out, each for a reason, and of the rest the
//! one is taken that suits it best.
//!
//! It sees each node as the room left there and its labels, and decides by that alone; what else speaks against a
//! node (cordoned, suspect, tripped) it is told as one word.
//!
//! # The choice
//!
//! Of the nodes that may run it, by the first of these that tells them apart:
//!
//! 1. one where it starts at once before one where it waits for its turn;
//! 2. the request that the task likes best of those that are to be had so;
//! 3. where it waits, the one where the fewest wait;
//! 4. another than the one where it failed last, unless the task does not mind;
//! 5. the one where more of what it prefers holds, by weight, less what it would rather not run beside;
//! 6. the one that it fills best: least of the scarcest resource is left, in parts of the node's capacity, so that small
//!    tasks leave whole nodes to large ones;
//! 7. the first by name.

mod shapes;

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::constraint::{AvoidFailed, Labels, Unmet};
use crate::demand::Demand;
use crate::id::TaskId;
use crate::node::Room;
use crate::resources::{Resources, Shortage};
use crate::task::RequestNumber;

pub use crate::placement::shapes::{SHAPES_LIMIT, ShapeId, Shapes, TooManyShapes};

/// Parts of a capacity in which what is left is measured: fine enough to tell bytes of memory apart roughly.
const PARTS: u128 = 1_000_000;

/// A node that might run a task.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// What can be given to it.
    pub room: &'a Room,
    /// What is said of it.
    pub labels: &'a Labels,
    /// Whether it takes work at all, and if not, why.
    pub accepting: Result<(), &'a str>,
    /// Whether room is held there, and for whom.
    pub held: Held<'a>,
    /// What speaks against it for who runs there.
    pub against: Option<&'a Reason>,
    /// How much the task would rather be elsewhere for who runs there, in weights of what it prefers.
    pub dislike: u64,
}

/// Whether room on a node is held for the first of a line (`reserve`), from where the asker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held<'a> {
    /// For nobody.
    No,
    /// For the asker.
    ForIt,
    /// For this task, which needs this.
    For(TaskId, &'a Resources),
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// What the task asks.
    pub demand: &'a Demand,
    /// The node, by its place, where its last attempt did not succeed.
    pub failed_on: Option<usize>,
}

/// Where a task runs, and what it is granted there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The node, by its place.
    pub place: usize,
    /// Which of the task's requests.
    pub request: RequestNumber,
}

/// Why one node does not run a task now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// It never can: it is not what the task requires.
    Unmet(Vec<Unmet>),
    /// It never can: its whole capacity is too small.
    TooSmall(Vec<Shortage>),
    /// It takes no work.
    NotAccepting(Box<str>),
    /// The task failed there last and is to run elsewhere.
    FailedThere,
    /// One of a group runs there from which it is to be apart.
    Beside {
        /// The group.
        group: Arc<str>,
    },
    /// One runs there that is to be apart from its group.
    Shunned {
        /// Its group.
        group: Arc<str>,
    },
    /// As many of its group run there, or where a label is the same, as may.
    Spread {
        /// Its group.
        group: Arc<str>,
        /// The label.
        per: Box<str>,
        /// What it is there.
        value: Box<str>,
        /// How many may.
        max: u32,
    },
    /// What is left is too little.
    Short(Vec<Shortage>),
    /// What is left is too little, and what is freed is kept for it.
    Keeping(Vec<Shortage>),
    /// There would be room, but it is kept for another one that has missed its turns.
    KeptFor(TaskId),
    /// There would be room, but others wait there for theirs.
    Behind {
        /// How many.
        staged: u32,
    },
}

/// No node runs a task now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoFit {
    /// Why not, for each node by its place.
    pub reasons: Vec<(usize, Reason)>,
    /// Whether waiting does not help: there are nodes, and none of them is large enough and what it requires.
    pub never: bool,
}

/// Whether a node has room for this demand now.
#[must_use]
pub fn feasible(demand: &Demand, nodes: &[Candidate<'_>]) -> bool {
    nodes.iter().any(|node| node.takes(demand))
}

/// The node that suits best, and the request that is granted there. See the module for what that is.
///
/// # Errors
///
/// When there is none, with the reason for each.
pub fn place(search: Search<'_>, nodes: &[Candidate<'_>]) -> Result<Choice, NoFit> {
    let barred = search.barred(nodes);
    let open = nodes.iter().enumerate().filter(|(place, _)| Some(*place) != barred);
    let choices = open.filter_map(|(place, node)| search.best_on(place, node));
    let best = choices.min_by_key(|(rank, choice)| (*rank, choice.place)).map(|(_, choice)| choice);
    best.ok_or_else(|| search.explain(barred, nodes))
}

/// What the choice between feasible nodes goes by: the smallest is taken.
pub(crate) type Rank = (bool, RequestNumber, u32, bool, Reverse<i64>, u128);

impl<'a> Search<'a> {
    /// For a task that has not failed anywhere.
    #[must_use]
    pub fn of(demand: &'a Demand) -> Self {
        Self { demand, failed_on: None }
    }

    /// The request that suits best on one node, and how well; `None` where it does not run there now.
    pub(crate) fn best_on(&self, place: usize, node: &Candidate<'_>) -> Option<(Rank, Choice)> {
        if !node.is_open(self.demand) {
            return None;
        }
        let fit = self.demand.requests().filter(|(_, need)| node.fits(need));
        let ranked =
            fit.map(|(request, need)| (self.rank((place, node), (request, need)), Choice { place, request }));
        ranked.min_by_key(|(rank, _)| *rank)
    }

    /// The node where it must not run again: only as long as there is another one, or it would wait for ever.
    fn barred(&self, nodes: &[Candidate<'_>]) -> Option<usize> {
        let failed_on = self.failed_on?;
        let elsewhere = |(place, node): (usize, &Candidate<'_>)| {
            place != failed_on && node.accepting.is_ok() && node.could_take(self.demand)
        };
        let must = self.demand.constraints.avoid_failed == AvoidFailed::Require;
        (must && nodes.iter().enumerate().any(elsewhere)).then_some(failed_on)
    }

    fn rank(
        &self,
        (place, node): (usize, &Candidate<'_>),
        (request, need): (RequestNumber, &Resources),
    ) -> Rank {
        let (constraints, room) = (&self.demand.constraints, node.room);
        let is_avoided = self.failed_on == Some(place) && constraints.avoid_failed != AvoidFailed::No;
        let dislike = i64::try_from(node.dislike).unwrap_or(i64::MAX);
        let liking = Reverse(i64::from(constraints.liking(node.labels)).saturating_sub(dislike));
        (!room.starts(need), request, room.staged, is_avoided, liking, left_of_scarcest(need, room))
    }

    /// Why none of the nodes runs it.
    fn explain(&self, barred: Option<usize>, nodes: &[Candidate<'_>]) -> NoFit {
        let reason = |(place, node): (usize, &Candidate<'_>)| match node.reason(self.demand) {
            Reason::Short(_) | Reason::KeptFor(_) | Reason::Behind { .. } if Some(place) == barred => {
                (place, Reason::FailedThere)
            }
            reason => (place, reason),
        };
        let reasons: Vec<_> = nodes.iter().enumerate().map(reason).collect();
        let never = !reasons.is_empty() && reasons.iter().all(|(_, reason)| reason.is_for_ever());
        NoFit { reasons, never }
    }
}

/// How much of what it is shortest of is missing, in parts of the node's capacity: which node has room first, as far as
/// anybody knows.
#[must_use]
pub fn lacking(need: &Resources, room: &Room) -> u128 {
    let lacking = |(resource, needed): (&str, u64)| {
        let lacking = needed.saturating_sub(room.free.amount(resource));
        (u128::from(lacking) * PARTS).checked_div(u128::from(room.capacity.amount(resource))).unwrap_or(0)
    };
    need.dimensions().map(lacking).max().unwrap_or(0)
}

/// What would be left of the scarcest resource, in parts of the node's capacity of it.
fn left_of_scarcest(need: &Resources, room: &Room) -> u128 {
    let left = |(resource, capacity): (&str, u64)| {
        let left = room.free.amount(resource).saturating_sub(need.amount(resource));
        u128::from(left) * PARTS / u128::from(capacity)
    };
    room.capacity.dimensions().filter(|(_, capacity)| *capacity > 0).map(left).min().unwrap_or(0)
}

impl Candidate<'_> {
    /// Whether it has room for a task that asks this now.
    #[must_use]
    pub fn takes(&self, demand: &Demand) -> bool {
        self.is_open(demand) && demand.requests().any(|(_, need)| self.fits(need))
    }

    /// Whether there is room for this now that is not held for others.
    fn fits(&self, need: &Resources) -> bool {
        match self.held {
            Held::No | Held::ForIt => self.room.fits(need),
            Held::For(_, kept) => self.room.spares(need, kept),
        }
    }

    /// Whether such tasks may come, were there room.
    fn is_open(&self, demand: &Demand) -> bool {
        self.accepting.is_ok() && self.against.is_none() && demand.constraints.met(self.labels)
    }

    /// Whether it could run such a task if it were empty.
    #[must_use]
    pub fn could_take(&self, demand: &Demand) -> bool {
        demand.constraints.met(self.labels)
            && demand.requests().any(|(_, need)| self.room.capacity.covers(need))
    }

    fn reason(&self, demand: &Demand) -> Reason {
        let unmet = demand.constraints.unmet(self.labels);
        // Of several requests the best one that it could ever take is what it is short of.
        let possible = demand.requests().map(|(_, need)| need).find(|need| self.room.capacity.covers(need));
        let need = possible.unwrap_or(&demand.resources);
        let short = self.room.free.shortages(need);
        match (self.accepting, self.against) {
            _ if !unmet.is_empty() => Reason::Unmet(unmet),
            _ if possible.is_none() => Reason::TooSmall(self.room.capacity.shortages(need)),
            (Err(why), _) => Reason::NotAccepting(why.into()),
            (Ok(()), Some(against)) => against.clone(),
            (Ok(()), None) => match self.held {
                Held::For(task, _) if short.is_empty() => Reason::KeptFor(task),
                Held::ForIt if !short.is_empty() => Reason::Keeping(short),
                _ if short.is_empty() => Reason::Behind { staged: self.room.staged },
                _ => Reason::Short(short),
            },
        }
    }
}

impl Reason {
    /// Whether waiting does not help as long as the node is what it is.
    #[must_use]
    pub fn is_for_ever(&self) -> bool {
        match self {
            Self::Unmet(_) | Self::TooSmall(_) => true,
            Self::NotAccepting(_)
            | Self::FailedThere
            | Self::Beside { .. }
            | Self::Shunned { .. }
            | Self::Spread { .. }
            | Self::Short(_)
            | Self::Keeping(_)
            | Self::KeptFor(_)
            | Self::Behind { .. } => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmet(unmet) => f.write_str(&listed(unmet)),
            Self::TooSmall(shortages) => write!(f, "too small: {}", listed(shortages)),
            Self::NotAccepting(why) => f.write_str(why),
            Self::FailedThere => f.write_str("it failed there last"),
            Self::Beside { group } => {
                write!(f, "one of group {group} runs there, from which it is to be apart")
            }
            Self::Shunned { group } => write!(f, "one runs there that is to be apart from group {group}"),
            Self::Spread { group, per, value, max } => {
                write!(f, "{max} of group {group} run where {per}={value}, as many as may")
            }
            Self::Short(shortages) => f.write_str(&listed(shortages)),
            Self::Keeping(shortages) => write!(f, "is kept for it: {}", listed(shortages)),
            Self::KeptFor(task) => write!(f, "what is free there is kept for {task}"),
            Self::Behind { staged } => write!(f, "{staged} others wait there for their turn"),
        }
    }
}

fn listed(parts: &[impl fmt::Display]) -> String {
    parts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;

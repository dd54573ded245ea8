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
//! 1. one where it starts at once before one where it waits for its turn, and there the fewest wait;
//! 2. another than the one where it failed last, unless the task does not mind;
//! 3. the one where more of what it prefers holds, by weight;
//! 4. the one that it fills best: least of the scarcest resource is left, in parts of the node's capacity, so that small
//!    tasks leave whole nodes to large ones;
//! 5. the first by name.

mod shapes;

use std::cmp::Reverse;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::constraint::{AvoidFailed, Labels, Unmet};
use crate::demand::Demand;
use crate::node::Room;
use crate::resources::{Resources, Shortage};

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
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// What the task asks.
    pub demand: &'a Demand,
    /// The node, by its place, where its last attempt did not succeed.
    pub failed_on: Option<usize>,
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
    /// What is left is too little.
    Short(Vec<Shortage>),
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

/// The node, by its place, that suits best. See the module for what that is.
///
/// # Errors
///
/// When there is none, with the reason for each.
pub fn place(search: Search<'_>, nodes: &[Candidate<'_>]) -> Result<usize, NoFit> {
    let barred = search.barred(nodes);
    let takes = |place: usize, node: &Candidate<'_>| Some(place) != barred && node.takes(search.demand);
    if let [only] = nodes
        && takes(0, only)
    {
        return Ok(0);
    }
    let feasible = nodes.iter().enumerate().filter(|(place, node)| takes(*place, node));
    let best = feasible.min_by_key(|(place, node)| search.rank(*place, node));
    best.map(|(place, _)| place).ok_or_else(|| search.explain(barred, nodes))
}

/// What the choice between feasible nodes goes by: the smallest is taken.
type Rank = (u32, bool, Reverse<u32>, u128);

impl<'a> Search<'a> {
    /// For a task that has not failed anywhere.
    #[must_use]
    pub fn of(demand: &'a Demand) -> Self {
        Self { demand, failed_on: None }
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

    fn rank(&self, place: usize, node: &Candidate<'_>) -> Rank {
        let constraints = &self.demand.constraints;
        let is_avoided = self.failed_on == Some(place) && constraints.avoid_failed != AvoidFailed::No;
        let left = left_of_scarcest(&self.demand.resources, node.room);
        (node.room.staged, is_avoided, Reverse(constraints.liking(node.labels)), left)
    }

    /// Why none of the nodes runs it.
    fn explain(&self, barred: Option<usize>, nodes: &[Candidate<'_>]) -> NoFit {
        let reason = |(place, node): (usize, &Candidate<'_>)| match node.reason(self.demand) {
            Reason::Short(_) | Reason::Behind { .. } if Some(place) == barred => (place, Reason::FailedThere),
            reason => (place, reason),
        };
        let reasons: Vec<_> = nodes.iter().enumerate().map(reason).collect();
        let never = !reasons.is_empty() && reasons.iter().all(|(_, reason)| reason.is_for_ever());
        NoFit { reasons, never }
    }
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
        self.accepting.is_ok() && self.room.fits(&demand.resources) && demand.constraints.met(self.labels)
    }

    /// Whether it could run such a task if it were empty.
    fn could_take(&self, demand: &Demand) -> bool {
        self.room.capacity.covers(&demand.resources) && demand.constraints.met(self.labels)
    }

    fn reason(&self, demand: &Demand) -> Reason {
        let unmet = demand.constraints.unmet(self.labels);
        let too_small = self.room.capacity.shortages(&demand.resources);
        let short = self.room.free.shortages(&demand.resources);
        match self.accepting {
            _ if !unmet.is_empty() => Reason::Unmet(unmet),
            _ if !too_small.is_empty() => Reason::TooSmall(too_small),
            Err(why) => Reason::NotAccepting(why.into()),
            Ok(()) if short.is_empty() => Reason::Behind { staged: self.room.staged },
            Ok(()) => Reason::Short(short),
        }
    }
}

impl Reason {
    /// Whether waiting does not help as long as the node is what it is.
    #[must_use]
    pub fn is_for_ever(&self) -> bool {
        match self {
            Self::Unmet(_) | Self::TooSmall(_) => true,
            Self::NotAccepting(_) | Self::FailedThere | Self::Short(_) | Self::Behind { .. } => false,
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
            Self::Short(shortages) => f.write_str(&listed(shortages)),
            Self::Behind { staged } => write!(f, "{staged} others wait there for their turn"),
        }
    }
}

fn listed(parts: &[impl fmt::Display]) -> String {
    parts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;

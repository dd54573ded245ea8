//! Which node runs a task: those on which it cannot are filtered out, each for a reason, and of the rest the
//! one is taken that it fills best.
//!
//! It sees each node as the room left there and decides by that alone; what else speaks against a node
//! (cordoned, suspect, tripped) it is told as one word.

mod shapes;

use std::fmt;

use serde::{Deserialize, Serialize};

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
    /// Whether it takes work at all, and if not, why.
    pub accepting: Result<(), &'a str>,
}

/// Why one node does not run a task now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// It never can: its whole capacity is too small.
    TooSmall(Vec<Shortage>),
    /// It takes no work.
    NotAccepting(Box<str>),
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
    /// Whether waiting does not help: it is larger than every node, and there are nodes.
    pub never: bool,
}

/// Whether a node has room for this need now.
#[must_use]
pub fn feasible(need: &Resources, nodes: &[Candidate<'_>]) -> bool {
    nodes.iter().any(|node| node.takes(need))
}

/// The node, by its place, that the need fills best: where least of its scarcest resource is left. So small
/// tasks leave whole nodes to large ones. Only where nothing is free does a task wait on a node for its turn,
/// and then where the fewest do. Of equals the first.
///
/// # Errors
///
/// When there is none, with the reason for each.
pub fn place(need: &Resources, nodes: &[Candidate<'_>]) -> Result<usize, NoFit> {
    if let [only] = nodes
        && only.takes(need)
    {
        return Ok(0);
    }
    let feasible = nodes.iter().enumerate().filter(|(_, node)| node.takes(need));
    let best = feasible.min_by(|(_, left), (_, right)| rank(need, left.room).cmp(&rank(need, right.room)));
    best.map(|(place, _)| place).ok_or_else(|| explain(need, nodes))
}

/// What the choice between feasible nodes goes by: the smallest is taken.
fn rank(need: &Resources, room: &Room) -> (u32, u128) {
    (room.staged, left_of_scarcest(need, room))
}

/// What would be left of the scarcest resource, in parts of the node's capacity of it.
fn left_of_scarcest(need: &Resources, room: &Room) -> u128 {
    let left = |(resource, capacity): (&str, u64)| {
        let left = room.free.amount(resource).saturating_sub(need.amount(resource));
        u128::from(left) * PARTS / u128::from(capacity)
    };
    room.capacity.dimensions().filter(|(_, capacity)| *capacity > 0).map(left).min().unwrap_or(0)
}

/// Why none of the nodes runs it.
fn explain(need: &Resources, nodes: &[Candidate<'_>]) -> NoFit {
    let reasons: Vec<_> = nodes.iter().map(|node| node.reason(need)).enumerate().collect();
    let never =
        !reasons.is_empty() && reasons.iter().all(|(_, reason)| matches!(reason, Reason::TooSmall(_)));
    NoFit { reasons, never }
}

impl Candidate<'_> {
    fn takes(&self, need: &Resources) -> bool {
        self.accepting.is_ok() && self.room.fits(need)
    }

    fn reason(&self, need: &Resources) -> Reason {
        let too_small = self.room.capacity.shortages(need);
        let short = self.room.free.shortages(need);
        match self.accepting {
            _ if !too_small.is_empty() => Reason::TooSmall(too_small),
            Err(why) => Reason::NotAccepting(why.into()),
            Ok(()) if short.is_empty() => Reason::Behind { staged: self.room.staged },
            Ok(()) => Reason::Short(short),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall(shortages) => write!(f, "too small: {}", listed(shortages)),
            Self::NotAccepting(why) => f.write_str(why),
            Self::Short(shortages) => f.write_str(&listed(shortages)),
            Self::Behind { staged } => write!(f, "{staged} others wait there for their turn"),
        }
    }
}

fn listed(shortages: &[Shortage]) -> String {
    shortages.iter().map(Shortage::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(capacity: Resources, free: Resources) -> Room {
        Room { capacity, free, staged: 0, staged_limit: 0 }
    }

    fn cpus(capacity: u64, free: u64) -> Room {
        node(Resources::cpus(capacity), Resources::cpus(free))
    }

    fn candidates(rooms: &[Room]) -> Vec<Candidate<'_>> {
        rooms.iter().map(|room| Candidate { room, accepting: Ok(()) }).collect()
    }

    fn placed(need: u64, rooms: &[Room]) -> Option<usize> {
        place(&Resources::cpus(need), &candidates(rooms)).ok()
    }

    #[test]
    fn the_fullest_node_that_fits_is_taken_and_of_equals_the_first() {
        assert_eq!(placed(2, &[cpus(8, 8), cpus(8, 1), cpus(8, 4), cpus(8, 4)]), Some(2));
        assert_eq!(placed(2, &[cpus(8, 8), cpus(8, 8)]), Some(0));
        assert_eq!(placed(2, &[cpus(8, 1), cpus(8, 1)]), None);
        assert_eq!(placed(2, &[]), None);
    }

    #[test]
    fn the_scarcest_resource_decides() {
        let both = |cpu_millis, memory_bytes| Resources { cpu_millis, memory_bytes, ..Resources::default() };
        let rooms = [node(both(10, 100), both(9, 20)), node(both(10, 100), both(5, 90))];
        assert_eq!(place(&both(1, 10), &candidates(&rooms)), Ok(0));
        assert_eq!(place(&both(4, 1), &candidates(&rooms)), Ok(1));
    }

    #[test]
    fn a_task_waits_on_a_node_only_where_none_is_free() {
        let staging = |free, staged| Room { staged, staged_limit: 4, ..cpus(8, free) };
        assert_eq!(placed(8, &[staging(0, 1), staging(8, 0)]), Some(1));
        assert_eq!(placed(8, &[staging(0, 2), staging(8, 1)]), Some(1));
        assert_eq!(placed(8, &[staging(0, 4), staging(8, 4)]), None);
    }

    #[test]
    fn every_node_has_its_reason() {
        let rooms = [cpus(1, 1), cpus(8, 1), cpus(8, 8), Room { staged: 2, staged_limit: 2, ..cpus(8, 8) }];
        let mut nodes = candidates(&rooms);
        nodes[2].accepting = Err("draining");
        let refusal = place(&Resources::cpus(2), &nodes).unwrap_err();
        let texts: Vec<_> =
            refusal.reasons.iter().map(|(place, reason)| format!("{place}: {reason}")).collect();
        assert_eq!(
            texts,
            [
                "0: too small: needs 2 cpu_millis, 1 available",
                "1: needs 2 cpu_millis, 1 available",
                "2: draining",
                "3: 2 others wait there for their turn",
            ]
        );
        assert!(!refusal.never);
    }

    #[test]
    fn a_task_larger_than_every_node_is_reported_as_such() {
        let never =
            |need: u64, rooms: &[Room]| place(&Resources::cpus(need), &candidates(rooms)).unwrap_err().never;
        assert!(never(9, &[cpus(8, 8), cpus(4, 0)]));
        assert!(!never(8, &[cpus(8, 7), cpus(4, 0)]));
        assert!(!never(8, &[]), "a node that is large enough may come");
    }

    proptest! {
        #[test]
        fn no_node_is_ever_given_more_than_it_has(
            capacities in prop::collection::vec((1_u64..20, 0_u64..4), 1..6),
            needs in prop::collection::vec((0_u64..20, 0_u64..4), 1..60),
        ) {
            let both = |(cpu_millis, gpu_slots)| Resources { cpu_millis, gpu_slots, ..Resources::default() };
            let mut rooms: Vec<_> = capacities.iter().map(|one| node(both(*one), both(*one))).collect();
            for need in needs.into_iter().map(both) {
                let fits = rooms.iter().any(|room| room.free.covers(&need));
                let placed = place(&need, &candidates(&rooms));
                prop_assert_eq!(placed.is_ok(), fits);
                prop_assert_eq!(feasible(&need, &candidates(&rooms)), fits);
                if let Ok(place) = placed {
                    prop_assert!(rooms[place].take(&need));
                }
            }
        }
    }
}

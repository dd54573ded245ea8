//! The nodes that suit one need best, in order: as many as are worth keeping, so that the next one is at hand when the best
//! has no room any more.

use crate::placement::{Choice, Rank};

/// Nodes that are kept after all were looked at: to look at all of them again is shared by so many.
const FRONT: usize = 32;

/// How well a node suits, and which.
type Ranked = (Rank, Choice);

/// See the module. Every node that is not here suits no better than `bound`.
#[derive(Debug, Default)]
pub(super) struct Front {
    /// The best first.
    nodes: Vec<Ranked>,
    /// The best of those that are left out; `None` where all that take it now are here.
    bound: Option<(Rank, usize)>,
    /// Whether anything was looked at.
    is_known: bool,
}

impl Front {
    /// Of all nodes that take it now.
    pub(super) fn of(mut nodes: Vec<Ranked>) -> Self {
        nodes.sort_unstable_by_key(key);
        let mut front = Self { nodes, bound: None, is_known: true };
        front.cut();
        front.nodes.shrink_to_fit();
        front
    }

    /// These places have changed. `false` where all nodes have to be looked at again.
    pub(super) fn follow(
        &mut self,
        changed: impl Iterator<Item = usize>,
        rank: impl Fn(usize) -> Option<Ranked>,
    ) -> bool {
        for place in changed {
            self.nodes.retain(|(_, choice)| choice.place != place);
            let Some(ranked) = rank(place) else { continue };
            // Among those that are left out nobody knows which is the best.
            if self.bound.is_none_or(|bound| key(&ranked) < bound) {
                let at = self.nodes.partition_point(|one| key(one) < key(&ranked));
                self.nodes.insert(at, ranked);
            }
        }
        if self.nodes.len() > 2 * FRONT {
            self.cut();
        }
        self.is_known && (!self.nodes.is_empty() || self.bound.is_none())
    }

    /// The best of all.
    pub(super) fn best(&self) -> Option<Choice> {
        self.nodes.first().map(|(_, choice)| *choice)
    }

    fn cut(&mut self) {
        if let Some(left_out) = self.nodes.get(FRONT) {
            let first = key(left_out);
            self.bound = Some(self.bound.map_or(first, |bound| bound.min(first)));
            self.nodes.truncate(FRONT);
        }
    }
}

fn key((rank, choice): &Ranked) -> (Rank, usize) {
    (*rank, choice.place)
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use proptest::prelude::*;

    use super::*;
    use crate::task::RequestNumber;

    fn ranked(place: usize, left: u128) -> Ranked {
        let rank = (false, RequestNumber(0), 0, false, Reverse(0), left);
        (rank, Choice { place, request: RequestNumber(0) })
    }

    proptest! {
        #[test]
        fn the_first_is_the_best_of_all_also_of_more_than_are_kept(
            first in prop::collection::vec(prop::option::of(0_u128..50), 100),
            changes in prop::collection::vec((0_usize..100, prop::option::of(0_u128..50)), 1..300),
        ) {
            let mut nodes = first;
            let of = |nodes: &[Option<u128>], place: usize| nodes[place].map(|left| ranked(place, left));
            let all = |nodes: &[Option<u128>]| (0..100).filter_map(|place| of(nodes, place)).collect::<Vec<_>>();
            let mut front = Front::of(all(&nodes));
            for (place, left) in changes {
                nodes[place] = left;
                if !front.follow([place].into_iter(), |place| of(&nodes, place)) {
                    front = Front::of(all(&nodes));
                }
                let best = all(&nodes).into_iter().min_by_key(key).map(|(_, choice)| choice);
                prop_assert_eq!(front.best(), best);
            }
        }
    }
}

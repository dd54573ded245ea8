//! Who is stopped and who is started when a child has to be restarted.
//!
//! Follows OTP: `one_for_one` restarts the child alone, `one_for_all` everybody, `rest_for_one` the child
//! and those started after it. Others are stopped in reverse order of their start, all are started in
//! order. Temporary children are stopped with the others and do not come back. Must not know how an
//! actor is stopped or started.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Which siblings share a child's fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    /// None: children do not depend on each other.
    OneForOne,
    /// All: children depend on each other.
    OneForAll,
    /// Those started later: each child depends on earlier ones.
    RestForOne,
}

/// What a strategy needs to know of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sibling {
    /// It runs, is starting, or is being stopped.
    pub alive: bool,
    /// It is not temporary: it is started again with the others, also when it had ended before.
    pub comes_back: bool,
}

/// Whom to stop, then whom to start, each in this order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Indices to stop, last started first.
    pub stop: Vec<usize>,
    /// Indices to start, in the order of the specs.
    pub start: Vec<usize>,
}

impl Strategy {
    /// The children that share the fate of child `ended` of `children`.
    #[must_use]
    pub fn affected(self, ended: usize, children: usize) -> Range<usize> {
        match self {
            Self::OneForOne => ended..ended + 1,
            Self::OneForAll => 0..children,
            Self::RestForOne => ended..children,
        }
    }

    /// What to do when child `ended`, which is not alive any more, has to be restarted.
    #[must_use]
    pub fn plan(self, ended: usize, siblings: &[Sibling]) -> Plan {
        let affected = self.affected(ended, siblings.len());
        let stop = affected.clone().rev().filter(|index| *index != ended && siblings[*index].alive).collect();
        let start = affected.filter(|index| siblings[*index].comes_back).collect();
        Plan { stop, start }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};
    use proptest::strategy::Strategy as _;

    use super::*;

    const ALIVE: Sibling = Sibling { alive: true, comes_back: true };
    const ENDED: Sibling = Sibling { alive: false, comes_back: true };
    const TEMPORARY: Sibling = Sibling { alive: true, comes_back: false };

    #[test]
    fn one_for_one_touches_only_the_child() {
        let plan = Strategy::OneForOne.plan(1, &[ALIVE, ENDED, ALIVE]);
        assert_eq!(plan, Plan { stop: vec![], start: vec![1] });
    }

    #[test]
    fn one_for_all_stops_in_reverse_and_starts_in_order() {
        let plan = Strategy::OneForAll.plan(1, &[ALIVE, ENDED, ALIVE, ALIVE]);
        assert_eq!(plan, Plan { stop: vec![3, 2, 0], start: vec![0, 1, 2, 3] });
    }

    #[test]
    fn rest_for_one_leaves_the_earlier_ones() {
        let plan = Strategy::RestForOne.plan(1, &[ALIVE, ENDED, ALIVE, ALIVE]);
        assert_eq!(plan, Plan { stop: vec![3, 2], start: vec![1, 2, 3] });
    }

    #[test]
    fn a_temporary_sibling_is_stopped_and_stays_away() {
        let plan = Strategy::OneForAll.plan(0, &[ENDED, TEMPORARY, ALIVE]);
        assert_eq!(plan, Plan { stop: vec![2, 1], start: vec![0, 2] });
    }

    #[test]
    fn a_transient_sibling_that_had_ended_is_started_with_the_others() {
        let plan = Strategy::OneForAll.plan(0, &[ENDED, ENDED]);
        assert_eq!(plan, Plan { stop: vec![], start: vec![0, 1] });
    }

    fn siblings() -> impl proptest::strategy::Strategy<Value = Vec<Sibling>> {
        let sibling =
            (any::<bool>(), any::<bool>()).prop_map(|(alive, comes_back)| Sibling { alive, comes_back });
        prop::collection::vec(sibling, 1..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn every_plan_is_ordered_and_within_the_affected(mut siblings in siblings(), at in any::<prop::sample::Index>()) {
            let ended = at.index(siblings.len());
            siblings[ended] = ENDED;
            for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
                let affected = strategy.affected(ended, siblings.len());
                let plan = strategy.plan(ended, &siblings);
                prop_assert!(plan.stop.is_sorted_by(|a, b| a > b) && plan.start.is_sorted_by(|a, b| a < b));
                prop_assert!(plan.stop.iter().chain(&plan.start).all(|index| affected.contains(index)));
                prop_assert!(plan.start.contains(&ended) && !plan.stop.contains(&ended));
                // After the plan everybody affected who comes back runs, and nobody else does.
                for index in affected {
                    let sibling = siblings[index];
                    prop_assert_eq!(plan.stop.contains(&index), sibling.alive && index != ended);
                    prop_assert_eq!(plan.start.contains(&index), sibling.comes_back);
                }
            }
        }
    }
}

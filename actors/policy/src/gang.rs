//! Gangs: the members of one item that run at the same time, each on a node of its own, all of them or none.
//!
//! Decides what is to be done with one, from how its members stand. Where it is placed is `fleet`'s, what becomes of the others
//! when one has ended is `graph`'s.
//!
//! # Why two gangs never wait for each other
//!
//! A gang holds nothing while it waits. It is placed in one step, on as many nodes as have room at that moment, and stays where
//! it is in its queue where they are too few. Room that is kept for one that has missed its turns (`reserve`) is kept on all the
//! nodes that it needs or on none. So nobody has a part of what another one lacks, and there is no circle.
//!
//! # Those that have succeeded
//!
//! Success is final: what starts together is all of a gang that has not succeeded. A gang is tried again as long as its members
//! are, and one that was stopped for another's sake has used up nothing.

use crate::event::ArraySpec;
use crate::graph::TaskState;
use crate::id::TaskId;
use crate::planted;

/// Members of a gang: each of their grants names the nodes of all of them.
pub const GANG_LIMIT: u32 = 64;

impl ArraySpec {
    /// That of a gang: the index of a member is its rank.
    #[must_use]
    pub fn of_gang(members: u32) -> Self {
        Self { first: 0, count: u64::from(members), parallel_limit: None }
    }
}

/// What is to be done with a gang.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it waits for something else, or runs, or is over.
    Nothing,
    /// All that have not succeeded are ready: the first of them stands for all in the queue.
    Queue(TaskId),
    /// Some are active and this one is not: these are to be stopped.
    Recall {
        /// The active ones.
        members: Vec<TaskId>,
        /// Whom they lack.
        missing: TaskId,
    },
}

/// What is to be done with a gang whose members stand like this, in the order of their ranks.
#[must_use]
pub fn next(members: &[(TaskId, TaskState)]) -> Next {
    let left = || members.iter().filter(|(_, state)| *state != TaskState::Succeeded);
    let Some((missing, _)) = left().find(|(_, state)| *state != TaskState::Active) else {
        return Next::Nothing;
    };
    let active: Vec<_> =
        left().filter(|(_, state)| *state == TaskState::Active).map(|(task, _)| *task).collect();
    if !active.is_empty() {
        return match planted!(GangNotRecalled) {
            true => Next::Nothing,
            false => Next::Recall { members: active, missing: *missing },
        };
    }
    match left().all(|(_, state)| *state == TaskState::Ready) {
        true => Next::Queue(*missing),
        false => Next::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strum::VariantArray;

    use super::*;
    use TaskState::{Active, BackingOff, Failed, Ready, Skipped, Succeeded, Waiting};

    fn of(states: &[TaskState]) -> Vec<(TaskId, TaskState)> {
        (1..).map(TaskId).zip(states.iter().copied()).collect()
    }

    #[test]
    fn a_gang_stands_in_its_queue_once_all_of_it_is_ready() {
        assert_eq!(next(&of(&[Ready, Ready, Ready])), Next::Queue(TaskId(1)));
        assert_eq!(next(&of(&[Succeeded, Ready, Ready])), Next::Queue(TaskId(2)), "what is left of it");
        for other in [Waiting, BackingOff, Failed, Skipped] {
            assert_eq!(next(&of(&[Ready, other, Ready])), Next::Nothing, "{other}");
        }
    }

    #[test]
    fn who_runs_without_another_is_recalled_but_not_for_one_that_has_succeeded() {
        for other in [Waiting, BackingOff, Ready, Failed, Skipped] {
            let recall = Next::Recall { members: vec![TaskId(1), TaskId(3)], missing: TaskId(2) };
            assert_eq!(next(&of(&[Active, other, Active])), recall, "{other}");
        }
        assert_eq!(next(&of(&[Active, Succeeded, Active])), Next::Nothing);
        assert_eq!(next(&of(&[Active, Active])), Next::Nothing);
    }

    proptest! {
        /// Nothing is left to be done exactly where nobody runs without another, and nobody could start.
        #[test]
        fn a_gang_is_never_left_in_parts(places in proptest::collection::vec(0..8usize, 1..6)) {
            let members: Vec<_> = (1..).map(TaskId).zip(places.iter().map(|at| TaskState::VARIANTS[*at])).collect();
            let count = |is: fn(TaskState) -> bool| members.iter().filter(|(_, state)| is(*state)).count();
            let (active, ready) = (count(|state| state == Active), count(|state| state == Ready));
            let left = members.len() - count(|state| state == Succeeded);
            match next(&members) {
                Next::Nothing => prop_assert!((active == 0 || active == left) && (ready == 0 || ready < left)),
                Next::Queue(first) => {
                    prop_assert!(ready == left && active == 0);
                    prop_assert!(members.iter().find(|(_, state)| *state != Succeeded).unwrap().0 == first);
                }
                Next::Recall { members: active_ones, missing } => {
                    prop_assert!(active_ones.len() == active && active > 0 && active < left);
                    prop_assert!(!active_ones.contains(&missing));
                }
            }
        }
    }
}

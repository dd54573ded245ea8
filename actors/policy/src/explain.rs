//! What a task waits for, in one word and in detail.
//!
//! It takes together what the gates have said: the values with which they refuse. It asks nobody and decides
//! nothing, so that an explanation cannot differ from what is done.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::hindrance::Hindrance;
use crate::id::{NodeId, TaskId};
use crate::task::Priority;
use crate::time::Timestamp;

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It has ended.
    Ended,
    /// A node has it.
    Active,
    /// Tasks it depends on are not over.
    WaitsForOthers,
    /// The fleet as it is now can never run it.
    NeverFits,
    /// Not before this time, whatever becomes free.
    ParkedUntil(Timestamp),
    /// Something stands in the way, or others are before it.
    NotNow,
    /// Nothing stands in the way and nobody is before it.
    RunsNext,
}

/// Who is before a task in its queue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ahead {
    /// How many tasks of its priority came before it.
    pub tasks: u64,
    /// The first of them that stands there.
    pub first: Option<TaskId>,
}

/// An attempt that holds what the task needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Whose.
    pub task: TaskId,
    /// How urgent it is.
    pub priority: Priority,
    /// Where.
    pub node: NodeId,
    /// For how long already.
    pub held_for: Duration,
    /// When it should be over, going by tasks that ask alike; `None` where none has ended yet.
    pub free_in: Option<Duration>,
}

/// When a task should start, and what that goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// From now.
    pub start_in: Duration,
    /// What it goes by, for people.
    pub by: Box<str>,
}

/// The verdict on a ready task.
#[must_use]
pub fn of_ready(hindrances: &[Hindrance], ahead: &Ahead) -> Verdict {
    if hindrances.iter().any(Hindrance::is_for_ever) {
        return Verdict::NeverFits;
    }
    match hindrances.iter().filter_map(Hindrance::until).max() {
        Some(until) => Verdict::ParkedUntil(until),
        None if hindrances.is_empty() && ahead.tasks == 0 => Verdict::RunsNext,
        None => Verdict::NotNow,
    }
}

/// The estimate for a ready task: by the pace of its priority where others are before it, and else by the
/// first of those that hold what it needs.
#[must_use]
pub fn estimate(ahead: &Ahead, at_pace: Option<Duration>, holdings: &[Holding]) -> Option<Estimate> {
    let freed = holdings.iter().filter_map(|holding| holding.free_in).min();
    match (ahead.tasks, at_pace, freed) {
        (1.., Some(start_in), _) => Some(Estimate {
            start_in,
            by: format!("{} before it, at the pace of the last minute", ahead.tasks).into(),
        }),
        (_, _, Some(start_in)) => {
            Some(Estimate { start_in, by: "the usual length of what holds what it needs".into() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(never: bool) -> Hindrance {
        Hindrance::NoNode { never, nodes: Vec::new() }
    }

    #[test]
    fn the_gravest_hindrance_is_the_verdict() {
        let (nobody, some) = (Ahead::default(), Ahead { tasks: 1, first: None });
        assert_eq!(of_ready(&[], &nobody), Verdict::RunsNext);
        assert_eq!(of_ready(&[], &some), Verdict::NotNow);
        assert_eq!(of_ready(&[full(false)], &nobody), Verdict::NotNow);
        assert_eq!(of_ready(&[full(false), full(true)], &nobody), Verdict::NeverFits);
    }

    #[test]
    fn an_estimate_says_what_it_goes_by_and_is_none_without_a_history() {
        let (nobody, some) = (Ahead::default(), Ahead { tasks: 4, first: None });
        let second = Duration::from_secs(1);
        let holding = |free_in| Holding {
            task: TaskId(1),
            priority: Priority::Low,
            node: "a".into(),
            held_for: second,
            free_in,
        };
        assert_eq!(estimate(&some, None, &[holding(None)]), None);
        assert_eq!(estimate(&some, Some(second), &[]).map(|one| one.start_in), Some(second));
        let freed = estimate(&nobody, Some(second), &[holding(Some(3 * second)), holding(Some(2 * second))]);
        assert_eq!(freed.map(|one| one.start_in), Some(2 * second));
    }
}

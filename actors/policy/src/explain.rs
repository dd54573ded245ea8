//! What a task waits for, in one word and in detail.
//!
//! It takes together what the gates have said: the values with which they refuse. It asks nobody and decides
//! nothing, so that an explanation cannot differ from what is done.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::hindrance::Hindrance;
use crate::id::{NodeId, TaskId};
use crate::order::{Order, Plan};
use crate::placement::ShapeId;
use crate::queue::InQueue;
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

/// Who would be started before a task, were there room for all that fit: by time slices, shares and age, as the order
/// that starts them says it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ahead {
    /// How many of its own priority.
    pub tasks: u64,
    /// The first of those.
    pub first: Option<TaskId>,
    /// Those of them that are its own tenant's and came earlier.
    pub own: u64,
    /// Those of them that are others', whose turn comes before: the most first, at most [`TENANTS_NAMED`].
    pub tenants: Vec<(Arc<str>, u64)>,
    /// How many of each other priority, by `Priority as usize`.
    pub priorities: [u64; 4],
    /// Those of all of them that go first because they have waited long.
    pub aged: u64,
    /// Whether each start was gone through; else far ones are worked out in proportion.
    pub is_exact: bool,
}

/// Tenants that one explanation names: what a person reads.
pub const TENANTS_NAMED: usize = 8;

/// Starts that are gone through for one question: one or two milliseconds.
const STARTS_LIMIT: u32 = 16_384;

impl Ahead {
    /// Who would be started before a task of this priority before which its queue has `there`, where so many of each
    /// priority wait whose needs fit.
    #[must_use]
    pub fn of(
        there: InQueue,
        priority: Priority,
        mut order: Order,
        fitting: [u64; 4],
        fits: impl Fn(Priority, ShapeId) -> bool,
    ) -> Self {
        let nth = u32::try_from(there.tasks.saturating_add(1)).unwrap_or(u32::MAX);
        let is_climbing = order.is_climbing(priority);
        let enough = |plan: &Plan| plan.asked(priority) >= nth || plan.total() >= STARTS_LIMIT;
        let plan = order.plan_until(fitting, fits, enough);
        let asked = plan.asked(priority);
        let is_whole = asked >= nth;
        let scaled = |of: u32| match asked {
            _ if is_whole => u64::from(of),
            0 => u64::from(of),
            asked => u64::from(of).saturating_mul(u64::from(nth)) / u64::from(asked),
        };
        let mut priorities = PRIORITIES.map(|one| scaled(plan.asked(one)).min(fitting[one as usize]));
        priorities[priority as usize] = 0;
        let mut tenants: Vec<_> = there.others.into_iter().collect();
        tenants.sort_by_key(|(_, tasks)| std::cmp::Reverse(*tasks));
        tenants.truncate(TENANTS_NAMED);
        Self {
            tasks: there.tasks,
            first: there.first,
            own: there.own,
            tenants,
            priorities,
            aged: plan.first.iter().map(|lines| lines.len() as u64).sum(),
            is_exact: there.is_exact && is_whole && !is_climbing,
        }
    }

    /// How many would be started before it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.priorities.iter().fold(self.tasks, |sum, one| sum.saturating_add(*one))
    }
}

const PRIORITIES: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

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
    /// From now; nothing where it may be at any moment, and nobody can say when, see [`Self::is_at_any_moment`].
    pub start_in: Duration,
    /// What it goes by, for people.
    pub by: Box<str>,
}

impl Estimate {
    /// Whether what it goes by should be over by now: how much longer it takes nobody knows.
    #[must_use]
    pub fn is_at_any_moment(&self) -> bool {
        self.start_in.is_zero()
    }
}

/// The verdict on a ready task.
#[must_use]
pub fn of_ready(hindrances: &[Hindrance], ahead: &Ahead) -> Verdict {
    if hindrances.iter().any(Hindrance::is_for_ever) {
        return Verdict::NeverFits;
    }
    match hindrances.iter().filter_map(Hindrance::until).max() {
        Some(until) => Verdict::ParkedUntil(until),
        None if hindrances.is_empty() && ahead.total() == 0 => Verdict::RunsNext,
        None => Verdict::NotNow,
    }
}

/// How fast starts follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// What lies between two starts, going by those of the last minute.
    pub lately: Option<Duration>,
    /// The same, going by how long what runs takes as a rule.
    pub as_a_rule: Option<Duration>,
}

/// The estimate for a ready task: by the pace of starts where others are before it, and else by the first of those
/// that hold what it needs; not before a time that is certain already. None for what waiting does not help.
#[must_use]
pub fn estimate(
    (verdict, now): (Verdict, Timestamp),
    ahead: &Ahead,
    pace: Pace,
    holdings: &[Holding],
) -> Option<Estimate> {
    let parked = match verdict {
        Verdict::NeverFits => return None,
        Verdict::ParkedUntil(until) => until.since(now),
        _ => Duration::ZERO,
    };
    let going = going(ahead, pace, holdings);
    if parked.is_zero() || going.as_ref().is_some_and(|going| going.start_in >= parked) {
        return going;
    }
    Some(Estimate { start_in: parked, by: "when it may start at the earliest".into() })
}

/// The same as things go.
fn going(ahead: &Ahead, pace: Pace, holdings: &[Holding]) -> Option<Estimate> {
    let freed = holdings.iter().filter_map(|holding| holding.free_in).min();
    let total = ahead.total();
    let after = |one: Duration| one.saturating_mul(u32::try_from(total).unwrap_or(u32::MAX));
    match (total, pace.lately, pace.as_a_rule) {
        (1.., Some(one), _) => Some(Estimate {
            start_in: after(one),
            by: format!("{total} before it, at the pace of the last minute").into(),
        }),
        (1.., None, Some(one)) => Some(Estimate {
            start_in: after(one),
            by: format!("{total} before it, and how long what runs takes as a rule").into(),
        }),
        _ => freed.map(|start_in| {
            let by = match start_in.is_zero() {
                true => "what holds what it needs has run longer than usual",
                false => "the usual length of what holds what it needs",
            };
            Estimate { start_in, by: by.into() }
        }),
    }
}

#[cfg(test)]
mod tests;

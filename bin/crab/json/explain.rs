//! What `explain --json` writes.

use std::collections::BTreeMap;

use actors::wire::client;
use policy::explain::{Ahead, Verdict};
use policy::hindrance::Hindrance;
use serde::Serialize;

use super::{ByPriority, Task, VERSION};
use crate::cli::text::rfc3339;

/// What a task waits for.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation {
    v: u32,
    task: Task,
    /// `ended`, `active`, `waits-for-others`, `never-fits`, `parked-until`, `not-now` or `runs-next`.
    verdict: &'static str,
    parked_until: Option<String>,
    blocked_by: Vec<Blocker>,
    hindrances: Vec<Obstacle>,
    evicting: Option<Evicting>,
    makes_room_for: Option<String>,
    lent: Option<Lent>,
    evicted: Option<Evicted>,
    holdings: Vec<Holding>,
    ahead_tasks: Option<u64>,
    ahead_first: Option<String>,
    /// Of its own tenant and priority.
    ahead_own: Option<u64>,
    /// Of its priority, by their share.
    ahead_tenants: Option<BTreeMap<String, u64>>,
    /// Of other priorities, by their slices.
    ahead_priorities: Option<ByPriority<u64>>,
    /// Of all of them, because they have waited long.
    ahead_aged: Option<u64>,
    /// Of all priorities.
    ahead_total: Option<u64>,
    /// Whether each of them was gone through; else the numbers are worked out in proportion.
    ahead_exact: Option<bool>,
    usual_s: Option<f64>,
    /// Nothing where it may start at any moment; then that is what it is estimated by.
    start_in_s: Option<f64>,
    estimated_by: Option<String>,
}

#[derive(Debug, Serialize)]
struct Blocker {
    task: String,
    tasks: u32,
    name: String,
    priority: &'static str,
    /// More urgent than its own, where priority is lent.
    runs_as: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Obstacle {
    kind: &'static str,
    text: String,
    until: Option<String>,
}

/// Attempts that make room for it.
#[derive(Debug, Serialize)]
struct Evicting {
    node: String,
    tasks: Vec<String>,
}

/// Something more urgent waits for it.
#[derive(Debug, Serialize)]
struct Lent {
    runs_as: &'static str,
    by: String,
}

/// It made room.
#[derive(Debug, Serialize)]
struct Evicted {
    times: u32,
    by: String,
}

#[derive(Debug, Serialize)]
struct Holding {
    task: String,
    priority: &'static str,
    node: String,
    held_s: f64,
    free_in_s: Option<f64>,
}

impl From<&client::Explanation> for Explanation {
    fn from(told: &client::Explanation) -> Self {
        let (verdict, parked_until) = match told.verdict {
            Verdict::Ended => ("ended", None),
            Verdict::Active => ("active", None),
            Verdict::WaitsForOthers => ("waits-for-others", None),
            Verdict::NeverFits => ("never-fits", None),
            Verdict::ParkedUntil(until) => ("parked-until", Some(rfc3339(until))),
            Verdict::NotNow => ("not-now", None),
            Verdict::RunsNext => ("runs-next", None),
        };
        let (estimate, ahead) = (told.estimate.as_ref(), told.ahead.as_ref());
        let tenants = |ahead: &Ahead| {
            ahead.tenants.iter().map(|(tenant, tasks)| (tenant.to_string(), *tasks)).collect()
        };
        Self {
            v: VERSION,
            task: Task::from(&told.row),
            verdict,
            parked_until,
            blocked_by: told.blocked_by.iter().map(Blocker::from).collect(),
            hindrances: told.hindrances.iter().map(Obstacle::from).collect(),
            evicting: told.evicting.as_ref().map(|one| Evicting {
                node: one.node.to_string(),
                tasks: one.tasks.iter().map(ToString::to_string).collect(),
            }),
            makes_room_for: told.makes_room_for.map(|by| by.to_string()),
            lent: told.lent.map(|one| Lent { runs_as: one.runs_as.into(), by: one.by.to_string() }),
            evicted: told.evicted.map(|one| Evicted { times: one.times, by: one.by.to_string() }),
            holdings: told.holdings.iter().map(Holding::from).collect(),
            ahead_tasks: ahead.map(|ahead| ahead.tasks),
            ahead_first: ahead.and_then(|ahead| Some(ahead.first?.to_string())),
            ahead_own: ahead.map(|ahead| ahead.own),
            ahead_tenants: ahead.map(tenants),
            ahead_priorities: ahead.map(|ahead| ahead.priorities.into()),
            ahead_aged: ahead.map(|ahead| ahead.aged),
            ahead_total: ahead.map(Ahead::total),
            ahead_exact: ahead.map(|ahead| ahead.is_exact),
            usual_s: told.usual.map(|usual| usual.as_secs_f64()),
            start_in_s: estimate.filter(|one| !one.is_at_any_moment()).map(|one| one.start_in.as_secs_f64()),
            estimated_by: estimate.map(|estimate| estimate.by.to_string()),
        }
    }
}

impl From<&client::Blocker> for Blocker {
    fn from(blocker: &client::Blocker) -> Self {
        Self {
            task: blocker.task.to_string(),
            tasks: blocker.tasks,
            name: blocker.name.to_string(),
            priority: blocker.priority.into(),
            runs_as: blocker.runs_as.map(Into::into),
        }
    }
}

impl From<&Hindrance> for Obstacle {
    fn from(hindrance: &Hindrance) -> Self {
        Self { kind: hindrance.kind(), text: hindrance.to_string(), until: hindrance.until().map(rfc3339) }
    }
}

impl From<&policy::explain::Holding> for Holding {
    fn from(holding: &policy::explain::Holding) -> Self {
        Self {
            task: holding.task.to_string(),
            priority: holding.priority.into(),
            node: holding.node.to_string(),
            held_s: holding.held_for.as_secs_f64(),
            free_in_s: holding.free_in.map(|free_in| free_in.as_secs_f64()),
        }
    }
}

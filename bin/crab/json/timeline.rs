//! Where the time of tasks went.

use std::collections::BTreeMap;

use policy::id::{GraphId, TaskId};
use policy::time::Timestamp;
use policy::timeline::{self, Kind, spent};
use serde::Serialize;
use strum::VariantArray;

use super::{Outcome, VERSION};
use crate::cli::text::rfc3339;

/// Of `timeline`, a line for each task.
#[derive(Debug, Serialize)]
pub(crate) struct Timeline {
    v: u32,
    task: String,
    graph: String,
    name: String,
    phases: Vec<Phase>,
    ended: Option<String>,
    outcome: Option<Outcome>,
}

/// A stretch of a task's life; they follow each other without gaps.
#[derive(Debug, Serialize)]
struct Phase {
    /// `dependencies`, `queue`, `start`, `before`, `run`, `gate`, `after`, `back-off` or `over`.
    phase: &'static str,
    from: String,
    to: String,
    seconds: f64,
    attempt: Option<u32>,
    node: Option<String>,
    /// The more urgent task for which the attempt made room at the end of this.
    made_room_for: Option<String>,
}

impl Timeline {
    pub(crate) fn of(graph: GraphId, task: TaskId, timeline: &timeline::Timeline, now: Timestamp) -> Self {
        let life = timeline.life(task);
        let attempts = life.map(|life| life.attempts.as_slice()).unwrap_or_default();
        let phase = |phase: &timeline::Phase| {
            let attempt = attempts.iter().find(|attempt| Some(attempt.number) == phase.attempt);
            let is_last =
                |attempt: &&timeline::Attempt| attempt.ended.as_ref().is_some_and(|(at, _)| *at == phase.to);
            let made_room_for = attempt.filter(is_last).and_then(timeline::Attempt::made_room_for);
            Phase {
                phase: phase.kind.into(),
                from: rfc3339(phase.from),
                to: rfc3339(phase.to),
                seconds: phase.to.since(phase.from).as_secs_f64(),
                attempt: phase.attempt.map(|attempt| attempt.0),
                node: attempt.map(|attempt| attempt.node.to_string()),
                made_room_for: made_room_for.map(|by| by.to_string()),
            }
        };
        let finished = life.and_then(|life| life.finished.as_ref());
        Self {
            v: VERSION,
            task: task.to_string(),
            graph: graph.to_string(),
            name: timeline.name(task).unwrap_or_default(),
            phases: timeline.phases(task, now).iter().map(phase).collect(),
            ended: finished.map(|(at, _)| rfc3339(*at)),
            outcome: finished.map(|(_, outcome)| Outcome::from(outcome)),
        }
    }
}

/// Of `blame`.
#[derive(Debug, Serialize)]
pub(crate) struct Blame {
    v: u32,
    task: String,
    graph: String,
    name: String,
    total_s: f64,
    /// Seconds by phase, as in `timeline`.
    spent_s: BTreeMap<&'static str, f64>,
    /// For what it stood in its queue, in seconds of what `queue` is: `held`, `lock`, `rate`, `resources`. The rest was others'
    /// turn, or is not known.
    queued_for_s: BTreeMap<&'static str, f64>,
    /// For which task each waited longest, from this one back.
    waited_for: Vec<Link>,
}

#[derive(Debug, Serialize)]
struct Link {
    task: String,
    waited_for: String,
    name: String,
}

impl Blame {
    pub(crate) fn of(
        graph: GraphId,
        task: TaskId,
        timeline: &timeline::Timeline,
        now: Timestamp,
        chain: &[(TaskId, TaskId)],
    ) -> Self {
        let phases = timeline.phases(task, now);
        let link = |(task, after): &(TaskId, TaskId)| Link {
            task: task.to_string(),
            waited_for: after.to_string(),
            name: timeline.name(*after).unwrap_or_default(),
        };
        Self {
            v: VERSION,
            task: task.to_string(),
            graph: graph.to_string(),
            name: timeline.name(task).unwrap_or_default(),
            total_s: phases.iter().map(|phase| phase.to.since(phase.from).as_secs_f64()).sum(),
            spent_s: Kind::VARIANTS
                .iter()
                .map(|kind| (kind.into(), spent(&phases, *kind).as_secs_f64()))
                .collect(),
            queued_for_s: timeline
                .waited(task)
                .into_iter()
                .map(|(cause, spent)| (cause.into(), spent.as_secs_f64()))
                .collect(),
            waited_for: chain.iter().map(link).collect(),
        }
    }
}

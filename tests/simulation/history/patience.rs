//! That waiting raises: from the stated bound on nothing younger is started before what waits. I8 (b).
//!
//! Looked at is the first of each line whose readiness the records show without the scheduler's word, where nothing but
//! room holds work back. What starts at one moment is one round.

use std::collections::BTreeSet;
use std::time::Duration;

use policy::constraint::Constraints;
use policy::event::{Event, GraphEvent, NodeEvent, SchedulerEvent, TaskEvent};
use policy::id::{NodeId, TaskId};
use policy::resources::Resources;
use policy::task::Priority;
use policy::time::Timestamp;

use super::index::Index;
use super::{Findings, History};

/// How many younger ones may start before one that is due: those of the rounds that were under way, on other nodes.
const OVERTAKEN_LIMIT: u64 = 24;

/// By one part of so many a clock may be slow.
const CLOCK_ERROR_DIVISOR: u32 = 1000;

/// Climbing that is too long to be seen in a history.
pub(super) const LONG: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, PartialEq)]
struct Need {
    priority: Priority,
    requests: Vec<Resources>,
    tenant: Box<str>,
    constraints: Constraints,
}

/// Tasks of one need, in the order of their arrival.
struct Line {
    need: Need,
    tasks: BTreeSet<TaskId>,
    /// When its first began to wait for its turn.
    since: Timestamp,
    /// How many younger ones have started since it was due, and when the last did.
    overtaken: (u64, Timestamp),
}

struct Pass<'a> {
    history: &'a History,
    lines: Vec<Line>,
    tripped: BTreeSet<NodeId>,
}

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    if history.limits.scheduling.ageing.base > LONG {
        return;
    }
    let mut pass = Pass { history, lines: Vec::new(), tripped: BTreeSet::new() };
    for (_, record) in &history.records {
        match &record.event {
            Event::Graph(graph, GraphEvent::Admitted(_)) => {
                let items = index.graphs.get(graph).map_or(&[][..], |info| info.items.as_slice());
                for (item, range) in items {
                    let is_free = item.dependencies.is_empty() && item.spec.claims.is_none();
                    if is_free && item.array.is_none_or(|array| array.parallel_limit.is_none()) {
                        let need = Need {
                            priority: item.spec.priority,
                            requests: item.spec.requests().cloned().collect(),
                            tenant: item.spec.tenant.to_string().into(),
                            constraints: item.spec.constraints.clone(),
                        };
                        pass.admit(need, range.iter().collect(), record.at);
                    }
                }
            }
            Event::Graph(graph, GraphEvent::CancelAsked) => {
                let items = index.graphs.get(graph).map_or(&[][..], |info| info.items.as_slice());
                items.iter().flat_map(|(_, range)| range.iter()).for_each(|task| pass.leave(task));
            }
            // It stands in another line, behind others.
            Event::Graph(_, GraphEvent::Prioritised { tasks, .. }) => {
                tasks.iter().for_each(|task| pass.leave(task));
            }
            Event::Task { task, event: TaskEvent::Granted { node, request, .. }, .. } => {
                if let Some(item) = index.item_of(*task) {
                    pass.granted((*task, node), item.spec.request(*request), record.at, findings);
                }
                pass.served(*task, record.at);
            }
            Event::Task { task, .. } => pass.leave(*task),
            Event::Node(node, NodeEvent::Breaker { .. }) => drop(pass.tripped.insert(node.clone())),
            Event::Scheduler(SchedulerEvent::Started { .. }) => pass.new_reign(record.at),
            _ => {}
        }
    }
}

impl Pass<'_> {
    fn admit(&mut self, need: Need, tasks: BTreeSet<TaskId>, at: Timestamp) {
        match self.lines.iter_mut().find(|line| line.need == need) {
            Some(line) => {
                if line.tasks.is_empty() {
                    (line.since, line.overtaken) = (line.since.max(at), (0, at));
                }
                line.tasks.extend(tasks);
            }
            None => self.lines.push(Line { need, tasks, since: at, overtaken: (0, at) }),
        }
    }

    fn leave(&mut self, task: TaskId) {
        for line in &mut self.lines {
            line.tasks.remove(&task);
        }
    }

    /// Its line begins to wait anew.
    fn served(&mut self, task: TaskId, at: Timestamp) {
        for line in &mut self.lines {
            if line.tasks.remove(&task) {
                (line.since, line.overtaken) = (at, (0, at));
            }
        }
    }

    /// Who was on its way is on its way anew.
    fn new_reign(&mut self, at: Timestamp) {
        self.lines.iter_mut().for_each(|line| line.overtaken = (0, at));
    }

    fn granted(
        &mut self,
        (task, node): (TaskId, &NodeId),
        need: &Resources,
        at: Timestamp,
        findings: &mut Findings,
    ) {
        if self.tripped.contains(node) {
            return;
        }
        let ageing = &self.history.limits.scheduling.ageing;
        let Some(labels) = self.history.labels.get(node) else { return };
        for line in &mut self.lines {
            let Some(first) = line.tasks.first().copied().filter(|first| *first < task) else { continue };
            let climb = ageing.climb(line.need.priority, Priority::Critical).unwrap_or(Duration::MAX);
            let due = climb.min(ageing.objective()) + ageing.tick * 2;
            let waited = at.since(line.since);
            let would_fit = line.need.requests.iter().any(|own| need.covers(own));
            let may_run = line.need.constraints.unmet(labels).is_empty();
            if waited <= due + due / CLOCK_ERROR_DIVISOR || !would_fit || !may_run {
                continue;
            }
            line.overtaken = (line.overtaken.0 + u64::from(at > line.overtaken.1), at);
            findings.expect("I8", line.overtaken.0 <= OVERTAKEN_LIMIT, || {
                format!(
                    "{first} waits since {:?} and is due after {due:?}; {task} is younger, with {} before it",
                    line.since, line.overtaken.0
                )
            });
        }
    }
}

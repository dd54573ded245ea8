//! What no node can ever run is told so in time, once for each reason: the rest of I7.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use policy::event::{Event, GraphEvent, NodeEvent, Record, SchedulerEvent, TaskEvent};
use policy::id::{GraphId, NodeId, TaskId};
use policy::resources::Resources;
use policy::time::Timestamp;

use super::index::Index;
use super::{Findings, History};

/// How long something may wait in vain without being told.
const WITHIN: Duration = Duration::from_secs(10);

/// A task that is larger than every node there will ever be, and waits for nothing else.
#[derive(Debug, Default)]
struct Waiting {
    since: Timestamp,
    told: Option<String>,
}

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let too_large: BTreeSet<TaskId> =
        index.tasks().filter(|task| is_too_large(history, index, *task)).collect();
    let mut pass = Pass {
        up: BTreeSet::new(),
        quiet_since: Timestamp(0),
        waiting: BTreeMap::new(),
        paused: BTreeMap::new(),
        graphs: BTreeMap::new(),
    };
    let mut disconnected = history.disconnected.iter().peekable();
    for (_, record) in &history.records {
        while let Some((node, at)) = disconnected.next_if(|(_, at)| *at <= record.at) {
            pass.away(node, *at);
        }
        // Until a reign begins there was nobody who could have told.
        if !matches!(record.event, Event::Scheduler(SchedulerEvent::Started { .. })) {
            pass.expect_told(record, findings);
        }
        pass.hear(record, &too_large, findings);
    }
}

fn is_too_large(history: &History, index: &Index<'_>, task: TaskId) -> bool {
    let Some(item) = index.item_of(task) else { return false };
    let fits = |capacity: &Resources| item.spec.requests().any(|request| capacity.covers(request));
    item.dependencies.is_empty() && !history.nodes.values().any(fits)
}

struct Pass {
    up: BTreeSet<NodeId>,
    /// When the fleet has changed last.
    quiet_since: Timestamp,
    waiting: BTreeMap<TaskId, Waiting>,
    /// What would wait so if its graph were not paused: that has a reason of its own to wait.
    paused: BTreeMap<TaskId, GraphId>,
    /// Where the tasks of each graph end.
    graphs: BTreeMap<GraphId, TaskId>,
}

impl Pass {
    fn expect_told(&self, record: &Record, findings: &mut Findings) {
        for (task, waiting) in &self.waiting {
            let since = waiting.since.max(self.quiet_since);
            let in_vain = !self.up.is_empty() && record.at.since(since) > WITHIN;
            findings.expect("I7", !in_vain || waiting.told.is_some(), || {
                format!("record {}: {task} waits in vain since {since:?} and was not told", record.number)
            });
        }
    }

    fn hear(&mut self, record: &Record, too_large: &BTreeSet<TaskId>, findings: &mut Findings) {
        match &record.event {
            Event::Graph(graph, GraphEvent::Admitted(head)) => {
                let end = TaskId(graph.0 + head.tasks);
                self.graphs.insert(*graph, end);
                for task in too_large.range(graph.first_task()..end) {
                    self.waiting.insert(*task, Waiting { since: record.at, told: None });
                }
            }
            Event::Graph(_, GraphEvent::Unschedulable { tasks, reason }) => {
                for (_, waiting) in self.waiting.range_mut(tasks.first..tasks.end()) {
                    let repeated = waiting.told.as_deref() == Some(&**reason);
                    findings.expect("I7", !repeated, || {
                        format!("record {}: told twice: {reason}", record.number)
                    });
                    waiting.told = Some(reason.to_string());
                }
            }
            Event::Graph(_, GraphEvent::Schedulable { tasks }) => {
                for (_, waiting) in self.waiting.range_mut(tasks.first..tasks.end()) {
                    (waiting.since, waiting.told) = (record.at, None);
                }
            }
            // Cancelled whole: its tasks follow in their turn.
            Event::Graph(graph, GraphEvent::CancelAsked) => {
                let tasks: Vec<_> = self.waiting.range(graph.first_task()..).map(|(task, _)| *task).collect();
                let of_graph = |task: &TaskId| self.graphs.get(graph).is_some_and(|end| task < end);
                tasks.iter().filter(|task| of_graph(task)).for_each(|task| drop(self.waiting.remove(task)));
            }
            Event::Graph(graph, GraphEvent::BudgetReached { .. }) => {
                let end = self.graphs.get(graph).copied().unwrap_or_else(|| graph.first_task());
                let tasks: Vec<_> =
                    self.waiting.range(graph.first_task()..end).map(|(task, _)| *task).collect();
                for task in tasks {
                    self.waiting.remove(&task);
                    self.paused.insert(task, *graph);
                }
            }
            Event::Graph(graph, GraphEvent::Resumed { .. }) => {
                let of_graph = self.paused.iter().filter(|(_, of)| *of == graph).map(|(task, _)| *task);
                for task in of_graph.collect::<Vec<_>>() {
                    self.paused.remove(&task);
                    self.waiting.insert(task, Waiting { since: record.at, told: None });
                }
            }
            Event::Task { task, event: TaskEvent::Finished(_) | TaskEvent::CancelAsked, .. } => {
                self.waiting.remove(task);
                self.paused.remove(task);
            }
            Event::Node(node, event) => self.node(node, event, record.at),
            Event::Scheduler(SchedulerEvent::Started { .. } | SchedulerEvent::Stopped) => {
                self.up.clear();
                self.quiet_since = record.at;
            }
            Event::Graph(..)
            | Event::Task { .. }
            | Event::Scheduler(
                SchedulerEvent::Pressure(_)
                | SchedulerEvent::AgedBoost { .. }
                | SchedulerEvent::Operated { .. }
                | SchedulerEvent::Directed { .. }
                | SchedulerEvent::TenantBudgetReached(_)
                | SchedulerEvent::TenantResumed { .. }
                | SchedulerEvent::TenantSpent(_)
                | SchedulerEvent::RatesUsed(_)
                | SchedulerEvent::PriorityInverted { .. }
                | SchedulerEvent::PriorityLent { .. }
                | SchedulerEvent::Audited { .. },
            ) => {}
        }
    }

    /// As long as no node is there, nothing is known of what the fleet can run.
    fn away(&mut self, node: &NodeId, at: Timestamp) {
        self.up.remove(node);
        self.quiet_since = at;
    }

    fn node(&mut self, node: &NodeId, event: &NodeEvent, at: Timestamp) {
        match event {
            NodeEvent::Joined { .. } | NodeEvent::Recovered => {
                self.up.insert(node.clone());
            }
            NodeEvent::Suspected | NodeEvent::Lost { .. } | NodeEvent::Left { .. } => self.away(node, at),
            NodeEvent::StaleReport { .. }
            | NodeEvent::Breaker { .. }
            | NodeEvent::Drained
            | NodeEvent::Strained(_)
            | NodeEvent::Relieved { .. } => return,
        }
        self.quiet_since = at;
    }
}

//! That what is large is not passed over by what is small for ever: `policy::reserve`, the rest of I8.
//!
//! A line that is the first in turn of its class has a node held for it after [`HELD_WITHIN`] starts, one node for one line.
//! From then on that node starts nothing that would delay it. So as long as the fleet is the same there is a node, of those
//! that could run it, on which no more than so many tasks start while it waits, times the lines that are held room before it.
//! A machine that is strained takes nothing so heavy: what starts there meanwhile passes nobody over.

use std::collections::{BTreeMap, BTreeSet};

use policy::constraint::Constraints;
use policy::event::{Event, GraphEvent, Item, NodeEvent, SchedulerEvent, TaskEvent};
use policy::id::{NodeId, TaskId};
use policy::resources::Resources;
use policy::strain::Level;
use policy::task::{Priority, TaskSpec};

use super::index::Index;
use super::{Findings, History};

/// Starts until a node is held, at the most: two turns of Low where everybody waits, and those of the round.
const HELD_WITHIN: u64 = 40 + 24;

/// What waits by itself, needs a whole node, and is the only one of its tenant.
struct Large<'a> {
    /// How many have started on each node that could run it.
    started: BTreeMap<NodeId, u64>,
    /// Lines of others that have waited meanwhile: each may have been held room before it.
    before: Vec<(Priority, &'a Resources)>,
}

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let mut waiting: BTreeMap<TaskId, Large<'_>> = BTreeMap::new();
    let mut others: BTreeMap<TaskId, (Priority, &Resources)> = BTreeMap::new();
    let mut strained: BTreeSet<&NodeId> = BTreeSet::new();
    for (_, record) in &history.records {
        match &record.event {
            Event::Graph(graph, GraphEvent::Admitted(_)) => {
                let info = index.graphs.get(graph);
                for (item, range) in info.map_or(&[][..], |info| info.items.as_slice()) {
                    let spec = &item.spec;
                    let started = capable(history, &spec.resources);
                    if is_free(item) && is_alone(index, spec.tenant.as_ref()) && !started.is_empty() {
                        waiting.insert(range.first, Large { started, before: Vec::new() });
                    } else {
                        others.extend(range.iter().map(|task| (task, (spec.priority, &spec.resources))));
                    }
                }
                waiting.values_mut().for_each(|large| large.behind(&others));
            }
            Event::Graph(_, GraphEvent::Prioritised { tasks, priority }) => {
                waiting.retain(|task, _| !tasks.contains(*task));
                let urged = others.iter_mut().filter(|(task, _)| tasks.contains(**task));
                urged.for_each(|(_, (of, _))| *of = *priority);
                waiting.values_mut().for_each(|large| large.behind(&others));
            }
            Event::Task { task, event: TaskEvent::Granted { node, .. }, .. } => {
                waiting.remove(task);
                others.remove(task);
                if !strained.contains(node) {
                    passed(history, (record.number, node), &mut waiting, findings);
                }
            }
            Event::Task { task, .. } => {
                waiting.remove(task);
                others.remove(task);
            }
            Event::Node(node, NodeEvent::Strained(strain)) => {
                match strain.level {
                    // It begins to count.
                    Level::Normal => strained.remove(node),
                    Level::Warn | Level::Critical => strained.insert(node),
                };
                waiting.values_mut().for_each(Large::anew);
            }
            // Nobody knows of it before it is told anew.
            Event::Scheduler(SchedulerEvent::Started { .. }) => {
                strained.clear();
                waiting.values_mut().for_each(Large::anew);
            }
            Event::Node(node, NodeEvent::Joined { .. }) => {
                strained.remove(node);
                waiting.values_mut().for_each(Large::anew);
            }
            // Another fleet, another node to be held.
            Event::Node(
                _,
                NodeEvent::Suspected
                | NodeEvent::Recovered
                | NodeEvent::Lost { .. }
                | NodeEvent::Left { .. }
                | NodeEvent::Breaker { .. },
            ) => waiting.values_mut().for_each(Large::anew),
            _ => {}
        }
    }
}

/// Something has started on a node while these wait.
fn passed(
    history: &History,
    (number, node): (u64, &NodeId),
    waiting: &mut BTreeMap<TaskId, Large<'_>>,
    findings: &mut Findings,
) {
    // A need of half a node or more may have one held.
    let big = |(_, need): &&(Priority, &Resources)| need.cpu_millis >= history.nodes[node].cpu_millis / 2;
    for (large, Large { started, before }) in waiting {
        let most = HELD_WITHIN * (1 + before.iter().filter(big).count() as u64);
        started.entry(node.clone()).and_modify(|count| *count += 1);
        findings.expect("I8", started.values().any(|count| *count <= most), || {
            format!("record {number}: {large} waits, passed over by {started:?}")
        });
    }
}

impl<'a> Large<'a> {
    fn anew(&mut self) {
        self.started.values_mut().for_each(|count| *count = 0);
    }

    fn behind(&mut self, others: &BTreeMap<TaskId, (Priority, &'a Resources)>) {
        for line in others.values() {
            if !self.before.contains(line) {
                self.before.push(*line);
            }
        }
    }
}

/// Whether a task waits for nothing but room.
fn is_free(item: &Item) -> bool {
    let TaskSpec { claims, constraints, .. } = &*item.spec;
    item.array.is_none()
        && item.dependencies.is_empty()
        && claims.is_none()
        && *constraints == Constraints::default()
}

/// Whether a tenant has one task and no more.
fn is_alone(index: &Index<'_>, tenant: &str) -> bool {
    let items = index.graphs.values().flat_map(|info| &info.items);
    let tasks = items.filter(|(item, _)| &*item.spec.tenant == tenant).map(|(item, _)| item.tasks());
    tasks.sum::<u64>() == 1
}

/// The nodes that could run it, were they empty.
fn capable(history: &History, need: &Resources) -> BTreeMap<NodeId, u64> {
    let nodes = history.nodes.iter().filter(|(_, capacity)| capacity.covers(need));
    nodes.map(|(node, _)| (node.clone(), 0)).collect()
}

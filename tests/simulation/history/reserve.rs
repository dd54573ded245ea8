//! That what is large is not passed over by what is small for ever: `policy::reserve`, the rest of I8.
//!
//! A line that is the first in turn of its class has a node held for it after [`HELD_WITHIN`] starts, one node for one line.
//! From then on that node starts nothing that would delay it. So as long as the fleet is the same there is a node, of those
//! that could run it, on which no more than so many tasks start while it waits, times the lines that are held room before it.

use std::collections::{BTreeMap, BTreeSet};

use policy::event::{Event, GraphEvent, NodeEvent, SchedulerEvent, TaskEvent};
use policy::id::{NodeId, TaskId};
use policy::resources::Resources;

use super::index::Index;
use super::{Findings, History};

/// Starts until a node is held, at the most: two turns of Low where everybody waits, and those of the round.
const HELD_WITHIN: u64 = 40 + 24;

/// What waits by itself, needs a whole node, and is the only one of its tenant.
struct Large {
    /// How many have started on each node that could run it.
    started: BTreeMap<NodeId, u64>,
}

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let mut waiting: BTreeMap<TaskId, Large> = BTreeMap::new();
    // Needs of others that may be held room before it.
    let mut others: BTreeMap<TaskId, &Resources> = BTreeMap::new();
    for (_, record) in &history.records {
        match &record.event {
            Event::Graph(graph, GraphEvent::Admitted(_)) => {
                let items = index.graphs.get(graph).map_or(&[][..], |info| info.items.as_slice());
                for (item, range) in items {
                    let started = capable(history, &item.spec.resources);
                    let is_alone = is_alone(index, item.spec.tenant.as_ref()) && item.array.is_none();
                    if is_alone && !started.is_empty() {
                        waiting.insert(range.first, Large { started });
                    } else {
                        others.extend(range.iter().map(|task| (task, &item.spec.resources)));
                    }
                }
            }
            Event::Task { task, event: TaskEvent::Granted { node, .. }, .. } => {
                waiting.remove(task);
                others.remove(task);
                // A need of half a node or more may have one held.
                let big = |need: &&&Resources| need.cpu_millis >= history.nodes[node].cpu_millis / 2;
                let before: BTreeSet<_> =
                    others.values().filter(big).map(|need| format!("{need:?}")).collect();
                let most = HELD_WITHIN * (1 + before.len() as u64);
                for (large, Large { started }) in &mut waiting {
                    started.entry(node.clone()).and_modify(|count| *count += 1);
                    findings.expect("I8", started.values().any(|count| *count <= most), || {
                        format!("record {}: {large} waits, passed over by {started:?}", record.number)
                    });
                }
            }
            Event::Task { task, .. } => {
                waiting.remove(task);
                others.remove(task);
            }
            // Another fleet, another node to be held.
            Event::Scheduler(SchedulerEvent::Started { .. })
            | Event::Node(
                _,
                NodeEvent::Joined { .. }
                | NodeEvent::Suspected
                | NodeEvent::Recovered
                | NodeEvent::Lost { .. }
                | NodeEvent::Left { .. }
                | NodeEvent::Breaker { .. },
            ) => waiting.values_mut().for_each(|one| one.started.values_mut().for_each(|count| *count = 0)),
            _ => {}
        }
    }
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

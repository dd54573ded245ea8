//! Machines that are strained are spared: I21. While the records say that a machine is, nothing is granted there that is
//! heavy, or nothing at all, but for what it had promised a moment before.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::event::{Event, NodeEvent, SchedulerEvent, TaskEvent};
use policy::id::NodeId;
use policy::strain::{Level, Strain};
use policy::time::Timestamp;

use super::index::Index;
use super::{Findings, History};

/// From a promise of room to the record of the grant: the task is woken, and a disk may be full for a while.
const PROMISED: Duration = Duration::from_secs(15);

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let mut strained: BTreeMap<NodeId, (Timestamp, Strain)> = BTreeMap::new();
    for (_, record) in &history.records {
        match &record.event {
            // Nobody knows of it before it is told anew.
            Event::Scheduler(SchedulerEvent::Started { .. }) => strained.clear(),
            Event::Node(node, NodeEvent::Joined { .. }) => drop(strained.remove(node)),
            Event::Node(node, NodeEvent::Strained(strain)) if strain.level == Level::Normal => {
                strained.remove(node);
            }
            Event::Node(node, NodeEvent::Strained(strain)) => {
                strained.insert(node.clone(), (record.at, *strain));
            }
            Event::Node(node, NodeEvent::Relieved { task, strain, .. }) => {
                findings.expect("I21", strain.level == Level::Critical, || {
                    format!("{task} was taken off {node}, which was not under critical strain: {strain}")
                });
                let may = index.item_of(*task).is_some_and(|item| item.spec.is_preemptible);
                findings
                    .expect("I21", may, || format!("{task} was taken off {node} and does not let itself be"));
            }
            Event::Task { task, event: TaskEvent::Granted { node, request, .. }, .. } => {
                let (Some((since, strain)), Some(capacity)) = (strained.get(node), history.nodes.get(node))
                else {
                    continue;
                };
                let Some(item) = index.item_of(*task) else { continue };
                let need = item.spec.request(*request);
                let lawful = record.at.since(*since) < PROMISED || !strain.refuses_need(need, capacity);
                findings.expect("I21", lawful, || {
                    format!(
                        "record {}: {task} was granted on {node}, which is strained: {strain}",
                        record.number
                    )
                });
            }
            _ => {}
        }
    }
}

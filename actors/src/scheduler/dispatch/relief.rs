//! Attempts that leave machines under critical strain, one after the other, before the system kills one at random.

use std::time::Duration;

use policy::id::NodeId;
use policy::preempt::{self, Running};
use policy::strain::{Level, Strain};

use crate::node::NodeMessage;
use crate::scheduler::SchedulerActor;

/// Between two that leave one machine: what the first has freed must show before another goes.
const RELIEVED_EVERY: Duration = Duration::from_secs(10);

impl SchedulerActor {
    /// A node has told how strained it is: while that is critical it tells again and again.
    pub(in crate::scheduler) fn relieve(&mut self, node: &NodeId, strain: Strain) {
        if strain.level != Level::Critical {
            self.dispatch.evicting.relieved.remove(node);
            return;
        }
        let now = self.now();
        let last = self.dispatch.evicting.relieved.get(node);
        if last.is_some_and(|last| now.since(*last) < RELIEVED_EVERY) {
            return;
        }
        let there = self.placed.iter().filter(|(_, placed)| placed.node == *node);
        let running: Vec<Running<'_>> =
            there.filter_map(|(task, placed)| self.running(*task, placed)).collect();
        let Some(task) = preempt::least_valuable(&running) else { return };
        self.dispatch.evicting.relieved.insert(node.clone(), now);
        if let Some(node) = self.side.nodes.get(node) {
            node.tell(NodeMessage::Relieve { task });
        }
    }
}

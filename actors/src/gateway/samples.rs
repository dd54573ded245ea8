//! What tasks that run use, and how far they are: their machines are asked, once each.

use std::collections::{BTreeMap, BTreeSet};

use policy::id::NodeId;

use super::answer::Answerer;
use crate::node::NodeMessage;
use crate::side::Nodes;
use crate::wire::client::{StateName, TaskRow};
use crate::wire::inspect::STATE_DEADLINE;

impl Answerer {
    /// Completes rows of tasks that run. A machine that does not answer at once leaves its rows as they are: nobody who
    /// asks for a task waits for what comes on top.
    pub(super) async fn add_samples(&self, rows: &mut [TaskRow]) {
        let running = |row: &&mut TaskRow| row.state == StateName::Running;
        let nodes: BTreeSet<NodeId> =
            rows.iter_mut().filter(running).filter_map(|row| row.node.clone()).collect();
        let known = |name: NodeId| self.side.nodes.get(&name).map(|node| (name, node));
        let nodes = nodes.into_iter().filter_map(known).collect();
        for (name, live) in Nodes::ask(nodes, STATE_DEADLINE, NodeMessage::Live).await {
            let samples: BTreeMap<_, _> = live.samples.into_iter().collect();
            let mut progress: BTreeMap<_, _> = live.progress.into_iter().collect();
            for row in rows.iter_mut().filter(running).filter(|row| row.node.as_ref() == Some(&name)) {
                row.in_use = samples.get(&row.task).copied().map(Box::new);
                row.progress = progress.remove(&row.task).map(Box::new);
            }
        }
    }
}

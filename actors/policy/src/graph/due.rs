//! What of the table is to be done anew after its records were read: what is ready, and which ends have no record.

use crate::graph::Graphs;
use crate::graph::effects::{Closed, ClosedBy, Effects, Ready};
use crate::graph::state::TaskState;
use crate::graph::table::Graph;
use crate::id::GraphId;

impl Graphs {
    /// All that is ready, in the order of submission.
    #[must_use]
    pub fn ready(&self) -> Vec<Ready> {
        let mut all = Effects::default();
        self.graphs.values().for_each(|graph| graph.push_all_ready(&mut all));
        all.ready
    }

    /// All that is ready of one graph, in the order of submission.
    #[must_use]
    pub fn ready_of(&self, graph: GraphId) -> Vec<Ready> {
        let mut all = Effects::default();
        if let Some(graph) = self.graph(graph) {
            graph.push_all_ready(&mut all);
        }
        all.ready
    }

    /// Every end by consequence that has no record yet.
    #[must_use]
    pub fn unrecorded(&self) -> Vec<Closed> {
        let mut all = Effects::default();
        for graph in self.graphs.values() {
            for item in graph.items.iter().filter(|item| item.unrecorded > 0) {
                for (tasks, state) in graph.stretches(item.first, item.count).filter(|one| one.1.is_ended()) {
                    let offset = self.locate(tasks.first).map_or(u32::MAX, |(_, offset)| offset);
                    let by = match state {
                        TaskState::Skipped => ClosedBy::Skip(graph.task(item.cause)),
                        _ => ClosedBy::Cancel,
                    };
                    if !graph.pages.get(offset).recorded {
                        let (was, priority, shape) = (TaskState::Waiting, item.priority, item.shape);
                        all.push_closed(Closed { tasks, by, was, priority, shape });
                    }
                }
            }
        }
        all.closed
    }
}

impl Graph {
    fn push_all_ready(&self, all: &mut Effects) {
        if self.counts.of(TaskState::Ready) == 0 {
            return;
        }
        for (number, item) in self.items.iter().enumerate().filter(|(_, item)| item.out > 0) {
            for (tasks, _) in self.stretches(item.first, item.count).filter(|one| one.1 == TaskState::Ready) {
                all.push_ready(Ready { tasks, priority: self.queue_of(number), shape: item.shape });
            }
        }
    }
}

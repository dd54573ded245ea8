//! Lists over the table: graphs by age, a graph's items, what an item depends on.

use crate::event::LogPosition;
use crate::graph::Graphs;
use crate::graph::table::Graph;
use crate::graph::views::GraphView;
use crate::id::{GraphId, TaskId};

impl Graphs {
    /// Graphs, the oldest first, from the one that has the task behind `after` on.
    pub fn oldest(&self, after: Option<TaskId>) -> impl Iterator<Item = GraphView> {
        let first = after.map_or(0, |after| after.0 + 1);
        self.graphs
            .values()
            .filter(move |graph| graph.id.0 + u64::from(graph.tasks) > first)
            .map(|graph| graph.view())
    }

    /// The first task of each item of a graph, and where the record with its specification starts in the log.
    pub fn items(&self, graph: GraphId) -> impl Iterator<Item = (TaskId, LogPosition)> {
        let graph = self.graph(graph);
        graph
            .into_iter()
            .flat_map(|graph| graph.items.iter().map(|item| (graph.task(item.first), item.position)))
    }

    /// Where the records of the items a task depends on start in the log.
    #[must_use]
    pub fn dependencies(&self, task: TaskId) -> Vec<LogPosition> {
        self.find(task).map_or_else(Vec::new, |(graph, offset)| graph.dependency_positions(offset))
    }
}

impl Graph {
    fn dependency_positions(&self, offset: u32) -> Vec<LogPosition> {
        let item = self.item_of(offset);
        self.dependencies.of(item).iter().map(|on| self.items[*on as usize].position).collect()
    }
}

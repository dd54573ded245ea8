//! Lists over the table: graphs and their parts by age, a graph's items, what an item depends on.

use crate::dependency::Need;
use crate::event::LogPosition;
use crate::graph::Graphs;
use crate::graph::table::Graph;
use crate::id::{GraphId, TaskId, TaskRange};

impl Graphs {
    /// Tasks in the order of their ids, as they were submitted together: the parts of all graphs, from the one
    /// that has the task behind `after` on.
    pub fn parts(&self, after: Option<TaskId>) -> impl Iterator<Item = (GraphId, TaskRange)> {
        let first = after.map_or(0, |after| after.0.saturating_add(1));
        let mut graphs =
            self.graphs.values().map(|graph| (graph.id, graph.range(0, graph.first_part()))).peekable();
        let mut added = self
            .added
            .iter()
            .map(|(first, (graph, count))| (*graph, TaskRange { first: *first, count: *count }))
            .peekable();
        std::iter::from_fn(move || match (graphs.peek(), added.peek()) {
            (Some((_, graph)), Some((_, part))) if part.first < graph.first => added.next(),
            (Some(_), _) => graphs.next(),
            (None, _) => added.next(),
        })
        .skip_while(move |(_, tasks)| tasks.end().0 <= first)
    }

    /// The tasks of a graph, part by part, in the order of their ids.
    pub fn parts_of(&self, graph: GraphId) -> impl Iterator<Item = TaskRange> {
        self.graph(graph).into_iter().flat_map(Graph::ranges)
    }

    /// The first task of each item of a graph from the one at place `from` on, and where the record with its
    /// specification starts in the log.
    pub fn items(&self, graph: GraphId, from: usize) -> impl Iterator<Item = (TaskId, LogPosition)> {
        let graph = self.graph(graph);
        graph.into_iter().flat_map(move |graph| {
            graph.items.iter().skip(from).map(|item| (graph.task(item.first), item.position))
        })
    }

    /// Where the records of the items a task depends on start in the log, and how it needs them.
    #[must_use]
    pub fn dependencies(&self, task: TaskId) -> Vec<(LogPosition, Need)> {
        self.find(task).map_or_else(Vec::new, |(graph, offset)| {
            let edges = graph.dependencies.of(graph.item_of(offset));
            edges.map(|edge| (graph.items[edge.item()].position, edge.needs())).collect()
        })
    }

    /// The place of the item in its graph whose only task this is; `None` for an array's and for one that is
    /// not known.
    #[must_use]
    pub fn place_of(&self, task: TaskId) -> Option<(GraphId, u32)> {
        let (graph, offset) = self.find(task)?;
        let item = graph.item_of(offset);
        (graph.items[item].count == 1).then(|| (graph.id, super::to_u32(item)))
    }
}

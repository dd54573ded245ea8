//! What the records say each graph and task is.

use std::collections::BTreeMap;

use policy::dependency::{Dependency, Need};
use policy::event::{Event, GraphEvent, GraphHead, GraphPart, Item, SubmissionKey};
use policy::id::{GraphId, TaskId, TaskRange};
use policy::time::Timestamp;

use super::History;

/// A graph as admitted.
#[derive(Debug)]
pub(super) struct GraphInfo<'a> {
    pub(super) head: &'a GraphHead,
    /// What was added to it.
    pub(super) parts: Vec<Part<'a>>,
    pub(super) items: Vec<(&'a Item, TaskRange)>,
}

/// What was added to a graph.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) head: &'a GraphPart,
    /// How many items there were before.
    pub(super) from: usize,
    pub(super) at: Timestamp,
}

/// What came together: a graph, or what was added to one.
#[derive(Debug)]
pub(super) struct Submitted {
    pub(super) key: SubmissionKey,
    pub(super) digest: [u8; 16],
    pub(super) is_whole: bool,
}

impl GraphInfo<'_> {
    /// All that came for this graph.
    pub(super) fn submissions(&self) -> Vec<Submitted> {
        let GraphHead { key, digest, items, tasks, .. } = self.head;
        let head = (*key, *digest, *items, *tasks, 0);
        let parts = self
            .parts
            .iter()
            .map(|Part { head, from, .. }| (head.key, head.digest, head.items, head.tasks, *from));
        let end = |(.., items, _, from): &(_, _, u32, _, usize)| from + *items as usize;
        let all = std::iter::once(head).chain(parts);
        all.map(|part| {
            let (key, digest, _, tasks, from) = part;
            let items = self.items.get(from..end(&part)).unwrap_or_default();
            let is_whole = !items.is_empty()
                && items.iter().map(|(_, range)| u64::from(range.count)).sum::<u64>() == tasks;
            Submitted { key, digest, is_whole }
        })
        .collect()
    }
}

/// Every graph and task of a history.
#[derive(Debug, Default)]
pub(super) struct Index<'a> {
    pub(super) graphs: BTreeMap<GraphId, GraphInfo<'a>>,
    /// The graphs of what was added, by its first task.
    added: BTreeMap<TaskId, GraphId>,
}

impl<'a> Index<'a> {
    pub(super) fn new(history: &'a History) -> Self {
        let mut index = Self::default();
        for (_, record) in &history.records {
            match &record.event {
                Event::Graph(graph, GraphEvent::Admitted(head)) => {
                    index.graphs.insert(*graph, GraphInfo { head, parts: Vec::new(), items: Vec::new() });
                }
                Event::Graph(graph, GraphEvent::Extended(part)) => {
                    if let Some(info) = index.graphs.get_mut(graph) {
                        info.parts.push(Part { head: part, from: info.items.len(), at: record.at });
                        index.added.insert(part.first, *graph);
                    }
                }
                Event::Graph(graph, GraphEvent::ItemAdmitted(item)) => index.item(*graph, item),
                _ => {}
            }
        }
        index
    }

    fn item(&mut self, graph: GraphId, item: &'a Item) {
        let Some(info) = self.graphs.get_mut(&graph) else { return };
        let first = match info.parts.last() {
            Some(part) if part.from == info.items.len() => part.head.first,
            _ => info.items.last().map_or_else(|| graph.first_task(), |(_, range)| range.end()),
        };
        let count = u32::try_from(item.tasks()).expect("arrays of tests are small");
        info.items.push((item, TaskRange { first, count }));
    }

    /// The graph of a task.
    pub(super) fn graph_of(&self, task: TaskId) -> Option<(GraphId, &GraphInfo<'a>)> {
        let graph = self.graphs.range(..=GraphId(task.0)).next_back().map(|(id, _)| *id);
        let added = self.added.range(..=task).next_back().map(|(_, id)| *id);
        let has = |id: &GraphId| self.graphs[id].items.iter().any(|(_, range)| range.contains(task));
        let id = graph.into_iter().chain(added).find(has)?;
        Some((id, &self.graphs[&id]))
    }

    /// The item of a task.
    pub(super) fn item_of(&self, task: TaskId) -> Option<&'a Item> {
        let (_, info) = self.graph_of(task)?;
        info.items.iter().find(|(_, range)| range.contains(task)).map(|(item, _)| *item)
    }

    /// Every task that `task` depends on directly, and how it must have ended.
    pub(super) fn dependencies(&self, task: TaskId) -> Vec<(TaskId, Need)> {
        let (Some((_, info)), Some(item)) = (self.graph_of(task), self.item_of(task)) else {
            return Vec::new();
        };
        let tasks = |on: &Dependency| {
            let place = on.place().expect("a record names places") as usize;
            info.items[place].1.iter().map(move |task| (task, on.needs)).collect::<Vec<_>>()
        };
        item.dependencies.iter().flat_map(tasks).collect()
    }

    /// Every task.
    pub(super) fn tasks(&self) -> impl Iterator<Item = TaskId> {
        self.graphs.values().flat_map(|info| info.items.iter().flat_map(|(_, range)| range.iter()))
    }
}

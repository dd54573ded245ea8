//! What the records say each graph and task is.

use std::collections::BTreeMap;

use policy::event::{Event, GraphEvent, GraphHead, Item};
use policy::id::{GraphId, TaskId, TaskRange};

use super::History;

/// A graph as admitted.
#[derive(Debug)]
pub(super) struct GraphInfo<'a> {
    pub(super) head: &'a GraphHead,
    pub(super) items: Vec<(&'a Item, TaskRange)>,
}

/// Every graph and task of a history.
#[derive(Debug, Default)]
pub(super) struct Index<'a> {
    pub(super) graphs: BTreeMap<GraphId, GraphInfo<'a>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(history: &'a History) -> Self {
        let mut index = Self::default();
        for (_, record) in &history.records {
            match &record.event {
                Event::Graph(graph, GraphEvent::Admitted(head)) => {
                    index.graphs.insert(*graph, GraphInfo { head, items: Vec::new() });
                }
                Event::Graph(graph, GraphEvent::ItemAdmitted(item)) => index.item(*graph, item),
                _ => {}
            }
        }
        index
    }

    fn item(&mut self, graph: GraphId, item: &'a Item) {
        let Some(info) = self.graphs.get_mut(&graph) else { return };
        let first = info.items.last().map_or_else(|| graph.first_task(), |(_, range)| range.end());
        let count = u32::try_from(item.tasks()).expect("arrays of tests are small");
        info.items.push((item, TaskRange { first, count }));
    }

    /// The graph of a task.
    pub(super) fn graph_of(&self, task: TaskId) -> Option<(GraphId, &GraphInfo<'a>)> {
        let (id, info) = self.graphs.range(..=GraphId(task.0)).next_back()?;
        info.items.last().is_some_and(|(_, range)| task < range.end()).then_some((*id, info))
    }

    /// The item of a task.
    pub(super) fn item_of(&self, task: TaskId) -> Option<&'a Item> {
        let (_, info) = self.graph_of(task)?;
        info.items.iter().find(|(_, range)| range.contains(task)).map(|(item, _)| *item)
    }

    /// Every task that `task` depends on directly.
    pub(super) fn dependencies(&self, task: TaskId) -> Vec<TaskId> {
        let (Some((_, info)), Some(item)) = (self.graph_of(task), self.item_of(task)) else {
            return Vec::new();
        };
        item.dependencies.iter().flat_map(|place| info.items[*place as usize].1.iter()).collect()
    }

    /// Every task.
    pub(super) fn tasks(&self) -> impl Iterator<Item = TaskId> {
        self.graphs.values().flat_map(|info| info.items.iter().flat_map(|(_, range)| range.iter()))
    }
}

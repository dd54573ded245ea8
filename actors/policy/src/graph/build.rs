//! Makes the table of one graph from its items, one after the other.

use std::collections::BTreeSet;

use crate::event::{GraphHead, Item as SubmittedItem, LogPosition};
use crate::graph::item::{Edges, Item, Rest};
use crate::graph::pages::Pages;
use crate::graph::state::Counts;
use crate::graph::table::Graph;
use crate::id::GraphId;
use crate::placement::ShapeId;
use crate::task::Priority;
use crate::time::Timestamp;

/// The head of a graph, and where and when it was recorded.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// Its id.
    pub graph: GraphId,
    /// Where the record of its admission starts in the log.
    pub position: LogPosition,
    /// When it was written.
    pub at: Timestamp,
    /// What it says.
    pub head: &'a GraphHead,
}

/// What the table needs to know of an item.
#[derive(Debug, Clone, Copy)]
pub struct ItemShape<'a> {
    /// How many tasks it makes, from 1.
    pub count: u32,
    /// Its queue.
    pub priority: Priority,
    /// What each of its tasks needs.
    pub shape: ShapeId,
    /// The array's first index; 0 for a task.
    pub first_index: u64,
    /// How many of its tasks may be out at once; `None` for no limit.
    pub parallel_limit: Option<u32>,
    /// The items, by their place in the graph, that must have succeeded before. The same one twice does no harm.
    pub dependencies: &'a [u32],
    /// Where the record of its admission starts in the log.
    pub position: LogPosition,
}

impl<'a> ItemShape<'a> {
    /// Of an item whose record starts at `position`, and whose tasks need `shape`. Admission allows fewer
    /// tasks than the table can count; an item with more becomes one that [`Malformed`] names.
    #[must_use]
    pub fn of(item: &'a SubmittedItem, shape: ShapeId, position: LogPosition) -> Self {
        Self {
            count: u32::try_from(item.tasks()).unwrap_or(0),
            priority: item.spec.priority,
            shape,
            first_index: item.array.map_or(0, |array| array.first),
            parallel_limit: item.array.and_then(|array| array.parallel_limit),
            dependencies: &item.dependencies,
            position,
        }
    }
}

/// Why items do not make the graph their head announced. Admission refuses such graphs, so this is a log
/// or a program that is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A task of this graph is one of another, too.
    #[error("{0} overlaps with another graph")]
    Overlaps(GraphId),
    /// The head announced other numbers.
    #[error("{graph} has {items} items and {tasks} tasks, not what its head says")]
    Miscounted {
        /// Which graph.
        graph: GraphId,
        /// Items that came.
        items: u64,
        /// Tasks they make.
        tasks: u64,
    },
    /// A dependency that is not an item of the graph, or the item itself.
    #[error("item {item} of {graph} depends on item {dependency}")]
    BadDependency {
        /// Which graph.
        graph: GraphId,
        /// The item that depends.
        item: u32,
        /// What on.
        dependency: u32,
    },
}

/// A graph of which not all items have come.
#[derive(Debug)]
pub(super) struct Builder {
    graph: Graph,
    announced: (u32, u64),
    items: Vec<Item>,
    tasks: u64,
    starts: Vec<u32>,
    ends: Vec<u32>,
    sorted: Vec<u32>,
    bad: Option<(u32, u32)>,
}

impl Builder {
    pub(super) fn new(opening: &Opening<'_>) -> Self {
        let announced = (opening.head.items, opening.head.tasks);
        Self {
            graph: Graph::blank(opening),
            announced,
            items: Vec::with_capacity(announced.0 as usize),
            tasks: 0,
            starts: Vec::new(),
            ends: Vec::new(),
            sorted: Vec::new(),
            bad: None,
        }
    }

    /// Whether all announced items have come.
    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= self.announced.0 as usize
    }

    pub(super) fn push(&mut self, shape: &ItemShape<'_>) {
        let number = super::to_u32(self.items.len());
        self.sorted.clear();
        self.sorted.extend_from_slice(shape.dependencies);
        self.sorted.sort_unstable();
        self.sorted.dedup();
        let wrong = self.sorted.iter().find(|on| **on >= self.announced.0 || **on == number);
        self.bad = self.bad.or_else(|| wrong.map(|on| (number, *on)));
        if !self.sorted.is_empty() && self.starts.is_empty() {
            self.starts.resize(self.items.len(), 0);
        }
        if !self.starts.is_empty() || !self.sorted.is_empty() {
            self.starts.push(super::to_u32(self.ends.len()));
            self.ends.extend_from_slice(&self.sorted);
        }
        self.items.push(item(shape, super::to_u32(self.sorted.len()), self.tasks));
        self.tasks += u64::from(shape.count);
    }

    /// The graph, with nothing ready yet.
    pub(super) fn seal(mut self) -> Result<Graph, Malformed> {
        let graph = self.graph.id;
        let (items, tasks) = (self.items.len() as u64, self.tasks);
        let empty = self.items.iter().any(|item| item.count == 0);
        if (items, tasks) != (u64::from(self.announced.0), self.announced.1)
            || tasks > u64::from(u32::MAX)
            || empty
        {
            return Err(Malformed::Miscounted { graph, items, tasks });
        }
        if let Some((item, dependency)) = self.bad {
            return Err(Malformed::BadDependency { graph, item, dependency });
        }
        if !self.ends.is_empty() {
            self.starts.push(super::to_u32(self.ends.len()));
        }
        self.graph.dependencies = Edges::new(self.starts, self.ends);
        self.graph.dependents = self.graph.dependencies.reversed();
        self.graph.tasks = u32::try_from(tasks).unwrap_or(u32::MAX);
        self.graph.pages = Pages::new(self.graph.tasks);
        self.graph.items = self.items.into();
        Ok(self.graph)
    }
}

fn item(shape: &ItemShape<'_>, deps_left: u32, first: u64) -> Item {
    Item {
        position: shape.position,
        first_index: shape.first_index,
        first: u32::try_from(first).unwrap_or(u32::MAX),
        count: shape.count,
        limit: shape.parallel_limit.unwrap_or(u32::MAX).max(1),
        cursor: 0,
        shape: shape.shape,
        deps_left,
        deps_bad: 0,
        out: 0,
        succeeded: 0,
        bad: 0,
        unrecorded: 0,
        cause: 0,
        priority: shape.priority,
        rest: Rest::Open,
    }
}

impl Graph {
    fn blank(opening: &Opening<'_>) -> Self {
        Self {
            id: opening.graph,
            key: opening.head.key,
            digest: opening.head.digest,
            position: opening.position,
            admitted_at: opening.at,
            finished_at: None,
            cancel_asked: false,
            tasks: 0,
            counts: Counts::default(),
            items: Box::default(),
            dependencies: Edges::default(),
            dependents: Edges::default(),
            pages: Pages::default(),
            held: BTreeSet::new(),
        }
    }
}

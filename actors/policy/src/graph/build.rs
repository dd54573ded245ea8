//! Makes the table of one graph, or of a part that is added to one, from its items, one after the other.

use std::collections::BTreeSet;

use crate::dependency::{Dependency, Need, On};
use crate::event::{GraphHead, GraphPart, Item as SubmittedItem, LogPosition};
use crate::graph::edges::{Edge, Edges, ITEMS_LIMIT, Reversed};
use crate::graph::item::{Item, Rest, Standing};
use crate::graph::pages::Pages;
use crate::graph::state::Counts;
use crate::graph::table::{Graph, Part};
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
    /// Whether its tasks run together or not at all.
    pub is_gang: bool,
    /// What must have ended before, by place in the graph. The same one twice counts once, as it is needed the
    /// most strictly.
    pub dependencies: &'a [Dependency],
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
            is_gang: item.spec.gang.is_some(),
            dependencies: &item.dependencies,
            position,
        }
    }
}

/// Why items do not make the graph their head announced. Admission refuses such graphs, so this is a log
/// or a program that is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A task of this graph is one of another, too.
    #[error("{0} overlaps with another graph")]
    Overlaps(GraphId),
    /// There is no graph to add to.
    #[error("{0} is not known")]
    Unknown(GraphId),
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
    #[error("item {item} of {graph} depends on {on}")]
    BadDependency {
        /// Which graph.
        graph: GraphId,
        /// The item that depends.
        item: u32,
        /// What on.
        on: On,
    },
}

/// A graph, or a part that is added to one, of which not all items have come.
#[derive(Debug)]
pub(super) struct Builder {
    graph: GraphId,
    /// What is there already: items and tasks.
    before: (u32, u32),
    announced: (u32, u64),
    items: Vec<Item>,
    tasks: u64,
    starts: Vec<u32>,
    ends: Vec<Edge>,
    sorted: Vec<(u32, Need)>,
    bad: Option<(u32, On)>,
}

/// Items that are as they were announced.
#[derive(Debug)]
pub(super) struct Sealed {
    items: Vec<Item>,
    tasks: u32,
    starts: Vec<u32>,
    ends: Vec<Edge>,
}

impl Builder {
    /// For a new graph.
    pub(super) fn new(graph: GraphId, head: &GraphHead) -> Self {
        Self::behind(graph, (0, 0), (head.items, head.tasks))
    }

    /// For a part that is added.
    pub(super) fn adding(graph: &Graph, part: &GraphPart) -> Self {
        let before = (super::to_u32(graph.items.len()), graph.tasks);
        Self::behind(graph.id, before, (part.items, part.tasks))
    }

    fn behind(graph: GraphId, before: (u32, u32), announced: (u32, u64)) -> Self {
        Self {
            graph,
            before,
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
        let number = self.before.0.saturating_add(super::to_u32(self.items.len()));
        let end = self.before.0.saturating_add(self.announced.0).min(ITEMS_LIMIT);
        self.sorted.clear();
        for dependency in shape.dependencies {
            match dependency.place().filter(|on| *on < end && *on != number) {
                Some(on) => self.sorted.push((on, dependency.needs)),
                None => self.bad = self.bad.take().or_else(|| Some((number, dependency.on.clone()))),
            }
        }
        // The strictest need comes first, and is what stays of several.
        self.sorted.sort_unstable();
        self.sorted.dedup_by_key(|(on, _)| *on);
        if !self.sorted.is_empty() && self.starts.is_empty() {
            self.starts.resize(self.items.len(), 0);
        }
        if !self.starts.is_empty() || !self.sorted.is_empty() {
            self.starts.push(super::to_u32(self.ends.len()));
            self.ends.extend(self.sorted.iter().map(|(on, needs)| Edge::new(*on, *needs)));
        }
        let first = u64::from(self.before.1) + self.tasks;
        self.items.push(item(shape, super::to_u32(self.sorted.len()), first));
        self.tasks += u64::from(shape.count);
    }

    pub(super) fn seal(mut self) -> Result<Sealed, Malformed> {
        let graph = self.graph;
        let (items, tasks) = (self.items.len() as u64, self.tasks);
        let empty = self.items.iter().any(|item| item.count == 0);
        let whole = (items, tasks) == (u64::from(self.announced.0), self.announced.1);
        let all = u64::from(self.before.1) + tasks;
        if !whole || empty || all > u64::from(u32::MAX) {
            return Err(Malformed::Miscounted { graph, items, tasks });
        }
        if let Some((item, on)) = self.bad {
            return Err(Malformed::BadDependency { graph, item, on });
        }
        if !self.ends.is_empty() {
            self.starts.push(super::to_u32(self.ends.len()));
        }
        let tasks = u32::try_from(tasks).unwrap_or(u32::MAX);
        Ok(Sealed { items: self.items, tasks, starts: self.starts, ends: self.ends })
    }
}

impl Sealed {
    pub(super) fn tasks(&self) -> u32 {
        self.tasks
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
        stopped: 0,
        unrecorded: 0,
        cause: 0,
        priority: shape.priority,
        is_gang: shape.is_gang,
        rest: Rest::Open,
        told: Standing::default(),
    }
}

impl Graph {
    /// With nothing in it yet.
    pub(super) fn blank(opening: &Opening<'_>) -> Self {
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
            items: Vec::new(),
            parts: Vec::new(),
            dependencies: Edges::default(),
            dependents: Edges::default(),
            pages: Pages::default(),
            held: BTreeSet::new(),
            lending: None,
        }
    }

    /// Takes in items behind those it has; nothing of them is ready yet. What they need of those that were
    /// there before is worked out from how these stand.
    pub(super) fn join(&mut self, sealed: Sealed) {
        let Sealed { items, tasks, starts, ends } = sealed;
        let (before, count) = (self.items.len(), items.len());
        if self.items.is_empty() {
            self.items = items;
        } else {
            self.items.extend(items);
        }
        self.dependencies.append((before, count), &starts, &ends);
        let reversed = Reversed::of(before, &starts, &ends);
        self.dependents.append((before, count), &reversed.starts, &reversed.ends);
        for (on, edge) in reversed.late {
            self.dependents.add_late(on, edge);
            let standing = self.items[on].told;
            let dependent = &mut self.items[edge.item()];
            dependent.deps_left -= u32::from(standing.meets(edge.needs()));
            dependent.deps_bad += u32::from(standing.fails(edge.needs()));
        }
        self.tasks += tasks;
        self.pages.grow(self.tasks);
    }

    /// Remembers that what was joined last, from this offset on, has ids of its own.
    pub(super) fn add_part(&mut self, offset: u32, part: &GraphPart) {
        self.parts.push(Part { offset, first: part.first, key: part.key, digest: part.digest });
    }
}

//! Looking at the table: single tasks, graphs, pages of either, and why a task waits.

use serde::{Deserialize, Serialize};

use crate::event::{LogPosition, SubmissionKey};
use crate::graph::Graphs;
use crate::graph::state::{Counts, TaskState};
use crate::graph::table::Graph;
use crate::id::{AttemptNumber, GraphId, TaskId, TaskRange};
use crate::placement::ShapeId;
use crate::task::Priority;
use crate::time::Timestamp;

/// What is known of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryView {
    /// Which.
    pub task: TaskId,
    /// Its graph.
    pub graph: GraphId,
    /// Its item, by place in the graph.
    pub item: u32,
    /// Its index in its array; 0 for a task that is none's member.
    pub index: u64,
    /// Where it stands.
    pub state: TaskState,
    /// Its own.
    pub priority: Priority,
    /// Its queue: its own, or what is lent to it by who waits for it.
    pub runs_as: Priority,
    /// What it needs.
    pub shape: ShapeId,
    /// Its last attempt; `None` before the first.
    pub attempt: Option<AttemptNumber>,
    /// Where its last record starts in the log; 0 where it has none.
    pub position: LogPosition,
    /// That record's number among the task's; 0 where it has none.
    pub sequence: u32,
    /// Where the record with its specification starts in the log.
    pub spec_position: LogPosition,
    /// Whether it is being cancelled.
    pub cancel_asked: bool,
    /// For a skipped task, one that did not end as it needs it and on which it depends, directly or through others.
    pub cause: Option<TaskId>,
}

/// What is known of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphView {
    /// Which.
    pub graph: GraphId,
    /// Where the record of its admission starts in the log.
    pub position: LogPosition,
    /// When it was admitted.
    pub admitted_at: Timestamp,
    /// When its last task ended.
    pub finished_at: Option<Timestamp>,
    /// Whether somebody asked to cancel it.
    pub cancel_asked: bool,
    /// How many items it has.
    pub items: u32,
    /// How many tasks it has.
    pub tasks: u32,
    /// How many of them stand where.
    pub counts: Counts,
}

/// What came under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The graph it became, or was added to.
    pub graph: GraphId,
    /// The first of its tasks.
    pub first: TaskId,
    /// How many tasks it made.
    pub tasks: u32,
    /// The digest of the submission.
    pub digest: [u8; 16],
}

/// What of an item is ready: a task by itself, or of an array all members that are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyItem {
    /// The first of them.
    pub first: TaskId,
    /// The last of them.
    pub last: TaskId,
    /// Their indices, where the item is an array.
    pub indices: Option<(u64, u64)>,
    /// How many there are.
    pub tasks: u64,
}

/// Some tasks of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPage {
    /// The tasks, in order.
    pub tasks: Vec<EntryView>,
    /// Where the next page starts; `None` where nothing follows.
    pub next: Option<TaskId>,
}

impl Graphs {
    /// What is known of a task.
    #[must_use]
    pub fn entry(&self, task: TaskId) -> Option<EntryView> {
        self.find(task).map(|(graph, offset)| graph.entry(offset))
    }

    /// Whether one of these tasks, which are of one graph, is ready.
    #[must_use]
    pub fn any_ready(&self, tasks: TaskRange) -> bool {
        let page = self.tasks(tasks.first, Some(TaskState::Ready), 1);
        page.tasks.first().is_some_and(|entry| tasks.contains(entry.task))
    }

    /// What is known of a graph.
    #[must_use]
    pub fn view(&self, graph: GraphId) -> Option<GraphView> {
        self.graph(graph).map(Graph::view)
    }

    /// What came under this key.
    #[must_use]
    pub fn submitted(&self, key: SubmissionKey) -> Option<Known> {
        let graph = self.graph(*self.keys.get(&key)?)?;
        let known = |first: TaskId, digest, tasks| Known { graph: graph.id, first, tasks, digest };
        if let Some(at) = graph.parts.iter().position(|part| part.key == key) {
            let part = &graph.parts[at];
            let end = graph.parts.get(at + 1).map_or(graph.tasks, |next| next.offset);
            return Some(known(part.first, part.digest, end - part.offset));
        }
        Some(known(graph.id.first_task(), graph.digest, graph.first_part()))
    }

    /// Graphs, the newest first, from the one before `before` on.
    pub fn newest(&self, before: Option<GraphId>) -> impl Iterator<Item = GraphView> {
        let end = before.unwrap_or(GraphId(u64::MAX));
        self.graphs.range(..end).rev().map(|(_, graph)| graph.view())
    }

    /// How many graphs are known, ended ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.graphs.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.graphs.is_empty()
    }

    /// How many tasks of a priority stand where.
    #[must_use]
    pub fn counts(&self, priority: Priority) -> Counts {
        self.totals[priority as usize]
    }

    /// How many tasks stand where.
    #[must_use]
    pub fn counts_of_all(&self) -> Counts {
        let mut all = Counts::default();
        self.totals.iter().for_each(|counts| all.add_all(counts));
        all
    }

    /// How many items, tasks by themselves and arrays, have a task that has not ended.
    #[must_use]
    pub fn open_items(&self) -> u64 {
        self.totals.open_items()
    }

    /// How many tasks of a shape have not ended.
    #[must_use]
    pub fn unended(&self, shape: ShapeId) -> u64 {
        self.totals.unended(shape)
    }

    /// At most `limit` tasks of a graph, from `from` on, in the given state or in any.
    #[must_use]
    pub fn tasks(&self, from: TaskId, state: Option<TaskState>, limit: usize) -> TaskPage {
        let mut page = TaskPage { tasks: Vec::new(), next: None };
        let Some((graph, mut offset)) = self.find(from) else { return page };
        while offset < graph.tasks {
            let (alike, count) = graph.alike(offset);
            if state.is_none_or(|state| state == alike) {
                let room = super::to_u32(limit - page.tasks.len());
                page.tasks.extend((offset..offset + count.min(room)).map(|one| graph.entry(one)));
                if count > room {
                    page.next = Some(graph.task(offset + room));
                    return page;
                }
            }
            offset += count;
        }
        page
    }

    /// What of the items of the graphs that came first is ready, in their order: of at most `limit` items.
    #[must_use]
    pub fn ready_items(&self, limit: usize) -> Vec<ReadyItem> {
        let has_some = |graph: &&Graph| graph.counts.of(TaskState::Ready) > 0;
        let graphs = self.graphs.values().map(Box::as_ref).filter(has_some);
        graphs.flat_map(Graph::ready_items).take(limit).collect()
    }

    /// The tasks that have to end before this one can run and have not, or not as it needs them: at most `limit`
    /// stretches.
    #[must_use]
    pub fn blocked_by(&self, task: TaskId, limit: usize) -> Vec<TaskRange> {
        let Some((graph, offset)) = self.find(task) else { return Vec::new() };
        let edges = graph.dependencies.of(graph.item_of(offset));
        let open = edges.filter(|edge| !graph.items[edge.item()].standing().meets(edge.needs()));
        open.flat_map(|edge| {
            let on = &graph.items[edge.item()];
            graph.stretches(on.first, on.count).map(move |(range, state)| (range, state, edge.needs()))
        })
        .filter(|(_, state, needs)| !state.is_as_needed(*needs))
        .map(|(range, ..)| range)
        .take(limit)
        .collect()
    }

    /// Bytes the table takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.graphs.values().map(|graph| graph.bytes()).sum()
    }
}

impl Graph {
    pub(super) fn entry(&self, offset: u32) -> EntryView {
        let number = self.item_of(offset);
        let (item, entry) = (&self.items[number], self.pages.get(offset));
        let state = self.state_of(number, offset);
        EntryView {
            task: self.task(offset),
            graph: self.id,
            item: super::to_u32(number),
            index: item.first_index + u64::from(offset - item.first),
            state,
            priority: item.priority,
            runs_as: self.queue_of(number),
            shape: item.shape,
            attempt: (entry.attempts > 0).then_some(AttemptNumber(entry.attempts)),
            position: entry.position,
            sequence: entry.sequence,
            spec_position: item.position,
            cancel_asked: entry.cancel_asked || (self.cancel_asked && !state.is_ended()),
            cause: (state == TaskState::Skipped)
                .then(|| self.task(self.bad_dependency(number).unwrap_or(item.cause))),
        }
    }

    fn ready_items(&self) -> impl Iterator<Item = ReadyItem> {
        self.items.iter().filter_map(|item| {
            let ready =
                self.stretches(item.first, item.count).filter(|(_, state)| *state == TaskState::Ready);
            ready.map(|(range, _)| range).fold(None, |found: Option<ReadyItem>, range| {
                let first = found.map_or(range.first, |found| found.first);
                let last = TaskId(range.end().0 - 1);
                let index = |task: TaskId| item.first_index + (task.0 - self.task(item.first).0);
                let indices = (item.count > 1).then(|| (index(first), index(last)));
                let tasks = found.map_or(0, |found| found.tasks) + u64::from(range.count);
                Some(ReadyItem { first, last, indices, tasks })
            })
        })
    }

    pub(super) fn view(&self) -> GraphView {
        GraphView {
            graph: self.id,
            position: self.position,
            admitted_at: self.admitted_at,
            finished_at: self.finished_at,
            cancel_asked: self.cancel_asked,
            items: super::to_u32(self.items.len()),
            tasks: self.tasks,
            counts: self.counts,
        }
    }

    /// The state of a task, and how many from it on within its item are alike.
    pub(super) fn alike(&self, offset: u32) -> (TaskState, u32) {
        let number = self.item_of(offset);
        let item = &self.items[number];
        let cursor = item.first + item.cursor;
        let end = if offset < cursor { cursor } else { item.first + item.count };
        (self.state_of(number, offset), self.pages.stretch(offset, end - offset).count)
    }

    /// Tasks that are alike, one range after the other.
    pub(super) fn stretches(&self, first: u32, count: u32) -> impl Iterator<Item = (TaskRange, TaskState)> {
        let mut offset = first;
        std::iter::from_fn(move || {
            (offset < first + count).then(|| {
                let (state, alike) = self.alike(offset);
                let range = self.range(offset, alike);
                offset += alike;
                (range, state)
            })
        })
    }
}

//! The dense table of every task that is known: which wait for which, which may run, how all of it ends.
//!
//! It knows nothing of nodes, queues or attempts: it is told what happened to single tasks and answers with
//! what follows for others ([`Effects`]). It knows a task by a few bytes; names and specifications are in
//! the log, at the positions it remembers. What follows from a record is worked out again when the record is
//! replayed, so a crash between a failure and the records of what is skipped for it loses nothing.

mod ages;
mod build;
mod check;
mod due;
mod edges;
mod effects;
mod flow;
mod gang;
mod item;
mod lent;
mod lists;
mod pages;
mod replay;
mod retention;
mod state;
mod stranded;
mod table;
mod tasks;
mod totals;
mod unwritten;
mod urgency;
mod views;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

pub use crate::graph::ages::Ages;
pub use crate::graph::build::{ItemShape, Malformed, Opening};
pub use crate::graph::effects::{Closed, ClosedBy, Effects, Mark, Moved, Ready};
pub use crate::graph::lent::Lent;
pub use crate::graph::replay::{BackingOff, LiveGrant, Recovered, Replay};
pub use crate::graph::retention::Retention;
pub use crate::graph::state::{Counts, TaskState};
pub use crate::graph::stranded::{Changes, Stranded, Stuck, Told};
pub use crate::graph::tasks::{Cancelled, RetryRefused};
pub use crate::graph::unwritten::{Due, Unwritten};
pub use crate::graph::urgency::{Urgency, UrgencyRefused};
pub use crate::graph::views::{EntryView, GraphView, Known, ReadyItem, TaskPage};

use crate::event::{GraphPart, SubmissionKey};
use crate::graph::build::Builder;
use crate::graph::table::{Graph, Out};
use crate::graph::totals::Totals;
use crate::id::{GraphId, TaskId, TaskRange};
use crate::time::Timestamp;

/// See the module.
#[derive(Debug, Default)]
pub struct Graphs {
    graphs: BTreeMap<GraphId, Box<Graph>>,
    /// What was added to graphs, by its first task, with how many there are.
    added: BTreeMap<TaskId, (GraphId, u32)>,
    keys: FxHashMap<SubmissionKey, GraphId>,
    totals: Totals,
    /// The graphs that have ended, the longest ago first.
    ended: BTreeSet<(Timestamp, GraphId)>,
    ended_tasks: u64,
    next: u64,
    /// Whether what is waited for is served as those that wait for it.
    lends: bool,
    /// Whether it was ever said anew how urgent something is.
    are_urged: bool,
}

impl Graphs {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self { next: 1, ..Self::default() }
    }

    /// The id of the next graph's first task. Ids of graphs that are forgotten or never came whole stay used.
    #[must_use]
    pub fn next_task(&self) -> TaskId {
        TaskId(self.next)
    }

    /// Takes in a graph whose records are written, whole or not at all, and names what of it is ready.
    ///
    /// # Errors
    ///
    /// When the items are not what the head announced, or its ids are in use.
    pub fn admit<'a>(
        &mut self,
        opening: &Opening<'_>,
        items: impl IntoIterator<Item = ItemShape<'a>>,
        effects: &mut Effects,
    ) -> Result<(), Malformed> {
        let mut builder = Builder::new(opening.graph, opening.head);
        items.into_iter().for_each(|item| builder.push(&item));
        self.insert(Graph::blank(opening), builder, effects)
    }

    fn insert(&mut self, mut graph: Graph, builder: Builder, effects: &mut Effects) -> Result<(), Malformed> {
        let (id, sealed) = (graph.id, builder.seal()?);
        self.take_ids(id, TaskRange { first: id.first_task(), count: sealed.tasks() })?;
        graph.join(sealed);
        let out = &mut Out { totals: &mut self.totals, effects };
        graph.learn_lending(0, self.lends, out);
        graph.open(0, out);
        graph.settle_lending(out);
        self.keys.insert(graph.key, id);
        self.graphs.insert(id, Box::new(graph));
        Ok(())
    }

    /// Takes in what is added to a graph and whose records are written, whole or not at all, and names what of
    /// it is ready, or skipped because what it depends on has ended already. A graph that had ended has not
    /// any more, unless all of this has.
    ///
    /// # Errors
    ///
    /// When there is no such graph, the items are not what the part announced, or its ids are in use.
    pub fn extend<'a>(
        &mut self,
        id: GraphId,
        (part, at): (&GraphPart, Timestamp),
        items: impl IntoIterator<Item = ItemShape<'a>>,
        effects: &mut Effects,
    ) -> Result<(), Malformed> {
        let mut builder = Builder::adding(self.graph(id).ok_or(Malformed::Unknown(id))?, part);
        items.into_iter().for_each(|item| builder.push(&item));
        self.join(id, (part, at), builder, effects)
    }

    fn join(
        &mut self,
        id: GraphId,
        (part, at): (&GraphPart, Timestamp),
        builder: Builder,
        effects: &mut Effects,
    ) -> Result<(), Malformed> {
        let sealed = builder.seal()?;
        let count = sealed.tasks();
        self.take_ids(id, TaskRange { first: part.first, count })?;
        self.keys.insert(part.key, id);
        self.added.insert(part.first, (id, count));
        let lends = self.lends;
        self.alter(id, (at, effects), |graph, out| {
            let (offset, item) = (graph.tasks, graph.items.len());
            graph.join(sealed);
            graph.add_part(offset, part);
            graph.cancel_asked = false;
            graph.learn_lending(item, lends, out);
            graph.open(item, out);
        });
        Ok(())
    }

    /// Ids that nobody has, for a graph.
    fn take_ids(&mut self, graph: GraphId, tasks: TaskRange) -> Result<(), Malformed> {
        let end = tasks.end();
        let before = self.graphs.range(..GraphId(end.0)).next_back();
        let before = before.map(|(_, graph)| graph.range(0, graph.first_part()));
        let added = self.added.range(..end).next_back();
        let added = added.map(|(first, (_, count))| TaskRange { first: *first, count: *count });
        if before.into_iter().chain(added).any(|range| range.end() > tasks.first) {
            return Err(Malformed::Overlaps(graph));
        }
        self.next = self.next.max(end.0);
        Ok(())
    }

    fn graph(&self, id: GraphId) -> Option<&Graph> {
        self.graphs.get(&id).map(Box::as_ref)
    }

    /// The graph of a task, and the task's place in it.
    fn find(&self, task: TaskId) -> Option<(&Graph, u32)> {
        let (id, offset) = self.locate(task)?;
        self.graph(id).map(|graph| (graph, offset))
    }

    fn locate(&self, task: TaskId) -> Option<(GraphId, u32)> {
        let within =
            |first: u64, count: u32| u32::try_from(task.0 - first).ok().filter(|offset| *offset < count);
        let (id, graph) = self.graphs.range(..=GraphId(task.0)).next_back()?;
        if let Some(offset) = within(id.0, graph.first_part()) {
            return Some((*id, offset));
        }
        let (first, (id, count)) = self.added.range(..=task).next_back()?;
        let offset = within(first.0, *count)?;
        let graph = self.graph(*id)?;
        let part = graph.parts.binary_search_by_key(first, |part| part.first).ok()?;
        Some((*id, graph.parts[part].offset + offset))
    }

    /// Changes the graph of a task, and keeps the list of ended graphs.
    fn change<R>(
        &mut self,
        task: TaskId,
        to: (Timestamp, &mut Effects),
        act: impl FnOnce(&mut Graph, u32, &mut Out<'_>) -> R,
    ) -> Option<R> {
        let (id, offset) = self.locate(task)?;
        self.alter(id, to, |graph, out| act(graph, offset, out))
    }

    /// Changes a graph, and keeps the list of ended graphs.
    fn alter<R>(
        &mut self,
        id: GraphId,
        (at, effects): (Timestamp, &mut Effects),
        act: impl FnOnce(&mut Graph, &mut Out<'_>) -> R,
    ) -> Option<R> {
        let graph = self.graphs.get_mut(&id)?;
        let tasks = graph.tasks;
        let out = &mut Out { totals: &mut self.totals, effects };
        let answer = act(graph, out);
        graph.settle_lending(out);
        if let Some(finished_at) = graph.finished_at
            && (!graph.is_finished() || graph.tasks != tasks)
        {
            graph.finished_at = None;
            self.ended.remove(&(finished_at, id));
            self.ended_tasks -= u64::from(tasks);
        }
        if graph.finished_at.is_none() && graph.is_finished() {
            graph.finished_at = Some(at);
            self.ended.insert((at, id));
            self.ended_tasks += u64::from(graph.tasks);
            effects.finished.push(id);
        }
        Some(answer)
    }
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

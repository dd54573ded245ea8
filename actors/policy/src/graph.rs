//! The dense table of every task that is known: which wait for which, which may run, how all of it ends.
//!
//! It knows nothing of nodes, queues or attempts: it is told what happened to single tasks and answers with
//! what follows for others ([`Effects`]). It knows a task by a few bytes; names and specifications are in
//! the log, at the positions it remembers. What follows from a record is worked out again when the record is
//! replayed, so a crash between a failure and the records of what is skipped for it loses nothing.

mod build;
mod check;
mod effects;
mod flow;
mod item;
mod lists;
mod pages;
mod replay;
mod retention;
mod state;
mod stranded;
mod table;
mod tasks;
mod totals;
mod views;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

pub use crate::graph::build::{ItemShape, Malformed, Opening};
pub use crate::graph::effects::{Closed, ClosedBy, Effects, Mark, Ready};
pub use crate::graph::replay::{BackingOff, LiveGrant, Recovered, Replay};
pub use crate::graph::retention::Retention;
pub use crate::graph::state::{Counts, TaskState};
pub use crate::graph::stranded::{Changes, Stranded, Stuck, Told};
pub use crate::graph::tasks::{Cancelled, RetryRefused};
pub use crate::graph::views::{EntryView, GraphView, TaskPage};

use crate::event::SubmissionKey;
use crate::graph::build::Builder;
use crate::graph::table::{Graph, Out};
use crate::graph::totals::Totals;
use crate::id::{GraphId, TaskId};
use crate::time::Timestamp;

/// See the module.
#[derive(Debug, Default)]
pub struct Graphs {
    graphs: BTreeMap<GraphId, Box<Graph>>,
    keys: FxHashMap<SubmissionKey, GraphId>,
    totals: Totals,
    /// The graphs that have ended, the longest ago first.
    ended: BTreeSet<(Timestamp, GraphId)>,
    ended_tasks: u64,
    next: u64,
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
        let mut builder = Builder::new(opening);
        items.into_iter().for_each(|item| builder.push(&item));
        self.insert(builder.seal()?, effects)
    }

    fn insert(&mut self, mut graph: Graph, effects: &mut Effects) -> Result<(), Malformed> {
        let id = graph.id;
        let end = id.0 + u64::from(graph.tasks);
        let before = self.graphs.range(..GraphId(end)).next_back();
        if before.is_some_and(|(_, before)| before.task(before.tasks) > id.first_task()) {
            return Err(Malformed::Overlaps(id));
        }
        self.next = self.next.max(end);
        graph.open(&mut Out { totals: &mut self.totals, effects });
        self.keys.insert(graph.key, id);
        self.graphs.insert(id, Box::new(graph));
        Ok(())
    }

    fn graph(&self, id: GraphId) -> Option<&Graph> {
        self.graphs.get(&id).map(Box::as_ref)
    }

    /// The graph of a task, and the task's place in it.
    fn find(&self, task: TaskId) -> Option<(&Graph, u32)> {
        let (_, graph) = self.graphs.range(..=GraphId(task.0)).next_back()?;
        offset(graph, task).map(|offset| (&**graph, offset))
    }

    /// Changes the graph of a task, and keeps the list of ended graphs.
    fn change<R>(
        &mut self,
        task: TaskId,
        (at, effects): (Timestamp, &mut Effects),
        act: impl FnOnce(&mut Graph, u32, &mut Out<'_>) -> R,
    ) -> Option<R> {
        let (id, graph) = self.graphs.range_mut(..=GraphId(task.0)).next_back()?;
        let offset = offset(graph, task)?;
        let answer = act(graph, offset, &mut Out { totals: &mut self.totals, effects });
        match (graph.finished_at, graph.is_finished()) {
            (None, true) => {
                graph.finished_at = Some(at);
                self.ended.insert((at, *id));
                self.ended_tasks += u64::from(graph.tasks);
                effects.finished.push(*id);
            }
            (Some(finished_at), false) => {
                graph.finished_at = None;
                self.ended.remove(&(finished_at, *id));
                self.ended_tasks -= u64::from(graph.tasks);
            }
            _ => {}
        }
        Some(answer)
    }
}

fn offset(graph: &Graph, task: TaskId) -> Option<u32> {
    u32::try_from(task.0 - graph.id.0).ok().filter(|offset| *offset < graph.tasks)
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

//! How urgent tasks are, said anew after they were admitted: from then on they are what was said, whatever their
//! specification says, and so are attempts of theirs that are still to come.
//!
//! It is known by item: of an array all members are as urgent as each other.

use std::ops::Range;

use crate::graph::Graphs;
use crate::graph::effects::Effects;
use crate::graph::item::Item;
use crate::graph::state::TaskState;
use crate::graph::table::{Graph, Out};
use crate::id::{GraphId, TaskId, TaskRange};
use crate::lending::Change;
use crate::task::Priority;
use crate::time::Timestamp;

/// What is still to be started, now or later.
const TO_START: [TaskState; 3] = [TaskState::Waiting, TaskState::Ready, TaskState::BackingOff];

/// Tasks of which it may be said anew how urgent they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urgency {
    /// Their graph.
    pub graph: GraphId,
    /// All tasks that are then as urgent as that: whole items, part by part.
    pub parts: Vec<TaskRange>,
    /// How many of them still wait for a start, for which it counts.
    pub waiting: u64,
}

/// Why it is of no use to say how urgent something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrgencyRefused {
    /// There is no such task.
    #[error("{0} is not known")]
    Unknown(TaskId),
    /// It has its place already.
    #[error(
        "{0} has been given its machine: a priority decides who is started first, and it has been; `requeue {0}` in \
         cluster-top stops it and puts it back into its queue, where it can be changed"
    )]
    Started(TaskId),
    /// Nothing starts it any more.
    #[error(
        "{0} is {1}: a priority decides who is started first, and nothing is left to start; `crab retry {0}` comes first"
    )]
    Ended(TaskId, TaskState),
    /// It did what it should.
    #[error("{0} has succeeded: nothing of it is started any more")]
    Succeeded(TaskId),
    /// No task of it waits.
    #[error("no task of {0} waits for its start any more")]
    NothingWaits(GraphId),
}

impl Graphs {
    /// What saying anew how urgent a task is would be about: all of its array, where it is a member of one.
    ///
    /// # Errors
    /// Where it would change nothing.
    pub fn urgency_of_task(&self, task: TaskId) -> Result<Urgency, UrgencyRefused> {
        let (graph, offset) = self.find(task).ok_or(UrgencyRefused::Unknown(task))?;
        let number = graph.item_of(offset);
        let item = &graph.items[number];
        let waiting = graph.still_to_start(item.first, item.count);
        if waiting == 0 {
            return Err(match graph.state_of(number, offset) {
                TaskState::Succeeded => UrgencyRefused::Succeeded(task),
                ended if ended.is_ended() => UrgencyRefused::Ended(task, ended),
                _ => UrgencyRefused::Started(task),
            });
        }
        Ok(Urgency { graph: graph.id, parts: vec![graph.range(item.first, item.count)], waiting })
    }

    /// The same of all of a graph; `None` where there is no such graph.
    ///
    /// # Errors
    /// Where it would change nothing.
    pub fn urgency_of_graph(&self, graph: GraphId) -> Option<Result<Urgency, UrgencyRefused>> {
        let graph = self.graph(graph)?;
        let waiting = TO_START.iter().map(|state| graph.counts.of(*state)).sum();
        if waiting == 0 {
            return Some(Err(UrgencyRefused::NothingWaits(graph.id)));
        }
        Some(Ok(Urgency { graph: graph.id, parts: graph.ranges().collect(), waiting }))
    }

    /// The items all of which are among `tasks` are as urgent as that from now on: what is ready of them goes into
    /// another queue. Whether that is something else for any of them.
    pub fn prioritise(
        &mut self,
        (graph, tasks): (GraphId, TaskRange),
        priority: Priority,
        effects: &mut Effects,
    ) -> bool {
        let lends = self.lends;
        let changed = self.alter(graph, (Timestamp::default(), effects), |graph, out| {
            let changed =
                graph.items_within(tasks).filter(|item| graph.urge(*item, priority, out)).count() > 0;
            if changed && graph.lending.is_none() {
                // It may be the first that has something to lend.
                graph.learn_lending(0, lends, out);
            }
            changed
        });
        let changed = changed.unwrap_or(false);
        self.are_urged |= changed;
        changed
    }

    /// Whether tasks may be served as something else than they were admitted as.
    #[must_use]
    pub fn serves_otherwise(&self) -> bool {
        self.lends || self.are_urged
    }
}

impl Graph {
    /// The items all of whose members are among these tasks, which have consecutive ids.
    fn items_within(&self, tasks: TaskRange) -> Range<usize> {
        let start = self.items.partition_point(|item| self.task(item.first) < tasks.first);
        let end = self.items.partition_point(|item| self.range(item.first, item.count).end() <= tasks.end());
        start..end.max(start)
    }

    /// How many of these are still to be started.
    fn still_to_start(&self, first: u32, count: u32) -> u64 {
        let stretches = self.stretches(first, count).filter(|(_, state)| TO_START.contains(state));
        stretches.map(|(tasks, _)| u64::from(tasks.count)).sum()
    }

    /// Whether that is something else.
    fn urge(&mut self, number: usize, priority: Priority, out: &mut Out<'_>) -> bool {
        let Item { first, count, priority: from, .. } = self.items[number];
        if from == priority {
            return false;
        }
        for (tasks, state) in self.stretches(first, count) {
            out.totals[from as usize].take(state, tasks.count);
            out.totals[priority as usize].add(state, tasks.count);
        }
        self.items[number].priority = priority;
        match &mut self.lending {
            Some(lending) => {
                let dependencies = &self.dependencies;
                lending.set_own(number, priority, |item| dependencies.of(item).map(|edge| edge.item()));
            }
            None => self.push_moved(Change { item: number, from, to: priority }, out),
        }
        true
    }
}

#[cfg(test)]
mod tests;

//! The tasks of one priority that could run now, in the order in which they came.
//!
//! Tasks that need alike stand in one lane, in the order of their arrival. Whoever takes a task says which
//! needs fit, and gets the one that arrived first among those: a task that fits nowhere right now keeps its
//! place but stands in nobody's way. The queue knows nothing of nodes or of what a task is.
//!
//! Who takes work out of turn (a tenant's share, a reservation for a large task) decides it through `fits`
//! and [`Queue::lanes`]; the queue only ever answers with the first of those that are let through.

mod lane;
mod removed;

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::id::{TaskId, TaskRange};
use crate::placement::ShapeId;
use crate::queue::lane::Lane;

/// A place in the order of arrival, over all queues. Smaller came earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Arrival(pub u64);

/// A task taken out, with all that is needed to put it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub task: TaskId,
    /// What it needs.
    pub shape: ShapeId,
    /// When it came.
    pub arrival: Arrival,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Queue {
    lanes: FxHashMap<ShapeId, Lane>,
    /// The lanes by the arrival of their first.
    order: BTreeMap<Arrival, ShapeId>,
    len: u64,
    /// Later than every arrival so far.
    horizon: Arrival,
}

/// What stands before a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Line {
    /// Tasks that came earlier.
    pub before: u64,
    /// The first of them.
    pub first: Option<TaskId>,
}

impl Arrival {
    /// The arrival of the task that comes `places` later in a range.
    #[must_use]
    pub fn after(self, places: u64) -> Self {
        Self(self.0 + places)
    }
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tasks come, the first at `arrival`, the next one later each: the numbers from `arrival` on, as many as
    /// there are tasks, are used up and later than all before. None of the tasks may be in the queue.
    pub fn push(&mut self, tasks: impl Into<TaskRange>, shape: ShapeId, arrival: Arrival) {
        let tasks = tasks.into();
        if tasks.count == 0 {
            return;
        }
        self.len += u64::from(tasks.count);
        self.horizon = self.horizon.max(arrival.after(u64::from(tasks.count)));
        self.change(shape, |lane| lane.push(tasks, arrival));
    }

    /// A task that was taken comes back to its old place.
    pub fn put_back(&mut self, taken: Taken) {
        self.len += 1;
        self.horizon = self.horizon.max(taken.arrival.after(1));
        self.change(taken.shape, |lane| lane.put_back(taken.task, taken.arrival));
    }

    /// Takes the task that came first among those whose need `fits`. Asks for each need at most once, in the
    /// order of the first arrivals.
    pub fn pop(&mut self, mut fits: impl FnMut(ShapeId) -> bool) -> Option<Taken> {
        let shape = *self.order.values().find(|shape| fits(**shape))?;
        let (task, arrival) = self.change(shape, Lane::pop)?;
        self.len -= 1;
        Some(Taken { task, shape, arrival })
    }

    /// Tasks leave without being taken; each of them must be in the queue.
    pub fn remove(&mut self, tasks: impl Into<TaskRange>, shape: ShapeId) {
        let (tasks, horizon) = (tasks.into(), self.horizon);
        if tasks.count == 0 || !self.lanes.contains_key(&shape) {
            return;
        }
        self.len -= u64::from(tasks.count);
        self.change(shape, |lane| lane.remove(tasks, horizon));
    }

    /// Who is before a task: all that came earlier. It looks at every stretch of every lane.
    #[must_use]
    pub fn line(&self, task: TaskId, shape: ShapeId) -> Line {
        let Some(arrival) = self.lanes.get(&shape).and_then(|lane| lane.arrival_of(task)) else {
            return Line::default();
        };
        let before = self.lanes.values().map(|lane| lane.before(arrival)).sum();
        let first = self.order.first_key_value().filter(|(earliest, _)| **earliest < arrival);
        Line { before, first: first.and_then(|(_, shape)| self.lanes.get(shape)?.first_task()) }
    }

    /// How many are waiting.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The earliest arrival of all that wait.
    #[must_use]
    pub fn oldest(&self) -> Option<Arrival> {
        self.order.first_key_value().map(|(arrival, _)| *arrival)
    }

    /// The needs in the queue, each with its earliest arrival and how many have it, the earliest first.
    pub fn lanes(&self) -> impl Iterator<Item = (ShapeId, Arrival, u64)> {
        self.order.iter().map(|(arrival, shape)| (*shape, *arrival, self.lanes[shape].len()))
    }

    /// Bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lanes.values().map(Lane::bytes).sum()
    }

    /// Changes a lane and keeps its place in the order.
    fn change<R>(&mut self, shape: ShapeId, act: impl FnOnce(&mut Lane) -> R) -> R {
        let lane = self.lanes.entry(shape).or_default();
        let before = lane.first();
        let answer = act(lane);
        let after = lane.first();
        if before != after {
            before.map(|arrival| self.order.remove(&arrival));
            after.map(|arrival| self.order.insert(arrival, shape));
        }
        if after.is_none() {
            self.lanes.remove(&shape);
        }
        answer
    }

    /// Asserts every invariant. It looks at each lane: for tests and simulations.
    ///
    /// # Panics
    ///
    /// When one does not hold.
    pub fn check(&self) {
        assert_eq!(self.order.len(), self.lanes.len(), "every lane has its place in the order");
        for (arrival, shape) in &self.order {
            assert_eq!(self.lanes[shape].first(), Some(*arrival), "and it is that of its first");
            self.lanes[shape].check();
        }
        assert_eq!(
            self.len,
            self.lanes.values().map(Lane::len).sum::<u64>(),
            "the length is what the lanes hold"
        );
    }
}

#[cfg(test)]
mod tests;

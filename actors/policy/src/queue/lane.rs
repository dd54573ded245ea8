//! Tasks that need alike, in the order of their arrival.
//!
//! Neighbours stand there as one run, so an array costs what a task costs. Who leaves from the middle stays as
//! a dead place until it comes to the front, or until the dead outnumber the living.

use std::collections::{BTreeMap, VecDeque};

use crate::id::{TaskId, TaskRange};
use crate::planted;
use crate::queue::Arrival;
use crate::queue::removed::Removed;

/// Runs a lane grows by at the least: too few to matter, enough not to grow at every push.
const GROWTH: usize = 16;

/// Consecutive tasks with consecutive arrivals. 24 bytes.
#[derive(Debug, Clone, Copy)]
struct Run {
    tasks: TaskRange,
    arrival: Arrival,
}

/// See the module. Its first is always alive.
#[derive(Debug, Default)]
pub(super) struct Lane {
    runs: VecDeque<Run>,
    /// Those who were taken and came back to their old places, which are before all in `runs`.
    returned: BTreeMap<Arrival, TaskId>,
    /// Who has left and still has a place in one of the two.
    removed: Removed,
    /// How many such places there are.
    dead: u64,
    len: u64,
}

impl Lane {
    /// The living.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The arrival of the first.
    pub(super) fn first(&self) -> Option<Arrival> {
        self.front().map(|run| run.arrival)
    }

    /// The first task.
    pub(super) fn first_task(&self) -> Option<TaskId> {
        self.front().map(|run| run.tasks.first)
    }

    /// All who wait, in their order, each with its arrival.
    pub(super) fn living(&self) -> impl Iterator<Item = (TaskId, Arrival)> {
        let back = self.returned.iter().map(|(arrival, task)| (*task, *arrival));
        let places = |run: &Run| {
            let Run { tasks, arrival } = *run;
            tasks.iter().zip(0..).map(move |(task, place)| (task, arrival.after(place)))
        };
        let is_alive = |(task, arrival): &(TaskId, Arrival)| {
            self.removed.is_empty() || self.removed.dead((*task).into(), *arrival) == 0
        };
        back.chain(self.runs.iter().flat_map(places)).filter(is_alive)
    }

    /// When a task came; `None` where it is not here.
    pub(super) fn arrival_of(&self, task: TaskId) -> Option<Arrival> {
        let back = self.returned.iter().find(|(_, returned)| **returned == task).map(|(arrival, _)| *arrival);
        let run = || self.runs.iter().find(|run| run.tasks.contains(task));
        back.or_else(|| run().map(|run| run.arrival.after(task.0 - run.tasks.first.0)))
    }

    /// How many places are before one; those that have been left count until they come to the front.
    pub(super) fn before(&self, arrival: Arrival) -> u64 {
        let back = self.returned.range(..arrival).count() as u64;
        let earlier = self.runs.iter().take_while(|run| run.arrival < arrival);
        back + earlier.map(|run| u64::from(run.tasks.count).min(arrival.0 - run.arrival.0)).sum::<u64>()
    }

    pub(super) fn push(&mut self, tasks: TaskRange, arrival: Arrival) {
        self.len += u64::from(tasks.count);
        if planted!(LastInFirstOut) {
            return self.runs.push_front(Run { tasks, arrival });
        }
        append(&mut self.runs, Run { tasks, arrival });
    }

    pub(super) fn put_back(&mut self, task: TaskId, arrival: Arrival) {
        self.len += 1;
        self.returned.insert(arrival, task);
    }

    pub(super) fn pop(&mut self) -> Option<(TaskId, Arrival)> {
        let first = self.front()?;
        self.drop_first(1);
        self.len -= 1;
        self.settle();
        Some((first.tasks.first, first.arrival))
    }

    /// These leave, wherever their places before `horizon` are.
    pub(super) fn remove(&mut self, tasks: TaskRange, horizon: Arrival) {
        self.len -= u64::from(tasks.count);
        self.dead += u64::from(tasks.count);
        self.removed.insert(tasks, horizon);
        self.settle();
        if self.dead > self.len + GROWTH as u64 {
            self.compact();
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.runs.capacity() * size_of::<Run>()
    }

    /// Drops the dead from the front.
    fn settle(&mut self) {
        while self.dead > 0
            && let Some(front) = self.front()
        {
            let dead = self.removed.dead(front.tasks, front.arrival);
            if dead == 0 {
                return;
            }
            self.drop_first(dead);
            self.dead -= u64::from(dead);
        }
        if !self.removed.is_empty() {
            self.removed.clear();
        }
    }

    /// Drops all the dead. Each of them was paid for when it left, so this costs nothing on the whole.
    fn compact(&mut self) {
        let mut living = VecDeque::new();
        while let Some(front) = self.front() {
            let dead = self.removed.dead(front.tasks, front.arrival);
            if dead == 0 {
                let count = self.removed.living(front.tasks, front.arrival);
                append(&mut living, Run { tasks: TaskRange { count, ..front.tasks }, ..front });
                self.drop_first(count);
            } else {
                self.drop_first(dead);
            }
        }
        self.runs = living;
        self.dead = 0;
        self.removed.clear();
    }

    /// The run that is first: who came back stood before all that were never taken.
    fn front(&self) -> Option<Run> {
        let returned = self.returned.first_key_value();
        returned
            .map(|(arrival, task)| Run { tasks: (*task).into(), arrival: *arrival })
            .or_else(|| self.runs.front().copied())
    }

    /// Drops as many places from the front, no more than [`Self::front`] names.
    fn drop_first(&mut self, count: u32) {
        if self.returned.pop_first().is_some() {
            return;
        }
        let Some(run) = self.runs.front_mut() else { return };
        let first = TaskId(run.tasks.first.0 + u64::from(count));
        run.tasks = TaskRange { first, count: run.tasks.count - count };
        run.arrival = run.arrival.after(u64::from(count));
        if run.tasks.count == 0 {
            self.runs.pop_front();
        }
    }

    /// Asserts that the living and the dead are as many as there are places.
    pub(super) fn check(&self) {
        let places: u64 = self.runs.iter().map(|run| u64::from(run.tasks.count)).sum();
        assert_eq!(
            self.len + self.dead,
            places + self.returned.len() as u64,
            "every place is somebody's or dead"
        );
        assert!(self.len > 0, "an empty lane is none");
        let arrivals = self.returned.keys().copied().chain(self.runs.iter().map(|run| run.arrival));
        assert!(arrivals.is_sorted(), "places are in the order of arrival");
        if let Some(front) = self.front() {
            assert_eq!(self.removed.dead(front.tasks, front.arrival), 0, "the first is alive");
        }
    }
}

fn append(runs: &mut VecDeque<Run>, more: Run) {
    if let Some(last) = runs.back_mut()
        && last.tasks.end() == more.tasks.first
        && last.arrival.after(u64::from(last.tasks.count)) == more.arrival
        && let Some(count) = last.tasks.count.checked_add(more.tasks.count)
    {
        last.tasks.count = count;
        return;
    }
    if runs.len() == runs.capacity() {
        // By a quarter, not twofold: a million single tasks then take 30 bytes each at the most.
        runs.reserve_exact((runs.len() / 4).max(GROWTH));
    }
    runs.push_back(more);
}

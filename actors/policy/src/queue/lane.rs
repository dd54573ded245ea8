//! Tasks that need alike, in the order of their arrival.
//!
//! Neighbours stand there as one run, so an array costs what a task costs. Who leaves from the middle stays as
//! a dead place until it comes to the front, or until the dead outnumber the living.

use std::collections::{BTreeMap, VecDeque};

use crate::id::{TaskId, TaskRange};
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
    /// Those who were taken and came back to their old places.
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

    pub(super) fn push(&mut self, tasks: TaskRange, arrival: Arrival) {
        self.len += u64::from(tasks.count);
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

    /// The run, or the part of one, that is first.
    fn front(&self) -> Option<Run> {
        let returned = self.returned.first_key_value();
        let returned = returned.map(|(arrival, task)| Run { tasks: (*task).into(), arrival: *arrival });
        match (self.runs.front().copied(), returned) {
            (Some(run), Some(returned)) if run.arrival < returned.arrival => {
                let before = u32::try_from(returned.arrival.0 - run.arrival.0).unwrap_or(u32::MAX);
                let count = run.tasks.count.min(before);
                Some(Run { tasks: TaskRange { count, ..run.tasks }, ..run })
            }
            (run, returned) => returned.or(run),
        }
    }

    /// Drops as many places from the front, no more than [`Self::front`] names.
    fn drop_first(&mut self, count: u32) {
        let returned = self.returned.first_key_value().map(|(arrival, _)| *arrival);
        match self.runs.front_mut() {
            Some(run) if returned.is_none_or(|returned| run.arrival < returned) => {
                run.tasks = TaskRange {
                    first: TaskId(run.tasks.first.0 + u64::from(count)),
                    count: run.tasks.count - count,
                };
                run.arrival = run.arrival.after(u64::from(count));
                if run.tasks.count == 0 {
                    self.runs.pop_front();
                }
            }
            _ => {
                self.returned.pop_first();
            }
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
        let arrivals = self.runs.iter().map(|run| run.arrival);
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

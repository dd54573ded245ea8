//! Tasks that left a lane from its middle: which of the places still there belong to nobody.

use std::collections::BTreeMap;

use crate::id::{TaskId, TaskRange};
use crate::queue::Arrival;

/// For ranges of tasks, the arrival before which every place of theirs is dead. A task that left and came
/// again has its dead place before that arrival and its living one behind.
#[derive(Debug, Default)]
pub(super) struct Removed(BTreeMap<TaskId, (TaskId, Arrival)>);

impl Removed {
    /// Every place that these tasks have before `horizon` is dead.
    pub(super) fn insert(&mut self, tasks: TaskRange, horizon: Arrival) {
        self.split(tasks.first);
        self.split(tasks.end());
        let within: Vec<_> = self.0.range(tasks.first..tasks.end()).map(|(first, _)| *first).collect();
        for first in within {
            self.0.remove(&first);
        }
        self.0.insert(tasks.first, (tasks.end(), horizon));
    }

    /// Of these places, which start at `arrival`: how many are dead from the first on.
    pub(super) fn dead(&self, tasks: TaskRange, arrival: Arrival) -> u32 {
        let Some((_, (end, horizon))) = self.0.range(..=tasks.first).next_back() else { return 0 };
        let removed = end.0.saturating_sub(tasks.first.0);
        let before_horizon = horizon.0.saturating_sub(arrival.0);
        at_most(removed.min(before_horizon), tasks.count)
    }

    /// Of these places, the first of which is alive: how many are so from there on.
    pub(super) fn living(&self, tasks: TaskRange, arrival: Arrival) -> u32 {
        let behind = self.0.range(TaskId(tasks.first.0 + 1)..tasks.end());
        let mut dead = behind.map(|(first, (_, horizon))| (first.0 - tasks.first.0, *horizon));
        let next = dead.find(|(place, horizon)| arrival.after(*place) < *horizon);
        next.map_or(tasks.count, |(place, _)| at_most(place, tasks.count))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Makes `at` a border between ranges.
    fn split(&mut self, at: TaskId) {
        if let Some((first, (end, horizon))) =
            self.0.range(..at).next_back().map(|(first, rest)| (*first, *rest))
            && at < end
        {
            self.0.insert(first, (at, horizon));
            self.0.insert(at, (end, horizon));
        }
    }
}

fn at_most(count: u64, limit: u32) -> u32 {
    u32::try_from(count).unwrap_or(limit).min(limit)
}

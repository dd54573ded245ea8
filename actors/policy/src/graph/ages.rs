//! Since when tasks are ready and lines were served, from the records: so that what has waited goes on waiting after a
//! restart, and does not begin anew (`ageing`).
//!
//! Kept while records are read, and nothing for a task that was granted since.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::graph::effects::Ready;
use crate::id::{TaskId, TaskRange};
use crate::placement::ShapeId;
use crate::reserve::LineId;
use crate::task::Priority;
use crate::time::Timestamp;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Ages {
    /// By the first of tasks that became ready together: how many, and when.
    ready: BTreeMap<TaskId, (u32, Timestamp)>,
    /// When each line was served last.
    served: FxHashMap<LineId, Timestamp>,
}

impl Ages {
    /// These became ready then.
    pub(super) fn became_ready(&mut self, tasks: TaskRange, at: Timestamp) {
        self.forget(tasks);
        if let Some((first, (count, since))) = self.ready.range_mut(..tasks.first).next_back()
            && *since == at
            && TaskId(first.0 + u64::from(*count)) == tasks.first
            && let Some(sum) = count.checked_add(tasks.count)
        {
            *count = sum;
            return;
        }
        self.ready.insert(tasks.first, (tasks.count, at));
    }

    /// One of a line was granted an attempt then.
    pub(super) fn granted(&mut self, task: TaskId, (priority, shape): (Priority, ShapeId), at: Timestamp) {
        self.forget(task.into());
        self.served.insert(LineId { priority, shape }, at);
    }

    /// Cuts tasks out.
    fn forget(&mut self, tasks: TaskRange) {
        while let Some((first, (count, since))) = self.overlapping(tasks) {
            self.ready.remove(&first);
            let end = first.0 + u64::from(count);
            let before = tasks.first.0.saturating_sub(first.0);
            if let Some(before) = u32::try_from(before).ok().filter(|before| *before > 0) {
                self.ready.insert(first, (before, since));
            }
            let behind = end.saturating_sub(tasks.end().0);
            if let Some(behind) = u32::try_from(behind).ok().filter(|behind| *behind > 0) {
                self.ready.insert(tasks.end(), (behind, since));
            }
        }
    }

    fn overlapping(&self, tasks: TaskRange) -> Option<(TaskId, (u32, Timestamp))> {
        let (first, run) = self.ready.range(..tasks.end()).next_back()?;
        (first.0 + u64::from(run.0) > tasks.first.0).then_some((*first, *run))
    }

    /// What is ready, in parts that are so since one moment, the longest first. Of what nothing is known is so since
    /// `now`.
    #[must_use]
    pub fn in_order(&self, ready: &[Ready], now: Timestamp) -> Vec<(Timestamp, Ready)> {
        let mut parts = Vec::new();
        for stretch in ready {
            let mut first = stretch.tasks.first;
            while first < stretch.tasks.end() {
                let left = TaskRange { first, count: count(first, stretch.tasks.end()) };
                let (tasks, since) = self.front(left, now);
                parts.push((since, Ready { tasks, ..*stretch }));
                first = tasks.end();
            }
        }
        parts.sort_by_key(|(since, _)| *since);
        parts
    }

    /// The first of these tasks that are ready since one moment.
    fn front(&self, tasks: TaskRange, now: Timestamp) -> (TaskRange, Timestamp) {
        let first = tasks.first;
        let known = self.ready.range(..=first).next_back();
        let known = known.map(|(start, (count, since))| (start.0 + u64::from(*count), *since));
        let (end, since) = known.filter(|(end, _)| *end > first.0).unwrap_or_else(|| {
            let next = self.ready.range(first..).next().map_or(u64::MAX, |(next, _)| next.0);
            (next, now)
        });
        let end = TaskId(end).min(tasks.end());
        (TaskRange { first, count: count(first, end) }, since)
    }

    /// When each line was served last, in the order of the lines.
    #[must_use]
    pub fn served(&self) -> Vec<(LineId, Timestamp)> {
        let mut served: Vec<_> = self.served.iter().map(|(line, at)| (*line, *at)).collect();
        served.sort_unstable();
        served
    }
}

fn count(first: TaskId, end: TaskId) -> u32 {
    u32::try_from(end.0.saturating_sub(first.0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(first: u64, count: u32) -> TaskRange {
        TaskRange { first: TaskId(first), count }
    }

    fn stretch(first: u64, count: u32) -> Ready {
        Ready { tasks: range(first, count), priority: Priority::Normal, shape: ShapeId(1) }
    }

    #[test]
    fn what_is_ready_is_told_in_the_order_in_which_it_became_so() {
        let mut ages = Ages::default();
        ages.became_ready(range(10, 5), Timestamp(70));
        ages.became_ready(range(20, 2), Timestamp(30));
        ages.granted(TaskId(11), (Priority::Normal, ShapeId(1)), Timestamp(80));
        let order = ages.in_order(&[stretch(10, 1), stretch(12, 3), stretch(20, 3)], Timestamp(99));
        let order: Vec<_> =
            order.iter().map(|(since, one)| (since.0, one.tasks.first.0, one.tasks.count)).collect();
        assert_eq!(order, [(30, 20, 2), (70, 10, 1), (70, 12, 3), (99, 22, 1)]);
        let line = LineId { priority: Priority::Normal, shape: ShapeId(1) };
        assert_eq!(ages.served(), [(line, Timestamp(80))]);
    }

    #[test]
    fn an_array_that_became_ready_at_once_is_one_entry() {
        let mut ages = Ages::default();
        for first in 0..1000 {
            ages.became_ready(range(first * 7, 7), Timestamp(5));
        }
        assert_eq!(ages.ready.len(), 1);
    }

    proptest! {
        #[test]
        fn every_task_is_ready_since_it_last_became_so(
            inputs in prop::collection::vec((0_u64..60, 1_u32..10, prop::bool::ANY), 0..60),
        ) {
            let (mut ages, mut model) = (Ages::default(), BTreeMap::new());
            for (at, (first, count, is_grant)) in (1..).zip(inputs) {
                if is_grant {
                    ages.granted(TaskId(first), (Priority::Low, ShapeId(0)), Timestamp(at));
                    model.remove(&first);
                } else {
                    ages.became_ready(range(first, count), Timestamp(at));
                    model.extend((first..first + u64::from(count)).map(|task| (task, at)));
                }
            }
            let parts = ages.in_order(&[stretch(0, 80)], Timestamp(1000));
            prop_assert!(parts.is_sorted_by_key(|(since, _)| *since));
            let mut told: Vec<_> = parts
                .iter()
                .flat_map(|(since, one)| one.tasks.iter().map(|task| (task.0, since.0)))
                .collect();
            told.sort_unstable();
            let expected: Vec<_> =
                (0..80).map(|task| (task, model.get(&task).copied().unwrap_or(1000))).collect();
            prop_assert_eq!(told, expected);
        }
    }
}

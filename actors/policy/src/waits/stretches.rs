//! Tasks by stretches of neighbours of which the same is known, and when something is due for each.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{TaskId, TaskRange};

/// What is known of a stretch.
pub(super) trait Due: Copy {
    /// A point in time.
    type At: Ord + Copy;

    /// When something is due.
    fn due(&self) -> Option<Self::At>;
}

/// See the module's documentation. No two stretches overlap.
#[derive(Debug)]
pub(super) struct Stretches<T: Due> {
    known: BTreeMap<TaskId, (u32, T)>,
    due: BTreeSet<(T::At, TaskId)>,
}

impl<T: Due> Default for Stretches<T> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), due: BTreeSet::new() }
    }
}

impl<T: Due> Stretches<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// This is known of these tasks from now on, whatever was before.
    pub(super) fn put(&mut self, tasks: TaskRange, known: T) {
        self.cut(tasks);
        self.add(tasks, known);
    }

    /// Adds to the stretch just before where `is_alike`; `false` where there is none.
    pub(super) fn join(&mut self, tasks: TaskRange, is_alike: impl Fn(&T) -> bool) -> bool {
        match self.known.range_mut(..tasks.first).next_back() {
            Some((first, (count, known)))
                if is_alike(known) && first.0 + u64::from(*count) == tasks.first.0 =>
            {
                *count += tasks.count;
                true
            }
            _ => false,
        }
    }

    /// Nothing is known of these tasks any more.
    pub(super) fn cut(&mut self, tasks: TaskRange) {
        for (part, known) in self.parts(tasks) {
            let Some(whole) = self.stretch_of(part.first) else { continue };
            self.take(whole.first);
            let before = u32::try_from(part.first.0 - whole.first.0).unwrap_or(0);
            let after = whole.count - before - part.count;
            for (first, count) in [(whole.first, before), (part.end(), after)] {
                if count > 0 {
                    self.add(TaskRange { first, count }, known);
                }
            }
        }
    }

    /// What is known of parts of `tasks`.
    pub(super) fn parts(&self, tasks: TaskRange) -> Vec<(TaskRange, T)> {
        let before = self.known.range(..tasks.first).next_back();
        let inside = self.known.range(tasks.first..tasks.end());
        let parts = before.into_iter().chain(inside).filter_map(|(first, (count, known))| {
            let end = (first.0 + u64::from(*count)).min(tasks.end().0);
            let first = (*first).max(tasks.first);
            let count = u32::try_from(end.checked_sub(first.0)?).ok().filter(|count| *count > 0)?;
            Some((TaskRange { first, count }, *known))
        });
        parts.collect()
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Option<T::At> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The first stretch that is due, of which that is told once.
    pub(super) fn pop(&mut self, now: T::At) -> Option<(TaskRange, T)> {
        let (at, first) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
        self.due.remove(&(at, first));
        self.known.get(&first).map(|(count, known)| (TaskRange { first, count: *count }, *known))
    }

    /// Every stretch.
    pub(super) fn all(&self) -> impl Iterator<Item = TaskRange> {
        self.known.iter().map(|(first, (count, _))| TaskRange { first: *first, count: *count })
    }

    fn stretch_of(&self, task: TaskId) -> Option<TaskRange> {
        let (first, (count, _)) = self.known.range(..=task).next_back()?;
        Some(TaskRange { first: *first, count: *count })
    }

    fn take(&mut self, first: TaskId) {
        if let Some(at) = self.known.remove(&first).and_then(|(_, known)| known.due()) {
            self.due.remove(&(at, first));
        }
    }

    fn add(&mut self, tasks: TaskRange, known: T) {
        self.known.insert(tasks.first, (tasks.count, known));
        self.due.extend(known.due().map(|at| (at, tasks.first)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Due for u64 {
        type At = u64;

        fn due(&self) -> Option<u64> {
            Some(*self)
        }
    }

    fn range((first, count): (u64, u32)) -> TaskRange {
        TaskRange { first: TaskId(first), count }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put((u64, u32), u64),
        Cut((u64, u32)),
        Pop(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let range = || (0..40_u64, 1..12_u32);
        prop::collection::vec(
            prop_oneof![
                (range(), 0..20_u64).prop_map(|(range, at)| Step::Put(range, at)),
                range().prop_map(Step::Cut),
                (0..20_u64).prop_map(Step::Pop),
            ],
            0..40,
        )
    }

    proptest! {
        #[test]
        fn stretches_are_as_if_each_task_were_kept_alone(steps in steps()) {
            let (mut stretches, mut model) = (Stretches::default(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Put(tasks, at) => {
                        stretches.put(range(tasks), at);
                        model.extend(range(tasks).iter().map(|task| (task, at)));
                    }
                    Step::Cut(tasks) => {
                        stretches.cut(range(tasks));
                        model.retain(|task, _| !range(tasks).contains(*task));
                    }
                    Step::Pop(now) => while let Some((tasks, at)) = stretches.pop(now) {
                        prop_assert!(at <= now);
                        prop_assert!(tasks.iter().all(|task| model.get(&task) == Some(&at)));
                        stretches.cut(tasks);
                        model.retain(|task, _| !tasks.contains(*task));
                    },
                }
                let all = stretches.parts(range((0, 100)));
                let told: BTreeMap<_, _> =
                    all.iter().flat_map(|(tasks, at)| tasks.iter().map(|task| (task, *at))).collect();
                prop_assert_eq!(&told, &model);
                prop_assert_eq!(stretches.next(), model.values().min().copied());
            }
        }
    }
}

//! Which ready tasks were told that no node can ever run them, and why: so that each is told once for each
//! reason, and told again when it is no longer so.
//!
//! Knows nothing of nodes: who decides whether there is one is asked by its caller.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::LogPosition;
use crate::id::{GraphId, TaskId, TaskRange};

/// What was told and still holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stranded {
    /// By first task; they do not overlap.
    told: BTreeMap<TaskId, Told>,
}

/// Tasks of one graph that were told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Their graph.
    pub graph: GraphId,
    /// Which.
    pub tasks: TaskRange,
    /// Why no node runs them.
    pub reason: Arc<str>,
    /// Where the record that says so starts in the log.
    pub position: LogPosition,
}

/// Ready tasks that no node can run as things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Which.
    pub tasks: TaskRange,
    /// Why; `None` where that has just changed and may change again at once, as when nodes restart.
    pub reason: Option<Arc<str>>,
}

/// What has to be said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Tasks that are to be told, with the reason.
    pub tell: Vec<(TaskRange, Arc<str>)>,
    /// What was told and is not so any more.
    pub take_back: Vec<(GraphId, TaskRange)>,
}

impl Stranded {
    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// What a task was told.
    #[must_use]
    pub fn of(&self, task: TaskId) -> Option<&Told> {
        self.told.range(..=task).next_back().map(|(_, told)| told).filter(|told| told.tasks.contains(task))
    }

    /// How many of these tasks were told.
    #[must_use]
    pub fn count(&self, tasks: TaskRange) -> u64 {
        let within = self.told.range(tasks.first..tasks.end());
        within.map(|(_, told)| u64::from(told.tasks.count)).sum()
    }

    /// The record is written.
    pub fn tell(&mut self, told: Told) {
        self.drop_overlapping(told.tasks);
        self.told.insert(told.tasks.first, told);
    }

    /// They can be run after all, or need not be.
    pub fn take_back(&mut self, tasks: TaskRange) {
        self.drop_overlapping(tasks);
    }

    /// Keeps only what is still of use.
    pub fn retain(&mut self, mut keeps: impl FnMut(TaskRange) -> bool) {
        self.told.retain(|_, told| keeps(told.tasks));
    }

    /// What has to be said, at most `limit` new things, given all that is stuck. What was told and is
    /// neither stuck nor ready any more is forgotten without a word.
    pub fn changes(
        &mut self,
        stuck: &[Stuck],
        limit: usize,
        is_ready: impl Fn(TaskRange) -> bool,
    ) -> Changes {
        let (mut changes, mut held) = (Changes::default(), Vec::new());
        for Stuck { tasks, reason } in stuck {
            held.extend(self.overlapping(*tasks));
            let known = self.of(tasks.first).filter(|told| tasks.end() <= told.tasks.end());
            match reason {
                Some(reason) if known.is_none_or(|told| told.reason != *reason) => {
                    if changes.tell.len() < limit {
                        changes.tell.push((*tasks, Arc::clone(reason)));
                    }
                }
                Some(_) | None => {}
            }
        }
        held.sort_unstable();
        let over = |told: &Told| held.binary_search(&told.tasks.first).is_err();
        let taken_back = self.told.values().filter(|told| over(told) && is_ready(told.tasks));
        changes.take_back = taken_back.map(|told| (told.graph, told.tasks)).collect();
        self.told.retain(|first, _| held.binary_search(first).is_ok());
        changes
    }

    fn overlapping(&self, tasks: TaskRange) -> impl Iterator<Item = TaskId> {
        let from = self.of(tasks.first).map_or(tasks.first, |told| told.tasks.first);
        self.told.range(from..tasks.end()).map(|(first, _)| *first)
    }

    fn drop_overlapping(&mut self, tasks: TaskRange) {
        let overlapping: Vec<_> = self.overlapping(tasks).collect();
        for first in overlapping {
            self.told.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, count: u32) -> TaskRange {
        TaskRange { first: TaskId(first), count }
    }

    fn stuck(first: u64, count: u32, reason: Option<&str>) -> Stuck {
        Stuck { tasks: range(first, count), reason: reason.map(Into::into) }
    }

    /// Asks what has to be said, and says it.
    fn survey(stranded: &mut Stranded, stuck: &[Stuck], is_ready: bool) -> Changes {
        let changes = stranded.changes(stuck, 100, |_| is_ready);
        for (tasks, reason) in &changes.tell {
            let (graph, reason) = (GraphId(1), Arc::clone(reason));
            stranded.tell(Told { graph, tasks: *tasks, reason, position: 0 });
        }
        changes
    }

    #[test]
    fn each_reason_is_told_once() {
        let mut stranded = Stranded::default();
        let first = survey(&mut stranded, &[stuck(1, 10, Some("a")), stuck(20, 1, Some("b"))], true);
        assert_eq!(first.tell, [(range(1, 10), "a".into()), (range(20, 1), "b".into())]);
        let again = [stuck(1, 3, Some("a")), stuck(5, 6, Some("a")), stuck(20, 1, None)];
        assert_eq!(survey(&mut stranded, &again, true), Changes::default(), "one was cancelled meanwhile");
        assert_eq!(stranded.of(TaskId(10)).map(|told| &*told.reason), Some("a"));
        assert_eq!(stranded.of(TaskId(11)), None);
        assert_eq!(stranded.count(range(1, 30)), 11);
        let other = survey(&mut stranded, &[stuck(1, 10, Some("c")), stuck(20, 1, Some("b"))], true);
        assert_eq!(other.tell, [(range(1, 10), "c".into())]);
        assert_eq!(stranded.of(TaskId(5)).map(|told| &*told.reason), Some("c"));
    }

    #[test]
    fn what_a_node_can_run_again_is_told_so_and_what_has_ended_is_not() {
        for is_ready in [true, false] {
            let mut stranded = Stranded::default();
            survey(&mut stranded, &[stuck(1, 10, Some("a"))], true);
            let after = survey(&mut stranded, &[], is_ready);
            assert_eq!(after.take_back.len(), usize::from(is_ready));
            assert!(stranded.is_empty());
            assert_eq!(survey(&mut stranded, &[stuck(1, 10, Some("a"))], true).tell.len(), 1);
        }
    }

    #[test]
    fn what_is_too_much_at_once_is_told_later() {
        let mut stranded = Stranded::default();
        let all: Vec<_> = (0..5).map(|place| stuck(1 + 2 * place, 1, Some("a"))).collect();
        let told = stranded.changes(&all, 2, |_| true).tell;
        assert_eq!(told.len(), 2);
        for (tasks, reason) in told {
            stranded.tell(Told { graph: GraphId(1), tasks, reason, position: 0 });
        }
        assert_eq!(stranded.changes(&all, 9, |_| true).tell.len(), 3);
    }
}

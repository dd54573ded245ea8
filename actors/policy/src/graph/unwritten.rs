//! Records that tasks still need because something happened to others: ends by consequence, and returns from them.
//!
//! They are written in slices, and the table goes on meanwhile: a task that is to be ended can be brought back before that was
//! written, and one that is brought back be ended again. So there is one order for both, an end that does not hold any more is
//! left out, and all that is due of a task can be written at once where somebody waits for it. Whoever writes has the table hear
//! of the record before anything else happens. Must not know how a record is written.

use std::collections::VecDeque;

use crate::graph::Graphs;
use crate::graph::effects::ClosedBy;
use crate::graph::state::TaskState;
use crate::id::{TaskId, TaskRange};

/// What is to be recorded of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Its end.
    End(ClosedBy),
    /// That it waits again, behind a recorded end.
    Again,
}

impl Graphs {
    /// Whether this is still to be written of a task: an end that was taken back needs no record, and who has ended by a record
    /// of its own since then no other.
    #[must_use]
    pub fn is_due(&self, task: TaskId, due: Due) -> bool {
        let Some((graph, offset)) = self.find(task) else { return false };
        let state = graph.state_of(graph.item_of(offset), offset);
        let holds = match due {
            Due::End(by) => TaskState::from(&by.outcome()) == state,
            Due::Again => true,
        };
        holds && !graph.pages.get(offset).recorded
    }
}

/// See the module. It holds no more ranges than there have been changes of items, and each is gone soon.
#[derive(Debug, Default)]
pub struct Unwritten(VecDeque<(TaskRange, Due)>);

impl Unwritten {
    /// The ends of these tasks are due, behind all that is so already.
    pub fn end(&mut self, tasks: TaskRange, by: ClosedBy) {
        self.push(tasks, Due::End(by));
    }

    /// These tasks have come back from recorded ends, in one change. What is due of them still is that of an end before, or of
    /// none.
    pub fn again(&mut self, mut revived: Vec<TaskRange>) {
        if revived.is_empty() {
            return;
        }
        revived.sort_unstable_by_key(|tasks| tasks.first);
        let _ = self.take_out(&revived);
        revived.into_iter().for_each(|tasks| self.push(tasks, Due::Again));
    }

    /// Behind the others, with its neighbours where the same is due of them: single tasks come one by one.
    fn push(&mut self, tasks: TaskRange, due: Due) {
        match self.0.back_mut() {
            Some((last, same)) if *same == due && last.end() == tasks.first => last.count += tasks.count,
            _ => self.0.push_back((tasks, due)),
        }
    }

    /// Whether nothing is due.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many tasks return, and how many end.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        self.0.iter().fold((0, 0), |(again, ends), (tasks, due)| match due {
            Due::Again => (again + u64::from(tasks.count), ends),
            Due::End(_) => (again, ends + u64::from(tasks.count)),
        })
    }

    /// The next that are due, at most so many tasks (from 1); they are not due any more.
    pub fn next(&mut self, most: u32) -> Option<(TaskRange, Due)> {
        let (tasks, due) = self.0.front_mut()?;
        let next = (tasks.take(most), *due);
        if tasks.count == 0 {
            self.0.pop_front();
        }
        Some(next)
    }

    /// All that is due of one task, in order; it is not due any more.
    pub fn of(&mut self, task: TaskId) -> Vec<Due> {
        self.take_out(&[task.into()])
    }

    /// Takes out what is due of these tasks, which are in order: of what kind it was, in order.
    fn take_out(&mut self, out: &[TaskRange]) -> Vec<Due> {
        // Those of them that can overlap begin here.
        let from = |tasks: &TaskRange| &out[out.partition_point(|one| one.end() <= tasks.first)..];
        let overlaps = |tasks: &TaskRange| from(tasks).first().is_some_and(|one| one.first < tasks.end());
        if !self.0.iter().any(|(tasks, _)| overlaps(tasks)) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (tasks, due) in std::mem::take(&mut self.0) {
            let mut first = tasks.first;
            for one in from(&tasks).iter().take_while(|one| one.first < tasks.end()) {
                found.push(due);
                self.0.extend(between(first, one.first).map(|part| (part, due)));
                first = one.end();
            }
            self.0.extend(between(first, tasks.end()).map(|part| (part, due)));
        }
        found
    }
}

/// The tasks from one to before another; none where there are none.
fn between(first: TaskId, end: TaskId) -> Option<TaskRange> {
    let count = u32::try_from(end.0.checked_sub(first.0)?).ok()?;
    (count > 0).then_some(TaskRange { first, count })
}

#[cfg(test)]
mod tests;

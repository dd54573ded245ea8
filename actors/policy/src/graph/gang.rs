//! What follows for the others of a gang when one of its members ends, is cancelled or is tried again.
//!
//! Whoever is active goes on until it is stopped, which is not decided here (`crate::gang`): it ends when it comes back.

use crate::graph::Graphs;
use crate::graph::effects::{Closed, ClosedBy};
use crate::graph::item::Rest;
use crate::graph::state::TaskState;
use crate::graph::table::{Graph, Out};
use crate::id::TaskId;

impl Graphs {
    /// The members of a task's gang and how they stand, by rank; none where it is in no gang.
    #[must_use]
    pub fn gang(&self, task: TaskId) -> Vec<(TaskId, TaskState)> {
        let Some((graph, offset)) = self.find(task) else { return Vec::new() };
        let number = graph.item_of(offset);
        let item = &graph.items[number];
        let members = if item.is_gang { item.offsets() } else { 0..0 };
        members.map(|one| (graph.task(one), graph.state_of(number, one))).collect()
    }
}

impl Graph {
    /// The others of a member's gang; none where it is in none.
    pub(super) fn others_of_gang(&self, number: usize, offset: u32) -> impl Iterator<Item = u32> + use<> {
        let item = &self.items[number];
        let offsets = if item.is_gang { item.offsets() } else { 0..0 };
        offsets.filter(move |other| *other != offset)
    }

    /// A task is the first of its item to end badly: of a gang those that have not begun follow it.
    pub(super) fn end_gang(&mut self, number: usize, (offset, to): (u32, TaskState), out: &mut Out<'_>) {
        let by = match to {
            TaskState::Cancelled => ClosedBy::Cancel,
            _ => ClosedBy::Skip(self.task(offset)),
        };
        for other in self.others_of_gang(number, offset) {
            match self.state_of(number, other) {
                TaskState::Active if by == ClosedBy::Cancel => {
                    let _ = self.cancel_alone(other, out);
                }
                TaskState::Active => {}
                was if was.is_ended() => {}
                was => self.close_alone((number, other), (by, was), out),
            }
        }
    }

    /// One that comes back to a gang which has ended badly ends as well. Whether it did.
    pub(super) fn follows_its_gang(
        &mut self,
        (number, offset): (usize, u32),
        was: TaskState,
        out: &mut Out<'_>,
    ) -> bool {
        let item = &self.items[number];
        if !item.is_gang || item.bad == 0 {
            return false;
        }
        let by = ClosedBy::Skip(self.task(item.cause));
        self.close_alone((number, offset), (by, was), out);
        true
    }

    fn close_alone(
        &mut self,
        (number, offset): (usize, u32),
        (by, was): (ClosedBy, TaskState),
        out: &mut Out<'_>,
    ) {
        let (tasks, item) = (self.range(offset, 1), &self.items[number]);
        let (priority, shape) = (self.queue_of(number), item.shape);
        out.effects.push_closed(Closed { tasks, by, was, priority, shape });
        let to = if by == ClosedBy::Cancel { TaskState::Cancelled } else { TaskState::Skipped };
        self.set(offset, to, false, out);
    }

    /// Whether members have not ended of a gang of which one has ended badly, or have no record of their end.
    pub(super) fn is_gang_ending(&self, number: usize) -> bool {
        let item = &self.items[number];
        item.is_gang && item.bad > 0 && (item.out > 0 || item.unrecorded > 0)
    }

    /// Whether a member of a gang has ended badly by itself: nothing that happens elsewhere brings the others back.
    pub(super) fn has_failed_as_gang(&self, number: usize) -> bool {
        let item = &self.items[number];
        let by_itself =
            |offset: u32| matches!(self.state_of(number, offset), TaskState::Failed | TaskState::Cancelled);
        item.is_gang && item.offsets().any(by_itself)
    }

    /// All members that have not succeeded are tried again, each by itself.
    pub(super) fn open_gang(&mut self, offset: u32) {
        let number = self.item_of(offset);
        let item = &mut self.items[number];
        if item.is_gang {
            item.rest = Rest::Open;
        }
    }

    /// A member is tried again, and so are all that have not succeeded.
    pub(super) fn revive_gang(&mut self, offset: u32, out: &mut Out<'_>) {
        let number = self.item_of(offset);
        for other in self.others_of_gang(number, offset) {
            if self.state_of(number, other).is_bad() {
                if self.pages.get(other).recorded {
                    out.effects.revived.push(self.range(other, 1));
                }
                self.set(other, TaskState::Waiting, false, out);
            }
        }
    }
}

#[cfg(test)]
mod tests;

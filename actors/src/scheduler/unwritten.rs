//! Records of tasks that nobody holds: they are woken to write one, and the table hears of it before anything else happens.

use policy::graph::{ClosedBy, Due};
use policy::id::TaskId;

use crate::scheduler::SchedulerActor;
use crate::task::Purpose;

/// Tasks of a long work that are handled in one go: about a millisecond, which others may have to wait.
const SLICE: u32 = 128;

impl SchedulerActor {
    /// The next slice of the records that are still to be written.
    pub(super) fn go_on(&mut self) {
        self.continuing = false;
        let mut left = SLICE;
        while left > 0
            && let Some((tasks, due)) = self.unwritten.next(left)
        {
            left -= tasks.count;
            tasks.iter().for_each(|task| self.write_due(task, due));
        }
        while left > 0 && self.lateness.has_more() {
            left = left.saturating_sub(self.end_late(left).max(1));
        }
    }

    /// All that is still to be written of one task, here and now.
    pub(super) fn write_all_of(&mut self, task: TaskId) {
        for due in self.unwritten.of(task) {
            self.write_due(task, due);
        }
    }

    fn write_due(&mut self, task: TaskId, due: Due) {
        if !self.graphs.is_due(task, due) {
            return;
        }
        let purpose = match due {
            Due::Again => Purpose::Retry,
            Due::End(ClosedBy::Skip(because)) => Purpose::Skip(because),
            Due::End(ClosedBy::Cancel) => Purpose::Cancel,
            Due::End(ClosedBy::Late(overrun)) => Purpose::Late(overrun),
        };
        self.record(task, purpose);
    }

    /// Has a task that nobody holds write something, and hears of it before anything else happens.
    pub(super) fn record(&mut self, task: TaskId, purpose: Purpose) {
        let Some(seat) = self.seat(task) else { return };
        for (step, mark) in self.side.wake_to_write(seat, purpose) {
            self.stepped(task, step, mark);
        }
    }
}

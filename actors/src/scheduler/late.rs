//! What waits beyond its time: for a machine longer than its `queue_timeout`, or for anything past its deadline.
//!
//! What runs is ended by its host. What waits is taken out of its queue and ends as a failure that says which limit it
//! was; what depends on it follows. A stretch of many tasks is gone through in slices.

use std::collections::VecDeque;
use std::time::Duration;

use policy::graph::{Effects, Ready};
use policy::id::{TaskId, TaskRange};
use policy::time::{Moment, Timestamp};
use policy::waits::{Late, Waits};
use supervision::Me;

use crate::scheduler::{SchedulerActor, SchedulerMessage, TIMER_RESOLUTION, no_effects};

/// The wall clock may be set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How long tasks may wait, and who has waited too long.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    pub(super) waits: Waits,
    /// When the timer for the next is due.
    armed: Option<Moment>,
    /// Those that are to end.
    late: VecDeque<Late>,
}

impl Lateness {
    pub(super) fn after(waits: Waits) -> Self {
        Self { waits, ..Self::default() }
    }

    /// Whether there is something to end.
    pub(super) fn has_more(&self) -> bool {
        !self.late.is_empty()
    }
}

impl SchedulerActor {
    fn times(&self) -> (Moment, Timestamp) {
        (self.now(), self.side.clock.wall())
    }

    /// Takes note of who is ready to start from now on, and who is no more.
    pub(super) fn note_waits(&mut self, effects: &Effects) {
        if self.lateness.waits.is_empty() {
            return;
        }
        let times = self.times();
        effects.withdrawn.iter().for_each(|ready| self.lateness.waits.gone(ready.tasks));
        effects.closed.iter().for_each(|closed| self.lateness.waits.gone(closed.tasks));
        for Ready { tasks, .. } in &effects.ready {
            self.lateness.late.extend(self.lateness.waits.ready(*tasks, times));
        }
    }

    /// A task waits for its next attempt: it ends instead where there is no time left.
    pub(super) fn mind_deadline(&mut self, task: TaskId) {
        if let Some(overrun) = self.lateness.waits.past_deadline(task, self.side.clock.wall()) {
            self.lateness.late.push_back(Late { tasks: TaskRange { first: task, count: 1 }, overrun });
        }
    }

    pub(super) fn waits_due(&mut self) {
        self.lateness.armed = None;
        let times = self.times();
        while let Some(late) = self.lateness.waits.overdue(times) {
            self.lateness.late.push_back(late);
        }
    }

    /// Ends at most so many of those that are late; gives back how many it looked at.
    pub(super) fn end_late(&mut self, most: u32) -> u32 {
        let Some(late) = self.lateness.late.front_mut() else { return 0 };
        let (overrun, tasks) = (late.overrun, late.tasks.take(most));
        if late.tasks.count == 0 {
            self.lateness.late.pop_front();
        }
        let at = self.side.clock.wall();
        for task in tasks.iter() {
            let mut effects = no_effects();
            if self.graphs.late(task, overrun, at, &mut effects) {
                tracing::info!(%task, %overrun, "a task has waited beyond its time");
            }
            self.carry_out(effects);
        }
        tasks.count
    }

    pub(super) fn arm_waits(&mut self, me: &Me<SchedulerMessage>) {
        // After every message: nothing is looked up where no task says anything of time.
        if self.lateness.waits.is_empty() {
            return;
        }
        let (now, wall) = self.times();
        let Some(wait) = self.lateness.waits.next((now, wall)) else { return };
        let wait = wait.clamp(TIMER_RESOLUTION, LOOK_AGAIN);
        if self.lateness.armed.is_none_or(|armed| armed > now + wait) {
            self.lateness.armed = Some(now + wait);
            me.after(wait, SchedulerMessage::WaitsDue);
        }
    }
}

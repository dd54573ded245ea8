//! For what tasks stand in their queues: looks at each line now and then, by the gates that decide, and tells whoever starts.
//!
//! Between rounds, when all is placed that could be: what is left waits for a reason.

use std::time::Duration;

use policy::causes::{Cause, Waited};
use policy::claims::Blocked;
use policy::hindrance::Hindrance;
use policy::placement::ShapeId;
use policy::queue::Taken;
use policy::reserve::LineId;
use policy::task::Priority;
use policy::time::Moment;

use crate::scheduler::SchedulerActor;
use crate::scheduler::dispatch::PRIORITIES;

/// How many beats a look holds: something waits, so there is one with each of them.
const BEATS: u32 = 3;
/// And so much more, for a scheduler that is busy.
const SPARE: Duration = Duration::from_secs(1);

impl SchedulerActor {
    /// Looks at all lines where that is due.
    pub(super) fn look_at_causes(&mut self) {
        if !self.dispatch.has_queued() {
            return;
        }
        let now = self.now();
        if !self.dispatch.causes.is_due(self.dispatch.queued.len(), now) {
            return;
        }
        let roomy: Vec<ShapeId> =
            self.dispatch.fitting(&self.shapes).into_iter().map(|(shape, _)| shape).collect();
        let may_start = self.startable(1) > 0;
        let mut lines = Vec::with_capacity(self.dispatch.queued.len());
        for (shape, counts) in &self.dispatch.queued {
            for priority in PRIORITIES.into_iter().filter(|priority| counts[*priority as usize] > 0) {
                let cause = match may_start {
                    true => self.cause(priority, *shape, roomy.binary_search(shape).is_ok()),
                    false => Some(Cause::Held),
                };
                lines.push((LineId { priority, shape: *shape }, cause));
            }
        }
        let holds = self.look_holds();
        self.dispatch.causes.look(lines.into_iter(), holds, now);
    }

    fn look_holds(&self) -> Duration {
        self.side.limits().scheduling.ageing.tick * BEATS + SPARE
    }

    /// What stands in the way of the first of a line: the same gates as when it is explained.
    fn cause(&self, priority: Priority, shape: ShapeId, has_room: bool) -> Option<Cause> {
        let demand = self.shapes.demand(shape)?;
        if self.stopped(priority, shape).is_some() || !self.tenant_may_start(demand) {
            return Some(Cause::Held);
        }
        match self.claim_in_the_way(shape, demand) {
            Some(Hindrance::Claim { blocked: Blocked::Rate { .. } | Blocked::Parked { .. }, .. }) => {
                Some(Cause::Rate)
            }
            Some(_) => Some(Cause::Lock),
            None => (!has_room).then_some(Cause::Resources),
        }
    }

    /// For what a task has waited that is sent to a node now. One that made room stands in its old place, as if it had not
    /// run: of its wait nothing is known.
    pub(in crate::scheduler) fn waited_for(
        &self,
        priority: Priority,
        taken: &Taken,
        waited: Duration,
        now: Moment,
    ) -> Waited {
        if self.was_evicted(taken.task).is_some() {
            return Waited::new();
        }
        let line = LineId { priority, shape: taken.shape };
        self.dispatch.causes.waited(line, waited, self.look_holds(), now)
    }
}

//! What the scheduler holds, for an operator who looks.

use supervision::Fact;

use crate::scheduler::SchedulerActor;
use crate::wire::client::TaskCounts;

impl SchedulerActor {
    pub(super) fn facts(&self) -> Vec<Fact> {
        let counts = TaskCounts::from(&self.graphs.counts_of_all());
        let [low, normal, high, critical] = self.dispatch.queued_by_priority();
        vec![
            Fact::new("graphs", self.graphs.len()),
            Fact::new("tasks that have not ended", counts.unended()),
            Fact::new("tasks that have ended", counts.ended()),
            Fact::new("table", crate::say::size(self.graphs.bytes() as u64)),
            Fact::new("queued", format!("{critical} critical, {high} high, {normal} normal, {low} low")),
            Fact::new("placed on nodes", self.placed.len()),
            Fact::new("making room for others", self.dispatch.stops.leaving()),
            Fact::new("backing off", self.backing_off.len()),
            Fact::new("ends to be recorded", self.closing.len()),
            Fact::new("to be tried again", self.reviving.len()),
            Fact::new("waits for ends of graphs", self.waiters.len()),
            Fact::new("epoch", self.side.epoch().0),
        ]
    }
}

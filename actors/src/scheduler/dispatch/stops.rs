//! Attempts that are to stop for the sake of others: to make room for somebody more urgent, or because their gang is not whole.
//!
//! Their nodes are told, and told again until they are gone: what was said may have been lost with the actor that had it.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::id::TaskId;
use policy::time::Moment;

use crate::node::NodeMessage;
use crate::scheduler::SchedulerActor;

/// Between two reminders of those who are to stop.
const REMINDED_EVERY: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug, Default)]
pub(in crate::scheduler) struct Stops {
    asked: BTreeMap<TaskId, Stop>,
    reminded: Option<Moment>,
}

/// Why one is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// To make room for this one.
    Evict(TaskId),
    /// Its gang lacks this one.
    Recall(TaskId),
}

impl Stops {
    /// One holds nothing on its node any more.
    pub(in crate::scheduler) fn gone(&mut self, task: TaskId) {
        self.asked.remove(&task);
    }

    /// Whether it is to stop, for whatever reason.
    pub(super) fn is_asked(&self, task: TaskId) -> bool {
        self.asked.contains_key(&task)
    }

    /// Those who make room, and for whom.
    pub(super) fn evicted(&self) -> impl Iterator<Item = (TaskId, TaskId)> {
        self.asked.iter().filter_map(|(task, stop)| match stop {
            Stop::Evict(by) => Some((*task, *by)),
            Stop::Recall(_) => None,
        })
    }

    /// How many make room.
    pub(in crate::scheduler) fn leaving(&self) -> usize {
        self.evicted().count()
    }

    /// Whether somebody's gang waits for it to stop.
    pub(in crate::scheduler) fn is_recalling(&self) -> bool {
        self.asked.values().any(|stop| matches!(stop, Stop::Recall(_)))
    }
}

impl SchedulerActor {
    /// Has an attempt stopped, unless it was asked to before.
    pub(super) fn ask_to_stop(&mut self, task: TaskId, stop: Stop) {
        if !self.dispatch.stops.is_asked(task) {
            self.dispatch.stops.asked.insert(task, stop);
            self.tell_to_stop(task, stop);
        }
    }

    fn tell_to_stop(&self, task: TaskId, stop: Stop) {
        let (by, is_recall) = match stop {
            Stop::Evict(by) => (by, false),
            Stop::Recall(missing) => (missing, true),
        };
        let node = self.placed.get(&task).and_then(|placed| self.side.nodes.get(&placed.node));
        if let Some(node) = node {
            node.tell(NodeMessage::Evict { task, by, is_recall });
        }
    }

    /// Asks those once more who are to stop and have not.
    pub(in crate::scheduler) fn remind_stopping(&mut self) {
        let now = self.now();
        let stops = &mut self.dispatch.stops;
        let is_due = |last: Moment| now.since(last) >= REMINDED_EVERY;
        if !stops.asked.is_empty() && stops.reminded.is_none_or(is_due) {
            stops.reminded = Some(now);
            self.dispatch.stops.asked.iter().for_each(|(task, stop)| self.tell_to_stop(*task, *stop));
        }
    }
}

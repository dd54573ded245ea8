//! Lending of priority: tasks go into the queue of the most urgent that waits for them, and back.
//!
//! Decided by `policy::graph`, with `policy::lending`. Whoever puts a task into a queue asks there which that is; where
//! nothing is lent it is the one of the task's own priority, and nothing is looked up.

use policy::event::{Event, SchedulerEvent};
use policy::graph::{Closed, ClosedBy, Moved, Ready, TaskState};
use policy::id::TaskId;
use policy::queue::Taken;
use policy::task::Priority;

use crate::queue::QueueMessage;
use crate::scheduler::{SchedulerActor, no_effects};

impl SchedulerActor {
    /// Lends from now on, or no more, where that is configured anew.
    pub(super) fn look_at_lending(&mut self) {
        let lends = self.side.limits().scheduling.lends_priority;
        if lends != self.graphs.lends() {
            let mut effects = no_effects();
            self.graphs.lend(lends, &mut effects);
            self.carry_out(effects);
        }
    }

    /// Lends again after a restart, where that is configured: what was `ready` then, in the queues where it belongs now.
    /// Who is served as what is not on record, and was told before.
    pub(super) fn lend_again(&mut self, ready: Vec<Ready>) -> Vec<Ready> {
        if !self.side.limits().scheduling.lends_priority {
            return ready;
        }
        // Nobody is in a queue yet.
        self.graphs.lend(true, &mut no_effects());
        self.graphs.ready()
    }

    /// Ready tasks go into another queue, behind those that are there.
    pub(super) fn move_queued(&mut self, Moved { ready, from }: Moved) {
        let Ready { tasks, priority, shape } = ready;
        tracing::debug!(first = %tasks.first, count = tasks.count, %from, to = %priority, "served as another priority");
        if self.is_held(tasks.first) {
            return;
        }
        let (by, was) = (ClosedBy::Cancel, TaskState::Ready);
        self.leave_queue(Closed { tasks, by, was, priority: from, shape });
        self.enqueue(ready);
    }

    /// Tells that tasks are served as a more urgent one.
    pub(super) fn tell_lent(&mut self, Ready { tasks, priority: served_as, .. }: Ready) {
        if !self.graphs.lends() {
            return;
        }
        let lent = self.graphs.lent(tasks.first).filter(|lent| lent.runs_as == served_as);
        let Some((entry, lent)) = self.graphs.entry(tasks.first).zip(lent) else { return };
        let (task, tasks, priority, by) = (tasks.first, tasks.count, entry.priority, lent.by);
        let event = SchedulerEvent::PriorityLent { task, tasks, priority, served_as, by };
        self.side.log.append(&Event::Scheduler(event), 0, entry.graph.0);
    }

    /// The queue in which a task belongs that was taken from `from`.
    pub(super) fn queue_of(&self, task: TaskId, from: Priority) -> Priority {
        if !self.graphs.serves_otherwise() {
            return from;
        }
        self.graphs.entry(task).map_or(from, |entry| entry.runs_as)
    }

    /// A task's own priority, where it was taken from the queue of `from`.
    pub(super) fn own_priority(&self, task: TaskId, from: Priority) -> Priority {
        if !self.graphs.serves_otherwise() {
            return from;
        }
        self.graphs.entry(task).map_or(from, |entry| entry.priority)
    }

    /// A task that was taken and not started comes back: to its old place, unless it belongs in another queue now. There
    /// it stands behind the others.
    pub(super) fn bring_back(&mut self, from: Priority, taken: Taken) {
        let Taken { task, shape, arrival, .. } = taken;
        let priority = self.queue_of(task, from);
        if priority == from {
            self.dispatch.queued(shape, priority, 1);
            self.note_arrival(shape, arrival, task);
            self.side.queue(priority).tell(QueueMessage::PutBack(taken));
        } else {
            self.dispatch.ordering.over(from, shape);
            self.enqueue(Ready { tasks: task.into(), priority, shape });
        }
    }
}

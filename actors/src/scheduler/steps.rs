//! What happens to tasks, and what follows for others.

use std::cmp::Reverse;
use std::time::Duration;

use policy::event::Next;
use policy::graph::{Cancelled, Closed, ClosedBy, Effects, EntryView, Mark, Ready, TaskState};
use policy::id::{GraphId, NodeId, TaskId, TaskRange};
use policy::planted;
use policy::task::TaskReport;
use policy::time::Moment;
use supervision::Me;

use crate::node::NodeMessage;
use crate::queue::QueueMessage;
use crate::scheduler::{SchedulerActor, SchedulerMessage, TIMER_RESOLUTION};
use crate::task::{Acknowledge, Purpose, Step};

impl SchedulerActor {
    pub(super) fn stepped(&mut self, task: TaskId, step: Step, mark: Mark) {
        // A task that starts again says once more what it has written last.
        let is_known = self.graphs.entry(task).is_some_and(|entry| entry.position >= mark.position);
        if is_known && step != Step::Resumed {
            return;
        }
        if let Step::Over { charge, has_died, .. } = &step {
            self.tenant_charge(task, charge, mark.at);
            self.note_death(task, *has_died);
        }
        let mut effects = no_effects();
        match step {
            Step::Granted(attempt) => {
                self.budget_granted(task);
                self.placed.entry(task).and_modify(|placed| placed.is_granted = true);
                self.tenant_granted(task, mark.at);
                self.lateness.waits.gone(TaskRange { first: task, count: 1 });
                self.graphs.granted(task, attempt, mark, &mut effects);
            }
            Step::Noted => self.graphs.noted(task, mark),
            Step::Resumed => self.resumed(task),
            Step::RetryAsked => {
                self.blame.forgive(task);
                self.graphs.retry(task, mark, &mut effects);
            }
            Step::Over { next: Next::Finish(outcome), charge, report, .. } => {
                self.left_node(task, report.as_deref());
                self.failed_on.remove(&task);
                self.dispatch.evicting.ended(task);
                self.blame.ended(task);
                self.budget_charge(task, &charge);
                self.budget_ended(task);
                let ended = TaskState::from(&outcome);
                let ended = if planted!(FailureReleases) { TaskState::Succeeded } else { ended };
                self.side.meters.ended(&outcome);
                self.graphs.ended(task, ended, mark, &mut effects);
            }
            Step::Over { next: Next::RetryAfter(_), charge, report, evicted_for: Some(by), .. } => {
                self.end_claims(task, report.as_deref());
                self.budget_charge(task, &charge);
                let is_recalled = self.is_in_gang(task);
                if !is_recalled {
                    self.side.meters.evicted();
                }
                let waits = self.graphs.backs_off(task, mark, &mut effects);
                self.carry_out(std::mem::take(&mut effects));
                match is_recalled {
                    true => self.recalled(task, waits),
                    false => self.evicted(task, by, waits),
                }
            }
            Step::Over { next: Next::RetryAfter(wait), charge, is_retry, report, is_suspect, .. } => {
                if is_suspect {
                    self.blame.suspect(task);
                }
                if let Some(node) = self.left_node(task, report.as_deref()) {
                    self.failed_on.insert(task, node);
                }
                self.budget_charge(task, &charge);
                self.side.meters.retried();
                if self.graphs.backs_off(task, mark, &mut effects) {
                    self.back_off(task, (wait, is_retry), mark);
                }
            }
        }
        self.carry_out(effects);
        self.mind_gang(task);
        self.settle_budgets();
    }

    /// It waits for its next attempt, unless its graph has no retry left for that.
    fn back_off(&mut self, task: TaskId, (wait, is_retry): (Duration, bool), mark: Mark) {
        self.mind_deadline(task);
        if !is_retry || self.budget_retry(task) {
            let wait = if planted!(NoBackoff) { Duration::ZERO } else { wait };
            self.backing_off.push(Reverse((self.now() + wait, task, mark.position)));
        }
    }

    /// That it is to be cancelled may have been lost with its life before: nobody else would say it again.
    fn resumed(&mut self, task: TaskId) {
        let is_due = |entry: EntryView| entry.state == TaskState::Active && entry.cancel_asked;
        if self.graphs.entry(task).is_some_and(is_due) {
            self.tell_cancel(task, Acknowledge::nobody());
        }
    }

    /// An attempt is over, and whether its machine has died of it; while the others that were there count as being there.
    fn note_death(&mut self, task: TaskId, has_died: bool) {
        let node = self.placed.get(&task).map(|placed| &placed.node).filter(|_| has_died);
        let Some(node) = node else { return self.blame.left(task) };
        let there = self.placed.iter().filter(|(_, placed)| placed.is_granted && placed.node == *node);
        self.blame.died(task, there.map(|(other, _)| *other));
    }

    /// Its attempt is over, and another length to estimate by. Where it was.
    fn left_node(&mut self, task: TaskId, report: Option<&TaskReport>) -> Option<NodeId> {
        self.end_claims(task, report);
        let placed = self.let_go(task)?;
        self.history.took(placed.taken.shape, self.now().since(placed.since));
        Some(placed.node)
    }

    /// Does what a change has led to.
    pub(super) fn carry_out(&mut self, effects: Effects) {
        self.note_waits(&effects);
        let Effects { ready, withdrawn, moved, closed, revived, tell, finished } = effects;
        for withdrawn in withdrawn {
            self.withdraw(withdrawn);
        }
        // Who comes back can end again in the same change.
        self.unwritten.again(revived);
        for closed in closed {
            self.close(closed);
        }
        for ready in ready {
            self.enqueue(ready);
            self.tell_lent(ready);
        }
        for moved in moved {
            self.move_queued(moved);
            self.tell_lent(moved.ready);
        }
        for tasks in tell {
            tasks.iter().for_each(|task| self.tell_cancel(task, Acknowledge::nobody()));
        }
        for graph in finished {
            self.graph_ended(graph);
        }
    }

    /// Into the queue; behind what is still to be taken out of queues, since it can be the same.
    pub(super) fn enqueue(&mut self, ready: Ready) {
        if self.is_held(ready.tasks.first) {
            return;
        }
        match self.is_gang(ready.shape) {
            true => self.dispatch.gangs.touch(ready.tasks),
            false => self.push(ready),
        }
    }

    /// As [`Self::enqueue`] where a task stands for itself, or for its gang.
    pub(super) fn push(&mut self, ready: Ready) {
        if self.dispatch.is_anybody_leaving() {
            return self.dispatch.coming.push(ready);
        }
        let Ready { tasks, priority, shape } = ready;
        self.dispatch.queued(shape, priority, u64::from(tasks.count));
        self.survey.came(shape);
        let arrival = self.next_arrival;
        self.next_arrival = arrival.after(u64::from(tasks.count));
        let now = self.now();
        self.dispatch.ordering.arrived(arrival, now);
        let Some(demand) = self.shapes.demand(shape).cloned() else { return };
        self.note_arrival(shape, arrival, tasks.first);
        self.side.queue(priority).tell(QueueMessage::Push { tasks, shape, demand, arrival });
    }

    /// Ready no more: out of the queue at once.
    fn withdraw(&mut self, Ready { tasks, priority, shape }: Ready) {
        if self.is_held(tasks.first) {
            return;
        }
        let (by, was) = (ClosedBy::Cancel, TaskState::Ready);
        self.leave_queue(Closed { tasks, by, was, priority, shape });
    }

    /// Ended by consequence: out of the queue at once, its record in its turn.
    fn close(&mut self, closed: Closed) {
        if closed.was == TaskState::Ready && !self.is_held(closed.tasks.first) {
            self.leave_queue(closed);
        }
        if self.is_gang(closed.shape) {
            self.dispatch.gangs.touch(closed.tasks);
        }
        let tasks = closed.tasks.first..closed.tasks.end();
        let gone: Vec<TaskId> = self.failed_on.range(tasks).map(|(task, _)| *task).collect();
        for task in gone {
            self.failed_on.remove(&task);
            self.blame.ended(task);
        }
        self.unwritten.end(closed.tasks, closed.by);
    }

    /// Wakes a task for something that its start does whole.
    pub(super) fn wake(&self, task: TaskId, purpose: Purpose) {
        if let Some(seat) = self.seat(task) {
            let _ = self.side.wake(seat, purpose);
        }
    }

    /// Tells an active task, through the node where it is awake.
    pub(super) fn tell_cancel(&mut self, task: TaskId, acknowledge: Acknowledge) {
        let node = self.placed.get(&task).and_then(|placed| self.side.nodes.get(&placed.node));
        match node {
            Some(node) => node.tell(NodeMessage::Cancel { task, acknowledge }),
            None => self.side.log.when_durable(self.side.log.last(), move || acknowledge.now()),
        }
    }

    /// The node has nothing of the task any more: whatever brought it back to us was handled before this.
    pub(super) fn not_awake(&mut self, task: TaskId, acknowledge: Acknowledge) {
        let (at, mut effects) = (self.side.clock.wall(), no_effects());
        match self.graphs.cancel_task(task, at, &mut effects) {
            // It was placed anew meanwhile.
            Cancelled::Told => {
                self.cancel_others(task, effects);
                return self.tell_cancel(task, acknowledge);
            }
            Cancelled::Closed => {
                self.carry_out(effects);
                self.write_all_of(task);
            }
            Cancelled::Already(_) | Cancelled::Unknown => {}
        }
        self.side.log.when_durable(self.side.log.last(), move || acknowledge.now());
    }

    fn graph_ended(&mut self, graph: GraphId) {
        let waiters = self.waiters.remove(&graph).unwrap_or_default();
        if !waiters.is_empty() {
            let answer = self.graph(graph);
            self.side.log.when_durable(self.side.log.last(), move || {
                waiters.into_iter().for_each(|waiter| waiter.send(answer.clone()));
            });
        }
        self.forget_overdue();
    }

    /// Forgets what is kept beyond the limits.
    fn forget_overdue(&mut self) {
        let (now, limits) = (self.side.clock.wall(), self.side.limits());
        while let Some(graph) = self.graphs.overdue(&limits.retention, now) {
            self.graphs.parts_of(graph).for_each(|tasks| self.lateness.waits.forget(tasks));
            let Some(shapes) = self.graphs.forget(graph) else { return };
            for shape in shapes {
                self.shapes.release(shape);
                if self.shapes.demand(shape).is_none() {
                    self.history.forget(shape);
                }
            }
            self.names.remove(&graph);
            self.guard.ledger.close(graph);
            self.guard.held.remove(&graph);
        }
    }

    pub(super) fn backoff_due(&mut self) {
        self.backoff_armed = None;
        let now = self.now();
        while let Some(Reverse((due, task, since))) = self.backing_off.peek().copied()
            && due <= now
        {
            self.backing_off.pop();
            let mut effects = no_effects();
            self.graphs.due(task, since, &mut effects);
            self.carry_out(effects);
        }
    }

    /// Arms the timer for the first wait that ends, unless it is armed for that or earlier.
    pub(super) fn arm_backoff(&mut self, me: &Me<SchedulerMessage>) {
        let Some(Reverse((due, ..))) = self.backing_off.peek().copied() else { return };
        if self.backoff_armed.is_none_or(|armed: Moment| armed > due) {
            self.backoff_armed = Some(due);
            let wait: Duration = due.since(self.now());
            me.after(wait.max(TIMER_RESOLUTION), SchedulerMessage::BackoffDue);
        }
    }
}

/// A table with nothing in it changes by nothing: effects of what cannot have any.
pub(super) fn no_effects() -> Effects {
    Effects::default()
}

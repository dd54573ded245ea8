//! What leaves the queues without being started, and what comes back to them.

use policy::constraint::AvoidFailed;
use policy::graph::{Closed, Ready, TaskState};
use policy::id::{NodeId, TaskId, TaskRange};
use policy::planted;
use policy::queue::Taken;
use policy::task::Priority;

use crate::queue::QueueMessage;
use crate::scheduler::{Placed, SchedulerActor, no_effects};

impl SchedulerActor {
    /// Takes what has ended out of its queue; while a round is under way, at the end of it, since a queue
    /// may have handed it out already.
    pub(in crate::scheduler) fn leave_queue(&mut self, closed: Closed) {
        match self.is_gang(closed.shape) {
            true => self.gangs_leave_queue(closed),
            false => self.take_out_of_queue(closed),
        }
    }

    pub(super) fn take_out_of_queue(&mut self, closed: Closed) {
        for tasks in take_out(&mut self.dispatch.coming, closed.tasks) {
            self.dispatch.leaving.push(Closed { tasks, ..closed });
        }
        if self.dispatch.awaited == 0 {
            self.leave_queues();
        }
    }

    pub(in crate::scheduler) fn leave_queues(&mut self) {
        let mut dropped = std::mem::take(&mut self.dispatch.dropped);
        dropped.sort_unstable();
        for Closed { tasks, shape, priority, .. } in std::mem::take(&mut self.dispatch.leaving) {
            for tasks in without(tasks, &dropped) {
                self.dispatch.unqueued(shape, priority, u64::from(tasks.count));
                self.side.queue(priority).tell(QueueMessage::Remove { tasks, shape });
            }
        }
        std::mem::take(&mut self.dispatch.coming).into_iter().for_each(|ready| self.push(ready));
    }

    pub(super) fn return_to_queues(&mut self, back: Vec<(Priority, Taken)>) {
        let mut stale = self.dispatch.is_stale;
        for (priority, taken) in back.into_iter().rev() {
            self.dispatch.queued(taken.shape, priority, 1);
            self.note_arrival(taken.shape, taken.arrival, taken.task);
            if self.is_any_choosy(taken.task) {
                let arrival = self.next_arrival;
                self.next_arrival = arrival.after(1);
                self.side.queue(priority).tell(QueueMessage::PutBehind { taken, arrival });
                self.dispatch.sent_behind += 1;
                // What is held may be the very node where it must not run again.
                self.dispatch.give_up(priority, taken.shape);
                // Somebody else of its line may fit, unless all of them have been tried.
                stale |= self.dispatch.sent_behind < self.dispatch.queued_of(taken.shape, priority);
            } else {
                self.side.queue(priority).tell(QueueMessage::PutBack(taken));
            }
        }
        // Their coming back is no news: they did not fit a moment ago.
        self.dispatch.is_stale = stale;
    }

    /// The nodes on which a task must not run now: those where a suspect runs, where it is one itself. So who has been on
    /// two machines that died has not been there with the same other one, and who takes machines down is found out.
    pub(in crate::scheduler) fn kept_from(&self, task: TaskId) -> Vec<NodeId> {
        if !self.blame.is_suspect(task) || self.side.limits().poison_after == 0 || planted!(SuspectsTogether)
        {
            return Vec::new();
        }
        let others = self.blame.others(task);
        others.filter_map(|other| self.placed.get(&other)).map(|placed| placed.node.clone()).collect()
    }

    /// Whether a task may have no room where others that ask alike have: it must not run where it failed, or where
    /// another suspect runs.
    pub(super) fn is_choosy(&self, task: TaskId) -> bool {
        if self.blame.is_suspect(task) {
            return true;
        }
        let demand = || self.shapes.demand(self.graphs.entry(task)?.shape);
        self.failed_on.contains_key(&task)
            && demand().is_some_and(|demand| demand.constraints.avoid_failed == AvoidFailed::Require)
    }

    /// Tasks that a node has sent back, or whose actors gave up before anything was granted.
    pub(in crate::scheduler) fn returned(&mut self, tasks: Vec<TaskId>) {
        for task in tasks {
            self.budget_release(task);
            self.give_back_claims(task);
            let (at, mut effects) = (self.side.clock.wall(), no_effects());
            if self.graphs.put_back(task, at, &mut effects) {
                if self.is_held(task) || self.is_in_gang(task) {
                    self.let_go(task);
                } else if let Some(Placed { priority, taken, .. }) = self.drop_hold(task) {
                    self.bring_back(priority, taken);
                }
            } else {
                self.let_go(task);
                // Cancelled meanwhile; it never came back to its queue.
                effects.closed.iter_mut().for_each(|closed| closed.was = TaskState::Active);
            }
            self.carry_out(effects);
            self.mind_gang(task);
        }
    }
}

/// Takes tasks out of those that are to come into a queue and are in none yet; the parts of them that are in one.
fn take_out(coming: &mut Vec<Ready>, tasks: TaskRange) -> Vec<TaskRange> {
    let mut rest = vec![tasks];
    if coming.iter().all(|ready| !overlap(ready.tasks, tasks)) {
        return rest;
    }
    let parts = |of: TaskRange, from: TaskId, to: TaskId| {
        let part = |first: TaskId, end: TaskId| TaskRange {
            first,
            count: u32::try_from(end.0.saturating_sub(first.0)).unwrap_or(u32::MAX),
        };
        let (before, behind) = (part(of.first, of.end().min(from)), part(of.first.max(to), of.end()));
        [before, behind].into_iter().filter(|part| part.count > 0)
    };
    for ready in std::mem::take(coming) {
        rest = rest.into_iter().flat_map(|one| parts(one, ready.tasks.first, ready.tasks.end())).collect();
        let stays = parts(ready.tasks, tasks.first, tasks.end());
        coming.extend(stays.map(|tasks| Ready { tasks, ..ready }));
    }
    rest
}

fn overlap(one: TaskRange, other: TaskRange) -> bool {
    one.first < other.end() && other.first < one.end()
}

/// The parts of `tasks` between those that are in `taken`, which is sorted.
fn without(tasks: TaskRange, taken: &[TaskId]) -> Vec<TaskRange> {
    let mut parts = Vec::new();
    let mut first = tasks.first;
    for gap in taken.iter().copied().filter(|task| tasks.contains(*task)).chain([tasks.end()]) {
        let count = u32::try_from(gap.0 - first.0).unwrap_or(u32::MAX);
        if count > 0 {
            parts.push(TaskRange { first, count });
        }
        first = TaskId(gap.0 + 1);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, count: u32) -> TaskRange {
        TaskRange { first: TaskId(first), count }
    }

    #[test]
    fn what_leaves_before_it_has_come_never_comes() {
        let ready = |first, count| Ready {
            tasks: range(first, count),
            priority: Priority::Normal,
            shape: policy::placement::ShapeId(0),
        };
        let mut coming = vec![ready(3, 4), ready(20, 1)];
        assert_eq!(take_out(&mut coming, range(10, 2)), [range(10, 2)]);
        assert_eq!(take_out(&mut coming, range(1, 4)), [range(1, 2)]);
        assert_eq!(coming, [ready(5, 2), ready(20, 1)]);
        assert_eq!(take_out(&mut coming, range(6, 20)), [range(7, 13), range(21, 5)]);
        assert_eq!(coming, [ready(5, 1)]);
        assert_eq!(take_out(&mut coming, range(5, 1)), []);
        assert_eq!(coming, []);
    }

    #[test]
    fn what_was_handed_out_is_not_taken_out_again() {
        let taken = [3, 5, 6, 9, 20].map(TaskId);
        assert_eq!(without(range(3, 7), &taken), [range(4, 1), range(7, 2)]);
        assert_eq!(without(range(10, 4), &taken), [range(10, 4)]);
        assert_eq!(without(range(5, 2), &taken), []);
    }
}

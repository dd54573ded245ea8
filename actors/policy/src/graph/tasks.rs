//! What can happen to a task or a graph, told by those who know.
//!
//! A task or graph that is not known, or not in a state in which this can happen to it, is left as it is.

use crate::bounds::Overrun;
use crate::event::LogPosition;
use crate::graph::Graphs;
use crate::graph::effects::{Effects, Mark};
use crate::graph::state::TaskState;
use crate::graph::table::{Graph, Out};
use crate::id::{AttemptNumber, GraphId, TaskId};
use crate::time::Timestamp;

/// What asking to cancel a task has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It has ended; its `Finished` record is to be written ([`Effects::closed`]).
    Closed,
    /// It is active and has to be told ([`Effects::tell`]).
    Told,
    /// Nothing, it had ended before.
    Already(TaskState),
    /// There is no such task.
    Unknown,
}

/// Why a task is not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RetryRefused {
    /// There is no such task.
    #[error("{0} is not known")]
    Unknown(TaskId),
    /// Only what failed or was cancelled can be tried again.
    #[error("{0} is {1}: only a failed or cancelled task can be tried again")]
    NotFailed(TaskId, TaskState),
    /// It follows by itself when what it was skipped for is tried again.
    #[error("{task} cannot be tried again before {cause}, on which it depends")]
    DependencyFailed {
        /// The task.
        task: TaskId,
        /// What did not succeed before it.
        cause: TaskId,
    },
    /// Its graph is being cancelled.
    #[error("{0} is still being cancelled")]
    Cancelling(GraphId),
    /// Others of its gang have not ended yet.
    #[error("the gang of {0} has not ended yet")]
    GangEnding(TaskId),
}

impl Graphs {
    /// An actor takes the task up, out of its queue. False where it is not ready.
    pub fn activate(&mut self, task: TaskId, effects: &mut Effects) -> bool {
        self.change(task, (Timestamp::default(), effects), |graph, offset, out| {
            let ready = graph.state_of(graph.item_of(offset), offset) == TaskState::Ready;
            if ready {
                graph.set(offset, TaskState::Active, false, out);
            }
            ready
        })
        .unwrap_or(false)
    }

    /// The task was granted an attempt.
    pub fn granted(&mut self, task: TaskId, attempt: AttemptNumber, mark: Mark, effects: &mut Effects) {
        self.change(task, (mark.at, effects), |graph, offset, out| {
            graph.set(offset, TaskState::Active, false, out);
            graph.mark(offset, mark);
            graph.pages.touch(offset).attempts = attempt.0;
            graph.take_back(graph.item_of(offset), out);
        });
    }

    /// A record of the task was written that changes nothing here.
    pub fn noted(&mut self, task: TaskId, mark: Mark) {
        self.change(task, (mark.at, &mut Effects::default()), |graph, offset, _| graph.mark(offset, mark));
    }

    /// The actor gives the task back before anything was granted: it is ready again, at its old place in the
    /// queue. False where it was cancelled meanwhile and so has ended, or has to wait again.
    pub fn put_back(&mut self, task: TaskId, at: Timestamp, effects: &mut Effects) -> bool {
        self.change(task, (at, effects), |graph, offset, out| graph.resume(offset, TaskState::Ready, out))
            .unwrap_or(false)
    }

    /// An attempt is over and another follows after a wait. False where the task was cancelled meanwhile and
    /// so has ended.
    pub fn backs_off(&mut self, task: TaskId, mark: Mark, effects: &mut Effects) -> bool {
        self.change(task, (mark.at, effects), |graph, offset, out| {
            graph.mark(offset, mark);
            graph.resume(offset, TaskState::BackingOff, out)
        })
        .unwrap_or(false)
    }

    /// The wait before the next attempt is over, of which the record at `since` says. False where the task does not back off,
    /// or has been cancelled and tried again meanwhile and waits anew.
    pub fn due(&mut self, task: TaskId, since: LogPosition, effects: &mut Effects) -> bool {
        self.change(task, (Timestamp::default(), effects), |graph, offset, out| {
            let number = graph.item_of(offset);
            let is_its = graph.pages.get(offset).position == since;
            let due = is_its && graph.state_of(number, offset) == TaskState::BackingOff;
            if due {
                graph.set(offset, TaskState::Ready, false, out);
                graph.push_ready(number, offset, 1, out);
            }
            due
        })
        .unwrap_or(false)
    }

    /// The task has ended, by a record of its own: one of its last attempt, or `Finished`.
    pub fn ended(&mut self, task: TaskId, outcome: TaskState, mark: Mark, effects: &mut Effects) {
        self.change(task, (mark.at, effects), |graph, offset, out| {
            graph.mark(offset, mark);
            if outcome.is_ended() {
                graph.set(offset, outcome, true, out);
            }
        });
    }

    /// The end of a task that was [`Effects::closed`] has its record.
    pub fn recorded(&mut self, task: TaskId, mark: Mark, effects: &mut Effects) {
        self.change(task, (mark.at, effects), |graph, offset, out| {
            graph.mark(offset, mark);
            let state = graph.state_of(graph.item_of(offset), offset);
            if state.is_ended() {
                graph.set(offset, state, true, out);
            }
        });
    }

    /// Somebody asks to cancel the task.
    pub fn cancel_task(&mut self, task: TaskId, at: Timestamp, effects: &mut Effects) -> Cancelled {
        self.change(task, (at, effects), |graph, offset, out| {
            match graph.state_of(graph.item_of(offset), offset) {
                ended if !graph.cancel_one(offset, out) => Cancelled::Already(ended),
                TaskState::Active => Cancelled::Told,
                _ => Cancelled::Closed,
            }
        })
        .unwrap_or(Cancelled::Unknown)
    }

    /// The task has waited beyond a limit of time. False where that ends it no more: an active one is ended where
    /// it runs.
    pub fn late(&mut self, task: TaskId, overrun: Overrun, at: Timestamp, effects: &mut Effects) -> bool {
        self.change(task, (at, effects), |graph, offset, out| graph.end_late(offset, overrun, out))
            .unwrap_or(false)
    }

    /// Somebody asks to cancel all of the graph. False where it is not known or has ended.
    pub fn cancel_graph(&mut self, graph: GraphId, at: Timestamp, effects: &mut Effects) -> bool {
        self.change(graph.first_task(), (at, effects), |graph, _, out| {
            let open = !graph.is_finished();
            if open {
                graph.cancel_all(out);
            }
            open
        })
        .unwrap_or(false)
    }

    /// Whether [`Self::retry`] may be recorded.
    ///
    /// # Errors
    ///
    /// When there is nothing to try again, or not yet.
    pub fn may_retry(&self, task: TaskId) -> Result<(), RetryRefused> {
        let (graph, offset) = self.find(task).ok_or(RetryRefused::Unknown(task))?;
        let number = graph.item_of(offset);
        let state = graph.state_of(number, offset);
        if graph.items[number].deps_bad > 0 {
            let cause = graph.bad_dependency(number).map_or(task, |cause| graph.task(cause));
            return Err(RetryRefused::DependencyFailed { task, cause });
        }
        if !matches!(state, TaskState::Failed | TaskState::Cancelled) {
            return Err(RetryRefused::NotFailed(task, state));
        }
        if graph.cancel_asked && !graph.is_finished() {
            return Err(RetryRefused::Cancelling(graph.id));
        }
        if graph.is_gang_ending(number) {
            return Err(RetryRefused::GangEnding(task));
        }
        Ok(())
    }

    /// An ended task is tried again: it waits or is ready, and so does what was skipped only for it.
    /// [`Self::may_retry`] has allowed it and its `RetryAsked` is recorded. Of a task that stands open, or whose end has no
    /// record, that record says only what is known: that it came back with another.
    pub fn retry(&mut self, task: TaskId, mark: Mark, effects: &mut Effects) {
        self.change(task, (mark.at, effects), |graph, offset, out| {
            graph.mark(offset, mark);
            let state = graph.state_of(graph.item_of(offset), offset);
            if !state.is_ended() || !graph.pages.get(offset).recorded {
                return;
            }
            if state == TaskState::Skipped {
                // For something that the records before show and the table of then had not heard of: it is skipped again.
                return graph.set(offset, state, false, out);
            }
            graph.cancel_asked = false;
            graph.revive_gang(offset, out);
            graph.set(offset, TaskState::Waiting, false, out);
            graph.open_gang(offset);
            // What it depends on can have ended badly, on record and not heard of when this was allowed.
            graph.skip_where_bad(graph.item_of(offset), out);
        });
    }
}

impl Graph {
    /// Takes a task from its actor to go on later, unless it was cancelled: then this is its end. One that has
    /// not begun waits where something it depends on is tried again. Whether it is as it was to be.
    fn resume(&mut self, offset: u32, to: TaskState, out: &mut Out<'_>) -> bool {
        let cancelled = self.cancel_asked || self.pages.get(offset).cancel_asked;
        self.set(offset, to, false, out);
        if cancelled {
            self.cancel_one(offset, out);
            return false;
        }
        let number = self.item_of(offset);
        if self.follows_its_gang((number, offset), to, out) {
            return false;
        }
        if to == TaskState::Ready && self.items[number].deps_left > 0 {
            self.withdraw(number, out);
            // It was in nobody's queue.
            let task = self.task(offset);
            out.effects.withdrawn.retain(|one| one.tasks.first != task);
            self.skip_where_bad(number, out);
        }
        self.state_of(number, offset) == to
    }

    fn skip_where_bad(&mut self, number: usize, out: &mut Out<'_>) {
        if self.items[number].deps_bad > 0 {
            self.skip(number, out);
            self.settle(number, out);
        }
    }
}

//! What a change to a graph leads to, for the caller to act upon.

use crate::bounds::Overrun;
use crate::event::LogPosition;
use crate::graph::state::TaskState;
use crate::id::{GraphId, TaskId, TaskRange};
use crate::placement::ShapeId;
use crate::task::{AttemptOutcome, Priority, TaskOutcome};
use crate::time::Timestamp;

/// A record in a task's story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// Where it starts in the log.
    pub position: LogPosition,
    /// Its number among the task's records, from 1.
    pub sequence: u32,
    /// When it was written.
    pub at: Timestamp,
}

/// Tasks that belong in a queue now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Which.
    pub tasks: TaskRange,
    /// The queue.
    pub priority: Priority,
    /// What each of them needs.
    pub shape: ShapeId,
}

/// Ready tasks that belong in another queue now, for what waits for them is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Which, and their queue from now on.
    pub ready: Ready,
    /// Their queue until now.
    pub from: Priority,
}

/// Why tasks ended without an attempt of theirs ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// This task did not end as they need it, and they depend on it, directly or through others.
    Skip(TaskId),
    /// Somebody asked.
    Cancel,
    /// It has waited beyond a limit of time.
    Late(Overrun),
}

/// Tasks that have ended by consequence. Each of them needs a `Finished` record, which is then reported
/// back with `Graphs::recorded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Which.
    pub tasks: TaskRange,
    /// Why.
    pub by: ClosedBy,
    /// Where they stood before. What was `Ready` leaves its queue, what was `BackingOff` needs its timer no more.
    pub was: TaskState,
    /// Their queue.
    pub priority: Priority,
    /// What each of them needs.
    pub shape: ShapeId,
}

/// What one change has led to. Carry it out before the next change: lists of several changes have no order
/// among each other.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Newly ready, in the order of submission: into the queues.
    pub ready: Vec<Ready>,
    /// Ready no more, since something they depend on is tried again: out of the queues.
    pub withdrawn: Vec<Ready>,
    /// Ready still, and of these and of those that are newly ready: from one queue into another, after all else.
    pub moved: Vec<Moved>,
    /// Ended by consequence: out of the queues, and into the log.
    pub closed: Vec<Closed>,
    /// Back from a recorded end, because what they were skipped for is tried again: a `RetryAsked` record for each.
    pub revived: Vec<TaskRange>,
    /// Active, to be told to cancel.
    pub tell: Vec<TaskRange>,
    /// Graphs whose last task has ended.
    pub finished: Vec<GraphId>,
}

impl ClosedBy {
    /// The outcome to record.
    #[must_use]
    pub fn outcome(self) -> TaskOutcome {
        match self {
            Self::Skip(cause) => TaskOutcome::Skipped(cause),
            Self::Cancel => TaskOutcome::Cancelled,
            Self::Late(overrun) => TaskOutcome::Failed(AttemptOutcome::TimedOut(overrun.into())),
        }
    }
}

impl Effects {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Forgets everything, keeping the room.
    pub fn clear(&mut self) {
        self.ready.clear();
        self.withdrawn.clear();
        self.moved.clear();
        self.closed.clear();
        self.revived.clear();
        self.tell.clear();
        self.finished.clear();
    }

    /// Adds ready tasks, joining neighbours of one kind.
    pub(super) fn push_ready(&mut self, more: Ready) {
        match self.ready.last_mut() {
            Some(last) if last.tasks.end() == more.tasks.first && last.kind() == more.kind() => {
                last.tasks.count += more.tasks.count;
            }
            _ => self.ready.push(more),
        }
    }

    /// Adds tasks that go from one queue into another, joining neighbours of one kind.
    pub(super) fn push_moved(&mut self, more: Moved) {
        match self.moved.last_mut() {
            Some(last)
                if last.ready.tasks.end() == more.ready.tasks.first
                    && (last.ready.kind(), last.from) == (more.ready.kind(), more.from) =>
            {
                last.ready.tasks.count += more.ready.tasks.count;
            }
            _ => self.moved.push(more),
        }
    }

    /// Adds closed tasks, joining neighbours of one kind.
    pub(super) fn push_closed(&mut self, more: Closed) {
        match self.closed.last_mut() {
            Some(last) if last.tasks.end() == more.tasks.first && last.kind() == more.kind() => {
                last.tasks.count += more.tasks.count;
            }
            _ => self.closed.push(more),
        }
    }
}

impl Ready {
    fn kind(&self) -> (Priority, ShapeId) {
        (self.priority, self.shape)
    }
}

impl Closed {
    fn kind(&self) -> (ClosedBy, TaskState, Priority, ShapeId) {
        (self.by, self.was, self.priority, self.shape)
    }
}

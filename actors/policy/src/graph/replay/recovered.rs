//! What a replay of the log comes to.

use std::collections::BTreeMap;

use crate::blame::Blame;
use crate::claims::Indices;
use crate::event::LogPosition;
use crate::graph::Graphs;
use crate::graph::ages::Ages;
use crate::graph::effects::{Closed, Ready};
use crate::graph::stranded::Stranded;
use crate::id::{AttemptNumber, NodeId, NodeSession, TaskId, TaskRange, Token};
use crate::placement::Shapes;
use crate::preempt::Evicted;
use crate::task::RequestNumber;
use crate::time::Timestamp;

/// An attempt that was granted and of whose end there is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveGrant {
    /// The task.
    pub task: TaskId,
    /// The grant's token.
    pub token: Token,
    /// Which try it is.
    pub attempt: AttemptNumber,
    /// Where.
    pub node: NodeId,
    /// In which session of that node.
    pub session: NodeSession,
    /// Which of the task's requests it holds.
    pub request: RequestNumber,
    /// Where the task's last record starts in the log.
    pub position: LogPosition,
    /// Whether it is to be cancelled.
    pub cancel_asked: bool,
    /// Whether its process was reported to run.
    pub started: bool,
    /// The indices of pools that it holds.
    pub indices: Indices,
    /// When it was granted.
    pub at: Timestamp,
}

/// A task that waits for the time of its next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackingOff {
    /// The task.
    pub task: TaskId,
    /// When, by the wall clock of the scheduler that wrote it.
    pub due: Timestamp,
    /// Where the record is that says so.
    pub since: LogPosition,
}

/// What the log says.
#[derive(Debug)]
pub struct Recovered {
    /// The table.
    pub graphs: Graphs,
    /// The shapes of its items.
    pub shapes: Shapes,
    /// All that is ready, in the order of submission: into the queues.
    pub ready: Vec<Ready>,
    /// Attempts that may still run, by task.
    pub live: Vec<LiveGrant>,
    /// Tasks that need their timer, by task.
    pub backing_off: Vec<BackingOff>,
    /// Where the last attempts of tasks that are to be tried again did not succeed.
    pub failed_on: BTreeMap<TaskId, NodeId>,
    /// Tasks that have not ended and made room for others.
    pub evicted: BTreeMap<TaskId, Evicted>,
    /// Who may have taken machines down.
    pub blame: Blame,
    /// Since when what is ready is so.
    pub ages: Ages,
    /// Tasks that have come back from a recorded end without a record of that: write it, before their ends.
    pub revived: Vec<TaskRange>,
    /// Ends without a record of their own: write them. What they `was` is not known any more.
    pub closed: Vec<Closed>,
    /// Ready tasks that were told that no node can run them.
    pub stranded: Stranded,
    /// Records of tasks of which nothing is known: their graph's records are no longer kept.
    pub unknown: u64,
}

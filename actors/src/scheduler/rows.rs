//! What the table knows, for those who make rows for people of it.

use policy::dependency::Need;
use policy::event::LogPosition;
use policy::graph::TaskState;
use policy::id::TaskId;
use policy::task::Priority;
use policy::time::Moment;

use crate::scheduler::SchedulerActor;
use crate::task::Seat;
use crate::wire::client::Target;

/// What the table knows of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRow {
    /// Where it sits.
    pub seat: Seat,
    /// Its state.
    pub state: TaskState,
    /// How urgent it is by itself.
    pub priority: Priority,
    /// Where the records of the items it depends on are, and how it needs them.
    pub dependencies: Vec<(LogPosition, Need)>,
    /// Why it is ready and does not run, where one task alone was asked for.
    pub waits_for: Option<Box<str>>,
    /// Where the record is that says that no node can ever run it, where one task alone was asked for.
    pub unschedulable: Option<LogPosition>,
}

/// Where a name stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedAt {
    /// What has the name.
    pub target: Target,
    /// The record that says so.
    pub position: LogPosition,
}

impl SchedulerActor {
    /// Now, on the clock of leases.
    pub(super) fn now(&self) -> Moment {
        self.side.clock.now()
    }

    /// Where a task sits, if it is known.
    pub(super) fn seat(&self, task: TaskId) -> Option<Seat> {
        self.graphs.entry(task).map(|entry| Seat::from(&entry))
    }
}

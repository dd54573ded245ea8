//! How a machine that is reached by SSH alone is reached, and which session a task has there.

use policy::id::{NodeId, TaskId};
use policy::text::OsText;
use serde::{Deserialize, Serialize};

/// Where somebody wants to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhereTo {
    /// Where this task runs.
    Task(TaskId),
    /// On this machine.
    Node(NodeId),
}

/// The way there, for `aivcs-session` on a machine whose SSH knows the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayRow {
    /// The machine's name in the fleet.
    pub node: NodeId,
    /// The options of `aivcs-session` that lead to it: `--host=mac-1` and the like.
    pub options: Box<[OsText]>,
    /// The repository in which tasks run there.
    pub repo: Box<str>,
    /// What ends the work in the names of all sessions of this scheduler's tasks: `t7-TAG`.
    pub tag: Box<str>,
    /// The session of the task; `None` where it was asked for a machine.
    pub session: Option<Box<str>>,
    /// Whether tasks there hear what is said to them.
    pub steerable: bool,
}

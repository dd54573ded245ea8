//! What is remembered of a task that is active.

use std::sync::Arc;

use policy::id::NodeId;
use policy::queue::Taken;
use policy::task::{Priority, RequestNumber};
use policy::time::Moment;

/// Where an active task was sent, and its place in the queue if it comes back.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) node: NodeId,
    pub(super) tenant: Arc<str>,
    /// When it was sent there, or found there after a restart.
    pub(super) since: Moment,
    pub(super) priority: Priority,
    pub(super) taken: Taken,
    /// Which of its requests it holds.
    pub(super) request: RequestNumber,
    /// Whether an attempt of its tenant's budget is set aside for it: until it is granted.
    pub(super) is_set_aside: bool,
    /// Whether its grant is on record: before that it cannot have run there.
    pub(super) is_granted: bool,
    /// Whether it only waits for others, and so counts as nobody who runs.
    pub(super) only_waits: bool,
}

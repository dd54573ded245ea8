//! What holds for all machines behind SSH and may change while the daemon runs.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

/// How such machines are asked, and what is ended there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteRules {
    /// Between two looks at a machine.
    pub every: Duration,
    /// How long an answer may take, once connected.
    pub within: Duration,
    /// How long a session of a task must have been left before it is ended; zero for never.
    pub prune_after: Duration,
    /// How long the session of an attempt may take to be made, once connected.
    pub setup: Duration,
    /// Whether a session ends with the attempt it was made for.
    pub ends_sessions: bool,
}

/// Read by all who go by them, each time anew.
pub type SharedRules = Arc<ArcSwap<RemoteRules>>;

//! What can happen to a node.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::breaker;
use crate::id::{Incarnation, NodeSession, TaskId, Token};
use crate::resources::Resources;
use crate::strain::Strain;

/// What can happen to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
pub enum NodeEvent {
    /// It registered.
    Joined {
        /// The session it was given.
        session: NodeSession,
        /// The life of its daemon.
        incarnation: Incarnation,
        /// What it has.
        capacity: Resources,
    },
    /// Nothing was heard of it for too long.
    Suspected,
    /// It was heard of again in time.
    Recovered,
    /// Nothing was heard of it until its leases ended.
    Lost {
        /// The session that ended.
        session: NodeSession,
    },
    /// It said goodbye.
    Left {
        /// The session that ended.
        session: NodeSession,
    },
    /// It is drained and holds nothing any more.
    Drained,
    /// It reported on an attempt under a token that is not the task's current one. Nothing changed.
    StaleReport {
        /// The task it named.
        task: TaskId,
        /// The token it named.
        token: Token,
    },
    /// One of its breakers has changed.
    Breaker {
        /// That of this kind of task; the node's own where there is none.
        kind: Option<Arc<str>>,
        /// How.
        change: breaker::Change,
    },
    /// It is strained otherwise than before.
    Strained(Strain),
    /// An attempt is taken off it because it is under critical strain.
    Relieved {
        /// Whose.
        task: TaskId,
        /// The grant it runs under.
        token: Token,
        /// What shows the strain.
        strain: Strain,
    },
}

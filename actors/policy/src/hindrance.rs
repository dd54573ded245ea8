//! Why tasks of one demand are not started now. The value that a gate refuses with is the value that is shown:
//! what is explained is what was decided (P10).

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::budget::{Exceeded, Reached};
use crate::claims::Blocked;
use crate::directive::Stopped;
use crate::id::{NodeId, TaskId};
use crate::placement::Reason;
use crate::pressure::Mode;
use crate::tenant::OverQuota;
use crate::time::Timestamp;

/// One thing that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Hindrance {
    /// No node takes it.
    NoNode {
        /// Whether waiting does not help: there are nodes, and none of them ever can.
        never: bool,
        /// Why not, for each node that is up.
        nodes: Vec<(NodeId, Reason)>,
    },
    /// Its graph has used up its budget and is paused.
    Budget(Reached),
    /// Its tenant has used up its budget.
    TenantBudget(Exceeded),
    /// An operator has said so.
    Stopped(Stopped),
    /// Its tenant has as many running as it may.
    Quota(OverQuota),
    /// So much waits that fewer run at once, and that many do.
    Pressure {
        /// How strained the queue is.
        mode: Mode,
        /// How many run.
        running: u64,
    },
    /// What it claims of the fleet is not to be had.
    Claim {
        /// What of it, and why not.
        blocked: Blocked,
        /// When that is over, where it depends on nobody.
        until: Option<Timestamp>,
    },
    /// It needs several nodes at once, and too few would start it.
    Gang {
        /// How many it needs.
        needs: u32,
        /// How many have room now.
        have: u32,
        /// Whether waiting does not help: fewer than it needs ever could.
        never: bool,
        /// Why not, for each other node that is up.
        nodes: Vec<(NodeId, Reason)>,
    },
    /// Another one of its gang is not ready.
    GangLacks {
        /// Which.
        member: TaskId,
    },
}

impl Hindrance {
    /// Whether waiting does not help as the fleet is now.
    #[must_use]
    pub fn is_for_ever(&self) -> bool {
        match self {
            Self::NoNode { never, .. } | Self::Gang { never, .. } => *never,
            Self::Budget(_)
            | Self::TenantBudget(_)
            | Self::Stopped(_)
            | Self::Quota(_)
            | Self::Pressure { .. }
            | Self::GangLacks { .. }
            | Self::Claim { .. } => false,
        }
    }

    /// What sort of thing it is, in one word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Claim { blocked, .. } => blocked.into(),
            other => other.into(),
        }
    }

    /// When it is over, where that is known.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::TenantBudget(exceeded) => exceeded.until,
            Self::Claim { until, .. } => *until,
            Self::NoNode { .. }
            | Self::Gang { .. }
            | Self::GangLacks { .. }
            | Self::Budget(_)
            | Self::Stopped(_)
            | Self::Quota(_)
            | Self::Pressure { .. } => None,
        }
    }
}

/// Nodes that are named in one line: enough to see the pattern, short enough to be read.
const NODES_NAMED: usize = 4;

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNode { nodes, .. } if nodes.is_empty() => f.write_str("no node is up"),
            Self::NoNode { never, nodes } => {
                f.write_str(if *never { "no node can ever run it" } else { "no node has room now" })?;
                named(nodes, f)
            }
            Self::Gang { needs, have, never, nodes } => {
                let noun = if *have == 1 { "has" } else { "have" };
                write!(f, "it needs {needs} machines at once, and {have} {noun} room now")?;
                f.write_str(if *never { "; those that are up can never run it" } else { "" })?;
                named(nodes, f)
            }
            Self::GangLacks { member } => {
                write!(f, "{member} of its gang is not ready, and they start together")
            }
            Self::Budget(reached) => write!(f, "its graph is paused: {reached}"),
            Self::TenantBudget(exceeded) => exceeded.fmt(f),
            Self::Stopped(stopped) => stopped.fmt(f),
            Self::Quota(over) => over.fmt(f),
            Self::Claim { blocked, .. } => blocked.fmt(f),
            Self::Pressure { mode, running } => {
                write!(f, "the queue is under {mode} pressure: {running} run, as many as may")
            }
        }
    }
}

/// What speaks against single nodes.
fn named(nodes: &[(NodeId, Reason)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (place, (node, reason)) in nodes.iter().take(NODES_NAMED).enumerate() {
        write!(f, "{} {node} {reason}", if place == 0 { ":" } else { ";" })?;
    }
    match nodes.len().saturating_sub(NODES_NAMED) {
        0 => Ok(()),
        more => write!(f, "; and {more} more"),
    }
}

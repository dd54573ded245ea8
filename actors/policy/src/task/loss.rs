//! How an attempt was lost, which is not its task's fault.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};

use crate::planted;

/// How an attempt came to be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum LossReason {
    /// The node could not renew its lease in time and killed the attempt.
    LeaseLost,
    /// The scheduler heard nothing of the node until the lease's end.
    LeaseExpired,
    /// The machine was rebooted.
    Rebooted,
    /// The process host died and took the attempt's exit status with it.
    HostDied,
    /// The node does not know the attempt.
    Unknown,
    /// The machine could not take it after all, or stopped in order.
    Evicted,
    /// An operator has taken it off the machine. It counts as nothing at all.
    Drained,
    /// A more urgent task was given its room. It counts as nothing at all.
    Preempted,
    /// Another of its gang was not there. It counts as nothing at all.
    Recalled,
}

impl LossReason {
    /// Whether the machine died, or what ran the attempt there: what ran may have brought that about.
    #[must_use]
    pub fn is_death(self) -> bool {
        match self {
            Self::LeaseExpired | Self::Rebooted | Self::HostDied => true,
            Self::LeaseLost
            | Self::Unknown
            | Self::Evicted
            | Self::Drained
            | Self::Preempted
            | Self::Recalled => false,
        }
    }

    /// Whether it was stopped for the good of others and nothing went wrong: that counts for nothing, however often
    /// it happens.
    #[must_use]
    pub fn is_nobodys_fault(self) -> bool {
        matches!(self, Self::Drained | Self::Recalled)
            || (self == Self::Preempted && !planted!(EvictionCounts))
    }
}

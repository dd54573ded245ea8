//! The states of a task, as they are shown.

use serde::{Deserialize, Serialize};

/// A task's state, as shown.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case", ascii_case_insensitive)]
pub enum StateName {
    /// For tasks it depends on.
    Waiting,
    /// In a queue.
    Ready,
    /// For its next attempt.
    BackingOff,
    /// A node was granted an attempt, which has not started yet.
    Granted,
    /// Its process runs.
    Running,
    /// Its last attempt exited with 0.
    Succeeded,
    /// Its last attempt failed.
    Failed,
    /// Somebody asked for it.
    Cancelled,
    /// A task it depends on did not succeed.
    Skipped,
}

impl StateName {
    /// Whether nothing follows but another try that somebody asks for.
    #[must_use]
    pub fn has_ended(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Skipped => true,
            Self::Waiting | Self::Ready | Self::BackingOff | Self::Granted | Self::Running => false,
        }
    }
}

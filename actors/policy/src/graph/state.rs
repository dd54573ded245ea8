//! Where a task stands, and how many stand where.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::dependency::Need;

/// Where a task stands, as far as the order of work is concerned.
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
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
#[repr(u8)]
pub enum TaskState {
    /// For its dependencies, or for its array's parallel limit.
    Waiting,
    /// In a queue.
    Ready,
    /// For the time of its next attempt.
    BackingOff,
    /// An actor is awake for it: reserved, granted or running.
    Active,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
    /// Ended because a task it depends on did not end as it needs it.
    Skipped,
}

impl TaskState {
    /// Whether nothing more happens to it by itself.
    #[must_use]
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Skipped)
    }

    /// Whether it counts towards its array's parallel limit. A member that backs off keeps its place, so
    /// that an array with a limit of one runs in order.
    #[must_use]
    pub fn is_out(self) -> bool {
        matches!(self, Self::Ready | Self::BackingOff | Self::Active)
    }

    /// Whether it ended without success.
    #[must_use]
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::Cancelled | Self::Skipped)
    }

    /// Whether who depends on it need not wait for it any more.
    #[must_use]
    pub fn is_as_needed(self, needs: Need) -> bool {
        match needs {
            Need::Success => self == Self::Succeeded,
            Need::End => matches!(self, Self::Succeeded | Self::Failed),
            Need::Always => self.is_ended(),
        }
    }

    /// Whether it ended without having run to an end.
    #[must_use]
    pub fn is_stopped(self) -> bool {
        matches!(self, Self::Cancelled | Self::Skipped)
    }
}

/// How many tasks are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts([u64; 8]);

impl Counts {
    /// How many are in this state.
    #[must_use]
    pub fn of(&self, state: TaskState) -> u64 {
        self.0[state as usize]
    }

    /// How many have ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        TaskState::VARIANTS.iter().filter(|state| state.is_ended()).map(|state| self.of(*state)).sum()
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(super) fn add(&mut self, state: TaskState, count: u32) {
        self.0[state as usize] += u64::from(count);
    }

    pub(super) fn take(&mut self, state: TaskState, count: u32) {
        self.0[state as usize] -= u64::from(count);
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine += theirs);
    }
}

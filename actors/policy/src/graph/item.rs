//! What is remembered of one item of a graph, a task or an array.

use crate::dependency::Need;
use crate::event::LogPosition;
use crate::graph::state::TaskState;
use crate::placement::ShapeId;
use crate::planted;
use crate::task::Priority;

/// What the members of an item are that nothing else is known of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Ready up to the cursor, waiting behind it.
    Open,
    /// Skipped, all of them.
    Skipped,
    /// Cancelled, all of them.
    Cancelled,
}

/// One item. 72 bytes.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Where the record of its admission starts in the log: its specification.
    pub position: LogPosition,
    /// The array's first index; 0 for a task.
    pub first_index: u64,
    /// The offset of its first task from the graph's first.
    pub first: u32,
    /// How many tasks it makes, from 1.
    pub count: u32,
    /// How many may be out at once; `u32::MAX` for no limit.
    pub limit: u32,
    /// Members before this one have been handed out or passed over.
    pub cursor: u32,
    /// What it needs.
    pub shape: ShapeId,
    /// Dependencies that are not, or no more, as they are needed.
    pub deps_left: u32,
    /// Dependencies that will not be as they are needed, unless something is tried again.
    pub deps_bad: u32,
    /// Members that are ready, backing off or active.
    pub out: u32,
    /// Members that succeeded.
    pub succeeded: u32,
    /// Members that ended badly.
    pub bad: u32,
    /// Members that ended badly without having run to an end: cancelled or skipped.
    pub stopped: u32,
    /// Members that ended by consequence and have no record of it yet.
    pub unrecorded: u32,
    /// The offset of the task that made the first member end badly; means nothing while `bad` is 0.
    pub cause: u32,
    pub priority: Priority,
    /// Whether its members run together or not at all, see `crate::gang`.
    pub is_gang: bool,
    pub rest: Rest,
    /// What its dependents know of it.
    pub told: Standing,
}

impl Item {
    /// The state of a member, by offset in the graph, that nothing else is known of.
    pub(super) fn rest_state(&self, offset: u32) -> TaskState {
        match self.rest {
            Rest::Open if offset - self.first < self.cursor => TaskState::Ready,
            Rest::Open => TaskState::Waiting,
            Rest::Skipped => TaskState::Skipped,
            Rest::Cancelled => TaskState::Cancelled,
        }
    }

    /// Members that wait.
    pub(super) fn waiting(&self) -> u32 {
        self.count - self.out - self.succeeded - self.bad
    }

    /// The offsets of its members.
    pub(super) fn offsets(&self) -> std::ops::Range<u32> {
        self.first..self.first + self.count
    }

    /// What its members have come to.
    pub(super) fn standing(&self) -> Standing {
        // An end counts once it has its record: so no start comes before it in the log.
        let over = self.succeeded + self.bad == self.count && self.unrecorded == 0;
        let holds = [
            (over && self.bad == 0, Standing::MET << Need::Success as u8),
            (over && self.stopped == 0, Standing::MET << Need::End as u8),
            (over, Standing::MET << Need::Always as u8),
            (self.bad > 0, Standing::FAILED << Need::Success as u8),
            (self.stopped > 0, Standing::FAILED << Need::End as u8),
        ];
        Standing(holds.iter().fold(0, |bits, (holds, bit)| if *holds { bits | bit } else { bits }))
    }

    /// How many more may be out at once.
    pub(super) fn places(&self) -> u32 {
        if planted!(ParallelLimitIgnored) {
            return u32::MAX;
        }
        self.limit.saturating_sub(self.out)
    }
}

/// What an item's members have come to, as far as it matters to those that depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Standing(u8);

impl Standing {
    const MET: u8 = 1;
    const FAILED: u8 = 8;

    /// Whether who needs this may start, for all that is known now.
    pub(super) fn meets(self, needs: Need) -> bool {
        self.0 & (Self::MET << needs as u8) != 0
    }

    /// Whether who needs this will wait for nothing, unless something is tried again.
    pub(super) fn fails(self, needs: Need) -> bool {
        self.0 & (Self::FAILED << needs as u8) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_72_bytes_at_most() {
        assert!(size_of::<Item>() <= 72, "{}", size_of::<Item>());
    }
}

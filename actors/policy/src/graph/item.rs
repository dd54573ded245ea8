//! What is remembered of one item of a graph, a task or an array, and of what depends on what.

use crate::event::LogPosition;
use crate::graph::state::TaskState;
use crate::placement::ShapeId;
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
    /// Dependencies that have not succeeded.
    pub deps_left: u32,
    /// Dependencies with a member that ended badly.
    pub deps_bad: u32,
    /// Members that are ready, backing off or active.
    pub out: u32,
    /// Members that succeeded.
    pub succeeded: u32,
    /// Members that ended badly.
    pub bad: u32,
    /// Members that ended by consequence and have no record of it yet.
    pub unrecorded: u32,
    /// The offset of the task that made the first member end badly; means nothing while `bad` is 0.
    pub cause: u32,
    pub priority: Priority,
    pub rest: Rest,
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

    /// How many more may be out at once.
    pub(super) fn places(&self) -> u32 {
        self.limit.saturating_sub(self.out)
    }
}

/// For every item the items it is joined to, in one list each way.
#[derive(Debug, Default)]
pub(super) struct Edges {
    /// Where the list of each item starts, and one more; empty where nothing depends on anything.
    starts: Box<[u32]>,
    ends: Box<[u32]>,
}

impl Edges {
    /// From the lists one after the other; `starts` has one more entry than there are items.
    pub(super) fn new(starts: Vec<u32>, ends: Vec<u32>) -> Self {
        if ends.is_empty() { Self::default() } else { Self { starts: starts.into(), ends: ends.into() } }
    }

    /// The same edges seen from the other side, each list in ascending order.
    pub(super) fn reversed(&self) -> Self {
        let items = self.starts.len().saturating_sub(1);
        let mut starts = vec![0_u32; self.starts.len()];
        self.ends.iter().for_each(|end| starts[*end as usize + 1] += 1);
        for item in 0..items {
            starts[item + 1] += starts[item];
        }
        let mut next = starts.clone();
        let mut ends = vec![0_u32; self.ends.len()];
        for item in 0..items {
            for end in self.of(item) {
                let place = &mut next[*end as usize];
                ends[*place as usize] = super::to_u32(item);
                *place += 1;
            }
        }
        Self::new(starts, ends)
    }

    pub(super) fn of(&self, item: usize) -> &[u32] {
        if self.starts.is_empty() {
            return &[];
        }
        &self.ends[self.starts[item] as usize..self.starts[item + 1] as usize]
    }

    /// One end by its place among the item's, for loops that change the graph meanwhile.
    pub(super) fn nth(&self, item: usize, place: usize) -> Option<usize> {
        self.of(item).get(place).map(|end| *end as usize)
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.starts) + size_of_val(&*self.ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_72_bytes_at_most() {
        assert!(size_of::<Item>() <= 72, "{}", size_of::<Item>());
    }

    #[test]
    fn dependents_are_the_dependencies_seen_from_the_other_side() {
        let dependencies = Edges::new(vec![0, 0, 1, 2, 4], vec![0, 0, 1, 2]);
        let dependents = dependencies.reversed();
        assert_eq!((dependents.of(0), dependents.of(1), dependents.of(3)), (&[1, 2][..], &[3][..], &[][..]));
    }
}

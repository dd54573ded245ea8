//! What is remembered of one item of a graph, a task or an array, and of what depends on what.

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

    /// The offsets of its members.
    pub(super) fn offsets(&self) -> std::ops::Range<u32> {
        self.first..self.first + self.count
    }

    /// How many more may be out at once.
    pub(super) fn places(&self) -> u32 {
        if planted!(ParallelLimitIgnored) {
            return u32::MAX;
        }
        self.limit.saturating_sub(self.out)
    }
}

/// For every item the items it is joined to, in one list each way. Graphs without any are many: they cost
/// a pointer.
#[derive(Debug, Default)]
pub(super) struct Edges(Option<Box<Lists>>);

#[derive(Debug)]
struct Lists {
    /// Where the list of each item starts in `ends`, and where the last one ends.
    starts: Box<[u32]>,
    ends: Box<[u32]>,
}

impl Edges {
    /// From the lists one after the other; `starts` has one more entry than there are items.
    pub(super) fn new(starts: Vec<u32>, ends: Vec<u32>) -> Self {
        Self((!ends.is_empty()).then(|| Box::new(Lists { starts: starts.into(), ends: ends.into() })))
    }

    /// The same edges seen from the other side, each list in ascending order.
    pub(super) fn reversed(&self) -> Self {
        let Some(lists) = &self.0 else { return Self(None) };
        let items = lists.starts.len() - 1;
        let mut starts = vec![0_u32; items + 1];
        lists.ends.iter().for_each(|end| starts[*end as usize + 1] += 1);
        for item in 0..items {
            starts[item + 1] += starts[item];
        }
        let mut next = starts.clone();
        let mut ends = vec![0_u32; lists.ends.len()];
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
        let Some(lists) = &self.0 else { return &[] };
        &lists.ends[lists.starts[item] as usize..lists.starts[item + 1] as usize]
    }

    /// One end by its place among the item's, for loops that change the graph meanwhile.
    pub(super) fn nth(&self, item: usize, place: usize) -> Option<usize> {
        self.of(item).get(place).map(|end| *end as usize)
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |lists| size_of_val(&*lists.starts) + size_of_val(&*lists.ends))
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

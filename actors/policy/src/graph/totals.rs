//! What is counted over all graphs.

use std::ops::{Index, IndexMut};

use crate::graph::state::{Counts, TaskState};
use crate::placement::ShapeId;

/// Counts over all graphs.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Tasks by state, by priority.
    by_priority: [Counts; 4],
    /// Items of which not every member has ended.
    open_items: u64,
    /// Tasks that have not ended, by shape.
    unended: Vec<u64>,
}

impl Totals {
    pub(super) fn open_items(&self) -> u64 {
        self.open_items
    }

    pub(super) fn unended(&self, shape: ShapeId) -> u64 {
        self.unended.get(shape.0 as usize).copied().unwrap_or(0)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Counts> {
        self.by_priority.iter()
    }

    /// A new item with so many tasks, none of which has ended.
    pub(super) fn opened(&mut self, shape: ShapeId, count: u32) {
        self.open_items += 1;
        *self.of_shape(shape) += u64::from(count);
    }

    /// Members of an item went from one state into another, after which it is open or not as it was before.
    pub(super) fn shifted(
        &mut self,
        shape: ShapeId,
        (from, to): (TaskState, TaskState),
        count: u32,
        (was_open, is_open): (bool, bool),
    ) {
        match (was_open, is_open) {
            (true, false) => self.open_items -= 1,
            (false, true) => self.open_items += 1,
            (true, true) | (false, false) => {}
        }
        match (from.is_ended(), to.is_ended()) {
            (false, true) => *self.of_shape(shape) -= u64::from(count),
            (true, false) => *self.of_shape(shape) += u64::from(count),
            (true, true) | (false, false) => {}
        }
    }

    fn of_shape(&mut self, shape: ShapeId) -> &mut u64 {
        let place = shape.0 as usize;
        if place >= self.unended.len() {
            self.unended.resize(place + 1, 0);
        }
        &mut self.unended[place]
    }
}

impl Index<usize> for Totals {
    type Output = Counts;

    fn index(&self, priority: usize) -> &Counts {
        &self.by_priority[priority]
    }
}

impl IndexMut<usize> for Totals {
    fn index_mut(&mut self, priority: usize) -> &mut Counts {
        &mut self.by_priority[priority]
    }
}

/// Shapes that nobody uses any more may still have a place.
impl PartialEq for Totals {
    fn eq(&self, other: &Self) -> bool {
        let longest = self.unended.len().max(other.unended.len());
        let shapes = (0..longest).map(|shape| ShapeId(u32::try_from(shape).unwrap_or(u32::MAX)));
        self.by_priority == other.by_priority
            && self.open_items == other.open_items
            && shapes.into_iter().all(|shape| self.unended(shape) == other.unended(shape))
    }
}

//! One graph: its items, its tasks, and the one place where a task's state changes.
//!
//! A change of a single task goes through `set`, a change of many of an item's tasks at once through
//! `shift`; both keep the counts, so nothing else has to. What follows for other tasks is in `flow`.
//!
//! The offsets of a graph's tasks are without gaps; their ids are so within the part they came with.

use std::collections::BTreeSet;

use crate::event::{LogPosition, SubmissionKey};
use crate::graph::edges::Edges;
use crate::graph::effects::{Effects, Mark};
use crate::graph::item::Item;
use crate::graph::pages::Pages;
use crate::graph::state::{Counts, TaskState};
use crate::graph::totals::Totals;
use crate::id::{GraphId, TaskId, TaskRange};
use crate::lending::Lending;
use crate::time::Timestamp;

/// See the module.
#[derive(Debug)]
pub(super) struct Graph {
    pub id: GraphId,
    pub key: SubmissionKey,
    pub digest: [u8; 16],
    pub position: LogPosition,
    pub admitted_at: Timestamp,
    /// When its last task ended; none while one has not.
    pub finished_at: Option<Timestamp>,
    /// Whether its cancellation was asked for. Then nothing of it waits, is ready or backs off.
    pub cancel_asked: bool,
    pub tasks: u32,
    pub counts: Counts,
    pub items: Vec<Item>,
    /// What was added later, in order.
    pub parts: Vec<Part>,
    pub dependencies: Edges,
    pub dependents: Edges,
    pub pages: Pages,
    /// Tasks that wait on their own, not as the rest of their item, since they were tried again.
    pub held: BTreeSet<u32>,
    /// Who is served as somebody who waits for it; none where nobody can be.
    pub lending: Option<Box<Lending>>,
}

/// Tasks that were added to a graph, up to the next part.
#[derive(Debug)]
pub(super) struct Part {
    /// The offset of the first.
    pub offset: u32,
    /// Its id; those behind it follow.
    pub first: TaskId,
    pub key: SubmissionKey,
    pub digest: [u8; 16],
}

/// Where changes leave what they lead to.
#[derive(Debug)]
pub(super) struct Out<'a> {
    pub totals: &'a mut Totals,
    pub effects: &'a mut Effects,
}

impl Graph {
    pub(super) fn task(&self, offset: u32) -> TaskId {
        let after = self.parts.partition_point(|part| part.offset <= offset);
        match after.checked_sub(1).and_then(|at| self.parts.get(at)) {
            Some(part) => TaskId(part.first.0 + u64::from(offset - part.offset)),
            None => TaskId(self.id.0 + u64::from(offset)),
        }
    }

    /// How many tasks have ids from the graph's own on.
    pub(super) fn first_part(&self) -> u32 {
        self.parts.first().map_or(self.tasks, |part| part.offset)
    }

    /// The ids of its tasks, part by part.
    pub(super) fn ranges(&self) -> impl Iterator<Item = TaskRange> {
        let starts = std::iter::once(0).chain(self.parts.iter().map(|part| part.offset));
        let ends = self.parts.iter().map(|part| part.offset).chain([self.tasks]);
        starts.zip(ends).map(|(start, end)| self.range(start, end - start))
    }

    pub(super) fn range(&self, offset: u32, count: u32) -> TaskRange {
        TaskRange { first: self.task(offset), count }
    }

    /// The item a task belongs to.
    pub(super) fn item_of(&self, offset: u32) -> usize {
        if self.items.len() == self.tasks as usize {
            return offset as usize;
        }
        self.items.partition_point(|item| item.first <= offset) - 1
    }

    pub(super) fn state_of(&self, item: usize, offset: u32) -> TaskState {
        self.pages.get(offset).state.unwrap_or_else(|| self.items[item].rest_state(offset))
    }

    pub(super) fn is_finished(&self) -> bool {
        self.counts.ended() == u64::from(self.tasks)
    }

    /// Remembers a task's last record.
    pub(super) fn mark(&mut self, offset: u32, mark: Mark) {
        let entry = self.pages.touch(offset);
        entry.position = mark.position;
        entry.sequence = mark.sequence;
    }

    /// Puts one task into a state and draws the consequences. An end is `recorded` when a record of the
    /// task's own says so. Success is final.
    pub(super) fn set(&mut self, offset: u32, to: TaskState, recorded: bool, out: &mut Out<'_>) {
        let number = self.item_of(offset);
        let from = self.state_of(number, offset);
        if from == TaskState::Succeeded {
            return;
        }
        let item = &mut self.items[number];
        let was_bad = item.bad > 0;
        let entry = self.pages.touch(offset);
        item.unrecorded -= u32::from(from.is_ended() && !entry.recorded);
        item.unrecorded += u32::from(to.is_ended() && !recorded);
        entry.recorded = to.is_ended() && recorded;
        entry.cancel_asked &= to == TaskState::Active;
        if from == to {
            return self.settle(number, out);
        }
        if entry.state.replace(to) == Some(TaskState::Waiting) {
            self.held.remove(&offset);
        }
        if to == TaskState::Waiting {
            self.held.insert(offset);
        }
        self.shift(number, (from, to), 1, out);
        self.follow(number, (offset, to), was_bad, out);
    }

    /// Counts `count` members of an item from one state into another.
    pub(super) fn shift(
        &mut self,
        number: usize,
        (from, to): (TaskState, TaskState),
        count: u32,
        out: &mut Out<'_>,
    ) {
        let item = &mut self.items[number];
        let was_open = item.succeeded + item.bad < item.count;
        for counts in [&mut self.counts, &mut out.totals[item.priority as usize]] {
            counts.take(from, count);
            counts.add(to, count);
        }
        for (holds, sum) in [
            (TaskState::is_out as fn(TaskState) -> bool, &mut item.out),
            (TaskState::is_bad, &mut item.bad),
            (TaskState::is_stopped, &mut item.stopped),
            (|state| state == TaskState::Succeeded, &mut item.succeeded),
        ] {
            *sum -= if holds(from) { count } else { 0 };
            *sum += if holds(to) { count } else { 0 };
        }
        let is_open = item.succeeded + item.bad < item.count;
        out.totals.shifted(item.shape, (from, to), count, (was_open, is_open));
        self.touch_lending(number);
    }

    fn follow(&mut self, number: usize, (offset, to): (u32, TaskState), was_bad: bool, out: &mut Out<'_>) {
        let item = &mut self.items[number];
        if !was_bad && item.bad > 0 {
            item.cause = offset;
            self.end_gang(number, (offset, to), out);
        }
        self.settle(number, out);
        self.hand_out(number, out);
    }

    /// Bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>()
            + size_of_val(&*self.items)
            + self.dependencies.bytes()
            + self.dependents.bytes()
            + self.pages.bytes()
            + self.lending.as_ref().map_or(0, |lending| lending.bytes())
    }
}

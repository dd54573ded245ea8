//! What follows from a change for other tasks of the graph: members that come to their turn, dependents that
//! are released, skipped, or waited for again.
//!
//! All of it walks along the edges with a list of items still to visit, never by calling itself, so a chain
//! of a million items needs no stack.

use std::ops::Range;

use crate::graph::effects::{Closed, ClosedBy, Ready};
use crate::graph::item::Rest;
use crate::graph::state::TaskState;
use crate::graph::table::{Graph, Out};
use crate::planted;

impl Graph {
    /// Makes ready what can start at once. Once, when the graph is new.
    pub(super) fn open(&mut self, out: &mut Out<'_>) {
        for number in 0..self.items.len() {
            let item = &self.items[number];
            self.counts.add(TaskState::Waiting, item.count);
            out.totals[item.priority as usize].add(TaskState::Waiting, item.count);
            out.totals.opened(item.shape, item.count);
            self.hand_out(number, out);
        }
    }

    /// Makes as many members of an item ready as its dependencies and its limit let: first those that are
    /// tried again, then the next in order.
    pub(super) fn hand_out(&mut self, number: usize, out: &mut Out<'_>) {
        if self.items[number].deps_left > 0 || self.items[number].places() == 0 {
            return;
        }
        while self.items[number].places() > 0 {
            let Some(offset) = self.held.range(self.items[number].offsets()).next().copied() else { break };
            self.held.remove(&offset);
            self.pages.touch(offset).state = Some(TaskState::Ready);
            self.shift(number, (TaskState::Waiting, TaskState::Ready), 1, out);
            self.push_ready(number, offset, 1, out);
        }
        if self.items[number].rest == Rest::Open {
            self.hand_out_rest(number, out);
        }
    }

    /// Takes ready members back until no more are out than the limit allows. A log can show a grant before
    /// what made room for it was weighed against a neighbour's retry; what was granted stays granted.
    pub(super) fn take_back(&mut self, number: usize, out: &mut Out<'_>) {
        let item = &self.items[number];
        let mut offsets = item.offsets().rev();
        while self.items[number].out > self.items[number].limit {
            let ready = offsets.find(|offset| self.state_of(number, *offset) == TaskState::Ready);
            let Some(offset) = ready else { return };
            self.pages.touch(offset).state = Some(TaskState::Waiting);
            self.held.insert(offset);
            self.shift(number, (TaskState::Ready, TaskState::Waiting), 1, out);
        }
    }

    fn hand_out_rest(&mut self, number: usize, out: &mut Out<'_>) {
        loop {
            let item = &self.items[number];
            let (offset, limit) = (item.first + item.cursor, item.places().min(item.count - item.cursor));
            if limit == 0 {
                return;
            }
            let stretch = self.pages.stretch(offset, limit);
            self.items[number].cursor += stretch.count;
            if stretch.state.is_none() {
                self.shift(number, (TaskState::Waiting, TaskState::Ready), stretch.count, out);
                self.push_ready(number, offset, stretch.count, out);
            }
        }
    }

    pub(super) fn push_ready(&self, number: usize, offset: u32, count: u32, out: &mut Out<'_>) {
        let item = &self.items[number];
        let tasks = self.range(offset, count);
        out.effects.push_ready(Ready { tasks, priority: item.priority, shape: item.shape });
    }

    /// All of an item has succeeded: one dependency fewer for its dependents.
    pub(super) fn release_dependents(&mut self, number: usize, out: &mut Out<'_>) {
        let mut place = 0;
        while let Some(dependent) = self.dependents.nth(number, place) {
            self.items[dependent].deps_left -= 1;
            self.hand_out(dependent, out);
            place += 1;
        }
    }

    /// A first member of an item has ended badly: all that depends on it, near or far, is skipped.
    pub(super) fn skip_dependents(&mut self, number: usize, out: &mut Out<'_>) {
        if planted!(FailureForgotten) {
            return;
        }
        let cause = self.items[number].cause;
        let by = ClosedBy::Skip(self.task(cause));
        let mut visit = vec![number];
        let mut visited = 0;
        while let Some(bad) = visit.get(visited).copied() {
            visited += 1;
            let mut place = 0;
            while let Some(dependent) = self.dependents.nth(bad, place) {
                place += 1;
                let was_bad = self.items[dependent].bad > 0;
                self.items[dependent].deps_bad += 1;
                if self.close(dependent, by, out).is_some() {
                    self.items[dependent].cause = cause;
                    if !was_bad {
                        visit.push(dependent);
                    }
                }
            }
        }
    }

    /// No member of an item counts as ended badly any more: what was skipped only for it waits again.
    pub(super) fn revive_dependents(&mut self, number: usize, out: &mut Out<'_>) {
        let mut visit = vec![number];
        let mut visited = 0;
        while let Some(good) = visit.get(visited).copied() {
            visited += 1;
            let mut place = 0;
            while let Some(dependent) = self.dependents.nth(good, place) {
                place += 1;
                self.items[dependent].deps_bad -= 1;
                if self.items[dependent].deps_bad > 0 || self.items[dependent].bad == 0 {
                    continue;
                }
                self.revive(dependent, out);
                if self.items[dependent].bad == 0 {
                    visit.push(dependent);
                }
            }
        }
    }

    /// Cancels everything that is not over.
    pub(super) fn cancel_all(&mut self, out: &mut Out<'_>) {
        self.cancel_asked = true;
        let mut turned_bad = Vec::new();
        for number in 0..self.items.len() {
            let was_bad = self.items[number].bad > 0;
            if let Some(first) = self.close(number, ClosedBy::Cancel, out)
                && !was_bad
            {
                self.items[number].cause = first;
                turned_bad.push(number);
            }
        }
        // Nothing is left to be skipped; this keeps the count of bad dependencies.
        turned_bad.into_iter().for_each(|number| self.skip_dependents(number, out));
    }

    /// Cancels one task, or marks it as to be cancelled where it is active. Whether that changed anything.
    pub(super) fn cancel_one(&mut self, offset: u32, out: &mut Out<'_>) -> bool {
        let number = self.item_of(offset);
        let was = self.state_of(number, offset);
        if was.is_ended() {
            return false;
        }
        if was == TaskState::Active {
            self.pages.touch(offset).cancel_asked = true;
            out.effects.tell.push(self.range(offset, 1));
        } else {
            self.push_closed(number, (offset, 1), (ClosedBy::Cancel, was), out);
            self.set(offset, TaskState::Cancelled, false, out);
        }
        true
    }

    /// Ends all members of an item that are neither ended nor active; marks the active ones of a
    /// cancellation. The offset of the first it ended.
    fn close(&mut self, number: usize, by: ClosedBy, out: &mut Out<'_>) -> Option<u32> {
        let item = &self.items[number];
        if item.waiting() == 0 && item.out == 0 {
            return None;
        }
        let (to, rest) = match by {
            ClosedBy::Skip(_) => (TaskState::Skipped, Rest::Skipped),
            ClosedBy::Cancel => (TaskState::Cancelled, Rest::Cancelled),
        };
        let (mut offset, end) = (item.first, item.first + item.count);
        let cursor = item.first + item.cursor;
        let mut closed = None;
        while offset < end {
            let limit = if offset < cursor { cursor } else { end } - offset;
            let stretch = self.pages.stretch(offset, limit);
            let was = self.state_of(number, offset);
            if was == TaskState::Active {
                self.tell(offset, stretch.count, by, out);
            } else if !was.is_ended() {
                if stretch.state.is_some() {
                    self.close_each(offset..offset + stretch.count, to);
                }
                self.items[number].unrecorded += stretch.count;
                self.push_closed(number, (offset, stretch.count), (by, was), out);
                self.shift(number, (was, to), stretch.count, out);
                closed = closed.or(Some(offset));
            }
            offset += stretch.count;
        }
        if self.items[number].rest == Rest::Open {
            self.items[number].rest = rest;
        }
        closed
    }

    fn close_each(&mut self, offsets: Range<u32>, to: TaskState) {
        for offset in offsets {
            self.pages.touch(offset).state = Some(to);
            self.held.remove(&offset);
        }
    }

    fn tell(&mut self, offset: u32, count: u32, by: ClosedBy, out: &mut Out<'_>) {
        if by == ClosedBy::Cancel {
            (offset..offset + count).for_each(|one| self.pages.touch(one).cancel_asked = true);
            out.effects.tell.push(self.range(offset, count));
        }
    }

    fn push_closed(&self, number: usize, at: (u32, u32), why: (ClosedBy, TaskState), out: &mut Out<'_>) {
        let item = &self.items[number];
        let (tasks, (by, was)) = (self.range(at.0, at.1), why);
        out.effects.push_closed(Closed { tasks, by, was, priority: item.priority, shape: item.shape });
    }

    /// Lets the skipped members of an item wait again.
    fn revive(&mut self, number: usize, out: &mut Out<'_>) {
        let item = &self.items[number];
        let (mut offset, end) = (item.first, item.first + item.count);
        while offset < end {
            let stretch = self.pages.stretch(offset, end - offset);
            if self.state_of(number, offset) == TaskState::Skipped {
                self.shift(number, (TaskState::Skipped, TaskState::Waiting), stretch.count, out);
                if stretch.recorded {
                    out.effects.revived.push(self.range(offset, stretch.count));
                } else {
                    self.items[number].unrecorded -= stretch.count;
                }
                self.wait_again(offset..offset + stretch.count);
            }
            offset += stretch.count;
        }
        if self.items[number].rest == Rest::Skipped {
            self.items[number].rest = Rest::Open;
        }
    }

    fn wait_again(&mut self, offsets: Range<u32>) {
        for offset in offsets {
            let entry = self.pages.get(offset);
            if entry.state.is_none() && !entry.recorded {
                continue;
            }
            let entry = self.pages.touch(offset);
            entry.recorded = false;
            if entry.state.is_some() {
                entry.state = Some(TaskState::Waiting);
                self.held.insert(offset);
            }
        }
    }
}

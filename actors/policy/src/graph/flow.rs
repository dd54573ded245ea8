//! What follows from a change for other tasks of the graph: members that come to their turn, dependents that
//! are released, skipped, or waited for again.
//!
//! All of it is `settle`: an item knows what its dependents were told of it, and tells them what is different.
//! It walks along the edges with a list of items still to visit, never by calling itself, so a chain of a
//! million items needs no stack.
//!
//! What has begun, with an attempt granted, goes on: neither a dependency's end nor its being tried again
//! changes it any more.

use std::ops::Range;

use crate::bounds::{Overrun, TimeLimit};
use crate::dependency::Need;
use crate::graph::edges::Edge;
use crate::graph::effects::{Closed, ClosedBy, Ready};
use crate::graph::item::{Rest, Standing};
use crate::graph::state::TaskState;
use crate::graph::table::{Graph, Out};
use crate::planted;

impl Graph {
    /// Makes ready what can start at once of the items from this one on, and skips what never will. Once, when
    /// they are new.
    pub(super) fn open(&mut self, from: usize, out: &mut Out<'_>) {
        for item in &self.items[from..] {
            self.counts.add(TaskState::Waiting, item.count);
            out.totals[item.priority as usize].add(TaskState::Waiting, item.count);
            out.totals.opened(item.shape, item.count);
        }
        for number in from..self.items.len() {
            if self.items[number].deps_bad > 0 {
                self.skip(number, out);
                self.settle(number, out);
            } else {
                self.hand_out(number, out);
            }
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
        out.effects.push_ready(Ready { tasks, priority: self.queue_of(number), shape: item.shape });
    }

    /// Tells the dependents of an item what is new of it, and those of whom this changes, near or far.
    pub(super) fn settle(&mut self, number: usize, out: &mut Out<'_>) {
        let mut visit = Vec::new();
        let (mut next, mut visited) = (Some(number), 0);
        while let Some(number) = next {
            if planted!(FailureForgotten) && self.items[number].bad > 0 {
                return;
            }
            let standing = self.items[number].standing();
            let was = std::mem::replace(&mut self.items[number].told, standing);
            if was != standing {
                self.tell_dependents(number, (was, standing), &mut visit, out);
            }
            next = visit.get(visited).copied();
            visited += 1;
        }
    }

    /// `visit` grows by the dependents of which there is something to tell.
    fn tell_dependents(
        &mut self,
        number: usize,
        change: (Standing, Standing),
        visit: &mut Vec<usize>,
        out: &mut Out<'_>,
    ) {
        let mut place = 0;
        while let Some(edge) = self.dependents.nth(number, place) {
            place += 1;
            let dependent = edge.item();
            self.hear(edge, change, out);
            if self.items[dependent].told != self.items[dependent].standing() {
                visit.push(dependent);
            }
        }
    }

    /// A dependent hears what has become of one of its dependencies.
    fn hear(&mut self, edge: Edge, (was, is): (Standing, Standing), out: &mut Out<'_>) {
        let (number, needs) = (edge.item(), edge.needs());
        let item = &mut self.items[number];
        match (was.meets(needs), is.meets(needs)) {
            (false, true) => item.deps_left -= 1,
            (true, false) => {
                item.deps_left += 1;
                self.withdraw(number, out);
            }
            _ => {}
        }
        self.touch_lending(number);
        match (was.fails(needs), is.fails(needs)) {
            (false, true) => {
                self.items[number].deps_bad += 1;
                self.skip(number, out);
            }
            (true, false) => {
                self.items[number].deps_bad -= 1;
                self.revive(number, out);
            }
            _ => {}
        }
        self.hand_out(number, out);
    }

    /// Takes back what is ready of an item and has not begun: it waits as if it had never been handed out.
    pub(super) fn withdraw(&mut self, number: usize, out: &mut Out<'_>) {
        let item = &self.items[number];
        let (mut offset, end, cursor) = (item.first, item.first + item.count, item.first + item.cursor);
        let mut first_of_rest = None;
        while self.items[number].out > 0 && offset < end {
            let limit = if offset < cursor { cursor } else { end } - offset;
            let stretch = self.pages.stretch(offset, limit);
            if self.state_of(number, offset) == TaskState::Ready {
                // Alone where it has an entry of its own: whether it has begun is not the same for all of them.
                let count = if stretch.state.is_some() { 1 } else { stretch.count };
                if self.pages.get(offset).attempts == 0 {
                    first_of_rest = first_of_rest.or(Some(offset));
                    self.take_from_queue(number, (offset, count), out);
                }
                offset += count;
            } else {
                offset += stretch.count;
            }
        }
        let item = &mut self.items[number];
        if let Some(first) = first_of_rest.filter(|_| item.rest == Rest::Open) {
            item.cursor = item.cursor.min(first - item.first);
        }
    }

    fn take_from_queue(&mut self, number: usize, (offset, count): (u32, u32), out: &mut Out<'_>) {
        if self.items[number].rest != Rest::Open {
            self.pages.touch(offset).state = Some(TaskState::Waiting);
            self.held.insert(offset);
        } else if self.pages.get(offset).state.is_some() {
            self.pages.touch(offset).state = None;
        }
        self.shift(number, (TaskState::Ready, TaskState::Waiting), count, out);
        let item = &self.items[number];
        let tasks = self.range(offset, count);
        out.effects.withdrawn.push(Ready { tasks, priority: self.queue_of(number), shape: item.shape });
    }

    /// Ends what waits of an item, since one of its dependencies has failed it.
    pub(super) fn skip(&mut self, number: usize, out: &mut Out<'_>) {
        if self.items[number].waiting() == 0 {
            return;
        }
        let Some(cause) = self.bad_dependency(number) else { return };
        if self.close(number, ClosedBy::Skip(self.task(cause)), out).is_some() {
            self.items[number].cause = cause;
        }
    }

    /// The offset of a task that did not end as this item needs it, and on which it depends, directly or
    /// through others.
    pub(super) fn bad_dependency(&self, number: usize) -> Option<u32> {
        let failed = |edge: &Edge| self.items[edge.item()].standing().fails(edge.needs());
        let edge = self.dependencies.of(number).find(failed)?;
        let on = &self.items[edge.item()];
        let by_a_stop =
            edge.needs() == Need::End && !self.state_of(self.item_of(on.cause), on.cause).is_stopped();
        let other = if by_a_stop { self.first_cancelled(edge.item()) } else { None };
        Some(other.unwrap_or(on.cause))
    }

    fn first_cancelled(&self, number: usize) -> Option<u32> {
        let (mut offset, end) =
            (self.items[number].first, self.items[number].first + self.items[number].count);
        while offset < end {
            let (state, alike) = self.alike(offset);
            if state == TaskState::Cancelled {
                return Some(offset);
            }
            offset += alike;
        }
        None
    }

    /// Cancels everything that is not over.
    pub(super) fn cancel_all(&mut self, out: &mut Out<'_>) {
        self.cancel_asked = true;
        for number in 0..self.items.len() {
            let was_bad = self.items[number].bad > 0;
            if let Some(first) = self.close(number, ClosedBy::Cancel, out)
                && !was_bad
            {
                self.items[number].cause = first;
            }
        }
        // Nothing is left to be skipped or to start; this keeps what dependents know.
        (0..self.items.len()).for_each(|number| self.settle(number, out));
    }

    /// Cancels one task, or marks it as to be cancelled where it is active; with one of a gang all of it. Whether that changed
    /// anything.
    pub(super) fn cancel_one(&mut self, offset: u32, out: &mut Out<'_>) -> bool {
        let number = self.item_of(offset);
        let others = self.others_of_gang(number, offset);
        let changed = self.cancel_alone(offset, out);
        if changed {
            for other in others {
                let _ = self.cancel_alone(other, out);
            }
        }
        changed
    }

    pub(super) fn cancel_alone(&mut self, offset: u32, out: &mut Out<'_>) -> bool {
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

    /// Ends one task that has waited beyond a limit of time, unless it is active; with `queue_timeout` only where
    /// it is ready. Whether that changed anything.
    pub(super) fn end_late(&mut self, offset: u32, overrun: Overrun, out: &mut Out<'_>) -> bool {
        let number = self.item_of(offset);
        let was = self.state_of(number, offset);
        let only_ready = overrun.limit == TimeLimit::QueueTimeout;
        if was.is_ended() || was == TaskState::Active || (only_ready && was != TaskState::Ready) {
            return false;
        }
        self.push_closed(number, (offset, 1), (ClosedBy::Late(overrun), was), out);
        self.set(offset, TaskState::Failed, false, out);
        true
    }

    /// Ends the members of an item that wait and, for a cancellation, all that have not ended and are not active:
    /// these it marks. The offset of the first it ended.
    fn close(&mut self, number: usize, by: ClosedBy, out: &mut Out<'_>) -> Option<u32> {
        let item = &self.items[number];
        if item.waiting() == 0 && item.out == 0 {
            return None;
        }
        let (to, rest) = match by {
            ClosedBy::Skip(_) => (TaskState::Skipped, Rest::Skipped),
            // What is late ends one by one.
            ClosedBy::Cancel | ClosedBy::Late(_) => (TaskState::Cancelled, Rest::Cancelled),
        };
        let (mut offset, end) = (item.first, item.first + item.count);
        let (cursor, is_gang) = (item.first + item.cursor, item.is_gang);
        let mut closed = None;
        while offset < end {
            let limit = if offset < cursor { cursor } else { end } - offset;
            let stretch = self.pages.stretch(offset, limit);
            let was = self.state_of(number, offset);
            if was == TaskState::Active {
                self.tell(offset, stretch.count, by, out);
            } else if !was.is_ended() && (was == TaskState::Waiting || by == ClosedBy::Cancel || is_gang) {
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
        out.effects.push_closed(Closed {
            tasks,
            by,
            was,
            priority: self.queue_of(number),
            shape: item.shape,
        });
    }

    /// Lets the skipped members of an item wait again, where nothing fails it any more.
    fn revive(&mut self, number: usize, out: &mut Out<'_>) {
        let item = &self.items[number];
        if item.deps_bad > 0 || (item.stopped == 0 && item.rest != Rest::Skipped) {
            return;
        }
        if self.has_failed_as_gang(number) {
            return;
        }
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

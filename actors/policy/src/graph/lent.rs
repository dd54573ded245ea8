//! Whom the items of a graph lend their priority: feeds `lending` with who waits for whom, and says who is in
//! another queue for it.
//!
//! What has changed is worked out once, when all that a change leads to is: until then everybody is where it was.
//! A graph of one priority, or without dependencies, has nothing to lend and keeps no accounts.

use serde::{Deserialize, Serialize};

use crate::graph::Graphs;
use crate::graph::effects::{Effects, Moved, Ready};
use crate::graph::item::Item;
use crate::graph::state::TaskState;
use crate::graph::table::{Graph, Out};
use crate::id::TaskId;
use crate::lending::Change;
use crate::task::Priority;

/// What is lent to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    /// As what it is served.
    pub runs_as: Priority,
    /// Whose priority that is, or where that is far, one between.
    pub by: TaskId,
}

impl Graphs {
    /// Lends from now on, or no more: who is ready goes where it belongs.
    pub fn lend(&mut self, lends: bool, effects: &mut Effects) {
        if std::mem::replace(&mut self.lends, lends) == lends {
            return;
        }
        let out = &mut Out { totals: &mut self.totals, effects };
        for graph in self.graphs.values_mut() {
            if lends {
                graph.learn_lending(0, lends, out);
            } else {
                graph.forget_lending(out);
            }
        }
    }

    /// Whether anything is lent at all.
    #[must_use]
    pub fn lends(&self) -> bool {
        self.lends
    }

    /// What is lent to a task that has not ended.
    #[must_use]
    pub fn lent(&self, task: TaskId) -> Option<Lent> {
        let (graph, offset) = self.find(task)?;
        let (lending, number) = (graph.lending.as_ref()?, graph.item_of(offset));
        if !lending.is_lent(number) || graph.state_of(number, offset).is_ended() {
            return None;
        }
        let by = lending.lender(number, |item| graph.dependents.of(item).map(|edge| edge.item()))?;
        Some(Lent { runs_as: lending.queue(number), by: graph.task(graph.items[by].first) })
    }
}

impl Item {
    /// Whether members of it wait for what it depends on.
    fn waits(&self) -> bool {
        self.deps_left > 0 && self.waiting() > 0
    }
}

impl Graph {
    /// The queue in which members of an item are.
    pub(super) fn queue_of(&self, number: usize) -> Priority {
        self.lending.as_ref().map_or(self.items[number].priority, |lending| lending.queue(number))
    }

    /// Something has changed that may decide whether an item waits.
    pub(super) fn touch_lending(&mut self, number: usize) {
        if let Some(lending) = &mut self.lending {
            lending.touch(number, self.items[number].waits());
        }
    }

    /// Opens accounts for the items from this one on, which are new, or for all where there were none.
    pub(super) fn learn_lending(&mut self, from: usize, lends: bool, out: &mut Out<'_>) {
        if !lends || (self.lending.is_none() && !self.has_something_to_lend(from)) {
            return;
        }
        let from = if self.lending.is_some() { from } else { 0 };
        let mut lending = self.lending.take().unwrap_or_default();
        self.items[from..].iter().for_each(|item| lending.push(item.priority));
        for number in from..self.items.len() {
            lending.touch(number, self.items[number].waits());
        }
        self.lending = Some(lending);
        self.settle_lending(out);
    }

    /// Whether there are dependencies and different priorities, where that was not so without the items from this one on.
    fn has_something_to_lend(&self, from: usize) -> bool {
        let had = from > 0 && self.dependencies.has_any_before(from);
        let look_at = if had { &self.items[from..] } else { &self.items[..] };
        let differs = |item: &Item| self.items.first().is_some_and(|first| first.priority != item.priority);
        self.dependencies.has_any() && look_at.iter().any(differs)
    }

    /// Works out what follows for others from who waits now, and names those that are in another queue for it.
    pub(super) fn settle_lending(&mut self, out: &mut Out<'_>) {
        let Some(mut lending) = self.lending.take() else { return };
        for number in lending.take_touched() {
            let dependencies = |item| self.dependencies.of(item).map(|edge| edge.item());
            lending.set_waits(number, self.items[number].waits(), dependencies);
        }
        let changes = lending.changes();
        self.lending = Some(lending);
        changes.into_iter().for_each(|change| self.push_moved(change, out));
    }

    fn forget_lending(&mut self, out: &mut Out<'_>) {
        let Some(lending) = self.lending.take() else { return };
        for (item, own) in self.items.iter().map(|item| item.priority).enumerate() {
            let change = Change { item, from: lending.queue(item), to: own };
            if change.from != change.to {
                self.push_moved(change, out);
            }
        }
    }

    pub(super) fn push_moved(&self, Change { item, from, to }: Change, out: &mut Out<'_>) {
        let Item { first, count, shape, out: members, .. } = self.items[item];
        if members == 0 {
            return;
        }
        for (tasks, _) in self.stretches(first, count).filter(|(_, state)| *state == TaskState::Ready) {
            out.effects.push_moved(Moved { ready: Ready { tasks, priority: to, shape }, from });
        }
    }

    /// Asserts that the accounts are what the items come to.
    pub(super) fn check_lending(&self, lends: bool) {
        let differs = |item: &Item| item.priority != self.items[0].priority;
        let is_due = lends && self.dependencies.has_any() && self.items.iter().any(differs);
        assert!(!is_due || self.lending.is_some(), "a graph that has something to lend has accounts");
        let Some(lending) = &self.lending else { return };
        assert!(lends, "who lends nothing has no accounts");
        let dependencies = |item| self.dependencies.of(item).map(|edge| edge.item());
        lending.check(|item| self.items[item].waits(), dependencies);
    }
}

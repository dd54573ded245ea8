//! Which lines are shown where not all can be.

use std::collections::BTreeMap;

use super::kept::Kept;
use super::{HEAD_BYTES, NOTE_BYTES};

/// Chooses of lines, which may come more than once and in any order, what fits into `limit` bytes together with all
/// that is said about what is missing.
pub(super) fn choose(lines: impl Iterator<Item = Kept>, limit: usize) -> Vec<Kept> {
    let lines: BTreeMap<u64, Kept> = lines.map(|line| (line.number, line)).collect();
    // Nothing chosen is one gap; each line that stands alone makes one more.
    let mut choice = Choice::of(lines.into_values().collect(), HEAD_BYTES + NOTE_BYTES);
    choice.ends(limit);
    let room = limit - choice.used;
    choice.tail(choice.used + room / 4);
    choice.head(choice.used + room / 4);
    // The first error is mostly the cause, the last the end.
    choice.troubles(0..choice.lines.len(), choice.used + room / 4);
    choice.troubles((0..choice.lines.len()).rev(), limit);
    choice.tail(limit);
    choice.head(limit);
    choice.into_lines()
}

struct Choice {
    lines: Vec<Kept>,
    chosen: Vec<bool>,
    used: usize,
}

impl Choice {
    fn of(lines: Vec<Kept>, used: usize) -> Self {
        Self { chosen: vec![false; lines.len()], lines, used }
    }

    /// The last line and the first, before any other: how the story ends, and what it is about.
    fn ends(&mut self, limit: usize) {
        if let Some(last) = self.lines.len().checked_sub(1) {
            self.take(last, limit);
            self.take(0, limit);
        }
    }

    /// The last lines, as many as fit without a gap.
    fn tail(&mut self, limit: usize) {
        for at in (0..self.lines.len()).rev() {
            let joins = at + 1 == self.lines.len() || self.joins(at);
            if !joins || !self.take(at, limit) {
                break;
            }
        }
    }

    /// The first lines, as many as fit without a gap.
    fn head(&mut self, limit: usize) {
        for at in 0..self.lines.len() {
            let joins = at == 0 || self.joins(at - 1);
            if !joins || !self.take(at, limit) {
                break;
            }
        }
    }

    /// What tells of trouble, in this order.
    fn troubles(&mut self, order: impl Iterator<Item = usize>, limit: usize) {
        for at in order {
            if self.lines[at].context && !self.take(at, limit) {
                break;
            }
        }
    }

    fn take(&mut self, at: usize, limit: usize) -> bool {
        if self.chosen[at] {
            return true;
        }
        let used = self.used + self.cost(at);
        if used <= limit {
            (self.used, self.chosen[at]) = (used, true);
        }
        self.chosen[at]
    }

    /// Bytes that showing a line takes, with all that is said about it.
    fn cost(&self, at: usize) -> usize {
        let line = &self.lines[at];
        let before = at > 0 && self.chosen[at - 1] && self.joins(at - 1);
        let after = self.chosen.get(at + 1) == Some(&true) && self.joins(at);
        let notes = [line.cut > 0, line.alike > 0, !before && !after];
        line.size() + notes.iter().filter(|note| **note).count() * NOTE_BYTES
    }

    /// Whether no line is missing between this and the next.
    fn joins(&self, at: usize) -> bool {
        self.lines.get(at + 1).is_some_and(|next| self.lines[at].next() == next.number)
    }

    fn into_lines(self) -> Vec<Kept> {
        self.lines.into_iter().zip(self.chosen).filter_map(|(line, chosen)| chosen.then_some(line)).collect()
    }
}

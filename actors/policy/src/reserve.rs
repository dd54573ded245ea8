//! For whom room is kept: a line that large tasks wait in must not starve behind a stream of small ones.
//!
//! A *line* is the tasks of one priority that ask alike. What does not fit anywhere is passed over, and others
//! start instead: that is a *missed turn* where the turn was the line's own. [`MISSED_LIMIT`] of them, and a node is held for the
//! first of the line, the one that lacks least (`fleet`). What is freed there is not given to anybody else any
//! more, unless that does not delay it; so the first of the line starts at the latest when all has ended that ran on the
//! node when it was held.
//!
//! # The bound
//!
//! A turn is a class's own once in as many starts as its share of those that have something to start: with the usual
//! shares and all classes waiting, once in 2 starts for Critical, 4 for High, 7 for Normal and 20 for Low. So from the
//! moment in which a line is the first in turn of its class, at most `MISSED_LIMIT` times as many starts pass before a
//! node is held, where one is free to be held. One node is held for one line: if all that could run it are held
//! for others, it is next after these.

use rustc_hash::FxHashMap;

use crate::placement::ShapeId;
use crate::planted;
use crate::task::Priority;

/// Tasks of one priority that ask alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineId {
    /// Their priority.
    pub priority: Priority,
    /// What they ask.
    pub shape: ShapeId,
}

/// Turns that a line may miss before a node is held for it.
pub const MISSED_LIMIT: u32 = 2;

/// What makes a turn due: all of a start.
const WHOLE: u32 = 100;

/// See the module.
#[derive(Debug, Default)]
pub struct Reserve {
    /// How much of a turn each class is due, in hundredths of starts, by `Priority as usize`.
    due: [u32; 4],
    missed: FxHashMap<LineId, u32>,
    /// Lines for which a node is to be held, and none is yet, in order.
    wanting: Vec<LineId>,
}

impl Reserve {
    /// Something was started while these classes had something to start that fits, and these something that does not
    /// fit now and could on an empty node; with the share of each class, in percent.
    pub fn started(&mut self, shares: [u32; 4], fits: [bool; 4], stuck: [bool; 4]) {
        let sum: u32 = (0..4).filter(|one| fits[*one] || stuck[*one]).map(|one| shares[one]).sum();
        for one in 0..4 {
            let part = (WHOLE * shares[one]).checked_div(sum).unwrap_or(0);
            self.due[one] = if stuck[one] { (self.due[one] + part).min(2 * WHOLE) } else { 0 };
        }
    }

    /// Whether it is this class's turn: its queue is to be asked who is first in turn.
    #[must_use]
    pub fn is_due(&self, priority: Priority) -> bool {
        self.due[priority as usize] >= WHOLE
    }

    /// It was this class's turn. Who was first in turn and could not start; `None` where that was somebody who could.
    pub fn turn(&mut self, priority: Priority, skipped: Option<ShapeId>) {
        let due = &mut self.due[priority as usize];
        *due = due.saturating_sub(WHOLE).min(WHOLE);
        let Some(shape) = skipped else { return };
        let line = LineId { priority, shape };
        let missed = self.missed.entry(line).or_default();
        *missed += 1;
        if *missed >= MISSED_LIMIT && !self.wanting.contains(&line) && !planted!(NothingHeld) {
            self.wanting.push(line);
        }
    }

    /// A task of this line was started, or nobody waits there any more: it has missed nothing.
    pub fn served(&mut self, line: LineId) {
        self.missed.remove(&line);
        self.wanting.retain(|wanting| *wanting != line);
    }

    /// The node that was held for it is gone: it is the next for which one is held.
    pub fn lost(&mut self, line: LineId) {
        if self.missed.contains_key(&line) && !self.wanting.contains(&line) {
            self.wanting.insert(0, line);
        }
    }

    /// Tries to have a node held for each that wants one, in order.
    pub fn hold(&mut self, mut hold: impl FnMut(LineId) -> bool) {
        if !self.wanting.is_empty() {
            self.wanting.retain(|line| !hold(*line));
        }
    }

    /// Whether some line wants a node.
    #[must_use]
    pub fn is_wanting(&self) -> bool {
        !self.wanting.is_empty()
    }

    /// How many turns a line has missed.
    #[must_use]
    pub fn missed(&self, line: LineId) -> u32 {
        self.missed.get(&line).copied().unwrap_or(0)
    }

    /// Asserts that only those want a node who have missed enough. For tests and simulations.
    ///
    /// # Panics
    ///
    /// When somebody else does.
    pub fn check(&self) {
        assert!(self.wanting.iter().all(|line| self.missed(*line) >= MISSED_LIMIT), "{:?}", self.wanting);
        assert!(self.due.iter().all(|due| *due <= 2 * WHOLE), "no turns are saved up: {:?}", self.due);
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    const SHARES: [u32; 4] = [5, 15, 30, 50];

    fn line(priority: Priority) -> LineId {
        LineId { priority, shape: ShapeId(7) }
    }

    /// Starts until a node is held for a line of this class, while all classes have something that fits.
    fn starts_until_held(priority: Priority, others: bool) -> u32 {
        let mut reserve = Reserve::default();
        let mut stuck = [false; 4];
        stuck[priority as usize] = true;
        for starts in 1..1000 {
            let fits = Priority::VARIANTS.iter().map(|one| others || *one == priority).collect::<Vec<_>>();
            reserve.started(SHARES, fits.try_into().unwrap(), stuck);
            if reserve.is_due(priority) {
                reserve.turn(priority, Some(ShapeId(7)));
            }
            reserve.check();
            let mut held = false;
            reserve.hold(|wanting| {
                held = wanting == line(priority);
                held
            });
            if held {
                return starts;
            }
        }
        panic!("nothing is ever held");
    }

    #[test]
    fn a_line_waits_for_two_turns_of_its_class() {
        assert_eq!(
            Priority::VARIANTS.iter().map(|one| starts_until_held(*one, true)).collect::<Vec<_>>(),
            [40, 14, 7, 4]
        );
        assert_eq!(
            Priority::VARIANTS.iter().map(|one| starts_until_held(*one, false)).collect::<Vec<_>>(),
            [2; 4]
        );
    }

    #[test]
    fn who_is_served_has_missed_nothing_and_who_loses_its_node_is_next() {
        let (mut reserve, mut asked) = (Reserve::default(), Vec::new());
        let all = |reserve: &mut Reserve, asked: &mut Vec<Priority>| {
            reserve.hold(|line| {
                asked.push(line.priority);
                line.priority == Priority::Low
            });
        };
        for priority in [Priority::High, Priority::Low, Priority::High, Priority::Low] {
            reserve.turn(priority, Some(ShapeId(7)));
        }
        all(&mut reserve, &mut asked);
        assert_eq!(asked, [Priority::High, Priority::Low]);
        reserve.lost(line(Priority::Low));
        asked.clear();
        all(&mut reserve, &mut asked);
        assert_eq!(asked, [Priority::Low, Priority::High]);
        reserve.served(line(Priority::High));
        reserve.lost(line(Priority::High));
        assert!(!reserve.is_wanting());
        reserve.turn(Priority::High, Some(ShapeId(7)));
        assert_eq!(reserve.missed(line(Priority::High)), 1);
    }

    #[test]
    fn a_turn_that_somebody_else_of_the_class_could_use_is_missed_by_nobody() {
        let mut reserve = Reserve::default();
        for _ in 0..10 {
            reserve.turn(Priority::Normal, None);
        }
        reserve.check();
        assert!(!reserve.is_wanting());
    }
}

//! Whether a line only says again what those before it have said.

use std::collections::VecDeque;

/// Lines that come over and over are found where at most so many take turns: a poll and its answer, a row per core.
const PERIOD_LIMIT: usize = 4;

/// The last few lines, as far as they matter here.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// The newest first.
    shapes: VecDeque<String>,
    /// For each period, how many of the last lines in a row were like the one a period before.
    matches: [usize; PERIOD_LIMIT],
}

impl Runs {
    /// Takes the next line. With a period of one the second line goes on, with two the fourth.
    pub(super) fn goes_on(&mut self, text: &str, trouble: bool) -> bool {
        let shape = shape(text, trouble);
        for (matches, known) in self.matches.iter_mut().zip(&self.shapes) {
            *matches = if *known == shape { *matches + 1 } else { 0 };
        }
        self.shapes.truncate(PERIOD_LIMIT - 1);
        self.shapes.push_front(shape);
        self.matches.iter().zip(1..).any(|(matches, period)| *matches >= period)
    }
}

/// A line with its numbers left open; one that tells of trouble as it is, since its numbers matter.
fn shape(text: &str, trouble: bool) -> String {
    let mut shape = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '0'..='9' if !trouble && shape.ends_with('0') => {}
            '0'..='9' if !trouble => shape.push('0'),
            other => shape.push(other),
        }
    }
    shape
}

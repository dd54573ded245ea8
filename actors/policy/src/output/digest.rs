//! A text of bounded size that stands for output of any size: the first lines, the last, and those that tell of
//! trouble with what follows them; a run of lines that are alike is one of them and a number.
//!
//! What fits is kept whole. Otherwise every line of a digest is a line that was written, in its place, and what is
//! left out is counted where it stood. Lines are taken as they come; what is held is some multiples of the limit.

mod choice;
mod kept;
mod runs;

use std::sync::Arc;

use crate::output::{Stream, trouble};
use crate::time::Timestamp;
use kept::{Kept, Store};
use runs::Runs;

/// Bytes of a digest where nobody says, 8 KiB: some 2,000 tokens of a language model, two screens of a person.
pub const USUAL_LIMIT_BYTES: usize = 8 * 1024;
/// The least, 1 KiB: a few lines of each kind.
pub const LEAST_LIMIT_BYTES: usize = 1024;
/// The most, 256 KiB: four times as much is held meanwhile, and who wants more reads the whole.
pub const MOST_LIMIT_BYTES: usize = 256 * 1024;
/// Bytes that saying what the digest is of may take.
pub const HEAD_BYTES: usize = 192;
/// Bytes that each of these may take: that lines are left out, that more were alike, that a line goes on.
pub const NOTE_BYTES: usize = 72;
/// Bytes of a line that are shown where not everything is: an error with its path fits.
const WIDTH_LIMIT_BYTES: usize = 512;
/// Lines behind one that tells of trouble which are about it: where, what was expected, what was found.
const CONTEXT_LINES: u8 = 3;

/// A line that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Which line of the output, counted from 1.
    pub number: u64,
    /// On which stream.
    pub stream: Stream,
    /// When it came.
    pub at: Timestamp,
    /// The line, or its beginning.
    pub text: Arc<str>,
    /// Bytes of it that are not shown.
    pub cut: u64,
    /// Lines right behind it that are left out because they are alike: the same, or the same but for numbers, or
    /// a few lines over and over.
    pub alike: u64,
}

/// A part of a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A line.
    Line(Shown),
    /// Lines are left out.
    Gap {
        /// So many.
        lines: u64,
        /// And so many of them tell of trouble.
        troubles: u64,
    },
}

/// What output comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digested {
    /// Lines there were.
    pub lines: u64,
    /// Bytes there were, without the ends of lines.
    pub bytes: u64,
    /// Lines that tell of trouble.
    pub troubles: u64,
    /// What is shown and what is not, in order.
    pub parts: Vec<Part>,
}

/// Makes a digest of lines that come one by one.
#[derive(Debug)]
pub struct Digest {
    limit: usize,
    lines: u64,
    bytes: u64,
    troubles: u64,
    /// Everything, as long as it fits.
    whole: Option<Store>,
    head: Store,
    early: Store,
    late: Store,
    tail: Store,
    /// The last line that is like none before it: more may come that are like it.
    open: Option<Kept>,
    last: Option<Kept>,
    runs: Runs,
    context: u8,
}

impl Digest {
    /// One that takes at most `limit` bytes as text, within what is possible.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let limit = limit.clamp(LEAST_LIMIT_BYTES, MOST_LIMIT_BYTES);
        let store = || Store::of(limit);
        Self {
            limit,
            lines: 0,
            bytes: 0,
            troubles: 0,
            whole: Some(Store::of(limit - HEAD_BYTES)),
            head: store(),
            early: store(),
            late: store(),
            tail: store(),
            open: None,
            last: None,
            runs: Runs::default(),
            context: 0,
        }
    }

    /// Takes the next line, of which `cut` bytes are missing at the end.
    pub fn push(&mut self, stream: Stream, at: Timestamp, text: &str, cut: u64) {
        let trouble = trouble::speaks_of(text);
        self.lines += 1;
        self.bytes += text.len() as u64 + cut;
        let mut line = Kept::new((self.lines, stream, at), text, cut);
        (line.trouble, line.troubles_before) = (trouble, self.troubles);
        line.context = trouble || self.context > 0;
        self.troubles += u64::from(trouble);
        self.context = if trouble { CONTEXT_LINES } else { self.context.saturating_sub(1) };
        if !self.whole.as_mut().is_some_and(|whole| cut == 0 && whole.add(line.clone())) {
            self.whole = None;
        }
        self.take(line.shortened(self.width()), text);
    }

    fn take(&mut self, line: Kept, text: &str) {
        self.last = Some(line.clone());
        if self.runs.goes_on(text, line.trouble)
            && let Some(open) = &mut self.open
        {
            open.alike += 1;
            open.troubles_alike += u64::from(line.trouble);
            return;
        }
        if let Some(done) = self.open.replace(line) {
            self.keep(done);
        }
    }

    /// Nothing follows.
    #[must_use]
    pub fn finish(mut self) -> Digested {
        let (lines, bytes, troubles) = (self.lines, self.bytes, self.troubles);
        let shown = match self.whole.take() {
            Some(whole) => whole.into_lines(),
            None => {
                self.close();
                let stores = [self.head, self.early, self.late, self.tail];
                choice::choose(stores.into_iter().flat_map(Store::into_lines), self.limit)
            }
        };
        Digested { lines, bytes, troubles, parts: parts(shown, (lines, troubles)) }
    }

    /// Puts away the last run; its last line stands for itself: it is the one that is wanted most.
    fn close(&mut self) {
        let (Some(mut open), Some(last)) = (self.open.take(), self.last.take()) else { return };
        let alone = last.number == open.number;
        if !alone {
            open.alike -= 1;
            open.troubles_alike -= u64::from(last.trouble);
        }
        self.keep(open);
        if !alone {
            self.keep(last);
        }
    }

    fn keep(&mut self, line: Kept) {
        self.head.add(line.clone());
        if line.context {
            self.early.add(line.clone());
            self.late.put(line.clone());
        }
        self.tail.put(line);
    }

    fn width(&self) -> usize {
        WIDTH_LIMIT_BYTES.min(self.limit / 8)
    }
}

/// What is shown, with what is missing between.
fn parts(shown: Vec<Kept>, (lines, troubles): (u64, u64)) -> Vec<Part> {
    let mut parts = Vec::with_capacity(shown.len());
    let (mut next, mut seen) = (1, 0);
    let gap = |parts: &mut Vec<Part>, (from, told): (u64, u64), (to, before): (u64, u64)| {
        if to > from {
            parts.push(Part::Gap { lines: to - from, troubles: before - told });
        }
    };
    for line in shown {
        gap(&mut parts, (next, seen), (line.number, line.troubles_before));
        (next, seen) = (line.next(), line.troubles_after());
        parts.push(Part::Line(line.into_shown()));
    }
    gap(&mut parts, (next, seen), (lines + 1, troubles));
    parts
}

#[cfg(test)]
mod tests;

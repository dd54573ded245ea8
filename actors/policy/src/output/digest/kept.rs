//! Lines that may be shown in the end, and stores of them that hold so many bytes and no more.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Shown;
use crate::output::Stream;
use crate::time::Timestamp;

/// A line, and what followed it that was like it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) number: u64,
    stream: Stream,
    at: Timestamp,
    text: Arc<str>,
    pub(super) cut: u64,
    pub(super) trouble: bool,
    /// Tells of trouble, or stands close behind a line that does.
    pub(super) context: bool,
    pub(super) alike: u64,
    pub(super) troubles_alike: u64,
    /// Lines before it that tell of trouble.
    pub(super) troubles_before: u64,
}

impl Kept {
    pub(super) fn new((number, stream, at): (u64, Stream, Timestamp), text: &str, cut: u64) -> Self {
        Self {
            number,
            stream,
            at,
            text: text.into(),
            cut,
            trouble: false,
            context: false,
            alike: 0,
            troubles_alike: 0,
            troubles_before: 0,
        }
    }

    /// At most so wide.
    pub(super) fn shortened(mut self, width: usize) -> Self {
        if self.text.len() > width {
            let end = self.text.floor_char_boundary(width);
            self.cut += (self.text.len() - end) as u64;
            self.text = self.text[..end].into();
        }
        self
    }

    /// The number of the line behind it and those that are like it.
    pub(super) fn next(&self) -> u64 {
        self.number + self.alike + 1
    }

    pub(super) fn troubles_after(&self) -> u64 {
        self.troubles_before + u64::from(self.trouble) + self.troubles_alike
    }

    /// Bytes of its text, with the end.
    pub(super) fn size(&self) -> usize {
        self.text.len() + 1
    }

    pub(super) fn into_shown(self) -> Shown {
        let Self { number, stream, at, text, cut, alike, .. } = self;
        Shown { number, stream, at, text, cut, alike }
    }
}

/// Lines of so many bytes.
#[derive(Debug)]
pub(super) struct Store {
    limit: usize,
    size: usize,
    full: bool,
    lines: VecDeque<Kept>,
}

impl Store {
    pub(super) fn of(limit: usize) -> Self {
        Self { limit, size: 0, full: false, lines: VecDeque::new() }
    }

    /// Adds a line, unless it or one before it did not fit: tells whether all are there.
    pub(super) fn add(&mut self, line: Kept) -> bool {
        self.full |= self.size + line.size() > self.limit;
        if !self.full {
            self.size += line.size();
            self.lines.push_back(line);
        }
        !self.full
    }

    /// Adds a line, and lets the oldest go that do not fit any more.
    pub(super) fn put(&mut self, line: Kept) {
        self.size += line.size();
        self.lines.push_back(line);
        while self.size > self.limit
            && let Some(oldest) = self.lines.pop_front()
        {
            self.size -= oldest.size();
        }
    }

    /// Bytes that are held.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn into_lines(self) -> Vec<Kept> {
        self.lines.into()
    }
}

//! One file of the log, and a sparse index of the records in it.
//!
//! Must not know about the records' meaning, nor about what is not yet durable.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use policy::event::LogPosition;

use crate::log::disk::DiskFile;
use crate::log::frame::{HEADER_BYTES, Header, Kind};
use crate::log::frames::{FrameFault, Frames};

/// Bytes of the log between two marks of the index. At 16 bytes a mark, the index of all segments is
/// 0.4 % of the bytes that are kept.
pub(super) const MARK_STRIDE_BYTES: u64 = 4096;

const NAME_SUFFIX: &str = ".segment";

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) number: u64,
    pub(super) position: LogPosition,
}

/// A segment that exists on disk.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) header: Header,
    pub(super) file: Arc<dyn DiskFile>,
    /// The end of what is durable in it.
    end: AtomicU64,
    /// `None` until somebody looks for a record by number.
    marks: Mutex<Option<Vec<Mark>>>,
}

impl Segment {
    /// A segment that was there when the log was opened; its index is made when it is needed.
    pub(super) fn found(header: Header, file: Arc<dyn DiskFile>, end: LogPosition) -> Self {
        Self { header, file, end: AtomicU64::new(end), marks: Mutex::new(None) }
    }

    /// A segment that was just made.
    pub(super) fn made(header: Header, file: Arc<dyn DiskFile>) -> Self {
        let end = AtomicU64::new(header.first_position + HEADER_BYTES as u64);
        Self { header, file, end, marks: Mutex::new(Some(Vec::new())) }
    }

    /// The file's name: the position of its first byte.
    pub(super) fn name(first_position: LogPosition) -> String {
        format!("{first_position:020}{NAME_SUFFIX}")
    }

    /// The first position that a name stands for, if it is a segment's name.
    pub(super) fn parse_name(name: &str) -> Option<LogPosition> {
        let digits = name.strip_suffix(NAME_SUFFIX)?;
        (digits.len() == 20).then(|| digits.parse().ok()).flatten()
    }

    /// The end of what is durable in it.
    pub(super) fn end(&self) -> LogPosition {
        self.end.load(Ordering::Acquire)
    }

    /// The first position behind the header.
    pub(super) fn body(&self) -> LogPosition {
        self.header.first_position + HEADER_BYTES as u64
    }

    /// A group became durable.
    pub(super) fn extend(&self, end: LogPosition, marks: &[Mark]) {
        if let Some(known) = self.marks.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            known.extend_from_slice(marks);
        }
        self.end.store(end, Ordering::Release);
    }

    /// Reads what is durable in it, from `from` on.
    pub(super) fn frames(&self, from: LogPosition) -> Frames<'_> {
        let span = (from.max(self.body()), self.end());
        Frames::new(self.file.as_ref(), self.header.log_id, self.header.first_position, span)
    }

    /// Where to begin looking for the record with `number`: at most [`MARK_STRIDE_BYTES`] before it.
    pub(super) fn near(&self, number: u64) -> Result<LogPosition, FrameFault> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let marks = match marks.as_mut() {
            Some(marks) => marks,
            None => marks.insert(self.index()?),
        };
        let after = marks.partition_point(|mark| mark.number <= number);
        Ok(after.checked_sub(1).map_or_else(|| self.body(), |before| marks[before].position))
    }

    fn index(&self) -> Result<Vec<Mark>, FrameFault> {
        let mut frames = self.frames(self.body());
        let mut marks = Vec::new();
        let mut next = 0;
        while let Some(frame) = frames.next()? {
            if frame.kind != Kind::Group && frame.position >= next {
                let number = frame.number().map_err(|_| FrameFault::Bad(frame.position))?;
                marks.push(Mark { number, position: frame.position });
                next = frame.position + MARK_STRIDE_BYTES;
            }
        }
        Ok(marks)
    }
}

//! The end of the log that is not yet durable: who appends writes here, under a short lock, and the
//! writer takes it away group by group.
//!
//! Each buffer begins with its group's header, and where the next group begins is settled when one is
//! taken; so a record's position is known, and final, as soon as it is appended. Must not know the disk.

use std::sync::Arc;

use policy::event::{LogPosition, Record};
use policy::layout::Layout;
use policy::time::Timestamp;

use crate::log::batch::{Batch, Entry};
use crate::log::frame::{self, FRAME_BYTES, FrameHead, GROUP_BYTES, HEADER_BYTES, Header, Kind};
use crate::log::segment::{MARK_STRIDE_BYTES, Mark};
use crate::log::{Appended, frames};
use crate::wire::codec::{self, CodecError};

/// What one sync makes durable.
#[derive(Debug)]
pub(super) struct Group {
    /// Present where it is the first of a new segment.
    pub(super) new_segment: Option<Header>,
    /// The position of the first byte.
    pub(super) start: LogPosition,
    pub(super) bytes: Vec<u8>,
    pub(super) last_number: u64,
    pub(super) marks: Vec<Mark>,
}

impl Group {
    pub(super) fn end(&self) -> LogPosition {
        self.start + self.bytes.len() as u64
    }

    /// The payload of the record that begins at `position`, if one does.
    fn payload_at(&self, log_id: u64, position: LogPosition) -> Option<&[u8]> {
        let at = usize::try_from(position.checked_sub(self.start)?).ok()?;
        let rest = self.bytes.get(at..)?;
        let head = FrameHead::decode(*rest.first_chunk()?)?;
        let payload = rest.get(FRAME_BYTES..FRAME_BYTES + head.length)?;
        (head.kind != Kind::Group && head.holds(log_id, position, payload)).then_some(payload)
    }
}

/// See the module docs.
#[derive(Debug)]
pub(super) struct Tail {
    log_id: u64,
    /// A segment that has this many bytes is closed.
    segment_bytes: u64,
    /// Where the segment of the open group begins.
    segment_start: LogPosition,
    /// The group that appends go to.
    open: Group,
    /// The group that is on its way to the disk.
    taken: Option<Arc<Group>>,
    next_number: u64,
    next_mark: LogPosition,
}

/// Where a log goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct TailStart {
    pub(super) log_id: u64,
    pub(super) segment_bytes: u64,
    /// Where the last segment begins, or the next one where there is none to go on with.
    pub(super) segment_start: LogPosition,
    /// The end of what is there.
    pub(super) end: LogPosition,
    pub(super) next_number: u64,
}

impl Tail {
    pub(super) fn new(start: TailStart) -> Self {
        let TailStart { log_id, segment_bytes, segment_start, end, next_number } = start;
        let mut tail = Self {
            log_id,
            segment_bytes,
            segment_start,
            open: Group {
                new_segment: None,
                start: end,
                bytes: Vec::new(),
                last_number: 0,
                marks: Vec::new(),
            },
            taken: None,
            next_number,
            next_mark: 0,
        };
        tail.open = tail.begin_group(end, Vec::new());
        tail
    }

    /// Begins a group at `end`, in a new segment where the present one is full or not there.
    fn begin_group(&mut self, end: LogPosition, mut bytes: Vec<u8>) -> Group {
        let is_full = end - self.segment_start >= self.segment_bytes || end == self.segment_start;
        let mut start = end;
        let mut new_segment = None;
        if is_full {
            self.segment_start = end;
            self.next_mark = 0;
            start += HEADER_BYTES as u64;
            let (log_id, first_number) = (self.log_id, self.next_number);
            new_segment = Some(Header { log_id, first_number, first_position: end });
        }
        bytes.clear();
        frame::push_group(&mut bytes, self.log_id, start, self.next_number);
        Group { new_segment, start, bytes, last_number: self.next_number - 1, marks: Vec::new() }
    }

    /// Appends the entries of `batch`, in order, as one that is there whole or not at all.
    pub(super) fn append(&mut self, batch: &Batch, at: Timestamp, mut each: impl FnMut(Appended)) {
        let mut from = 0;
        for (index, entry) in batch.entries.iter().enumerate() {
            let kind = if index + 1 == batch.entries.len() { Kind::Last } else { Kind::More };
            each(self.append_entry(entry, &batch.bytes[from..entry.end], kind, at));
            from = entry.end;
        }
    }

    fn append_entry(&mut self, entry: &Entry, event: &[u8], kind: Kind, at: Timestamp) -> Appended {
        let bytes = &mut self.open.bytes;
        let start = bytes.len();
        let position = self.open.start + start as u64;
        let number = self.next_number;
        bytes.extend_from_slice(&[0; FRAME_BYTES]);
        codec::encode_version(Layout::CURRENT.number(), bytes);
        codec::encode_into(&(number, at, entry.cause, entry.correlation), bytes);
        bytes.extend_from_slice(event);
        frame::seal(bytes, start, kind, self.log_id, position);
        if position >= self.next_mark {
            self.open.marks.push(Mark { number, position });
            self.next_mark = position + MARK_STRIDE_BYTES;
        }
        self.open.last_number = number;
        self.next_number += 1;
        Appended { number, position, at }
    }

    /// Appends nothing, but says what would have been given out: for a log that is closed or broken.
    pub(super) fn pretend(&mut self, batch: &Batch, at: Timestamp, mut each: impl FnMut(Appended)) {
        let length = self.open.bytes.len();
        for _ in &batch.entries {
            let position = self.open.start + length as u64;
            each(Appended { number: self.next_number, position, at });
            self.next_number += 1;
        }
    }

    /// Whether something was appended that nobody has taken.
    pub(super) fn has_open(&self) -> bool {
        self.open.bytes.len() > GROUP_BYTES
    }

    /// The group to write now: the one whose writing stalled, or all that was appended since.
    /// `spare` is memory for the next one.
    pub(super) fn take(&mut self, spare: &mut Vec<u8>) -> Option<Arc<Group>> {
        if self.taken.is_none() && self.has_open() {
            let next = self.begin_group(self.open.end(), std::mem::take(spare));
            self.taken = Some(Arc::new(std::mem::replace(&mut self.open, next)));
        }
        self.taken.clone()
    }

    /// What was taken is durable.
    pub(super) fn settle(&mut self) {
        self.taken = None;
    }

    /// Bytes appended and not durable.
    pub(super) fn pending_bytes(&self) -> usize {
        self.open.bytes.len() - GROUP_BYTES + self.taken.as_ref().map_or(0, |group| group.bytes.len())
    }

    /// The number that the next record gets.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number
    }

    /// The record at `position`, if it is here: not durable when asked.
    pub(super) fn record_at(&self, position: LogPosition) -> Option<Result<Record, CodecError>> {
        let taken = || self.taken.as_ref().and_then(|group| group.payload_at(self.log_id, position));
        let payload = self.open.payload_at(self.log_id, position).or_else(taken)?;
        Some(frames::decode_record(payload))
    }
}

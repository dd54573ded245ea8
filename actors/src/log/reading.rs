//! Reading records back: one by its place, some by their numbers, all in order.
//!
//! Reads go through the page cache with `pread`: a mapping would turn a disk error into a signal.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use policy::event::{LogPosition, Record};

use crate::log::Log;
use crate::log::frame::{FRAME_BYTES, FrameHead, Kind};
use crate::log::frames::{Frame, FrameFault, decode_record};
use crate::log::segment::Segment;
use crate::log::shared::Shared;
use crate::wire::codec::CodecError;

/// Bytes read in the hope that a record is no longer: most are below a hundred.
const GUESS_BYTES: usize = 512;
/// Bytes a follower reads at once, at least: what a hundred records or so take.
const FOLLOW_BYTES: usize = 16 * 1024;

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No record begins there.
    #[error("no record begins at {0}")]
    NotFound(LogPosition),
    /// It was removed with its segment.
    #[error("removed: what is kept begins with record {number} at {position}")]
    Removed {
        /// The number of the first record that is kept.
        number: u64,
        /// Where what is kept begins.
        position: LogPosition,
    },
    /// What stands there is not what was written.
    #[error("{} is damaged at byte {offset}; restore the file from a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
    },
    /// It was written, but this program cannot understand it.
    #[error("the record at {position} cannot be understood: {cause}")]
    Unknown {
        /// Where it is.
        position: LogPosition,
        /// Why not.
        cause: CodecError,
    },
    /// The disk did not give it.
    #[error("could not read {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl Log {
    /// The record at `position`, durable or not.
    ///
    /// # Errors
    /// No record begins there, it was removed, or it cannot be read.
    pub fn read_at(&self, position: LogPosition) -> Result<Record, ReadError> {
        let shared = self.shared();
        if position >= shared.durable_end()
            && let Some(record) = shared.tail().tail.record_at(position)
        {
            return record.map_err(|cause| ReadError::Unknown { position, cause });
        }
        if position >= shared.durable_end() {
            return Err(ReadError::NotFound(position));
        }
        shared.segment_at(position)?.record_at(shared, position)
    }

    /// The durable record at `position` and those behind it in its segment, as far as `max_bytes` go and
    /// `wanted` takes them; empty where there is none of them. Read at once, for who will ask for them soon.
    ///
    /// # Errors
    /// No record begins there, it was removed, or it cannot be read.
    pub fn records_behind(
        &self,
        position: LogPosition,
        max_bytes: usize,
        wanted: impl Fn(&Record) -> bool,
    ) -> Result<Vec<(LogPosition, Record)>, ReadError> {
        let shared = self.shared();
        let mut records = Vec::new();
        if position >= shared.durable_end() {
            return Ok(records);
        }
        let segment = shared.segment_at(position)?;
        let mut frames = segment.frames(position).with_stride(max_bytes);
        while let Some(frame) = frames.next().map_err(|fault| segment.read_error(shared, fault))? {
            if frame.end() > position + max_bytes as u64 {
                break;
            }
            if frame.kind == Kind::Group {
                continue;
            }
            let record = frame_record(&frame)?;
            if !wanted(&record) {
                break;
            }
            records.push((frame.position, record));
        }
        Ok(records)
    }

    /// Durable records with their positions, from the one with `number` on: at most `max_records` of them,
    /// and no more once they take `max_bytes` on the disk, but at least one where there is one.
    ///
    /// # Errors
    /// The record was removed, or one cannot be read.
    pub fn records_from(
        &self,
        number: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<(LogPosition, Record)>, ReadError> {
        let shared = self.shared();
        let mut records = Vec::new();
        let mut bytes = 0;
        if number > shared.durable_number() {
            return Ok(records);
        }
        for segment in shared.segments_from(number)? {
            let near = segment.near(number).map_err(|fault| segment.read_error(shared, fault))?;
            let mut frames =
                segment.frames(near).with_stride(max_bytes.clamp(FOLLOW_BYTES, FOLLOW_BYTES * 16));
            while let Some(frame) = frames.next().map_err(|fault| segment.read_error(shared, fault))? {
                if frame.kind == Kind::Group || frame_number(&frame)? < number {
                    continue;
                }
                bytes += FRAME_BYTES + frame.payload.len();
                let is_too_much = bytes > max_bytes && !records.is_empty();
                if is_too_much || records.len() >= max_records {
                    return Ok(records);
                }
                records.push((frame.position, frame_record(&frame)?));
            }
        }
        Ok(records)
    }

    /// Hands every durable record from `from` on to `take`, in order. `from` is where a record or a segment
    /// begins, 0 for the very first; every byte is checked. Returns the number of the last record handed
    /// over, 0 where there was none.
    ///
    /// # Errors
    /// What was asked for was removed, or something cannot be read: then nothing may be built on the records
    /// that were already handed over.
    pub fn replay(&self, from: LogPosition, take: impl FnMut(LogPosition, Record)) -> Result<u64, ReadError> {
        self.replay_between(from, LogPosition::MAX, take)
    }

    /// As [`Self::replay`], but only up to where the segment begins that begins at `until`.
    ///
    /// # Errors
    /// As [`Self::replay`].
    pub fn replay_between(
        &self,
        from: LogPosition,
        until: LogPosition,
        mut take: impl FnMut(LogPosition, Record),
    ) -> Result<u64, ReadError> {
        let shared = self.shared();
        let mut last = 0;
        if from >= shared.durable_end().min(until) {
            return Ok(last);
        }
        let segments: Vec<Arc<Segment>> = shared.segments().clone();
        let first = shared.segment_at(from)?.header.first_position;
        let span = first..until;
        for segment in segments.iter().filter(|segment| span.contains(&segment.header.first_position)) {
            let mut frames = segment.frames(from);
            while let Some(frame) = frames.next().map_err(|fault| segment.read_error(shared, fault))? {
                if frame.kind == Kind::Group {
                    continue;
                }
                let record = frame_record(&frame)?;
                last = check_order(last, &record, segment, shared, frame.position)?;
                take(frame.position, record);
            }
        }
        Ok(last)
    }

    /// Where the last segment begins: everything before is closed, and can be folded into snapshots.
    #[must_use]
    pub fn closed_end(&self) -> LogPosition {
        let segments = self.shared().segments();
        segments.last().map_or(0, |last| last.header.first_position)
    }

    /// Where the last segment begins that begins at or before `position`; where what is kept begins, if none does.
    #[must_use]
    pub fn closed_start(&self, position: LogPosition) -> LogPosition {
        let segments = self.shared().segments();
        let after = segments.partition_point(|segment| segment.header.first_position <= position);
        segments.get(after.saturating_sub(1)).map_or(0, |segment| segment.header.first_position)
    }

    /// Where the first segment begins that begins behind `position`: the end of the one that holds it.
    #[must_use]
    pub fn segment_after(&self, position: LogPosition) -> LogPosition {
        let segments = self.shared().segments();
        let after = segments.partition_point(|segment| segment.header.first_position <= position);
        let after = after.max(1).min(segments.len().saturating_sub(1));
        segments.get(after).map_or(0, |segment| segment.header.first_position)
    }

    /// Where what is kept begins.
    #[must_use]
    pub fn first_position(&self) -> LogPosition {
        self.shared().segments().first().map_or(0, |first| first.header.first_position)
    }

    /// Removes the closed segments that lie wholly before `position`, oldest first, and returns how many.
    /// Who reads one at the moment can finish. For one caller at a time.
    ///
    /// # Errors
    /// When the disk refuses; those already removed stay removed.
    pub fn remove_segments_before(&self, position: LogPosition) -> io::Result<usize> {
        let shared = self.shared();
        let mut removed = 0;
        while let Some(first) = shared.first_removable(position) {
            shared.disk.remove(&Segment::name(first))?;
            // One by one: two removals that are not durable may survive a crash in the wrong order.
            shared.disk.sync_names(shared.limits.durability)?;
            shared.segments_mut().remove(0);
            removed += 1;
        }
        Ok(removed)
    }
}

impl Shared {
    /// Where the first segment begins, if it is closed and ends at or before `position`.
    fn first_removable(&self, position: LogPosition) -> Option<LogPosition> {
        match &self.segments()[..] {
            [first, second, ..] if second.header.first_position <= position => {
                Some(first.header.first_position)
            }
            _ => None,
        }
    }

    /// The segment that holds `position`.
    fn segment_at(&self, position: LogPosition) -> Result<Arc<Segment>, ReadError> {
        let segments = self.segments();
        let after = segments.partition_point(|segment| segment.header.first_position <= position);
        match (after.checked_sub(1), segments.first()) {
            (Some(index), _) => Ok(Arc::clone(&segments[index])),
            (None, Some(first)) => Err(removed(first)),
            (None, None) => Err(ReadError::NotFound(position)),
        }
    }

    /// The segments from the one that holds the record with `number` on.
    fn segments_from(&self, number: u64) -> Result<Vec<Arc<Segment>>, ReadError> {
        let segments = self.segments();
        let after = segments.partition_point(|segment| segment.header.first_number <= number);
        match (after.checked_sub(1), segments.first()) {
            (Some(index), _) => Ok(segments[index..].to_vec()),
            (None, Some(first)) => Err(removed(first)),
            (None, None) => Ok(Vec::new()),
        }
    }
}

fn removed(first: &Segment) -> ReadError {
    ReadError::Removed { number: first.header.first_number, position: first.header.first_position }
}

impl Segment {
    /// The durable record at `position`.
    fn record_at(&self, shared: &Shared, position: LogPosition) -> Result<Record, ReadError> {
        let left = usize::try_from(self.end().saturating_sub(position)).unwrap_or(usize::MAX);
        let mut guess = [0; GUESS_BYTES];
        let guessed = &mut guess[..left.min(GUESS_BYTES)];
        self.read_exactly(shared, guessed, position)?;
        let head = guessed.first_chunk().and_then(|head| FrameHead::decode(*head));
        let is_record = |head: &FrameHead| head.kind != Kind::Group && head.length <= left - FRAME_BYTES;
        let head = head.filter(is_record).ok_or(ReadError::NotFound(position))?;
        let whole = FRAME_BYTES + head.length;
        let long: Vec<u8>;
        let payload = if whole <= guessed.len() {
            &guessed[FRAME_BYTES..whole]
        } else {
            let mut bytes = vec![0; head.length];
            self.read_exactly(shared, &mut bytes, position + FRAME_BYTES as u64)?;
            long = bytes;
            &long
        };
        if !head.holds(self.header.log_id, position, payload) {
            return Err(ReadError::NotFound(position));
        }
        decode_record(payload).map_err(|cause| ReadError::Unknown { position, cause })
    }

    fn read_exactly(
        &self,
        shared: &Shared,
        bytes: &mut [u8],
        position: LogPosition,
    ) -> Result<(), ReadError> {
        let read = self.file.read_at(bytes, position.wrapping_sub(self.header.first_position));
        match read {
            Ok(read) if read == bytes.len() => Ok(()),
            Ok(_) => Err(self.read_error(shared, FrameFault::Bad(position))),
            Err(cause) => Err(self.read_error(shared, FrameFault::Io(cause))),
        }
    }

    fn read_error(&self, shared: &Shared, fault: FrameFault) -> ReadError {
        let base = self.header.first_position;
        let path = shared.disk.path(&Segment::name(base));
        match fault {
            FrameFault::Bad(position) => ReadError::Damaged { path, offset: position - base },
            FrameFault::Io(cause) => ReadError::Io { path, cause },
        }
    }
}

fn frame_number(frame: &Frame<'_>) -> Result<u64, ReadError> {
    frame.number().map_err(|cause| ReadError::Unknown { position: frame.position, cause })
}

fn frame_record(frame: &Frame<'_>) -> Result<Record, ReadError> {
    frame.record().map_err(|cause| ReadError::Unknown { position: frame.position, cause })
}

fn check_order(
    last: u64,
    record: &Record,
    segment: &Segment,
    shared: &Shared,
    position: LogPosition,
) -> Result<u64, ReadError> {
    if last != 0 && record.number != last + 1 {
        return Err(segment.read_error(shared, FrameFault::Bad(position)));
    }
    Ok(record.number)
}

//! Reads the frames of a segment, one after the other, through a window that moves over the file.
//!
//! Must not know what a fault means: that depends on where the segment stands in the log.

use std::io;

use policy::event::{LogPosition, Record};

use crate::log::disk::DiskFile;
use crate::log::frame::{FRAME_BYTES, FrameHead, Kind};
use crate::wire::codec::{self, CodecError};

/// Bytes read at once by whoever reads everything: enough that the calls don't count.
pub(super) const SWEEP_BYTES: usize = 1024 * 1024;

/// Reads frames from some place on.
pub(super) struct Frames<'a> {
    file: &'a dyn DiskFile,
    log_id: u64,
    /// The log position of the file's first byte.
    base: LogPosition,
    window: Vec<u8>,
    /// The log position of the window's first byte.
    window_position: LogPosition,
    /// Bytes of the window already passed.
    passed: usize,
    /// Where to stop: the end of what may be read.
    end: LogPosition,
    /// Bytes to read at once.
    stride: usize,
}

/// One frame, in the window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) position: LogPosition,
    pub(super) kind: Kind,
    pub(super) payload: &'a [u8],
}

/// Why there is no next frame.
#[derive(Debug)]
pub(super) enum FrameFault {
    /// What stands there is no whole, valid frame.
    Bad(LogPosition),
    /// The disk did not give it.
    Io(io::Error),
}

impl<'a> Frames<'a> {
    /// Reads the file that begins at log position `base`, from `from` up to `end`.
    pub(super) fn new(
        file: &'a dyn DiskFile,
        log_id: u64,
        base: LogPosition,
        span: (LogPosition, LogPosition),
    ) -> Self {
        let (from, end) = span;
        Self {
            file,
            log_id,
            base,
            window: Vec::new(),
            window_position: from,
            passed: 0,
            end,
            stride: SWEEP_BYTES,
        }
    }

    /// Reads in smaller pieces, for whoever wants little.
    pub(super) fn with_stride(mut self, bytes: usize) -> Self {
        self.stride = bytes;
        self
    }

    /// Where the next frame begins.
    pub(super) fn position(&self) -> LogPosition {
        self.window_position + self.passed as u64
    }

    /// The next frame, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Frame<'_>>, FrameFault> {
        let position = self.position();
        if position >= self.end {
            return Ok(None);
        }
        let bad = FrameFault::Bad(position);
        if !self.fill(FRAME_BYTES)? {
            return Err(bad);
        }
        let rest = &self.window[self.passed..];
        let Some(head) = rest.first_chunk().and_then(|head| FrameHead::decode(*head)) else {
            return Err(bad);
        };
        let whole = FRAME_BYTES + head.length;
        if !self.fill(whole)? {
            return Err(bad);
        }
        let payload_start = self.passed + FRAME_BYTES;
        self.passed += whole;
        let payload = &self.window[payload_start..payload_start + head.length];
        if !head.holds(self.log_id, position, payload) {
            return Err(bad);
        }
        Ok(Some(Frame { position, kind: head.kind, payload }))
    }

    /// Makes the window hold `wanted` bytes from the next frame's begin on; `false` where there are fewer.
    fn fill(&mut self, wanted: usize) -> Result<bool, FrameFault> {
        let held = self.window.len() - self.passed;
        if held >= wanted {
            return Ok(true);
        }
        let position = self.position();
        let left = usize::try_from(self.end - position).unwrap_or(usize::MAX);
        if left < wanted {
            return Ok(false);
        }
        self.window.drain(..self.passed);
        self.window_position = position;
        self.passed = 0;
        self.window.resize(wanted.max(self.stride).min(left), 0);
        let offset = position - self.base + held as u64;
        let read = self.file.read_at(&mut self.window[held..], offset).map_err(FrameFault::Io)?;
        self.window.truncate(held + read);
        Ok(self.window.len() >= wanted)
    }
}

impl Frame<'_> {
    /// The position behind it.
    pub(super) fn end(&self) -> LogPosition {
        self.position + (FRAME_BYTES + self.payload.len()) as u64
    }

    /// The number of the record.
    pub(super) fn number(&self) -> Result<u64, CodecError> {
        let (_, record) = codec::split_layout(self.payload)?;
        Ok(codec::decode_front(record, record.len())?.0)
    }

    /// The record.
    pub(super) fn record(&self) -> Result<Record, CodecError> {
        decode_record(self.payload)
    }
}

/// The record of a frame's payload.
pub(super) fn decode_record(payload: &[u8]) -> Result<Record, CodecError> {
    let (layout, record) = codec::split_layout(payload)?;
    codec::decode_as(layout, record, record.len())
}

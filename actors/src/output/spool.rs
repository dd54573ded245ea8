//! The file that keeps the output of one attempt.
//!
//! Both streams in the order in which they were read: a header, then frames. A frame is
//! `length, kind, time, payload, length`; the length stands on both ends so that the file can be walked from
//! its end. The file is made with the first byte of output: a silent attempt has none. Beyond the head of a
//! stream only its tail is kept, in memory until the end. Output never stops the task: what cannot be
//! written is counted and its place is marked.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use policy::output::Stream;
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What every spool file begins with: name and version of the format.
pub(crate) const HEADER: [u8; 8] = *b"CRABOUT\x01";
/// Bytes before a frame's payload: length, kind, time.
pub(crate) const FRAME_HEAD_BYTES: usize = 4 + 1 + 8;
/// Bytes after it: length.
pub(crate) const FRAME_TAIL_BYTES: usize = 4;
/// Bytes of the largest payload, so that a place within a frame fits into 16 bits of a cursor.
pub(crate) const PAYLOAD_LIMIT_BYTES: usize = 32 * 1024;

/// How much of the output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputLimits {
    /// Bytes kept of each stream from its beginning.
    pub head_bytes: u64,
    /// Bytes kept of each stream before its end, where it is longer than its head.
    pub tail_bytes: u64,
    /// Bytes kept of both heads together.
    pub total_bytes: u64,
}

impl Default for OutputLimits {
    /// 32 MiB, 4 MiB, 64 MiB: more than anybody reads, and a thousand attempts fit on a disk.
    fn default() -> Self {
        Self { head_bytes: 32 << 20, tail_bytes: 4 << 20, total_bytes: 64 << 20 }
    }
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FrameKind {
    Stdout = 1,
    Stderr = 2,
    /// Bytes of this stream were left out; the payload is their count.
    OmittedStdout = 3,
    OmittedStderr = 4,
    /// Nothing follows.
    End = 5,
}

impl FrameKind {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Stdout, Self::Stderr, Self::OmittedStdout, Self::OmittedStderr, Self::End]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }

    fn of(stream: Stream) -> Self {
        match stream {
            Stream::Stdout => Self::Stdout,
            Stream::Stderr => Self::Stderr,
        }
    }

    fn omitted(stream: Stream) -> Self {
        match stream {
            Stream::Stdout => Self::OmittedStdout,
            Stream::Stderr => Self::OmittedStderr,
        }
    }
}

/// Writes one spool file.
#[derive(Debug)]
pub struct SpoolWriter {
    path: PathBuf,
    file: Option<File>,
    /// Length of the file up to its last whole frame.
    length: u64,
    limits: OutputLimits,
    kept_bytes: u64,
    streams: [Kept; 2],
    /// Frames not yet written, and the bytes of each stream in them.
    pending: Vec<u8>,
    pending_bytes: [u64; 2],
    trouble: Option<io::Error>,
}

/// What is known of one stream.
#[derive(Debug, Default)]
struct Kept {
    seen: u64,
    head: u64,
    /// Left out since the last frame of this stream.
    omitted: u64,
    tail: VecDeque<(Timestamp, Box<[u8]>)>,
    tail_bytes: u64,
}

impl SpoolWriter {
    /// Will write to `path`, once there is something to write.
    #[must_use]
    pub fn new(path: PathBuf, limits: OutputLimits) -> Self {
        Self {
            path,
            file: None,
            length: 0,
            limits,
            kept_bytes: 0,
            streams: [Kept::default(), Kept::default()],
            pending: Vec::new(),
            pending_bytes: [0; 2],
            trouble: None,
        }
    }

    /// Takes what was read from a stream. Nothing is written before [`Self::flush`].
    pub fn push(&mut self, stream: Stream, at: Timestamp, bytes: &[u8]) {
        for chunk in bytes.chunks(PAYLOAD_LIMIT_BYTES) {
            let size = chunk.len() as u64;
            let kept = &mut self.streams[stream as usize];
            kept.seen += size;
            let fits = kept.head + size <= self.limits.head_bytes
                && self.kept_bytes + size <= self.limits.total_bytes
                && kept.tail.is_empty();
            if fits {
                kept.head += size;
                self.kept_bytes += size;
                self.frame(stream, at, chunk);
            } else {
                kept.remember(at, chunk, self.limits.tail_bytes);
            }
        }
    }

    /// Writes what waits, in one write.
    pub fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        if let Err(error) = self.write_pending() {
            for (kept, lost) in self.streams.iter_mut().zip(self.pending_bytes) {
                kept.omitted += lost;
            }
            if let Some(file) = &self.file {
                // A torn frame would end the reading of all that follows it.
                let _ = file.set_len(self.length);
            }
            self.trouble.get_or_insert(error);
        }
        self.pending.clear();
        self.pending_bytes = [0; 2];
    }

    /// Nothing follows: writes the tails and the end mark.
    pub fn finish(&mut self, at: Timestamp) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            for (at, chunk) in std::mem::take(&mut self.streams[stream as usize].tail) {
                self.frame(stream, at, &chunk);
            }
            self.mark_omitted(stream, at);
        }
        if self.file.is_some() || !self.pending.is_empty() {
            append_frame(&mut self.pending, FrameKind::End, at, &[]);
        }
        self.flush();
        self.file = None;
    }

    /// Bytes seen of standard output and standard error, kept or not.
    #[must_use]
    pub fn seen(&self) -> (u64, u64) {
        (self.streams[0].seen, self.streams[1].seen)
    }

    /// The first error of writing, told once.
    pub fn take_trouble(&mut self) -> Option<io::Error> {
        self.trouble.take()
    }

    fn frame(&mut self, stream: Stream, at: Timestamp, chunk: &[u8]) {
        self.mark_omitted(stream, at);
        append_frame(&mut self.pending, FrameKind::of(stream), at, chunk);
        self.pending_bytes[stream as usize] += chunk.len() as u64;
    }

    fn mark_omitted(&mut self, stream: Stream, at: Timestamp) {
        let omitted = std::mem::take(&mut self.streams[stream as usize].omitted);
        if omitted > 0 {
            append_frame(&mut self.pending, FrameKind::omitted(stream), at, &omitted.to_le_bytes());
            // Lost again if this mark cannot be written.
            self.pending_bytes[stream as usize] += omitted;
        }
    }

    fn write_pending(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(OpenOptions::new().append(true).create_new(true).open(&self.path)?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.length == 0 {
            self.pending.splice(0..0, HEADER);
        }
        file.write_all(&self.pending)?;
        self.length += self.pending.len() as u64;
        Ok(())
    }
}

impl Kept {
    /// Keeps `chunk` as part of the tail and drops what is now too old.
    fn remember(&mut self, at: Timestamp, chunk: &[u8], limit: u64) {
        self.tail_bytes += chunk.len() as u64;
        self.tail.push_back((at, chunk.into()));
        while self.tail_bytes > limit {
            let Some((_, dropped)) = self.tail.pop_front() else { break };
            self.tail_bytes -= dropped.len() as u64;
            self.omitted += dropped.len() as u64;
        }
    }
}

/// Ends the spool of an attempt whose host died: cuts a torn frame and says that nothing follows. Does
/// nothing where there is no spool.
///
/// # Errors
/// When the file cannot be read or written.
pub fn close_orphan(path: &std::path::Path, at: Timestamp) -> io::Result<()> {
    let whole = match super::reader::whole_length(path) {
        Ok(whole) => whole,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut file = OpenOptions::new().append(true).open(path)?;
    file.set_len(whole)?;
    let mut end = Vec::new();
    if whole == 0 {
        end.extend_from_slice(&HEADER);
    }
    append_frame(&mut end, FrameKind::End, at, &[]);
    file.write_all(&end)
}

fn append_frame(out: &mut Vec<u8>, kind: FrameKind, at: Timestamp, payload: &[u8]) {
    // A payload is at most PAYLOAD_LIMIT_BYTES.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    out.extend_from_slice(&length);
    out.push(kind as u8);
    out.extend_from_slice(&at.0.to_le_bytes());
    out.extend_from_slice(payload);
    out.extend_from_slice(&length);
}

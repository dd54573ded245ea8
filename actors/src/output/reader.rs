//! Reads spool files, also while they grow.
//!
//! A cursor names a frame and a place in it, so a piece can end anywhere. What is not whole yet is not
//! there yet.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use policy::output::Stream;
use policy::time::Timestamp;

use crate::output::spool::{FRAME_HEAD_BYTES, FRAME_TAIL_BYTES, FrameKind, HEADER, PAYLOAD_LIMIT_BYTES};
use crate::wire::fleet::{OUTPUT_PIECE_LIMIT_BYTES, OutputFrom, OutputPart, OutputPiece};

/// Bits of a cursor that name the place within a frame.
const SKIP_BITS: u32 = 16;

/// Reads a piece of at most `max_bytes` bytes of output, without waiting.
///
/// # Errors
/// No such file ([`io::ErrorKind::NotFound`]), not a spool file, or what the disk says.
pub fn read(path: &Path, from: OutputFrom, max_bytes: u32) -> io::Result<OutputPiece> {
    let spool = Spool::open(path)?;
    let (offset, skip) = match from {
        OutputFrom::Cursor(cursor) => (cursor >> SKIP_BITS, cursor & ((1 << SKIP_BITS) - 1)),
        OutputFrom::Tail(bytes) => spool.before_end(u64::from(bytes))?,
    };
    let budget = max_bytes.clamp(1, OUTPUT_PIECE_LIMIT_BYTES) as usize;
    spool.piece(offset, usize::try_from(skip).unwrap_or(0), budget)
}

/// The length up to the end of the last whole frame; an end mark is not counted.
pub(crate) fn whole_length(path: &Path) -> io::Result<u64> {
    let spool = match Spool::open(path) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
        opened => opened?,
    };
    let mut offset = HEADER.len() as u64;
    while let Some(frame) = spool.frame(offset)? {
        if frame.kind == FrameKind::End {
            break;
        }
        offset = frame.next;
    }
    Ok(offset)
}

struct Spool {
    file: File,
    length: u64,
}

struct Frame {
    kind: FrameKind,
    at: Timestamp,
    size: usize,
    payload: u64,
    next: u64,
}

impl Spool {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut header = [0; HEADER.len()];
        file.read_exact_at(&mut header, 0)?;
        if header != HEADER {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a spool file of this version"));
        }
        Ok(Self { file, length })
    }

    /// The frame at `offset`, if all of it is there.
    fn frame(&self, offset: u64) -> io::Result<Option<Frame>> {
        let payload = offset + FRAME_HEAD_BYTES as u64;
        if payload + FRAME_TAIL_BYTES as u64 > self.length {
            return Ok(None);
        }
        let mut head = [0; FRAME_HEAD_BYTES];
        self.file.read_exact_at(&mut head, offset)?;
        let [a, b, c, d, kind, time @ ..] = head;
        let size = u32::from_le_bytes([a, b, c, d]) as usize;
        let kind = FrameKind::from_byte(kind).filter(|_| size <= PAYLOAD_LIMIT_BYTES);
        let Some(kind) = kind else {
            let text = format!("damaged at byte {offset}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        };
        let next = payload + (size + FRAME_TAIL_BYTES) as u64;
        let frame = Frame { kind, at: Timestamp(u64::from_le_bytes(time)), size, payload, next };
        Ok((next <= self.length).then_some(frame))
    }

    /// Gathers parts from a place on.
    fn piece(&self, offset: u64, mut skip: usize, budget: usize) -> io::Result<OutputPiece> {
        let mut offset = offset.max(HEADER.len() as u64);
        let (mut parts, mut left, mut complete) = (Vec::new(), budget, false);
        while left > 0 {
            let Some(frame) = self.frame(offset)? else { break };
            if frame.kind == FrameKind::End {
                complete = true;
                break;
            }
            let part = self.part(&frame, skip.min(frame.size), left)?;
            let end = skip + part.bytes.len();
            left -= part.bytes.len();
            let whole = part.omitted > 0 || end >= frame.size;
            parts.push(part);
            (offset, skip) = if whole { (frame.next, 0) } else { (offset, end) };
        }
        Ok(OutputPiece { parts, next: offset << SKIP_BITS | skip as u64, complete })
    }

    fn part(&self, frame: &Frame, skip: usize, budget: usize) -> io::Result<OutputPart> {
        let stream = match frame.kind {
            FrameKind::Stdout | FrameKind::OmittedStdout | FrameKind::End => Stream::Stdout,
            FrameKind::Stderr | FrameKind::OmittedStderr => Stream::Stderr,
        };
        let omits = matches!(frame.kind, FrameKind::OmittedStdout | FrameKind::OmittedStderr);
        if omits {
            let mut count = [0; 8];
            self.file.read_exact_at(&mut count, frame.payload)?;
            return Ok(OutputPart {
                at: frame.at,
                stream,
                bytes: Vec::new(),
                omitted: u64::from_le_bytes(count),
            });
        }
        let mut bytes = vec![0; (frame.size - skip).min(budget)];
        self.file.read_exact_at(&mut bytes, frame.payload + skip as u64)?;
        Ok(OutputPart { at: frame.at, stream, bytes, omitted: 0 })
    }

    /// The place about `bytes` bytes of output before the end of the last whole frame.
    fn before_end(&self, bytes: u64) -> io::Result<(u64, u64)> {
        let first = HEADER.len() as u64;
        let (mut offset, mut left) = (self.last_boundary()?, bytes);
        while offset > first {
            let mut length = [0; FRAME_TAIL_BYTES];
            self.file.read_exact_at(&mut length, offset - FRAME_TAIL_BYTES as u64)?;
            let size = u64::from(u32::from_le_bytes(length));
            let Some(start) = offset.checked_sub(size + (FRAME_HEAD_BYTES + FRAME_TAIL_BYTES) as u64) else {
                break;
            };
            if size > left {
                return Ok((start, size - left));
            }
            (offset, left) = (start, left - size);
        }
        Ok((offset.max(first), 0))
    }

    /// The end of the last whole frame: the end of the file, unless a frame is being written just now.
    fn last_boundary(&self) -> io::Result<u64> {
        let frame_bytes = (FRAME_HEAD_BYTES + FRAME_TAIL_BYTES) as u64;
        let mut length = [0; FRAME_TAIL_BYTES];
        self.file.read_exact_at(&mut length, self.length - FRAME_TAIL_BYTES as u64)?;
        let start = self.length.checked_sub(u64::from(u32::from_le_bytes(length)) + frame_bytes);
        let whole = match start.filter(|start| *start >= HEADER.len() as u64) {
            Some(start) => self.frame(start).ok().flatten().is_some_and(|frame| frame.next == self.length),
            None => false,
        };
        if whole {
            return Ok(self.length);
        }
        let mut offset = HEADER.len() as u64;
        while let Some(frame) = self.frame(offset)? {
            offset = frame.next;
        }
        Ok(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::spool::{OutputLimits, SpoolWriter, close_orphan};

    const NOON: Timestamp = Timestamp(43_200_000_000);

    fn text(piece: &OutputPiece) -> String {
        let render = |part: &OutputPart| match part.omitted {
            0 => String::from_utf8_lossy(&part.bytes).into_owned(),
            omitted => format!("<{omitted}>"),
        };
        piece.parts.iter().map(render).collect()
    }

    fn spool(limits: OutputLimits) -> (tempfile::TempDir, std::path::PathBuf, SpoolWriter) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1.spool");
        let writer = SpoolWriter::new(path.clone(), limits);
        (dir, path, writer)
    }

    #[test]
    fn a_silent_attempt_leaves_no_file() {
        let (_dir, path, mut writer) = spool(OutputLimits::default());
        writer.finish(NOON);
        assert!(!path.exists());
    }

    #[test]
    fn pieces_of_any_size_make_the_same_whole() {
        let (_dir, path, mut writer) = spool(OutputLimits::default());
        for line in ["one ", "two ", "three"] {
            writer.push(Stream::Stdout, NOON, line.as_bytes());
        }
        writer.finish(NOON);
        for size in 1..20 {
            let (mut cursor, mut whole) = (0, String::new());
            loop {
                let piece = read(&path, OutputFrom::Cursor(cursor), size).unwrap();
                whole += &text(&piece);
                cursor = piece.next;
                if piece.complete {
                    break;
                }
            }
            assert_eq!(whole, "one two three", "in pieces of {size}");
        }
    }

    #[test]
    fn the_tail_is_found_from_the_end() {
        let (_dir, path, mut writer) = spool(OutputLimits::default());
        for line in ["one ", "two ", "three"] {
            writer.push(Stream::Stdout, NOON, line.as_bytes());
        }
        writer.flush();
        assert_eq!(text(&read(&path, OutputFrom::Tail(7), 100).unwrap()), "o three");
        writer.finish(NOON);
        let piece = read(&path, OutputFrom::Tail(7), 100).unwrap();
        assert_eq!(text(&piece), "o three");
        assert!(piece.complete);
        assert_eq!(text(&read(&path, OutputFrom::Tail(700), 100).unwrap()), "one two three");
    }

    #[test]
    fn beyond_the_head_the_tail_is_kept_and_the_rest_counted() {
        let limits = OutputLimits { head_bytes: 4, tail_bytes: 8, total_bytes: 100 };
        let (_dir, path, mut writer) = spool(limits);
        for line in ["aaaa", "bbbb", "cccc", "dddd", "eeee"] {
            writer.push(Stream::Stdout, NOON, line.as_bytes());
        }
        writer.push(Stream::Stderr, NOON, b"oh");
        writer.finish(NOON);
        assert_eq!(writer.seen(), (20, 2));
        assert_eq!(text(&read(&path, OutputFrom::Cursor(0), 100).unwrap()), "aaaaoh<8>ddddeeee");
    }

    #[test]
    fn a_torn_frame_is_not_there_and_is_cut_for_an_orphan() {
        let (_dir, path, mut writer) = spool(OutputLimits::default());
        writer.push(Stream::Stdout, NOON, b"whole");
        writer.flush();
        let whole = std::fs::metadata(&path).unwrap().len();
        writer.push(Stream::Stdout, NOON, b"torn");
        writer.flush();
        for cut in (whole + 1..whole + 20).rev() {
            std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(cut).unwrap();
            let piece = read(&path, OutputFrom::Cursor(0), 100).unwrap();
            assert_eq!((text(&piece).as_str(), piece.complete), ("whole", false));
            assert_eq!(text(&read(&path, OutputFrom::Tail(3), 100).unwrap()), "ole");
        }
        close_orphan(&path, NOON).unwrap();
        let piece = read(&path, OutputFrom::Cursor(0), 100).unwrap();
        assert_eq!((text(&piece).as_str(), piece.complete), ("whole", true));
    }

    #[test]
    fn a_file_that_is_no_spool_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "something else").unwrap();
        assert_eq!(read(&path, OutputFrom::Cursor(0), 9).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

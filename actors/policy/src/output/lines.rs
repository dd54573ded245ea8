//! From chunks of two streams to lines.
//!
//! A line ends with a line feed, or with a carriage return: what a progress bar overwrites are lines of their own.
//! A line is whole when its end has come, so lines of both streams stand in the order of their ends.

use crate::output::Stream;
use crate::time::Timestamp;

/// Bytes of a line that are held, 64 KiB: two lines that never end must not fill the memory; nobody reads longer ones.
pub const LINE_LIMIT_BYTES: usize = 64 * 1024;

/// A line that somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// On which stream.
    pub stream: Stream,
    /// When its first byte came.
    pub at: Timestamp,
    /// Its bytes, without its end.
    pub bytes: Vec<u8>,
    /// Bytes of it that are left out at its end, beyond [`LINE_LIMIT_BYTES`].
    pub cut: u64,
}

/// Cuts what two streams bring into lines.
#[derive(Debug, Default)]
pub struct Lines {
    begun: [Option<Line>; 2],
    /// Whether the last end was a carriage return: a line feed behind it belongs to it.
    returned: [bool; 2],
}

impl Lines {
    /// Takes what came of a stream, and gives the lines that it ends.
    pub fn push(&mut self, stream: Stream, at: Timestamp, mut bytes: &[u8], mut line: impl FnMut(Line)) {
        let place = stream as usize;
        if bytes.is_empty() {
            return;
        }
        if std::mem::take(&mut self.returned[place]) && bytes[0] == b'\n' {
            bytes = &bytes[1..];
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.extend(stream, at, &bytes[..end]);
            line(self.begun[place].take().unwrap_or_else(|| Line::begun(stream, at)));
            let pair = bytes[end] == b'\r' && bytes.get(end + 1) == Some(&b'\n');
            self.returned[place] = bytes[end] == b'\r' && end + 1 == bytes.len();
            bytes = &bytes[end + 1 + usize::from(pair)..];
        }
        self.extend(stream, at, bytes);
    }

    /// Something of a stream is missing here: what has begun on it ends.
    pub fn gap(&mut self, stream: Stream, line: impl FnMut(Line)) {
        self.returned[stream as usize] = false;
        self.begun[stream as usize].take().into_iter().for_each(line);
    }

    /// Nothing follows: gives what has no end.
    pub fn finish(&mut self) -> impl Iterator<Item = Line> {
        self.returned = [false; 2];
        std::mem::take(&mut self.begun).into_iter().flatten()
    }

    fn extend(&mut self, stream: Stream, at: Timestamp, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let line = self.begun[stream as usize].get_or_insert_with(|| Line::begun(stream, at));
        let room = (LINE_LIMIT_BYTES - line.bytes.len()).min(bytes.len());
        line.bytes.extend_from_slice(&bytes[..room]);
        line.cut += (bytes.len() - room) as u64;
    }
}

impl Line {
    fn begun(stream: Stream, at: Timestamp) -> Self {
        Self { stream, at, bytes: Vec::new(), cut: 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(Stream::Stdout, Timestamp(1), chunk, |line| found.push(line));
        }
        found.extend(lines.finish());
        found.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()).collect()
    }

    #[test]
    fn lines_end_in_each_of_three_ways() {
        assert_eq!(cut(&[b"a\nb\r\nc\rd\n\ne"]), ["a", "b", "c", "d", "", "e"]);
        assert_eq!(cut(&[b"a\r", b"\nb"]), ["a", "b"]);
        assert_eq!(cut(&[b"a\r", b"b\r", b"\r\n"]), ["a", "b", ""]);
        assert_eq!(cut(&[b""]), [""; 0]);
    }

    #[test]
    fn streams_do_not_meet_within_a_line() {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for (stream, at, bytes) in
            [(Stream::Stdout, 1, "one "), (Stream::Stderr, 2, "oh\n"), (Stream::Stdout, 3, "line\n")]
        {
            lines.push(stream, Timestamp(at), bytes.as_bytes(), |line| found.push(line));
        }
        let told: Vec<_> = found.iter().map(|line| (line.at.0, line.bytes.as_slice())).collect();
        assert_eq!(told, [(2, &b"oh"[..]), (1, b"one line")]);
        assert_eq!(lines.finish().count(), 0);
    }

    #[test]
    fn what_stands_on_both_sides_of_a_gap_is_not_one_line() {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        lines.push(Stream::Stderr, Timestamp(1), b"be", |line| found.push(line));
        lines.gap(Stream::Stderr, |line| found.push(line));
        lines.push(Stream::Stderr, Timestamp(2), b"gin\n", |line| found.push(line));
        let told: Vec<_> = found.iter().map(|line| line.bytes.as_slice()).collect();
        assert_eq!(told, [&b"be"[..], b"gin"]);
    }

    #[test]
    fn a_line_without_an_end_is_held_up_to_a_limit() {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for _ in 0..100 {
            lines.push(Stream::Stdout, Timestamp(1), &[b'x'; 1000], |line| found.push(line));
        }
        lines.push(Stream::Stdout, Timestamp(1), b"\n", |line| found.push(line));
        assert_eq!(
            (found[0].bytes.len(), found[0].cut),
            (LINE_LIMIT_BYTES, 100_000 - LINE_LIMIT_BYTES as u64)
        );
    }

    proptest! {
        #[test]
        fn wherever_chunks_are_cut_the_lines_are_the_same(
            text in "[ab\r\n]{0,40}", cuts in prop::collection::vec(0_usize..40, 0..6)
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(text.len())).collect();
            cuts.sort_unstable();
            let (mut chunks, mut begin) = (Vec::new(), 0);
            for at in cuts {
                chunks.push(&text.as_bytes()[begin..at]);
                begin = at;
            }
            chunks.push(&text.as_bytes()[begin..]);
            prop_assert_eq!(cut(&chunks), cut(&[text.as_bytes()]));
        }
    }
}

//! What a script says that gives bytes as they come: lines of an answer, and between them pieces of streams, each behind a line
//! with its stream's name and its length. Must not know what is in them, nor which streams there are.

use std::io;

use super::reply::Reply;
use super::script::Side;

/// A stream by its name, as the head of a piece says it.
pub(super) trait Stream: Copy {
    /// `None` where it is no name of one.
    fn named(name: &str) -> Option<Self>;
}

impl Stream for Side {
    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|side| side.as_str() == name)
    }
}

/// Bytes of a line: names and numbers.
const LINE_BYTES_LIMIT: usize = 4 * 1024;
/// Bytes of the lines together, without heads of pieces: one attempt.
const ANSWER_BYTES_LIMIT: usize = 64 * 1024;

/// Reads it, however it is cut.
#[derive(Debug)]
pub(super) struct Frames<S> {
    /// The lines that are no heads of pieces.
    said: Vec<u8>,
    line: Vec<u8>,
    /// Of which stream so many bytes are still to come.
    piece: Option<(S, u64)>,
}

impl<S> Default for Frames<S> {
    fn default() -> Self {
        Self { said: Vec::new(), line: Vec::new(), piece: None }
    }
}

impl<S: Stream> Frames<S> {
    /// Takes what has come; gives `sink` what is of a stream. A piece without a byte is given as such.
    ///
    /// # Errors
    /// It is none of ours, or `sink` fails.
    pub(super) fn take(
        &mut self,
        mut bytes: &[u8],
        sink: &mut dyn FnMut(S, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            bytes = match self.piece {
                Some(piece) => self.of_piece(bytes, piece, sink)?,
                None => self.of_line(bytes, sink)?,
            };
        }
        Ok(())
    }

    /// The answer, where it is whole.
    pub(super) fn reply(&self) -> Option<Reply> {
        let is_whole = self.line.is_empty() && self.piece.is_none();
        is_whole.then(|| Reply::read(&self.said)).flatten()
    }

    /// What was said in lines.
    pub(super) fn said(&self) -> Vec<u8> {
        [&*self.said, &self.line].concat()
    }

    fn of_piece<'b>(
        &mut self,
        bytes: &'b [u8],
        (stream, left): (S, u64),
        sink: &mut dyn FnMut(S, &[u8]) -> io::Result<()>,
    ) -> io::Result<&'b [u8]> {
        let here = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let (of_it, rest) = bytes.split_at(here);
        sink(stream, of_it)?;
        let left = left - here as u64;
        self.piece = (left > 0).then_some((stream, left));
        Ok(rest)
    }

    fn of_line<'b>(
        &mut self,
        bytes: &'b [u8],
        sink: &mut dyn FnMut(S, &[u8]) -> io::Result<()>,
    ) -> io::Result<&'b [u8]> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (of_it, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        self.line.extend_from_slice(of_it);
        if self.line.len() > LINE_BYTES_LIMIT || self.said.len() > ANSWER_BYTES_LIMIT {
            return Err(io::Error::other("the answer has no end"));
        }
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            match head(&line) {
                Some((stream, 0)) => sink(stream, &[])?,
                Some(piece) => self.piece = Some(piece),
                None => self.said.extend(line),
            }
        }
        Ok(rest)
    }
}

/// Of which stream how many bytes follow.
fn head<S: Stream>(line: &[u8]) -> Option<(S, u64)> {
    let (name, length) = std::str::from_utf8(line).ok()?.trim_end().split_once(' ')?;
    Some((S::named(name)?, length.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(pieces: &[(usize, Vec<u8>)]) -> Vec<u8> {
        let mut text = Vec::new();
        for (side, bytes) in pieces {
            text.extend(format!("{} {}\n", Side::ALL[*side].as_str(), bytes.len()).into_bytes());
            text.extend(bytes);
        }
        text.extend(b"attempt a\nend\n");
        text
    }

    fn read(text: &[u8], cuts: &[usize]) -> (Frames<Side>, [Vec<u8>; 3]) {
        let (mut frames, mut streams, mut from) = (Frames::default(), <[Vec<u8>; 3]>::default(), 0);
        for to in cuts.iter().map(|cut| cut % (text.len() + 1)).chain([text.len()]) {
            if to > from {
                let mut sink = |side: Side, bytes: &[u8]| {
                    streams[side as usize].extend(bytes);
                    Ok(())
                };
                frames.take(&text[from..to], &mut sink).unwrap();
                from = to;
            }
        }
        (frames, streams)
    }

    proptest! {
        #[test]
        fn every_byte_of_every_stream_comes_once_and_in_order_however_it_is_cut(
            pieces in prop::collection::vec((0_usize..3, prop::collection::vec(any::<u8>(), 0..40)), 0..8),
            mut cuts in prop::collection::vec(any::<prop::sample::Index>().prop_map(|cut| cut.index(400)), 0..12),
            lost in 1_usize..14,
        ) {
            cuts.sort_unstable();
            let text = written(&pieces);
            let (frames, streams) = read(&text, &cuts);
            for (side, stream) in streams.iter().enumerate() {
                let wanted: Vec<u8> = pieces.iter().filter(|one| one.0 == side).flat_map(|one| one.1.clone()).collect();
                prop_assert_eq!(stream, &wanted);
            }
            prop_assert!(frames.reply().is_some_and(|reply| reply.word("attempt") == Some("a")));
            // What was cut off at the end is no answer.
            prop_assert!(read(&text[..text.len() - lost], &cuts).0.reply().is_none());
        }
    }

    #[test]
    fn what_has_no_end_is_none_of_ours() {
        let mut frames = Frames::<Side>::default();
        assert!(frames.take(&vec![b'x'; LINE_BYTES_LIMIT + 1], &mut |_, _| Ok(())).is_err());
    }
}

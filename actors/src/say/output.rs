//! What tasks wrote, for people and for who reads little.

use policy::output::digest::{Digest, Digested, Part, Shown};
use policy::output::lines::{Line, Lines};

use super::{count, plain, size};
use crate::wire::fleet::OutputPart;

/// Pieces of output on their way to a digest.
#[derive(Debug)]
pub struct Digesting {
    lines: Lines,
    digest: Digest,
    /// Bytes that were not kept when they were written.
    lost: u64,
}

impl Digesting {
    /// A digest of at most `limit` bytes as text.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { lines: Lines::default(), digest: Digest::new(limit), lost: 0 }
    }

    /// Takes what comes next.
    pub fn push(&mut self, part: &OutputPart) {
        let digest = &mut self.digest;
        if part.omitted > 0 {
            self.lost += part.omitted;
            self.lines.gap(part.stream, |line| add(digest, &line));
        }
        self.lines.push(part.stream, part.at, &part.bytes, |line| add(digest, &line));
    }

    /// The digest, and how many bytes were not kept when they were written.
    #[must_use]
    pub fn finish(mut self) -> (Digested, u64) {
        for line in self.lines.finish() {
            add(&mut self.digest, &line);
        }
        (self.digest.finish(), self.lost)
    }
}

fn add(digest: &mut Digest, line: &Line) {
    digest.push(line.stream, line.at, &text(line), line.cut);
}

/// A line without its colours and without anything that a terminal obeys but tabs.
#[must_use]
pub fn text(line: &Line) -> String {
    let text = String::from_utf8_lossy(&line.bytes);
    text.split('\t').map(plain).collect::<Vec<_>>().join("\t")
}

/// A digest as text, within its limit. What begins with `[crab:` was not written by the task.
#[must_use]
pub fn digest((digested, lost): &(Digested, u64)) -> String {
    let mut text = head(digested, *lost);
    for part in &digested.parts {
        match part {
            Part::Line(shown) => line(&mut text, shown),
            Part::Gap { lines, troubles: 0 } => {
                note(&mut text, &format!("{} left out", count(*lines, "line")))
            }
            Part::Gap { lines, troubles } => {
                note(&mut text, &format!("{} left out, {troubles} of trouble", count(*lines, "line")));
            }
        }
    }
    text
}

fn head(digested: &Digested, lost: u64) -> String {
    let mut head = String::new();
    let left_out = digested.parts.iter().any(|part| !matches!(part, Part::Line(shown) if whole(shown)));
    let lost = if lost > 0 { format!(", {} were not kept", size(lost)) } else { String::new() };
    if left_out || !lost.is_empty() {
        let (lines, bytes) = (count(digested.lines, "line"), size(digested.bytes));
        note(&mut head, &format!("a digest of {lines}, {bytes}, {} of trouble{lost}", digested.troubles));
    }
    head
}

fn whole(shown: &Shown) -> bool {
    shown.cut == 0 && shown.alike == 0
}

fn line(text: &mut String, shown: &Shown) {
    text.push_str(&shown.text);
    if shown.cut > 0 {
        text.push_str(&format!(" [crab: {} more]", count(shown.cut, "byte")));
    }
    text.push('\n');
    if shown.alike > 0 {
        note(text, &format!("{} like this", count(shown.alike, "more line")));
    }
}

fn note(text: &mut String, note: &str) {
    text.push_str(&format!("[crab: {note}]\n"));
}

#[cfg(test)]
mod tests {
    use policy::output::Stream;
    use policy::output::digest::LEAST_LIMIT_BYTES;
    use policy::time::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn made(chunks: &[Vec<u8>], omitted: u64) -> String {
        let mut digesting = Digesting::new(LEAST_LIMIT_BYTES);
        for (number, bytes) in chunks.iter().enumerate() {
            let stream = if number % 3 == 0 { Stream::Stderr } else { Stream::Stdout };
            digesting.push(&OutputPart { at: Timestamp(1), stream, bytes: bytes.clone(), omitted });
        }
        digest(&digesting.finish())
    }

    #[test]
    fn little_output_is_shown_as_it_is_without_colours() {
        assert_eq!(made(&[b"\x1b[31mone\x1b[0m\ntwo".to_vec()], 0), "one\ntwo\n");
    }

    #[test]
    fn it_says_what_is_not_there() {
        let mut lines: Vec<u8> = (b'a'..=b'z').flat_map(|c| [&[c; 60][..], b"\n"].concat()).collect();
        lines.extend(b"error: oh\n".repeat(3));
        lines.extend([b'x'; 1000]);
        let text = made(&[lines], 9);
        assert!(
            text.starts_with("[crab: a digest of 30 lines, 2.5 KiB, 3 of trouble, 9 B were not kept]\naaa"),
            "{text}"
        );
        assert!(text.contains("\nerror: oh\n[crab: 2 more lines like this]\nxxx"), "{text}");
        assert!(text.contains(" left out]\n") && text.ends_with("x [crab: 872 bytes more]\n"), "{text}");
        assert!(text.len() <= LEAST_LIMIT_BYTES, "{text}");
    }

    proptest! {
        #[test]
        fn whatever_bytes_come_the_text_is_bounded(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..900), 0..60), omitted in any::<u32>()
        ) {
            let text = made(&chunks, u64::from(omitted));
            prop_assert!(text.len() <= LEAST_LIMIT_BYTES, "{} bytes", text.len());
            prop_assert!(text.chars().all(|c| "\n\t".contains(c) || !c.is_control()));
        }
    }
}

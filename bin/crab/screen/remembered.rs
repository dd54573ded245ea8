//! What is remembered of an output that somebody reads as a whole: its beginning and its end, within a limit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that are remembered of a beginning.
const HEAD: usize = 16 * 1024;
/// And of an end, where results and errors are: with the beginning more than an agent's window has room for.
const TAIL: usize = 48 * 1024;

/// What is remembered, shared between a screen and whoever reads it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Remembered>>);

impl Memory {
    pub(super) fn write(&self, bytes: &[u8]) {
        self.lock().write(bytes);
    }

    /// All that is remembered, and between beginning and end a word about what is not.
    pub(crate) fn text(&self) -> String {
        self.lock().text()
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The beginning and the end of what was written.
#[derive(Debug, Default)]
struct Remembered {
    bytes: Vec<u8>,
    /// Bytes between the two that are forgotten.
    left_out: usize,
}

impl Remembered {
    fn write(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Seldom, since it moves the end.
        if self.bytes.len() > HEAD + 2 * TAIL {
            let excess = self.bytes.len() - HEAD - TAIL;
            self.bytes.drain(HEAD..HEAD + excess);
            self.left_out += excess;
        }
    }

    fn text(&self) -> String {
        if self.left_out == 0 {
            return String::from_utf8_lossy(&self.bytes).into_owned();
        }
        let (head, tail) = self.bytes.split_at(HEAD);
        let left_out = self.left_out;
        let (head, tail) = (String::from_utf8_lossy(head), String::from_utf8_lossy(tail));
        format!("{head}\n[crab: {left_out} bytes left out here]\n{tail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_much_the_beginning_and_the_end_are_remembered() {
        let memory = Memory::default();
        memory.write(b"first\n");
        assert_eq!(memory.text(), "first\n");
        (0..100_000_u32).for_each(|line| memory.write(format!("line {line}\n").as_bytes()));
        let text = memory.text();
        assert!(text.starts_with("first\nline 0\n") && text.ends_with("line 99999\n"), "{text}");
        assert!(text.contains("bytes left out here"), "{text}");
        assert!(text.len() < HEAD + 2 * TAIL + 100, "{}", text.len());
    }
}

//! Events on their way into the log, encoded before anybody holds a lock.

use policy::event::Event;

use crate::wire::codec;

/// Events that are appended as one: after a crash all of them are there or none.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) entries: Vec<Entry>,
}

/// One event of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// The end of its event in the batch's bytes.
    pub(super) end: usize,
    pub(super) cause: u64,
    pub(super) correlation: u64,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event: after which record (0 for none), in which flow (0 for none).
    pub fn push(&mut self, event: &Event, cause: u64, correlation: u64) {
        codec::encode_into(event, &mut self.bytes);
        self.entries.push(Entry { end: self.bytes.len(), cause, correlation });
    }

    /// Bytes of the events.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// How many events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }
}

//! What a file of the simulated disk holds, and what a crash leaves of it.

/// A torn write survives or not in pieces of this many bytes: a sector.
const SECTOR_BYTES: usize = 512;

/// What a file holds now, and what of it is synced.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) now: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Operation>,
}

/// What can be done to a file.
#[derive(Debug)]
pub(super) enum Operation {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl Contents {
    fn apply(contents: &mut Vec<u8>, operation: &Operation) {
        match operation {
            Operation::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if contents.len() < end {
                    contents.resize(end, 0);
                }
                contents[*offset..end].copy_from_slice(bytes);
            }
            Operation::Truncate(length) => contents.truncate(*length),
        }
    }

    pub(super) fn perform(&mut self, operation: Operation) {
        Self::apply(&mut self.now, &operation);
        self.unsynced.push(operation);
    }

    pub(super) fn sync(&mut self) {
        for operation in self.unsynced.drain(..) {
            Self::apply(&mut self.synced, &operation);
        }
    }

    /// What was written can be read but will not get to the disk.
    pub(super) fn fail_sync(&mut self) {
        self.unsynced.clear();
    }

    /// Changes what is stored behind everybody's back.
    pub(super) fn damage(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.now);
        self.synced.clone_from(&self.now);
        self.unsynced.clear();
    }

    pub(super) fn crash(&mut self, chance: &mut fastrand::Rng) {
        let whole = chance.usize(..=self.unsynced.len());
        for (index, operation) in self.unsynced.drain(..).enumerate() {
            match operation {
                operation if index < whole => Self::apply(&mut self.synced, &operation),
                Operation::Write { offset, bytes } if index == whole => {
                    tear(&mut self.synced, offset, &bytes, chance);
                }
                Operation::Write { .. } | Operation::Truncate(_) => break,
            }
        }
        self.now.clone_from(&self.synced);
    }
}

/// Some sectors of a write arrive, others keep what they had; what is between is zero.
fn tear(contents: &mut Vec<u8>, offset: usize, bytes: &[u8], chance: &mut fastrand::Rng) {
    let kept = chance.usize(..=bytes.len());
    let holes = chance.bool();
    let mut at = 0;
    while at < kept {
        let sector_end = (offset + at) / SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES - offset;
        let end = sector_end.min(kept);
        if !holes || chance.bool() {
            let piece = Operation::Write { offset: offset + at, bytes: bytes[at..end].to_vec() };
            Contents::apply(contents, &piece);
        }
        at = end;
    }
}

//! The snapshots: what closed segments of the log come to, so that recovery need not read them again.
//!
//! A snapshot is named by its [`Key`] and carries the number of the last record it contains. The log is the
//! truth: recovery is all snapshots and the log's tail ([`recover`]), and folding closed segments into
//! snapshots ([`checkpoint()`]) changes nothing but its speed. Before segments are removed ([`retire`]) all
//! snapshots are written to a file of our own format beside the log (`base`), so that sled is never the
//! only copy of anything: a store that is damaged, lost or of another log is made again from base and log.
//!
//! What keeps the snapshots is behind [`SnapshotStore`]; what the bytes of one mean is known to the reducers
//! alone. Only checkpoints write here, one at a time.
//!
//! # Why a crash at any step does no harm
//! The snapshots of a checkpoint and the mark that says how far they reach become durable in one batch, so
//! that the store is always the state at exactly its mark. A base is complete and durable before it gets its
//! name, and gets its name before the first segment goes; segments go oldest first.

mod base;
pub mod checkpoint;
pub mod memory;
pub mod recovery;
pub mod sled;

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;

use policy::event::LogPosition;
use policy::layout::{Layout, before, since};
use serde::{Deserialize, Serialize};

use crate::wire::codec::{self, CodecError};

pub use self::sled::SledStore;
pub use checkpoint::{CheckpointError, Checkpointed, Folder, checkpoint, retire};
pub use memory::MemoryStore;
pub use recovery::{Open, RecoverError, Recovered, Restorer, recover};

/// Bytes of the largest snapshot: sled keeps larger values in files of their own, which it syncs badly.
pub const SNAPSHOT_LIMIT_BYTES: usize = 100 * 1024;

/// What kind of thing a snapshot is of. Kinds are given out by the reducers, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Kind(pub u8);

impl Kind {
    /// The store's own.
    const STORE: Self = Self(0);
}

/// What a snapshot is of. Sorted by kind, then by id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// What kind of thing.
    pub kind: Kind,
    /// Which one.
    pub id: Vec<u8>,
}

impl Key {
    /// Of the thing with this number; sorted as numbers are.
    #[must_use]
    pub fn of_number(kind: Kind, number: u64) -> Self {
        Self { kind, id: number.to_be_bytes().to_vec() }
    }

    /// Of the thing with this name.
    #[must_use]
    pub fn of_name(kind: Kind, name: &str) -> Self {
        Self { kind, id: name.as_bytes().to_vec() }
    }

    /// The number it was made of, if it was.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        self.id.as_slice().try_into().ok().map(u64::from_be_bytes)
    }

    fn covered() -> Self {
        Self::of_name(Kind::STORE, "covered")
    }
}

/// A thing's saved state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The number of the last record that the checkpoint which wrote it had folded.
    pub number: u64,
    /// The state, as its reducer encodes it.
    pub bytes: Vec<u8>,
    /// The layout of the state.
    #[serde(deserialize_with = "since::<2, _, _>", skip_serializing_if = "before::<2, _>")]
    pub layout: Layout,
}

impl Snapshot {
    /// A state as this program encodes it, from the records up to `number`.
    #[must_use]
    pub fn new(number: u64, bytes: Vec<u8>) -> Self {
        Self { number, bytes, layout: Layout::CURRENT }
    }
}

/// What a batch does to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Keep this snapshot in the place of any other.
    Put(Key, Snapshot),
    /// Forget it.
    Remove(Key),
}

/// How far the snapshots reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Covered {
    /// Where the first record begins that they do not contain.
    pub position: LogPosition,
    /// The number of the last record that they contain; 0 for none.
    pub number: u64,
}

/// Why the store did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What is in it is not what was put there. It can be made again from the log.
    #[error("the snapshot store is damaged: {0}")]
    Damaged(String),
    /// A later program wrote it.
    #[error("the snapshot store has format {found}, this program knows up to {known}")]
    Newer {
        /// Its format.
        found: u8,
        /// The latest that this program reads.
        known: u8,
    },
    /// A snapshot that is too large.
    #[error("a snapshot of {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The disk did not do what it must.
    #[error("{}: {cause}", path.display())]
    Io {
        /// With which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// Keeps snapshots. Narrow, so that what is behind it can be replaced.
pub trait SnapshotStore: Send + Sync + Debug {
    /// The snapshot under `key`, if there is one.
    ///
    /// # Errors
    /// When the store is damaged or the disk fails.
    fn get(&self, key: &Key) -> Result<Option<Snapshot>, StoreError>;

    /// Makes all of `changes`, in order, or none: also after a crash. Durable after [`Self::flush_durably`].
    ///
    /// # Errors
    /// When the disk fails, or a snapshot is too large; then nothing was changed.
    fn put_batch(&self, changes: &[Change]) -> Result<(), StoreError>;

    /// Hands every snapshot to `take`, sorted by key.
    ///
    /// # Errors
    /// When the store is damaged or the disk fails.
    fn scan(&self, take: &mut dyn FnMut(Key, Snapshot)) -> Result<(), StoreError>;

    /// Returns when all batches so far are durable.
    ///
    /// # Errors
    /// When that cannot be known.
    fn flush_durably(&self) -> Result<(), StoreError>;

    /// Forgets what is under `key`.
    ///
    /// # Errors
    /// As [`Self::put_batch`].
    fn remove(&self, key: &Key) -> Result<(), StoreError> {
        self.put_batch(&[Change::Remove(key.clone())])
    }
}

/// How far the snapshots in `store` reach.
///
/// # Errors
/// When the store is damaged or the disk fails.
pub fn covered(store: &dyn SnapshotStore) -> Result<Covered, StoreError> {
    let Some(mark) = store.get(&Key::covered())? else {
        return Ok(Covered::default());
    };
    codec::decode_as(mark.layout, &mark.bytes, SNAPSHOT_LIMIT_BYTES).map_err(damaged)
}

/// What records the mark `covered` in the batch that reaches so far.
fn mark(covered: Covered) -> Change {
    Change::Put(Key::covered(), Snapshot::new(covered.number, codec::encode(&covered)))
}

/// A snapshot as it is stored: layout, number, state.
fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(snapshot.bytes.len() + 10);
    codec::encode_version(snapshot.layout.number(), &mut bytes);
    codec::encode_into(&snapshot.number, &mut bytes);
    bytes.extend_from_slice(&snapshot.bytes);
    bytes
}

fn decode(bytes: &[u8]) -> Result<Snapshot, StoreError> {
    let (layout, rest) = codec::split_layout(bytes).map_err(damaged)?;
    let (number, read) = codec::decode_front(rest, rest.len()).map_err(damaged)?;
    Ok(Snapshot { number, bytes: rest[read..].to_vec(), layout })
}

fn check_size(changes: &[Change]) -> Result<(), StoreError> {
    let sizes = changes.iter().map(|change| match change {
        Change::Put(_, snapshot) => snapshot.bytes.len(),
        Change::Remove(_) => 0,
    });
    match sizes.max() {
        Some(bytes) if bytes > SNAPSHOT_LIMIT_BYTES => {
            Err(StoreError::TooLarge { bytes, limit: SNAPSHOT_LIMIT_BYTES })
        }
        _ => Ok(()),
    }
}

fn damaged(error: CodecError) -> StoreError {
    match error {
        CodecError::Newer { found, known } => StoreError::Newer { found, known },
        other => StoreError::Damaged(other.to_string()),
    }
}

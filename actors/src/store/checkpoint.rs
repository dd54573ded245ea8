//! Folds closed segments of the log into snapshots, and removes segments that are no longer needed.
//!
//! For a background thread: it reads files and waits for the disk. Must not know what records or snapshots
//! mean.

use std::io;

use policy::event::{LogPosition, Record};

use crate::log::{Log, ReadError};
use crate::store::{Change, Covered, Key, Snapshot, SnapshotStore, StoreError, base, covered, mark};

/// Folds records into the states that snapshots hold: the reducers that recovery uses.
///
/// It begins with the state of the store as it is: all of it, loaded before, or what it asks the store
/// for when a record needs it.
pub trait Folder {
    /// The next record.
    fn apply(&mut self, position: LogPosition, record: &Record);

    /// What has changed: the new state of a key, or `None` where there is nothing left to keep.
    fn finish(self) -> Vec<(Key, Option<Vec<u8>>)>;
}

/// What a checkpoint did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpointed {
    /// How far the snapshots reach now.
    pub covered: Covered,
    /// How many records were folded.
    pub records: u64,
    /// How many snapshots were written or forgotten.
    pub changes: usize,
}

/// Why a checkpoint was not made. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The log could not be read.
    #[error("could not fold the log: {0}")]
    Log(#[from] ReadError),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk of the log did not do what it must.
    #[error("could not keep the snapshots beside the log: {0}")]
    Io(#[from] io::Error),
}

/// Folds the closed segments that begin before `upto` and are not in the snapshots yet. Durable when it returns.
///
/// # Errors
/// When the log cannot be read, or the store fails.
pub fn checkpoint(
    log: &Log,
    store: &dyn SnapshotStore,
    upto: LogPosition,
    mut folder: impl Folder,
) -> Result<Checkpointed, CheckpointError> {
    let before = covered(store)?;
    let upto = log.closed_start(upto);
    if upto <= before.position {
        return Ok(Checkpointed { covered: before, records: 0, changes: 0 });
    }
    let mut records = 0;
    let last = log.replay_between(before.position, upto, |position, record| {
        folder.apply(position, &record);
        records += 1;
    })?;
    let covered = Covered { position: upto, number: last.max(before.number) };
    let mut changes: Vec<Change> =
        folder.finish().into_iter().map(|new| change(new, covered.number)).collect();
    let count = changes.len();
    changes.push(mark(covered));
    store.put_batch(&changes)?;
    store.flush_durably()?;
    Ok(Checkpointed { covered, records, changes: count })
}

fn change((key, state): (Key, Option<Vec<u8>>), number: u64) -> Change {
    match state {
        Some(bytes) => Change::Put(key, Snapshot::new(number, bytes)),
        None => Change::Remove(key),
    }
}

/// Removes the segments wholly before `position` that the snapshots cover, after writing the snapshots
/// down beside the log. Returns how many were removed.
///
/// # Errors
/// When the store or the disk fails. Running it again goes on.
pub fn retire(log: &Log, store: &dyn SnapshotStore, position: LogPosition) -> Result<usize, CheckpointError> {
    let covered = covered(store)?;
    let until = log.closed_start(position.min(covered.position));
    if until <= log.first_position() {
        return Ok(0);
    }
    base::write(log, store, covered)?;
    let removed = log.remove_segments_before(until)?;
    base::remove_older(log, covered)?;
    Ok(removed)
}

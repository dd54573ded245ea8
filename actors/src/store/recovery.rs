//! Recovery: all snapshots, then the tail of the log. Where the store cannot be used it is made again.

use policy::event::{LogPosition, Record};

use crate::log::{Log, ReadError};
use crate::store::base::{self, BaseError};
use crate::store::{Covered, Key, Kind, Snapshot, SnapshotStore, StoreError, covered, damaged};
use crate::wire::codec::CodecError;

/// How to open a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// With what is in it.
    Existing,
    /// Empty: what is there is of no use, and is moved aside.
    Afresh,
}

/// Takes a state back in.
pub trait Restorer {
    /// The state of one thing. All of them come before the first record, sorted by key.
    ///
    /// # Errors
    /// Where it is none that was saved: then this state is let go, and the store is made again.
    fn load(&mut self, key: Key, snapshot: Snapshot) -> Result<(), CodecError>;

    /// A record that no snapshot contains.
    fn apply(&mut self, position: LogPosition, record: Record);
}

/// A state that was taken back in.
#[derive(Debug)]
pub struct Recovered<S, R> {
    /// The open store.
    pub store: S,
    /// The state.
    pub restored: R,
    /// How far the snapshots reached.
    pub covered: Covered,
    /// The number of the last record; 0 where there is none.
    pub last_number: u64,
    /// Why the store was made again, if it was.
    pub rebuilt: Option<String>,
}

/// Why there is no recovery.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The store cannot be used, and not for damage.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log cannot be read.
    #[error("could not replay the log: {0}")]
    Log(#[from] ReadError),
    /// The copy of the snapshots beside the log cannot be used either.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// Snapshots reach further than the log.
    #[error(
        "the snapshots contain record {snapshots}, but the log ends with {log}; restore the log from a copy"
    )]
    Ahead {
        /// The last record in the snapshots.
        snapshots: u64,
        /// The last record in the log.
        log: u64,
    },
}

/// Makes the state of `log` again, with the help of the snapshots in the store that `open` opens. A
/// store that is damaged, lost or of another log is opened afresh and made again from the log.
///
/// # Errors
/// When the log cannot be read, or the store can neither be read nor made again.
pub fn recover<S: SnapshotStore, R: Restorer>(
    log: &Log,
    mut open: impl FnMut(Open) -> Result<S, StoreError>,
    begin: impl Fn() -> R,
) -> Result<Recovered<S, R>, RecoverError> {
    let existing = open(Open::Existing).map_err(RecoverError::from);
    let reason = match existing.and_then(|store| restore(log, store, begin())) {
        Ok(recovered) => return Ok(recovered),
        Err(error) if is_worth_rebuilding(&error) => error.to_string(),
        Err(error) => return Err(error),
    };
    tracing::warn!(reason, "making the snapshot store again from the log");
    let store = open(Open::Afresh)?;
    base::load_into(log, &store)?;
    let recovered = restore(log, store, begin())?;
    Ok(Recovered { rebuilt: Some(reason), ..recovered })
}

fn is_worth_rebuilding(error: &RecoverError) -> bool {
    matches!(
        error,
        RecoverError::Store(StoreError::Damaged(_))
            | RecoverError::Log(ReadError::Removed { .. } | ReadError::NotFound(_))
            | RecoverError::Ahead { .. }
    )
}

fn restore<S: SnapshotStore, R: Restorer>(
    log: &Log,
    store: S,
    mut restored: R,
) -> Result<Recovered<S, R>, RecoverError> {
    let covered = covered(&store)?;
    if covered.number > log.durable() {
        return Err(RecoverError::Ahead { snapshots: covered.number, log: log.durable() });
    }
    let loaded = load_all(&store, &mut restored)?;
    if loaded > 0 && covered == Covered::default() {
        return Err(StoreError::Damaged("the making of it was interrupted".to_owned()).into());
    }
    let last = log.replay(covered.position, |position, record| restored.apply(position, record))?;
    let last_number = last.max(covered.number);
    Ok(Recovered { store, restored, covered, last_number, rebuilt: None })
}

/// Takes in every snapshot; how many there are.
fn load_all(store: &impl SnapshotStore, restored: &mut impl Restorer) -> Result<u64, StoreError> {
    let (mut loaded, mut fault) = (0, None);
    store.scan(&mut |key, snapshot| {
        if key.kind != Kind::STORE && fault.is_none() {
            fault = restored.load(key, snapshot).err();
            loaded += 1;
        }
    })?;
    fault.map_or(Ok(loaded), |fault| Err(damaged(fault)))
}

//! Snapshots in sled.
//!
//! sled 0.34 calls a flush what is `sync_file_range` on Linux, which survives no loss of power: its files
//! are synced once more here. It checks what it reads, and may panic at what it finds; both count as
//! damage, and a damaged store is moved aside and made again from the log.

use std::fs::{self, File};
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::store::recovery::Open;
use crate::store::{Change, Key, Kind, Snapshot, SnapshotStore, StoreError, check_size, decode, encode};

/// Bytes of snapshots that sled keeps in memory: they are read at starts and folds only.
const CACHE_BYTES: u64 = 16 << 20;

/// How long a lock that somebody holds is waited for: a store that was closed just now is let go a moment later, by its
/// threads and by children that are not another program yet.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at it.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Snapshots in a sled database.
#[derive(Debug)]
pub struct SledStore {
    directory: PathBuf,
    database: sled::Db,
}

impl SledStore {
    /// Opens the store in `directory`, made where there is none. [`Open::Afresh`] moves what is there to a
    /// directory of the same name with `.damaged` behind it, in the place of an earlier one, and begins with an empty store.
    ///
    /// # Errors
    /// When it is damaged, or the disk fails.
    pub fn open(directory: impl Into<PathBuf>, how: Open) -> Result<Self, StoreError> {
        let directory = directory.into();
        if how == Open::Afresh && directory.exists() {
            move_aside(&directory)?;
        }
        let config = sled::Config::new().path(&directory).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let mut waited = Duration::ZERO;
        let database = loop {
            match guarded(&directory, || config.open()) {
                Err(error) if is_locked(&error) && waited < LOCK_PATIENCE => {
                    thread::park_timeout(LOCK_PAUSE);
                    waited += LOCK_PAUSE;
                }
                opened => break opened?,
            }
        };
        Ok(Self { directory, database })
    }

    /// What sled keeps is in these files; values too large for the first do not come here.
    fn sync_files(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.is_file() {
                File::open(path)?.sync_data()?;
            }
        }
        File::open(&self.directory)?.sync_data()
    }
}

/// Whether somebody still holds it. sled has no kind of error for that.
fn is_locked(error: &StoreError) -> bool {
    matches!(error, StoreError::Io { cause, .. } if cause.to_string().contains("could not acquire lock"))
}

fn move_aside(directory: &Path) -> Result<(), StoreError> {
    let mut name = directory.as_os_str().to_owned();
    name.push(".damaged");
    let aside = PathBuf::from(name);
    let moved = match fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::rename(directory, &aside),
    };
    moved.map_err(|cause| StoreError::Io { path: directory.to_owned(), cause })?;
    tracing::warn!(from = %directory.display(), to = %aside.display(), "moved a damaged snapshot store aside");
    Ok(())
}

/// Calls sled and makes errors, and panics, of ours.
fn guarded<R>(directory: &Path, call: impl FnOnce() -> sled::Result<R>) -> Result<R, StoreError> {
    match panic::catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(sled::Error::Io(cause))) if !is_damage(&cause) => {
            Err(StoreError::Io { path: directory.to_owned(), cause })
        }
        Ok(Err(error)) => Err(StoreError::Damaged(error.to_string())),
        Err(_) => Err(StoreError::Damaged("sled panicked".to_owned())),
    }
}

fn is_damage(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn key_bytes(key: &Key) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + key.id.len());
    bytes.push(key.kind.0);
    bytes.extend_from_slice(&key.id);
    bytes
}

fn key_of(bytes: &[u8]) -> Result<Key, StoreError> {
    let (&kind, id) = bytes.split_first().ok_or_else(|| StoreError::Damaged("an empty key".to_owned()))?;
    Ok(Key { kind: Kind(kind), id: id.to_vec() })
}

impl SnapshotStore for SledStore {
    fn get(&self, key: &Key) -> Result<Option<Snapshot>, StoreError> {
        let value = guarded(&self.directory, || self.database.get(key_bytes(key)))?;
        value.map(|value| decode(&value)).transpose()
    }

    fn put_batch(&self, changes: &[Change]) -> Result<(), StoreError> {
        check_size(changes)?;
        let mut batch = sled::Batch::default();
        for change in changes {
            match change {
                Change::Put(key, snapshot) => batch.insert(key_bytes(key), encode(snapshot)),
                Change::Remove(key) => batch.remove(key_bytes(key)),
            }
        }
        guarded(&self.directory, || self.database.apply_batch(batch))
    }

    fn scan(&self, take: &mut dyn FnMut(Key, Snapshot)) -> Result<(), StoreError> {
        let mut entries = self.database.iter();
        while let Some((key, value)) = guarded(&self.directory, || entries.next().transpose())? {
            take(key_of(&key)?, decode(&value)?);
        }
        Ok(())
    }

    fn flush_durably(&self) -> Result<(), StoreError> {
        guarded(&self.directory, || self.database.flush())?;
        self.sync_files().map_err(|cause| StoreError::Io { path: self.directory.clone(), cause })
    }
}

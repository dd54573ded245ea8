//! All snapshots in one file beside the log, made before segments are removed: what the store can be made
//! from when the log no longer goes back to its beginning.
//!
//! ```text
//! magic 8 · layout u8 · then bincode in that layout, each after its length as u32:
//!   Covered · count of snapshots u64 · (Key, Snapshot) for each · crc32 of everything before
//! ```
//! It gets its name when it is complete and durable. Must not know what snapshots mean.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use policy::event::LogPosition;
use policy::layout::Layout;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::log::Log;
use crate::log::disk::DiskFile;
use crate::store::{Change, CheckpointError, Covered, Key, Kind, Snapshot, SnapshotStore, StoreError, mark};
use crate::wire::codec;

const MAGIC: [u8; 8] = *b"crabbase";
const SUFFIX: &str = ".base";
/// The name while it is not complete.
const UNFINISHED: &str = "unfinished.base-part";
/// Bytes gathered before they are written.
const CHUNK_BYTES: usize = 1 << 20;
/// Snapshots put into the store at once when it is made again.
const LOAD_BATCH: usize = 10_000;

/// Why the store cannot be made from a base.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The log begins with a later record and there is no base.
    #[error("the snapshots are lost, and the log begins at {0}; restore the data directory from a copy")]
    Missing(LogPosition),
    /// It is not what was written.
    #[error("{} is damaged: {what}; restore the data directory from a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The disk did not give it.
    #[error("could not read {}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn name(position: LogPosition) -> String {
    format!("{position:020}{SUFFIX}")
}

fn parse_name(name: &str) -> Option<LogPosition> {
    name.strip_suffix(SUFFIX)?.parse().ok()
}

/// Writes down all snapshots of `store`, which reach to `covered`.
pub(super) fn write(log: &Log, store: &dyn SnapshotStore, covered: Covered) -> Result<(), CheckpointError> {
    let disk = log.disk();
    let name = name(covered.position);
    if disk.list()?.contains(&name) {
        return Ok(());
    }
    let mut snapshots = Vec::new();
    store
        .scan(&mut |key, snapshot| snapshots.extend((key.kind != Kind::STORE).then_some((key, snapshot))))?;
    let mut writer = BaseWriter::new(disk.create(UNFINISHED)?);
    writer.put(&covered)?;
    writer.put(&(snapshots.len() as u64))?;
    snapshots.iter().try_for_each(|snapshot| writer.put(snapshot))?;
    let file = writer.finish()?;
    file.sync(log.durability())?;
    disk.rename(UNFINISHED, &name)?;
    disk.sync_names(log.durability())?;
    Ok(())
}

/// Removes the bases that `covered` has made useless.
pub(super) fn remove_older(log: &Log, covered: Covered) -> io::Result<()> {
    let disk = log.disk();
    let names = disk.list()?;
    let is_older = |name: &&String| parse_name(name).is_some_and(|position| position < covered.position);
    names.iter().filter(is_older).try_for_each(|name| disk.remove(name))
}

/// Puts the snapshots of the latest base, if there is one, into `store`, which is empty.
pub(super) fn load_into(log: &Log, store: &dyn SnapshotStore) -> Result<(), BaseError> {
    let disk = log.disk();
    let io_error = |path| move |cause| BaseError::Io { path, cause };
    let names = disk.list().map_err(io_error(disk.path("")))?;
    let Some(latest) = names.iter().filter_map(|name| parse_name(name)).max() else {
        return match log.first_position() {
            0 => Ok(()),
            first => Err(BaseError::Missing(first)),
        };
    };
    let path = disk.path(&name(latest));
    let bytes = read(log, &name(latest)).map_err(io_error(path.clone()))?;
    let (covered, snapshots) = parse(&bytes).map_err(|what| BaseError::Damaged { path, what })?;
    let mut changes: Vec<_> =
        snapshots.into_iter().map(|(key, snapshot)| Change::Put(key, snapshot)).collect();
    // The mark comes last: until then the store counts as empty, and is made again.
    changes.push(mark(covered));
    changes.chunks(LOAD_BATCH).try_for_each(|batch| store.put_batch(batch))?;
    Ok(store.flush_durably()?)
}

fn read(log: &Log, name: &str) -> io::Result<Vec<u8>> {
    let file = log.disk().open(name)?;
    let mut bytes = vec![0; usize::try_from(file.length()?).unwrap_or_default()];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// What a base says: how far it reaches, and every snapshot.
pub(super) type Contents = (Covered, Vec<(Key, Snapshot)>);

pub(super) fn parse(bytes: &[u8]) -> Result<Contents, String> {
    let (body, checksum) = bytes.split_last_chunk().ok_or("it is too short")?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return Err("its checksum is another".to_owned());
    }
    let rest = body.strip_prefix(&MAGIC).ok_or("it is no base")?;
    let (layout, rest) = codec::split_layout(rest).map_err(|error| error.to_string())?;
    layout.apply(|| contents(rest))
}

fn contents(mut rest: &[u8]) -> Result<Contents, String> {
    let covered = take(&mut rest)?;
    let count: u64 = take(&mut rest)?;
    let snapshots = (0..count).map(|_| take(&mut rest)).collect::<Result<_, _>>()?;
    Ok((covered, snapshots))
}

fn take<T: DeserializeOwned>(rest: &mut &[u8]) -> Result<T, String> {
    let (length, after) = rest.split_first_chunk().ok_or("it ends early")?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| "it is too long")?;
    let (value, after) = after.split_at_checked(length).ok_or("it ends early")?;
    *rest = after;
    codec::decode(value, length).map_err(|error| error.to_string())
}

struct BaseWriter {
    file: Arc<dyn DiskFile>,
    checksum: crc32fast::Hasher,
    written: u64,
    chunk: Vec<u8>,
}

impl BaseWriter {
    fn new(file: Arc<dyn DiskFile>) -> Self {
        let mut chunk = MAGIC.to_vec();
        codec::encode_version(Layout::CURRENT.number(), &mut chunk);
        Self { file, checksum: crc32fast::Hasher::new(), written: 0, chunk }
    }

    fn put<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        let bytes = codec::encode(value);
        let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.chunk.extend_from_slice(&length.to_le_bytes());
        self.chunk.extend_from_slice(&bytes);
        if self.chunk.len() < CHUNK_BYTES {
            return Ok(());
        }
        self.checksum.update(&self.chunk);
        self.write_chunk()
    }

    fn write_chunk(&mut self) -> io::Result<()> {
        self.file.write_at(&self.chunk, self.written)?;
        self.written += self.chunk.len() as u64;
        self.chunk.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Arc<dyn DiskFile>> {
        self.checksum.update(&self.chunk);
        let checksum = self.checksum.clone().finalize();
        self.chunk.extend_from_slice(&checksum.to_le_bytes());
        self.write_chunk()?;
        Ok(self.file)
    }
}

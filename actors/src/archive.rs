//! All records that are still of use, wherever they are: in the log, or, once their segment is closed, also
//! as snapshots in the store.
//!
//! The snapshot of an actor of ours is its own records: a task's story, a graph's head and items. They are
//! kept under their positions in the log, so that a story is walked backwards in the same way over both, and
//! recovery is the replay of the kept records in order and then of the log's tail: one reducer, one path.
//! What belongs to graphs that are forgotten is not kept.
//!
//! Must not know what a record does to a state.

pub mod keeper;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use policy::event::{Event, LogPosition, NodeEvent, Record, SchedulerEvent};
use policy::id::{NodeId, TaskRange};
use rustc_hash::FxHashMap;

use crate::log::{Log, ReadError};
use crate::store::{
    Change, CheckpointError, Checkpointed, Folder, Key, Kind, MemoryStore, Open, RecoverError, Restorer,
    SledStore, Snapshot, SnapshotStore, StoreError, checkpoint, covered, recover, retire,
};
use crate::wire::codec::{self, CodecError};

/// A record that is kept, or the last part of a long one.
const RECORD: Kind = Kind(1);
/// The record of the last start of the scheduler, under one name.
const STARTED: Kind = Kind(2);
const LAST_START: &str = "last";
/// The last record of each directive that holds, under its subject.
const DIRECTED: Kind = Kind(3);
/// The last record of what rates have used, under one name.
const RATES: Kind = Kind(4);
const LAST_USAGE: &str = "last";
/// The last record of each breaker that has ever changed, under its node and kind.
const BREAKER: Kind = Kind(5);

/// Bytes of a record in one value of the store; longer ones are kept in parts.
const PART_BYTES: usize = 64 * 1024;
/// Parts of one record at the most: admission allows a specification a twentieth of that.
const PARTS_LIMIT: usize = 64;
/// Bytes of a whole record at the most.
const RECORD_BYTES: usize = PART_BYTES * PARTS_LIMIT;

/// Where snapshots are kept.
#[derive(Debug, Clone)]
pub enum Place {
    /// With sled, in this directory.
    Directory(PathBuf),
    /// In memory: for simulations and runs that end with their process.
    Memory,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Archive {
    log: Log,
    place: Place,
    store: Mutex<Option<Shared>>,
}

/// What recovery gives back beside the records.
#[derive(Debug)]
pub struct Replayed {
    /// Records that came from snapshots.
    pub kept: u64,
    /// Why the store had to be made again, if it had to.
    pub rebuilt: Option<String>,
}

impl Archive {
    /// Of this log, with snapshots in `place`. The store is opened by the first recovery.
    #[must_use]
    pub fn new(log: Log, place: Place) -> Self {
        Self { log, place, store: Mutex::default() }
    }

    /// The record at `position`, from the log or, where its segment is gone, from the store.
    ///
    /// # Errors
    /// When it is in neither, or cannot be read.
    pub fn read(&self, position: LogPosition) -> Result<Record, ReadError> {
        match self.log.read_at(position) {
            Err(removed @ (ReadError::Removed { .. } | ReadError::NotFound(_))) => {
                self.kept(position).ok_or(removed)
            }
            read => read,
        }
    }

    /// The record at `position` and those right behind it that are `wanted`, as far as they stand in the log
    /// and within `max_bytes`; empty where it is not there, or cannot be read: then [`Archive::read`] tells.
    pub fn read_ahead(
        &self,
        position: LogPosition,
        max_bytes: usize,
        wanted: impl Fn(&Record) -> bool,
    ) -> Vec<(LogPosition, Record)> {
        self.log.records_behind(position, max_bytes, wanted).unwrap_or_default()
    }

    fn kept(&self, position: LogPosition) -> Option<Record> {
        let store = self.shared()?;
        let mut bytes = Vec::new();
        for part in 0..PARTS_LIMIT {
            let snapshot = store.get(&part_key(position, part)).ok()??;
            let (&is_last, rest) = snapshot.bytes.split_first()?;
            bytes.extend_from_slice(rest);
            if is_last == 1 {
                return codec::decode_as(snapshot.layout, &bytes, RECORD_BYTES).ok();
            }
        }
        None
    }

    /// The state that `take` makes of one from `begin` with every record of use, in the order of the log. Where
    /// the store turns out to be damaged on the way, it is made again and another state is begun.
    ///
    /// # Errors
    /// When the log cannot be read, or the store can neither be read nor made again.
    pub fn replay<S>(
        &self,
        begin: impl Fn() -> S,
        take: impl Fn(&mut S, LogPosition, Record),
    ) -> Result<(S, Replayed), RecoverError> {
        let begin = || Restoring { state: begin(), take: &take, kept: 0, parts: Vec::new() };
        let recovered = recover(&self.log, |how| self.open(how), begin)?;
        *self.lock() = Some(recovered.store);
        let Restoring { state, kept, .. } = recovered.restored;
        Ok((state, Replayed { kept, rebuilt: recovered.rebuilt }))
    }

    /// The store that is open already, or one opened now.
    fn open(&self, how: Open) -> Result<Shared, StoreError> {
        if how == Open::Existing
            && let Some(open) = self.shared()
        {
            return Ok(open);
        }
        *self.lock() = None;
        Ok(Shared(match &self.place {
            Place::Directory(directory) => Arc::new(SledStore::open(directory, how)?),
            Place::Memory => Arc::new(MemoryStore::new()),
        }))
    }

    fn shared(&self) -> Option<Shared> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Shared>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of closed segments that are not in the snapshots yet.
    #[must_use]
    pub fn unfolded_bytes(&self) -> u64 {
        let reached = self.shared().and_then(|store| covered(&store).ok()).unwrap_or_default();
        self.log.closed_end().saturating_sub(reached.position.max(self.log.first_position()))
    }

    /// Folds the next closed segment into snapshots: keeps the records of the graphs in `known`, forgets those
    /// of all others. Then removes closed segments beyond `keep_bytes`. Blocks; one at a time.
    ///
    /// # Errors
    /// When the log or the store fails. Running it again goes on.
    pub fn fold(&self, known: &Known, keep_bytes: u64) -> Result<Checkpointed, CheckpointError> {
        let Some(store) = self.shared() else {
            return Err(StoreError::Damaged("it is not open".to_owned()).into());
        };
        let reached = covered(&store)?;
        let upto = self.log.segment_after(reached.position);
        let done = checkpoint(&self.log, &store, upto, Folding::begin(&store, known)?)?;
        retire(&self.log, &store, self.log.closed_end().saturating_sub(keep_bytes))?;
        Ok(done)
    }
}

/// The graphs that are still of use, by the ids of their tasks.
#[derive(Debug, Clone, Default)]
pub struct Known(Vec<(u64, u64)>);

impl Known {
    /// Of the ids of all their tasks, in ascending order.
    #[must_use]
    pub fn new(tasks: impl IntoIterator<Item = TaskRange>) -> Self {
        Self(tasks.into_iter().map(|tasks| (tasks.first.0, tasks.end().0)).collect())
    }

    fn has(&self, task: u64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= task);
        after.checked_sub(1).is_some_and(|at| task < self.0[at].1)
    }

    fn wants(&self, record: &Record) -> bool {
        match &record.event {
            Event::Graph(graph, _) => self.has(graph.0),
            Event::Task { task, .. } => self.has(task.0),
            Event::Scheduler(SchedulerEvent::TenantSpent(_)) => true,
            Event::Node(..) | Event::Scheduler(_) => false,
        }
    }
}

/// Copies what is known into the store, and forgets what is not.
struct Folding<'a> {
    known: &'a Known,
    changes: Vec<(Key, Option<Vec<u8>>)>,
    /// Where the last sum of what each tenant has used is kept: it holds all that the earlier ones say.
    sums: FxHashMap<Arc<str>, Key>,
}

impl<'a> Folding<'a> {
    /// Begins with the records that are kept and belong to nothing known any more.
    fn begin(store: &Shared, known: &'a Known) -> Result<Self, StoreError> {
        let mut folding = Self { known, changes: Vec::new(), sums: FxHashMap::default() };
        let mut is_wanted = true;
        store.scan(&mut |key, snapshot| {
            if key.kind != RECORD {
                return;
            }
            // The parts of a record follow its first one, and share its fate.
            if key.id.last() == Some(&0) {
                is_wanted = match owner(&snapshot) {
                    Owner::Task(task) => known.has(task),
                    Owner::Tenant(tenant) => {
                        folding.supersede(tenant, key.clone());
                        true
                    }
                    Owner::Nobody => true,
                };
            }
            if !is_wanted {
                folding.changes.push((key, None));
            }
        })?;
        Ok(folding)
    }

    /// A later sum of what a tenant has used: the one before is of no use any more.
    fn supersede(&mut self, tenant: Arc<str>, key: Key) {
        let before = self.sums.insert(tenant, key);
        self.changes.extend(before.map(|key| (key, None)));
    }
}

impl Folder for Folding<'_> {
    fn apply(&mut self, position: LogPosition, record: &Record) {
        if let Event::Scheduler(SchedulerEvent::Started { .. }) = record.event {
            let bytes = codec::encode(&(position, record));
            self.changes.push((Key::of_name(STARTED, LAST_START), Some(bytes)));
        } else if let Event::Scheduler(SchedulerEvent::Directed { directive, .. }) = &record.event {
            let bytes = (!directive.takes_back()).then(|| codec::encode(&(position, record)));
            let keys = directive.subjects().into_iter().map(|subject| Key::of_name(DIRECTED, &subject));
            self.changes.extend(keys.map(|key| (key, bytes.clone())));
        } else if let Event::Scheduler(SchedulerEvent::RatesUsed(_)) = &record.event {
            let bytes = codec::encode(&(position, record));
            self.changes.push((Key::of_name(RATES, LAST_USAGE), Some(bytes)));
        } else if let Event::Node(node, NodeEvent::Breaker { kind, .. }) = &record.event {
            let name = breaker_name(node, kind.as_deref());
            self.changes.push((Key::of_name(BREAKER, &name), Some(codec::encode(&(position, record)))));
        } else if self.known.wants(record) {
            if let Event::Scheduler(SchedulerEvent::TenantSpent(spending)) = &record.event {
                self.supersede(Arc::clone(&spending.tenant), part_key(position, 0));
            }
            let bytes = codec::encode(record);
            let count = bytes.len().div_ceil(PART_BYTES);
            for (part, piece) in bytes.chunks(PART_BYTES).enumerate() {
                let mut value = vec![u8::from(part + 1 == count)];
                value.extend_from_slice(piece);
                self.changes.push((part_key(position, part), Some(value)));
            }
        }
    }

    fn finish(self) -> Vec<(Key, Option<Vec<u8>>)> {
        self.changes
    }
}

/// Whose record one is.
enum Owner {
    /// A graph's or a task's, by the id of a task of it.
    Task(u64),
    /// It says what a tenant has used so far.
    Tenant(Arc<str>),
    /// Nobody's, or that cannot be told from its first part: it is kept.
    Nobody,
}

/// Whose record the first part of one is.
fn owner(first_part: &Snapshot) -> Owner {
    let Some((_, bytes)) = first_part.bytes.split_first() else { return Owner::Nobody };
    let record = first_part.layout.apply(|| codec::decode_front::<Record>(bytes, PART_BYTES));
    let Ok((record, _)) = record else { return Owner::Nobody };
    match record.event {
        Event::Graph(graph, _) => Owner::Task(graph.0),
        Event::Task { task, .. } => Owner::Task(task.0),
        Event::Scheduler(SchedulerEvent::TenantSpent(spending)) => Owner::Tenant(spending.tenant),
        Event::Node(..) | Event::Scheduler(_) => Owner::Nobody,
    }
}

/// What a breaker is called; in no name of a node is a slash.
fn breaker_name(node: &NodeId, kind: Option<&str>) -> String {
    format!("{node}/{}", kind.unwrap_or_default())
}

/// Sorted by position, then by part.
fn part_key(position: LogPosition, part: usize) -> Key {
    let mut id = position.to_be_bytes().to_vec();
    id.push(u8::try_from(part).unwrap_or(u8::MAX));
    Key { kind: RECORD, id }
}

/// Puts records together from their parts and hands them on.
struct Restoring<'a, S, T> {
    state: S,
    take: &'a T,
    kept: u64,
    parts: Vec<u8>,
}

impl<S, T: Fn(&mut S, LogPosition, Record)> Restorer for Restoring<'_, S, T> {
    fn load(&mut self, key: Key, snapshot: Snapshot) -> Result<(), CodecError> {
        if [STARTED, DIRECTED, RATES, BREAKER].contains(&key.kind) {
            let (position, record) = codec::decode_as(snapshot.layout, &snapshot.bytes, RECORD_BYTES)?;
            self.apply(position, record);
            return Ok(());
        }
        let (Some((&is_last, piece)), Some(position)) = (snapshot.bytes.split_first(), key.id.first_chunk())
        else {
            return Err(CodecError::Malformed("a part of a record has neither bytes nor a place".to_owned()));
        };
        self.parts.extend_from_slice(piece);
        if is_last == 1 {
            let bytes = std::mem::take(&mut self.parts);
            self.apply(
                u64::from_be_bytes(*position),
                codec::decode_as(snapshot.layout, &bytes, RECORD_BYTES)?,
            );
            self.kept += 1;
        }
        Ok(())
    }

    fn apply(&mut self, position: LogPosition, record: Record) {
        (self.take)(&mut self.state, position, record);
    }
}

/// One open store, shared.
#[derive(Clone)]
struct Shared(Arc<dyn SnapshotStore>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl SnapshotStore for Shared {
    fn get(&self, key: &Key) -> Result<Option<Snapshot>, StoreError> {
        self.0.get(key)
    }

    fn put_batch(&self, changes: &[Change]) -> Result<(), StoreError> {
        self.0.put_batch(changes)
    }

    fn scan(&self, take: &mut dyn FnMut(Key, Snapshot)) -> Result<(), StoreError> {
        self.0.scan(take)
    }

    fn flush_durably(&self) -> Result<(), StoreError> {
        self.0.flush_durably()
    }
}

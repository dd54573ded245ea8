//! A store in memory, for simulations: a crash loses the batches that were not flushed, from some one on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::{Change, Key, Snapshot, SnapshotStore, StoreError, check_size};

/// Snapshots in memory. Cheap to clone; all clones are the same store.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    now: BTreeMap<Key, Snapshot>,
    flushed: BTreeMap<Key, Snapshot>,
    unflushed: Vec<Vec<Change>>,
    is_damaged: bool,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The power goes: of the batches that were not flushed some first ones survive, as `chance` has it.
    pub fn crash(&self, chance: &mut fastrand::Rng) {
        let mut state = self.state();
        let State { now, flushed, unflushed, .. } = &mut *state;
        let survivors = chance.usize(..=unflushed.len());
        for batch in unflushed.drain(..).take(survivors) {
            apply(flushed, batch);
        }
        now.clone_from(flushed);
    }

    /// From now on it answers that it is damaged, until it is [cleared](Self::clear).
    pub fn damage(&self) {
        self.state().is_damaged = true;
    }

    /// Empties it.
    pub fn clear(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn healthy(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state();
        if state.is_damaged { Err(StoreError::Damaged("as told".to_owned())) } else { Ok(state) }
    }
}

fn apply(snapshots: &mut BTreeMap<Key, Snapshot>, batch: Vec<Change>) {
    for change in batch {
        match change {
            Change::Put(key, snapshot) => drop(snapshots.insert(key, snapshot)),
            Change::Remove(key) => drop(snapshots.remove(&key)),
        }
    }
}

impl SnapshotStore for MemoryStore {
    fn get(&self, key: &Key) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.healthy()?.now.get(key).cloned())
    }

    fn put_batch(&self, changes: &[Change]) -> Result<(), StoreError> {
        check_size(changes)?;
        let mut state = self.healthy()?;
        apply(&mut state.now, changes.to_vec());
        state.unflushed.push(changes.to_vec());
        Ok(())
    }

    fn scan(&self, take: &mut dyn FnMut(Key, Snapshot)) -> Result<(), StoreError> {
        let snapshots = self.healthy()?.now.clone();
        snapshots.into_iter().for_each(|(key, snapshot)| take(key, snapshot));
        Ok(())
    }

    fn flush_durably(&self) -> Result<(), StoreError> {
        let mut state = self.healthy()?;
        state.unflushed.clear();
        state.flushed = state.now.clone();
        Ok(())
    }
}

//! A disk in memory that behaves as badly as disks do.
//!
//! It keeps apart what was synced and what was not. [`SimulatedDisk::crash`] loses the second: a random
//! number of the operations on each file survive, the last of them torn into blocks; a name that was not
//! synced may be there or not. Files opened before a crash are dead, as the process that held them is.
//! Everything is decided by the generator that is passed in, so that one seed is one history.

mod contents;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

use crate::log::disk::system::HoldError;
use crate::log::disk::{Disk, DiskFile, Durability};
use contents::{Contents, Operation};

/// What paths begin with.
const DIRECTORY: &str = "simulated";

/// A disk in memory. Cheap to clone; all clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

/// What the disk answers to writing operations while it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `ENOSPC`, after half of the bytes were written; syncs and removals go on.
    Full,
    /// `EIO` to every write and sync. After a failed sync the file shows what was written, a later sync says
    /// that all is well, and yet only what is written once more becomes durable: as on Linux.
    Broken,
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Full => Errno::ENOSPC.into(),
            Fault::Broken => Errno::EIO.into(),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// Crashes so far: what was opened before the last one is dead.
    life: u64,
    is_held: bool,
    next_file: u64,
    files: BTreeMap<u64, Contents>,
    names: BTreeMap<String, u64>,
    synced_names: BTreeMap<String, u64>,
    fault: Option<(u64, Fault)>,
    syncs: u64,
}

impl SimulatedDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes hold of its only directory.
    ///
    /// # Errors
    /// When it is held, and the holder neither let go nor died in a crash.
    pub fn hold(&self) -> Result<Arc<dyn Disk>, HoldError> {
        let mut state = self.state();
        if std::mem::replace(&mut state.is_held, true) {
            return Err(HoldError::Held { directory: PathBuf::from(DIRECTORY), holder: "itself".to_owned() });
        }
        Ok(Arc::new(SimulatedDirectory { disk: self.clone(), life: state.life }))
    }

    /// The power goes: what was not synced survives or not, as `chance` has it.
    pub fn crash(&self, chance: &mut fastrand::Rng) {
        let mut state = self.state();
        state.begin_life();
        let mut names = BTreeMap::new();
        let all: Vec<String> = state.names.keys().chain(state.synced_names.keys()).cloned().collect();
        for name in all {
            let (now, synced) = (state.names.get(&name), state.synced_names.get(&name));
            let survivor = if now == synced || chance.bool() { now } else { synced };
            if let Some(&file) = survivor {
                names.insert(name, file);
            }
        }
        state.names.clone_from(&names);
        state.synced_names = names;
        for contents in state.files.values_mut() {
            contents.crash(chance);
        }
    }

    /// The process dies, the machine does not: nothing is lost, but files opened before are dead.
    pub fn kill(&self) {
        self.state().begin_life();
    }

    /// After `operations` more writing operations, every one fails so until [`Self::heal`].
    pub fn fail_after(&self, operations: u64, fault: Fault) {
        self.state().fault = Some((operations, fault));
    }

    /// Operations succeed again.
    pub fn heal(&self) {
        self.state().fault = None;
    }

    /// How often a file was synced.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Changes the stored bytes of a file behind everybody's back, as rot does. `false` where there is none.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut state = self.state();
        let Some(contents) = state.names.get(name).copied().and_then(|file| state.files.get_mut(&file))
        else {
            return false;
        };
        contents.damage(change);
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of_life(&self, life: u64) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.life == life { Ok(state) } else { Err(io::Error::other("opened before the crash")) }
    }
}

impl State {
    fn begin_life(&mut self) {
        self.life += 1;
        self.is_held = false;
        self.fault = None;
    }

    /// Counts a writing operation and tells how it fails, if it does.
    fn fault(&mut self) -> Option<Fault> {
        let (left, fault) = self.fault.as_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        Some(*fault)
    }

    /// For operations that need no room.
    fn check(&mut self) -> io::Result<()> {
        match self.fault() {
            Some(fault @ Fault::Broken) => Err(fault.into()),
            Some(Fault::Full) | None => Ok(()),
        }
    }
}

/// The directory, as one life of a process holds it.
#[derive(Debug)]
struct SimulatedDirectory {
    disk: SimulatedDisk,
    life: u64,
}

impl SimulatedDirectory {
    fn with<R>(&self, act: impl FnOnce(&mut State) -> io::Result<R>) -> io::Result<R> {
        act(&mut *self.disk.of_life(self.life)?)
    }

    fn handle(&self, file: u64) -> Arc<dyn DiskFile> {
        Arc::new(SimulatedFile { disk: self.disk.clone(), file, life: self.life })
    }
}

impl Disk for SimulatedDirectory {
    fn list(&self) -> io::Result<Vec<String>> {
        self.with(|state| Ok(state.names.keys().cloned().collect()))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.with(|state| {
            if let Some(fault) = state.fault() {
                return Err(fault.into());
            }
            let file = state.next_file;
            state.next_file += 1;
            state.files.insert(file, Contents::default());
            state.names.insert(name.to_owned(), file);
            Ok(file)
        })?;
        Ok(self.handle(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.with(|state| Ok(*state.names.get(name).ok_or(io::ErrorKind::NotFound)?))?;
        Ok(self.handle(file))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.with(|state| {
            state.check()?;
            state.names.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.with(|state| {
            state.check()?;
            let file = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
            state.names.insert(to.to_owned(), file);
            Ok(())
        })
    }

    fn sync_names(&self, _: Durability) -> io::Result<()> {
        self.with(|state| {
            state.check()?;
            state.synced_names = state.names.clone();
            Ok(())
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(DIRECTORY).join(name)
    }

    fn release(&self) {
        if let Ok(mut state) = self.disk.of_life(self.life) {
            state.is_held = false;
        }
    }
}

/// A file of one life of the disk.
#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    file: u64,
    life: u64,
}

impl SimulatedFile {
    fn with<R>(&self, act: impl FnOnce(&mut State, u64) -> io::Result<R>) -> io::Result<R> {
        act(&mut *self.disk.of_life(self.life)?, self.file)
    }
}

impl State {
    fn contents(&mut self, file: u64) -> &mut Contents {
        self.files.entry(file).or_default()
    }
}

impl DiskFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        self.with(|state, file| Ok(state.contents(file).now.len() as u64))
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|state, file| {
            let now = &state.contents(file).now;
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(now.len());
            let length = bytes.len().min(now.len() - from);
            bytes[..length].copy_from_slice(&now[from..from + length]);
            Ok(length)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(|state, file| {
            let fault = state.fault();
            let written = match fault {
                None => bytes,
                Some(Fault::Full) => &bytes[..bytes.len() / 2],
                Some(fault @ Fault::Broken) => return Err(fault.into()),
            };
            let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
            state.contents(file).perform(Operation::Write { offset, bytes: written.to_vec() });
            fault.map_or(Ok(()), |fault| Err(fault.into()))
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.with(|state, file| {
            state.check()?;
            let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
            state.contents(file).perform(Operation::Truncate(length));
            Ok(())
        })
    }

    fn sync(&self, durability: Durability) -> io::Result<()> {
        self.with(|state, file| {
            if let Err(error) = state.check() {
                state.contents(file).fail_sync();
                return Err(error);
            }
            state.syncs += 1;
            if durability != Durability::Os {
                state.contents(file).sync();
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_survives_every_crash() {
        for seed in 0..100 {
            let disk = SimulatedDisk::new();
            let directory = disk.hold().unwrap();
            let file = directory.create("a").unwrap();
            file.write_at(b"kept", 0).unwrap();
            file.sync(Durability::Full).unwrap();
            directory.sync_names(Durability::Full).unwrap();
            file.write_at(&[7; 2000], 4).unwrap();
            disk.crash(&mut fastrand::Rng::with_seed(seed));
            assert!(file.length().is_err(), "a file of before the crash is dead");
            let mut read = [0; 4];
            disk.hold().unwrap().open("a").unwrap().read_at(&mut read, 0).unwrap();
            assert_eq!(&read, b"kept");
        }
    }

    #[test]
    fn what_was_not_synced_is_lost_in_some_crash_and_torn_in_another() {
        let lengths = (0..100).map(|seed| {
            let disk = SimulatedDisk::new();
            let directory = disk.hold().unwrap();
            let file = directory.create("a").unwrap();
            directory.sync_names(Durability::Full).unwrap();
            file.write_at(&[7; 2000], 0).unwrap();
            disk.crash(&mut fastrand::Rng::with_seed(seed));
            disk.hold().unwrap().open("a").unwrap().length().unwrap()
        });
        let lengths: std::collections::BTreeSet<u64> = lengths.collect();
        assert!(lengths.contains(&0) && lengths.contains(&2000) && lengths.len() > 10, "{lengths:?}");
    }
}

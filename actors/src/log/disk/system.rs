//! The machine's own disk, and the lock that keeps a second daemon off a directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::log::disk::{Disk, DiskFile, Durability};

/// The file whose lock keeps a second daemon out. It holds the process id of the one that has it.
const LOCK_NAME: &str = "lock";
/// Only the owner reads what tasks are given to run.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A directory of this machine, held with its lock.
#[derive(Debug)]
pub struct SystemDisk {
    directory: PathBuf,
    lock: Mutex<Option<File>>,
}

/// Why a directory cannot be held.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// Another daemon has it.
    #[error("{} is in use by process {holder}; stop it first, or choose another directory", directory.display())]
    Held {
        /// The directory.
        directory: PathBuf,
        /// The process id that the holder wrote down.
        holder: String,
    },
    /// The directory above it is missing.
    #[error("{} does not exist; make it, or choose another directory", parent.display())]
    NoParent {
        /// The missing one.
        parent: PathBuf,
    },
    /// It cannot be made or written to.
    #[error("{} cannot be used: {cause}", path.display())]
    Unusable {
        /// What was tried.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl SystemDisk {
    /// Takes hold of `directory`, making it where there is none (but not its parents).
    ///
    /// # Errors
    /// When another process holds it, or it cannot be made or written to.
    pub fn hold(directory: impl Into<PathBuf>) -> Result<Self, HoldError> {
        let directory = directory.into();
        make(&directory)?;
        let path = directory.join(LOCK_NAME);
        let unusable = |cause| HoldError::Unusable { path: path.clone(), cause };
        let mut lock = options().create(true).truncate(false).open(&path).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = lock.read_to_string(&mut holder);
                return Err(HoldError::Held { directory, holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(cause)) => return Err(unusable(cause)),
        }
        lock.set_len(0).map_err(unusable)?;
        writeln!(lock, "{}", std::process::id()).map_err(unusable)?;
        Ok(Self { directory, lock: Mutex::new(Some(lock)) })
    }
}

fn make(directory: &Path) -> Result<(), HoldError> {
    let made = fs::DirBuilder::new().mode(DIRECTORY_MODE).create(directory);
    match made {
        Ok(()) => Ok(()),
        Err(_) if directory.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(HoldError::NoParent { parent: directory.parent().unwrap_or(directory).to_owned() })
        }
        Err(cause) => Err(HoldError::Unusable { path: directory.to_owned(), cause }),
    }
}

/// The names of all files of a directory, sorted.
pub(crate) fn names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.extend(entry?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(FILE_MODE);
    options
}

impl Disk for SystemDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        names(&self.directory)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = options().create(true).truncate(true).open(self.path(name))?;
        Ok(Arc::new(SystemFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SystemFile(options().open(self.path(name))?)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn sync_names(&self, durability: Durability) -> io::Result<()> {
        sync(&File::open(&self.directory)?, durability)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn release(&self) {
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[derive(Debug)]
struct SystemFile(File);

impl DiskFile for SystemFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < bytes.len() {
            match self.0.read_at(&mut bytes[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&self, durability: Durability) -> io::Result<()> {
        sync(&self.0, durability)
    }
}

/// The standard library's `sync_data` is `fdatasync` on Linux and `F_FULLFSYNC` on macOS.
fn sync(file: &File, durability: Durability) -> io::Result<()> {
    match durability {
        Durability::Full => file.sync_data(),
        Durability::Barrier => sync_barrier(file),
        Durability::Os => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn sync_barrier(file: &File) -> io::Result<()> {
    file.sync_data()
}

#[cfg(target_os = "macos")]
fn sync_barrier(file: &File) -> io::Result<()> {
    nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_BARRIERFSYNC)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_directory_is_refused_and_the_holder_named() {
        let directory = tempfile::tempdir().unwrap();
        let first = SystemDisk::hold(directory.path()).unwrap();
        let refusal = SystemDisk::hold(directory.path()).unwrap_err().to_string();
        assert!(refusal.contains(&format!("in use by process {}", std::process::id())), "{refusal}");
        first.release();
        SystemDisk::hold(directory.path()).unwrap();
    }

    #[test]
    fn a_missing_parent_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let refusal = SystemDisk::hold(directory.path().join("a/b")).unwrap_err();
        assert!(matches!(&refusal, HoldError::NoParent { parent } if parent.ends_with("a")), "{refusal}");
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "").unwrap();
        let refusal = SystemDisk::hold(path).unwrap_err();
        assert!(matches!(refusal, HoldError::Unusable { .. }), "{refusal}");
    }
}

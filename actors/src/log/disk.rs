//! What the log needs of a disk, as narrow as it can be: one directory of files.
//!
//! There are two: the machine's ([`system`]) and one in memory that can lose and tear what was not
//! synced ([`simulated`]). Must not know what the files mean.

pub mod simulated;
pub mod system;

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use strum::{Display, EnumString, IntoStaticStr};

pub use simulated::SimulatedDisk;
pub use system::SystemDisk;

/// What "durable" means.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, Display, IntoStaticStr, serde::Deserialize,
)]
#[strum(serialize_all = "lowercase")]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// It survives the loss of power: `fdatasync`, on macOS `F_FULLFSYNC`, tens of milliseconds on Apple's disks.
    #[default]
    Full,
    /// It survives the loss of power, or nothing after it does: on macOS `F_BARRIERFSYNC`, elsewhere as full.
    Barrier,
    /// It survives the end of this process, but not of the machine: no sync at all.
    Os,
}

/// One directory of files. Names have no separators.
pub trait Disk: Send + Sync + Debug + 'static {
    /// The names of all files, sorted.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes an empty file, or empties the one there is.
    ///
    /// # Errors
    /// When it cannot.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file. Who has it open can go on reading.
    ///
    /// # Errors
    /// When there is none, or it cannot be removed.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, in the place of any that has it.
    ///
    /// # Errors
    /// When it cannot.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Returns when every creation, renaming and removal so far is durable.
    ///
    /// # Errors
    /// When it cannot be known.
    fn sync_names(&self, durability: Durability) -> io::Result<()>;

    /// Where a file is, for people.
    fn path(&self, name: &str) -> PathBuf;

    /// Lets go of the directory, so that another may open it. Open files stay open.
    fn release(&self);
}

/// An open file.
pub trait DiskFile: Send + Sync + Debug + 'static {
    /// Its length in bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    fn length(&self) -> io::Result<u64>;

    /// Reads as many bytes as there are from `offset` on, at most as many as fit.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. After an error any part of them may be there.
    ///
    /// # Errors
    /// When not all were written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts everything from `length` on.
    ///
    /// # Errors
    /// When it cannot.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Returns when everything written so far is durable.
    ///
    /// # Errors
    /// When it cannot be known; what was not durable before may then be lost, and a second try proves nothing.
    fn sync(&self, durability: Durability) -> io::Result<()>;
}

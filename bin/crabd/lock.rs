//! One daemon per data directory.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::Context;
use nix::fcntl::{Flock, FlockArg};

/// Held as long as this daemon lives; the system lets go of it whatever happens.
#[derive(Debug)]
pub(crate) struct DirectoryLock(#[expect(dead_code, reason = "held, not read")] Flock<File>);

impl DirectoryLock {
    /// Makes the directory where there is none, for this user only, and takes its lock.
    pub(crate) fn take(directory: &Path) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .with_context(|| format!("cannot make the data directory {}", directory.display()))?;
        let path = directory.join("lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write to the data directory {}", directory.display()))?;
        let mut holder = String::new();
        file.read_to_string(&mut holder).with_context(|| format!("reading {}", path.display()))?;
        let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
            anyhow::anyhow!(
                "another daemon (process {}) uses {}: stop it, or name another directory with --data-dir",
                holder.trim(),
                directory.display()
            )
        })?;
        lock.set_len(0)
            .and_then(|()| write!(lock, "{}", std::process::id()))
            .context("writing the lock file")?;
        Ok(Self(lock))
    }
}

//! The directory of a run without a daemon, and what earlier runs have left of theirs.
//!
//! It is locked for as long as its run lives, so that a run that was killed can be told from one that goes
//! on; the next one removes what the dead have left.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use actors::clock::Clock;
use actors::embedded::WORKSPACES;
use actors::process::protocol::HostDirectory;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::Uid;
use policy::time::Timestamp;

/// What the names begin with; the process and the time follow.
const PREFIX: &str = "crab-";
/// Locked while the run lives.
const LOCK: &str = "lock";
/// Where the process host keeps its things.
const HOST: &str = "host";
/// Names of the directory for temporary files that are looked at: others may have left very many.
const LOOKED_AT: usize = 10_000;

/// How old a directory is that must have been locked by now.
const SETTLED: Duration = Duration::from_secs(10);

/// A directory of this user's alone, removed when dropped. In the directory for temporary files, whose
/// path is short enough for a socket in it.
#[derive(Debug)]
pub(crate) struct OwnDirectory {
    path: PathBuf,
    _lock: Flock<File>,
}

impl OwnDirectory {
    pub(crate) fn create() -> std::io::Result<Self> {
        Self::create_in(&std::env::temp_dir())
    }

    fn create_in(parent: &Path) -> std::io::Result<Self> {
        let now = Clock::system().wall();
        remove_stale(parent, now);
        let path = parent.join(format!("{PREFIX}{}-{}", std::process::id(), now.0));
        DirBuilder::new().mode(0o700).create(&path)?;
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path.join(LOCK))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error)?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where workspaces are that outlive the run; `None` where there is none.
    pub(crate) fn kept(&self) -> Option<PathBuf> {
        kept(&self.path)
    }
}

impl Drop for OwnDirectory {
    fn drop(&mut self) {
        clear(&self.path);
    }
}

/// Removes a directory, but for what was kept of workspaces in it: that is somebody's work.
fn clear(directory: &Path) {
    if kept(directory).is_none() {
        let _ = std::fs::remove_dir_all(directory);
        return;
    }
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name() != WORKSPACES) {
        // One of the two applies.
        let _ = std::fs::remove_dir_all(entry.path()).or_else(|_| std::fs::remove_file(entry.path()));
    }
}

/// Where workspaces are that were kept; `None` where none was.
fn kept(directory: &Path) -> Option<PathBuf> {
    let path = directory.join(WORKSPACES);
    let mut entries = std::fs::read_dir(&path).ok()?.flatten();
    // Records alone are nothing that anybody wants.
    entries.any(|entry| entry.file_name() != "records").then_some(path)
}

/// Removes what runs of this user have left that were killed. Where that fails it is tried by the next one.
fn remove_stale(parent: &Path, now: Timestamp) {
    let Ok(names) = std::fs::read_dir(parent) else { return };
    for entry in names.take(LOOKED_AT).flatten() {
        let started = entry.file_name().to_str().and_then(started);
        if started.is_some_and(|started| now.since(started) >= SETTLED) && is_left(&entry.path()) {
            clear(&entry.path());
        }
    }
}

/// When the run of that directory began.
fn started(name: &str) -> Option<Timestamp> {
    let (_, started) = name.strip_prefix(PREFIX)?.rsplit_once('-')?;
    started.parse().ok().map(Timestamp)
}

/// Whether it is this user's, and neither its run nor its process host lives any more: the host goes on
/// until the lease of what it runs has ended.
fn is_left(directory: &Path) -> bool {
    let is_ours = std::fs::symlink_metadata(directory)
        .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == Uid::effective().as_raw());
    let host = HostDirectory::new(directory.join(HOST)).lock();
    is_ours && is_free(&directory.join(LOCK)) && (!host.exists() || is_free(&host))
}

/// Whether nobody holds the lock of this file.
fn is_free(path: &Path) -> bool {
    let file = OpenOptions::new().write(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(path);
    file.is_ok_and(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_runs_have_left_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let make = |name: &str, files: &[&str]| {
            let path = parent.path().join(name);
            DirBuilder::new().recursive(true).create(path.join(HOST)).unwrap();
            files.iter().for_each(|file| drop(File::create(path.join(file)).unwrap()));
            path
        };
        let lives = OwnDirectory::create_in(parent.path()).unwrap();
        let dead = make("crab-1-5", &[LOCK]);
        let hosted = make("crab-2-5", &[LOCK, "host/host.lock"]);
        let foreign = make("crab-3-5", &[]);
        let worked = make("crab-4-5", &[LOCK]);
        DirBuilder::new().recursive(true).create(worked.join(WORKSPACES).join("7")).unwrap();
        let other = make("crab-plan", &[LOCK]);
        let held = File::create(hosted.join("host/host.lock")).unwrap();
        let held = Flock::lock(held, FlockArg::LockExclusiveNonblock).unwrap();

        let now = Clock::system().wall() + SETTLED;
        remove_stale(parent.path(), Timestamp(6));
        assert!(dead.exists(), "it may not have been locked yet");
        remove_stale(parent.path(), now);
        assert!(!dead.exists());
        assert!(worked.join(WORKSPACES).join("7").exists(), "somebody's work");
        assert!(!worked.join(HOST).exists() && !worked.join(LOCK).exists());
        assert!(hosted.exists(), "its host lives");
        assert!(lives.path().exists() && foreign.exists() && other.exists());
        drop(held);
        remove_stale(parent.path(), now);
        assert!(!hosted.exists());
    }
}

//! The process host: a small program that owns the processes of all attempts on this machine.
//!
//! Started by the worker as another life of the same program, detached, it outlives the daemon: a running
//! task survives a restart or an upgrade. It has one loop (commands, ends of processes, output, time) and a
//! few runners, which start what is staged as soon as there is room. What must hold even when the daemon is dead or stopped is enforced here: the lease's end, timeouts, limits of
//! output, and that no process outlives its attempt. No runtime and no actors: this must stay small, and
//! nothing in it may wait but the loop itself.
//!
//! **On the death of the host** its attempts go on unwatched until the worker starts another host on the
//! same directory, which finds them by journal and mark, kills them and reports them lost.

mod attempt;
mod family;
mod gate;
mod journal;
mod machine;
mod program;
mod recovery;
mod runner;
mod server;
mod spawn;

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::process::protocol::{HOST_ARGUMENT, HostDirectory, HostId};
use machine::Machine;

/// Files the host may have open: two pipes per attempt, a spool, and room.
const OPEN_FILES: u64 = 65_536;

/// Why the host cannot run.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Another one owns the directory.
    #[error("another host owns {0}")]
    Taken(Box<str>),
    /// No socket fits.
    #[error("{0} is too long for a socket; the limit is 104 bytes with the socket's name")]
    PathTooLong(Box<str>),
    /// The operating system refuses something.
    #[error("{what}: {error}")]
    Os {
        /// What was tried.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
}

/// Runs the host on `directory` until it is told to retire, or has nothing to do and nobody to talk to.
/// Must be the main thread of a process that does nothing else.
///
/// # Errors
/// When it cannot begin, or the loop's own system calls fail.
pub fn main(directory: &Path) -> Result<(), HostError> {
    let directory = HostDirectory::new(directory);
    // Fails where it leads a session already, which is as good.
    let _ = nix::unistd::setsid();
    prepare(&directory)?;
    let lock = lock(&directory)?;
    let id = identify(&directory).map_err(os("reading the host's id"))?;
    raise_open_files();
    let mut machine = Machine::begin(directory, id)?;
    while machine.turn()? {}
    machine.end();
    drop(lock);
    Ok(())
}

/// The directory of which a program with these arguments is to be the host; `None` where it is to be itself.
#[must_use]
pub fn asked_for(arguments: impl IntoIterator<Item = OsString>) -> Option<PathBuf> {
    let mut arguments = arguments.into_iter().skip(1);
    (arguments.next()? == HOST_ARGUMENT).then(|| arguments.next().map(PathBuf::from)).flatten()
}

/// Makes the directories, for this user only.
pub(crate) fn prepare(directory: &HostDirectory) -> Result<(), HostError> {
    let private = |path: &Path| {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o700))
    };
    private(directory.path()).map_err(os("making the host's directory"))?;
    private(&directory.output()).map_err(os("making the output directory"))
}

/// One host per directory: the lock goes with the process, however it ends.
fn lock(directory: &HostDirectory) -> Result<Flock<File>, HostError> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(directory.lock());
    let file = file.map_err(os("opening the lock"))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|_| HostError::Taken(directory.path().display().to_string().into()))
}

/// The directory's id: made once, so that a later host knows the marks of an earlier one.
fn identify(directory: &HostDirectory) -> io::Result<HostId> {
    if let Some(id) = read_id(directory) {
        return Ok(id);
    }
    let id = HostId(fastrand::u64(..));
    let fresh = directory.id().with_extension("id.new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
    writeln!(file, "{:016x}", id.0)?;
    fs::rename(fresh, directory.id())?;
    Ok(id)
}

/// The id of the host that owns `directory`, if one ever did.
#[must_use]
pub fn read_id(directory: &HostDirectory) -> Option<HostId> {
    let text = fs::read_to_string(directory.id()).ok()?;
    u64::from_str_radix(text.trim(), 16).ok().map(HostId)
}

fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = OPEN_FILES.min(hard).max(soft);
        // Where it is refused, fewer attempts run at once, and those that fail say why.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
    }
}

fn os<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> HostError {
    move |error| HostError::Os { what, error: error.into() }
}

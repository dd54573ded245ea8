//! A jobserver of GNU make for all builds of a machine: a named pipe with as many bytes in it as jobs may run besides the
//! first of each build.
//!
//! # Tokens that are lost
//! Who takes a byte and is killed puts none back, and nobody can tell whose it was. So the pipe is filled anew whenever no
//! attempt is left that knows of it: then every byte is either in it or lost. Meanwhile builds run with fewer jobs, each
//! with one at least. The pipe's bytes live as long as somebody has it open: this process, or a build.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use policy::id::Token;

use super::files;

/// Slots that a jobserver may have: what a pipe holds on every system, and more than any machine has cores.
pub const SLOTS_LIMIT: u32 = 4096;
/// The byte of a slot, as make writes it.
const SLOT: u8 = b'+';

/// See the module.
#[derive(Debug)]
pub struct Jobserver {
    path: PathBuf,
    slots: u32,
    pipe: File,
    /// Who knows of it.
    clients: Mutex<BTreeSet<(Token, u64)>>,
}

impl Jobserver {
    /// Opens the one below `root`, or makes it; `clients` have been told of it by an earlier daemon. `None` where there are to
    /// be no slots.
    pub(super) fn open(
        root: &Path,
        slots: u32,
        clients: impl Iterator<Item = (Token, u64)>,
    ) -> io::Result<Option<Self>> {
        if slots == 0 {
            return Ok(None);
        }
        let path = root.join("jobserver.fifo");
        if path.as_os_str().as_encoded_bytes().iter().any(u8::is_ascii_whitespace) {
            return Err(io::Error::other(format!(
                "make cannot be told of {:?}: there is a space in it",
                path
            )));
        }
        files::own_root(root)?;
        match fs::symlink_metadata(&path) {
            Ok(found) if found.file_type().is_fifo() => {}
            Ok(_) => return Err(io::Error::other(format!("{} is no pipe", path.display()))),
            Err(_) => mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?,
        }
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        let pipe = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path)?;
        let clients: BTreeSet<_> = clients.collect();
        let is_free = clients.is_empty();
        let opened = Self { path, slots: slots.min(SLOTS_LIMIT), pipe, clients: Mutex::new(clients) };
        if is_free {
            opened.refill()?;
        }
        Ok(Some(opened))
    }

    /// How many it has.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// What is said to make, and to whoever else understands it.
    pub(super) fn flags(&self) -> PathBuf {
        let mut flags = std::ffi::OsString::from(format!(" -j{} --jobserver-auth=fifo:", self.slots));
        flags.push(&self.path);
        flags.into()
    }

    /// Somebody is told of it.
    pub(super) fn join(&self, client: (Token, u64)) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).insert(client);
    }

    /// Nothing of somebody runs any more. Where nobody is left the pipe is filled anew.
    pub(super) fn leave(&self, client: (Token, u64)) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.remove(&client)
            && clients.is_empty()
            && let Err(error) = self.refill()
        {
            tracing::warn!(%error, "the jobserver cannot be filled again");
        }
    }

    fn refill(&self) -> io::Result<()> {
        self.drain()?;
        (&self.pipe).write_all(&vec![SLOT; self.slots as usize])
    }

    /// Takes all that is in it; says how many that were.
    pub(super) fn drain(&self) -> io::Result<usize> {
        let (mut all, mut buffer) = (0, [0; 4096]);
        loop {
            match (&self.pipe).read(&mut buffer) {
                Ok(0) => return Ok(all),
                Ok(read) => all += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(all),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

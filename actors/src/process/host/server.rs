//! The host's end of the socket: one worker at a time, the newest that says the right word.
//!
//! Whoever connects may say something; only a `Hello` with this directory's id makes a connection the
//! worker's, and ends the one before. Must not know what commands do.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::sys::stat::{Mode, umask};
use serde::Serialize;

use crate::process::frame::{self, Inbox};
use crate::process::protocol::{Command, HOST_PROTOCOL, HostId, HostReport};

/// Connections that have not said who they are; the oldest makes room.
const STRANGERS_LIMIT: usize = 4;
/// Bytes of reports that wait for a worker that does not read; then it must connect again and ask.
const UNREAD_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// Listens, and speaks with the worker.
#[derive(Debug)]
pub(super) struct Server {
    listener: UnixListener,
    id: HostId,
    worker: Option<Connection>,
    strangers: Vec<Connection>,
}

#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    inbox: Inbox,
    unread: Vec<u8>,
}

/// Something of the server's that poll watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ear {
    /// Somebody connects.
    Listener,
    /// The worker speaks, or reads again.
    Worker,
    /// Somebody else speaks.
    Stranger,
}

impl Server {
    /// Listens at `path`, for programs of the same user only.
    pub(super) fn listen(path: &Path, id: HostId) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let kept = umask(Mode::from_bits_truncate(0o177));
        let listener = UnixListener::bind(path);
        umask(kept);
        let listener = listener?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, id, worker: None, strangers: Vec::new() })
    }

    /// What to watch, and whether for writing as well.
    pub(super) fn ears(&self) -> impl Iterator<Item = (Ear, BorrowedFd<'_>, bool)> {
        let worker = self.worker.iter().map(|c| (Ear::Worker, c.stream.as_fd(), !c.unread.is_empty()));
        let strangers = self.strangers.iter().map(|c| (Ear::Stranger, c.stream.as_fd(), false));
        [(Ear::Listener, self.listener.as_fd(), false)].into_iter().chain(worker).chain(strangers)
    }

    /// Whether a worker is connected.
    pub(super) fn has_worker(&self) -> bool {
        self.worker.is_some()
    }

    /// Takes connections.
    pub(super) fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let ours = peer_uid(&stream).is_ok_and(|uid| uid == nix::unistd::geteuid());
            if !ours || stream.set_nonblocking(true).is_err() {
                continue;
            }
            if self.strangers.len() == STRANGERS_LIMIT {
                self.strangers.remove(0);
            }
            self.strangers.push(Connection { stream, inbox: Inbox::default(), unread: Vec::new() });
        }
    }

    /// What the worker says. A connection that speaks nonsense is closed.
    pub(super) fn hear_worker(&mut self) -> Vec<Command> {
        let Some(worker) = &mut self.worker else { return Vec::new() };
        let (commands, open) = worker.hear();
        if !open {
            self.worker = None;
        }
        commands
    }

    /// Listens to everybody else; gives back what a new worker says after its `Hello`.
    pub(super) fn hear_strangers(&mut self) -> Vec<Command> {
        let mut commands = Vec::new();
        for mut stranger in std::mem::take(&mut self.strangers) {
            let (heard, open) = stranger.hear();
            match heard.split_first() {
                Some((Command::Hello { host, .. }, rest)) if *host == self.id && open => {
                    self.worker = Some(stranger);
                    let (version, pid) = (HOST_PROTOCOL, std::process::id());
                    self.report(&HostReport::Hello { version, pid });
                    commands = rest.to_vec();
                }
                None if open => self.strangers.push(stranger),
                _ => {}
            }
        }
        commands
    }

    /// Tells the worker, if there is one; a later one asks for the inventory.
    pub(super) fn report(&mut self, report: &impl Serialize) {
        if let Some(worker) = &mut self.worker {
            let fits = frame::append(&mut worker.unread, report).is_ok();
            if !fits || worker.unread.len() > UNREAD_LIMIT_BYTES {
                self.worker = None;
            }
        }
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self) {
        if self.worker.as_mut().is_some_and(|worker| !worker.flush()) {
            self.worker = None;
        }
    }
}

impl Connection {
    /// What arrived, and whether more can.
    fn hear(&mut self) -> (Vec<Command>, bool) {
        let (mut commands, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return (commands, false),
                Ok(read) => self.inbox.push(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return (commands, true),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return (commands, false),
            }
            loop {
                match self.inbox.take() {
                    Ok(Some(command)) => commands.push(command),
                    Ok(None) => break,
                    Err(_) => return (commands, false),
                }
            }
        }
    }

    /// Whether it is still of use.
    fn flush(&mut self) -> bool {
        let mut written = 0;
        let open = loop {
            if written == self.unread.len() {
                break true;
            }
            match self.stream.write(&self.unread[written..]) {
                Ok(0) => break false,
                Ok(more) => written += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break false,
            }
        };
        self.unread.drain(..written);
        open
    }
}

/// Who is at the other end.
#[cfg(target_os = "linux")]
fn peer_uid(stream: &UnixStream) -> nix::Result<nix::unistd::Uid> {
    let peer = nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::PeerCredentials)?;
    Ok(nix::unistd::Uid::from_raw(peer.uid()))
}

/// Who is at the other end.
#[cfg(target_os = "macos")]
fn peer_uid(stream: &UnixStream) -> nix::Result<nix::unistd::Uid> {
    nix::unistd::getpeereid(stream).map(|(uid, _)| uid)
}

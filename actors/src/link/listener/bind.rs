//! Binding the two sockets, with what can be wrong about them said plainly.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use tokio::net::{TcpListener, UnixListener};

/// The longest path of a Unix socket, in bytes: macOS has room for 104 with the closing zero.
const MAX_PATH_BYTES: usize = 103;

/// Why we cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The system refused the address.
    #[error("cannot listen on {address}: {source}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Other machines could connect, and nothing would be encrypted.
    #[error(
        "will not listen on {address} without certificates: run `crab cluster init` first, or listen on 127.0.0.1"
    )]
    Unsecured {
        /// The address.
        address: SocketAddr,
    },
    /// The system refused the path.
    #[error("cannot listen on {path}: {source}")]
    Unix {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path is too long for a socket.
    #[error(
        "socket path {path} has {bytes} bytes, the limit is {MAX_PATH_BYTES}: use a shorter data directory"
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// Others can enter the socket's directory.
    #[error("directory {path} has mode {mode:03o}: others can enter it; run chmod 700 {path}")]
    OpenDirectory {
        /// The directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The directory belongs to somebody else.
    #[error("directory {path} belongs to user {uid}")]
    ForeignDirectory {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// Another daemon listens there.
    #[error("another daemon answers on {path}")]
    InUse {
        /// The path.
        path: PathBuf,
    },
}

/// A socket that its owner can close at once while a task still accepts on it, so that the next listener can
/// have the address: an aborted task lets go of its socket only when it is polled again.
#[derive(Debug)]
pub(crate) struct Shared<S>(Arc<Mutex<Option<S>>>);

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> Shared<S> {
    pub(crate) fn new(socket: S) -> Self {
        Self(Arc::new(Mutex::new(Some(socket))))
    }

    pub(crate) fn close(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Uses the socket, if it is still open.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&S) -> T) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(work)
    }
}

/// Listens for other machines.
pub(crate) fn tcp(address: SocketAddr, is_secured: bool) -> Result<TcpListener, BindError> {
    let failed = |source| BindError::Tcp { address, source };
    if !is_secured && !address.ip().is_loopback() {
        return Err(BindError::Unsecured { address });
    }
    let socket = std::net::TcpListener::bind(address).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    TcpListener::from_std(socket).map_err(failed)
}

/// Listens for programs of this machine, in a directory that only our user can enter.
pub(crate) fn unix(path: &Path) -> Result<UnixListener, BindError> {
    let bytes = path.as_os_str().len();
    if bytes > MAX_PATH_BYTES {
        return Err(BindError::PathTooLong { path: path.to_owned(), bytes });
    }
    let failed = |source| BindError::Unix { path: path.to_owned(), source };
    check_directory(path.parent().unwrap_or_else(|| Path::new(".")))?;
    if is_socket(path).map_err(failed)? {
        if somebody_answers(path).map_err(failed)? {
            return Err(BindError::InUse { path: path.to_owned() });
        }
        fs::remove_file(path).map_err(failed)?;
    }
    let socket = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(socket)
}

fn check_directory(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Unix { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let metadata = fs::metadata(path).map_err(failed)?;
    let (mode, uid) = (metadata.mode() & 0o777, metadata.uid());
    if uid != nix::unistd::geteuid().as_raw() {
        return Err(BindError::ForeignDirectory { path: path.to_owned(), uid });
    }
    if mode & 0o077 != 0 {
        return Err(BindError::OpenDirectory { path: path.to_owned(), mode });
    }
    Ok(())
}

fn is_socket(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(metadata.file_type().is_socket()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Without waiting: a daemon that is stopped, or has a full queue, is somebody too.
fn somebody_answers(path: &Path) -> io::Result<bool> {
    let probe = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None)?;
    fcntl(&probe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    match connect(std::os::fd::AsRawFd::as_raw_fd(&probe), &UnixAddr::new(path)?) {
        Ok(()) | Err(Errno::EAGAIN | Errno::EINPROGRESS) => Ok(true),
        Err(Errno::ECONNREFUSED | Errno::ENOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_nobody_answers_on_is_replaced_and_a_living_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run").join("socket");
        let first = unix(&path).unwrap();
        assert!(matches!(unix(&path), Err(BindError::InUse { .. })));
        drop(first);
        let _second = unix(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_directory_that_others_can_enter_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let refused = unix(&directory.path().join("socket"));
        assert!(matches!(refused, Err(BindError::OpenDirectory { mode: 0o755, .. })));
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_named_with_its_limit() {
        let refused = unix(Path::new(&format!("/tmp/{}", "x".repeat(110)))).unwrap_err();
        assert!(refused.to_string().contains("the limit is 103"), "{refused}");
    }

    #[test]
    fn a_file_that_is_no_socket_stays() {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
        let path = directory.path().join("socket");
        fs::write(&path, "precious").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let _inside = runtime.enter();
        assert!(matches!(unix(&path), Err(BindError::Unix { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}

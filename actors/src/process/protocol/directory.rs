//! Where a host keeps its things.

use std::path::{Path, PathBuf};

use policy::id::Token;

/// Where a host keeps its things.
#[derive(Debug, Clone)]
pub struct HostDirectory(PathBuf);

/// Bytes of a socket's path, its end included: what macOS allows (Linux: 108).
const SOCKET_PATH_LIMIT_BYTES: usize = 104;

impl HostDirectory {
    /// In `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the host listens; `None` where the path is too long for a socket.
    #[must_use]
    pub fn socket(&self) -> Option<PathBuf> {
        let path = self.0.join("host.sock");
        (path.as_os_str().len() < SOCKET_PATH_LIMIT_BYTES).then_some(path)
    }

    /// Locked while a host lives.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.0.join("host.lock")
    }

    /// Where the host's id is written.
    #[must_use]
    pub fn id(&self) -> PathBuf {
        self.0.join("host.id")
    }

    /// What the host remembers.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.0.join("host.journal")
    }

    /// Where the groups of the kernel's are that the host has made, if any: a text with the path of their directory.
    #[must_use]
    pub fn groups(&self) -> PathBuf {
        self.0.join("host.groups")
    }

    /// What the host says when it cannot say it to a worker.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.0.join("host.log")
    }

    /// While this file is there nothing is started, whoever asks.
    #[must_use]
    pub fn halt(&self) -> PathBuf {
        self.0.join("halted")
    }

    /// Where output is kept.
    #[must_use]
    pub fn output(&self) -> PathBuf {
        self.0.join("output")
    }

    /// Where the output of one attempt is kept, if it has any.
    #[must_use]
    pub fn spool(&self, token: Token) -> PathBuf {
        self.output().join(format!("{}.spool", token.0))
    }

    /// Where an attempt may say something of itself. It goes when its output goes.
    #[must_use]
    pub fn report(&self, token: Token) -> PathBuf {
        self.output().join(format!("{}.report", token.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_too_deep_for_a_socket_has_none() {
        assert!(HostDirectory::new("/run/crab").socket().is_some());
        assert!(HostDirectory::new(format!("/{}", "x".repeat(100))).socket().is_none());
    }
}

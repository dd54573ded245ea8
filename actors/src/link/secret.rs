//! The cookie: the secret that a scheduler and its peers share, and randomness for nonces and keys.
//!
//! 32 random bytes in hex in a file that only its owner can read. Must not be shown: nothing here
//! implements a `Debug` that prints it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes of a cookie, of a nonce and of a proof.
pub const SECRET_BYTES: usize = 32;
/// The permissions of a cookie file: its owner alone.
const COOKIE_MODE: u32 = 0o600;
/// The cookie's name in the data directory.
const COOKIE_FILE: &str = "cookie";
/// Separates this use of the cookie from the preamble's.
const NODE_SECRET_CONTEXT: &str = "knittingCrab 2026 link: cookie of the ractor cluster";

/// The secret of one cluster.
#[derive(Clone)]
pub struct Cookie([u8; SECRET_BYTES]);

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(…)")
    }
}

/// Why there is no cookie.
#[derive(Debug, thiserror::Error)]
pub enum CookieError {
    /// The file cannot be read or written.
    #[error("cookie {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others can read the file.
    #[error(
        "cookie {path} has mode {mode:03o}: others can read it; run chmod 600 {path} and, if it was read, replace it"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file holds something else.
    #[error("cookie {path} does not hold 64 hexadecimal digits")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl Cookie {
    /// A cookie of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads the cookie of a data directory, making it if there is none.
    ///
    /// # Errors
    /// The file cannot be read or made, others can read it, or it holds something else.
    pub fn open(data: &Path) -> Result<Self, CookieError> {
        let path = data.join(COOKIE_FILE);
        match Self::create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::read(&path),
            made => made.map_err(|source| CookieError::Io { path, source }),
        }
    }

    /// Reads a cookie file.
    ///
    /// # Errors
    /// The file cannot be read, others can read it, or it holds something else.
    pub fn read(path: &Path) -> Result<Self, CookieError> {
        let failed = |source| CookieError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(CookieError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.take(4_096).read_to_string(&mut text).map_err(failed)?;
        blake3::Hash::from_hex(text.trim())
            .map(|bytes| Self(bytes.into()))
            .map_err(|_| CookieError::Malformed { path: path.to_owned() })
    }

    /// Whole or not at all: a second process that starts now reads the same cookie.
    fn create(path: &Path) -> io::Result<Self> {
        if path.try_exists()? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let cookie = Self(random()?);
        let draft = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(COOKIE_MODE).open(&draft)?;
        let written = writeln!(file, "{}", blake3::Hash::from_bytes(cookie.0).to_hex())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::hard_link(&draft, path));
        fs::remove_file(&draft)?;
        written.map(|()| cookie)
    }

    /// The proof that a side knows the cookie, over everything said so far. Compared in constant time.
    pub(crate) fn proof(&self, said: &[u8]) -> blake3::Hash {
        blake3::keyed_hash(&self.0, said)
    }

    /// What the nodes of a ractor cluster show each other, after our own preamble has been believed.
    pub(crate) fn node_secret(&self) -> NodeSecret {
        NodeSecret(blake3::derive_key(NODE_SECRET_CONTEXT, &self.0))
    }
}

/// The cookie of the ractor cluster.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeSecret(pub(crate) [u8; SECRET_BYTES]);

impl NodeSecret {
    pub(crate) fn to_hex(self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }
}

/// Random bytes from the operating system.
///
/// # Errors
/// When it has none to give.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_cookie_is_made_once_and_read_afterwards() {
        let data = tempfile::tempdir().unwrap();
        let made = Cookie::open(data.path()).unwrap();
        assert_eq!(Cookie::open(data.path()).unwrap().0, made.0);
        let file = data.path().join(COOKIE_FILE);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, COOKIE_MODE);
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_cookie_that_others_can_read_is_refused() {
        let data = tempfile::tempdir().unwrap();
        Cookie::open(data.path()).unwrap();
        let file = data.path().join(COOKIE_FILE);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Cookie::open(data.path()), Err(CookieError::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn a_file_that_holds_something_else_is_refused() {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join(COOKIE_FILE);
        fs::write(&file, "secret").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(COOKIE_MODE)).unwrap();
        assert!(matches!(Cookie::open(data.path()), Err(CookieError::Malformed { .. })));
    }
}

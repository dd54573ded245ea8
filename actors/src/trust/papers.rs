//! Files with keys and certificates: PEM, for their owner alone, whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{DIRECTORY, TrustError};

/// Bytes of the largest file that is read: a thousand members are a quarter of that.
const FILE_LIMIT_BYTES: u64 = 1 << 20;

/// A file of ours in a data directory.
#[must_use]
pub fn path(data: &Path, name: &str) -> PathBuf {
    data.join(DIRECTORY).join(name)
}

/// Writes a file, so that after a crash the old one is there or the new one.
///
/// # Errors
/// What the system says.
pub(super) fn write(path: &Path, text: &str) -> Result<(), TrustError> {
    let failed = |source| TrustError::Io { path: path.to_owned(), source };
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let written = draft_of(&draft, text).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written.and_then(|()| File::open(directory)?.sync_all()).map_err(failed)
}

fn draft_of(draft: &Path, text: &str) -> io::Result<()> {
    let _ = fs::remove_file(draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Reads a file that only its owner may read; `None` where there is none.
///
/// # Errors
/// What the system says, or that others can read it.
pub(super) fn read(path: &Path) -> Result<Option<String>, TrustError> {
    let failed = |source| TrustError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TrustError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.take(FILE_LIMIT_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}

/// A key and the certificates that go with it: its own first, the authority's last.
pub(super) struct Papers {
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) chain: Vec<CertificateDer<'static>>,
}

impl Papers {
    /// Takes a file apart.
    ///
    /// # Errors
    /// Where a key or a certificate is missing or damaged.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, TrustError> {
        let damaged = |what: String| TrustError::Damaged { path: path.to_owned(), what };
        let key =
            PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| damaged(error.to_string()))?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let chain = chain.map_err(|error| damaged(error.to_string()))?;
        if chain.is_empty() {
            return Err(damaged("no certificate in it".to_owned()));
        }
        Ok(Self { key, chain })
    }
}

/// By what secrets and certificates are known in files, in hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> Box<str> {
    blake3::hash(bytes).to_hex().as_str().into()
}

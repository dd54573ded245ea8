//! The manifest of what was kept of an attempt, as a file beside that.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use policy::artifact::{Collection, Manifest};
use policy::id::Token;
use policy::time::Timestamp;

use super::stored;

/// The version of manifests that this program writes, and the latest that it reads.
const MANIFEST_VERSION: u8 = 1;
/// What the file is called; all others beside it have numbers.
const NAME: &str = "manifest";

pub(super) fn parse(bytes: &[u8]) -> io::Result<Manifest> {
    stored::parse(bytes, MANIFEST_VERSION)
}

pub(super) fn text(manifest: &Manifest) -> io::Result<Vec<u8>> {
    stored::text(manifest, MANIFEST_VERSION)
}

/// That of what is kept in a directory.
pub(super) fn read(directory: &Path) -> io::Result<Manifest> {
    parse(&fs::read(directory.join(NAME))?)
}

/// Writes it, with all that is there to the disk.
pub(super) fn write(directory: &Path, manifest: &Manifest) -> io::Result<()> {
    let options = fs::File::options().create_new(true).write(true).mode(0o600).open(directory.join(NAME));
    let mut file = options?;
    file.write_all(&text(manifest)?)?;
    // Of a disk that keeps a cache it is this that makes it write what was handed to it before.
    file.sync_all()?;
    fs::File::open(directory)?.sync_all()
}

/// What is kept in a directory, as far as it has to be known when that goes.
pub(super) fn collection(directory: &Path, token: Token) -> Collection {
    match read(directory) {
        Ok(manifest) => Collection { token, since: manifest.at, bytes: manifest.bytes() },
        Err(error) => {
            tracing::warn!(%token, %error, "a manifest cannot be read");
            let modified = fs::metadata(directory).and_then(|found| found.modified()).ok();
            let since = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            Collection { token, since: Timestamp::default() + since.unwrap_or(Duration::ZERO), bytes: 0 }
        }
    }
}

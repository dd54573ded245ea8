//! What is written down of an attempt before it starts: what is to be kept at its end, and where it lies.
//!
//! What is not understood is left alone.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use policy::artifact::Artifacts;
use policy::id::{AttemptNumber, TaskId, Token};
use policy::text::OsText;
use serde::{Deserialize, Serialize};

use super::stored;

/// The version of records that this program writes, and the latest that it reads.
const RECORD_VERSION: u8 = 1;
/// Where records are, below the root.
const WANTED: &str = "wanted";
/// What the names of those end with that are being written.
const UNFINISHED: &str = "new";

/// What is to be kept of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Its grant.
    pub token: Token,
    /// Its task.
    pub task: TaskId,
    /// Which try at it.
    pub attempt: AttemptNumber,
    /// Where it works: what its patterns are relative to.
    pub directory: OsText,
    /// Which files.
    pub artifacts: Artifacts,
}

pub(super) fn parse(bytes: &[u8]) -> io::Result<Wanted> {
    stored::parse(bytes, RECORD_VERSION)
}

pub(super) fn text(wanted: &Wanted) -> io::Result<Vec<u8>> {
    stored::text(wanted, RECORD_VERSION)
}

/// In the place of what is there of it, whole or not at all.
pub(super) fn write(root: &Path, wanted: &Wanted) -> io::Result<()> {
    let path = path(root, wanted.token);
    let unfinished = path.with_extension(UNFINISHED);
    let mut options = fs::File::options();
    let options = options.create(true).truncate(true).write(true).mode(0o600);
    let opened = options.open(&unfinished).or_else(|error| match error.kind() {
        ErrorKind::NotFound => {
            super::make(&root.join(WANTED))?;
            options.open(&unfinished)
        }
        _ => Err(error),
    });
    let mut file = opened?;
    file.write_all(&text(wanted)?)?;
    file.sync_data()?;
    fs::rename(unfinished, path)
}

pub(super) fn remove(root: &Path, token: Token) {
    let _ = fs::remove_file(path(root, token));
}

/// All that earlier daemons have left.
pub(super) fn all(root: &Path) -> io::Result<Vec<Wanted>> {
    let entries = match fs::read_dir(root.join(WANTED)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        match fs::read(&path).and_then(|bytes| parse(&bytes)) {
            Ok(wanted) => found.push(wanted),
            Err(error) => tracing::warn!(path = %path.display(), %error, "is no record of artifacts"),
        }
    }
    Ok(found)
}

fn path(root: &Path, token: Token) -> PathBuf {
    root.join(WANTED).join(token.0.to_string())
}

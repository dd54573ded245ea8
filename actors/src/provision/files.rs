//! Directories of what was given: for this user alone, named so that they are found again.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use policy::id::Token;

/// A directory that is this user's alone.
const DIRECTORY_MODE: u32 = 0o700;
/// A file that is.
pub(super) const FILE_MODE: u32 = 0o600;

/// Where what has this number lies.
pub(super) fn place(root: &Path, token: Token, number: u64) -> PathBuf {
    root.join(format!("{}.{number}", token.0))
}

/// All that lies there. What has another name is not ours.
pub(super) fn all(root: &Path) -> io::Result<Vec<(Token, u64)>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let parts = name.to_str().and_then(|name| name.split_once('.'));
        let numbers = parts.and_then(|(token, number)| Some((token.parse().ok()?, number.parse().ok()?)));
        found.extend(numbers.map(|(token, number)| (Token(token), number)));
    }
    Ok(found)
}

/// Makes the root where there is none. It must be this user's own, so that nobody else can put links in it.
pub(super) fn own_root(root: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(root)?;
    let found = fs::symlink_metadata(root)?;
    if !found.is_dir() || found.uid() != Uid::effective().as_raw() {
        return Err(io::Error::other("its directory is a link or another user's"));
    }
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(root, Permissions::from_mode(DIRECTORY_MODE))?;
    }
    Ok(())
}

/// Makes a directory, which must not be there.
pub(super) fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(DIRECTORY_MODE).create(path)
}

/// Makes an empty file.
pub(super) fn touch(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path).map(drop)
}

/// Removes a directory with all that is in it; a link is removed and not followed.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

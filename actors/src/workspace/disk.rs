//! Directories: made for this user alone, removed without following any link.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use super::record;

/// This user's alone.
const OWN_MODE: u32 = 0o700;
/// Bytes of a block, as `stat` counts them.
const BLOCK_BYTES: u64 = 512;

/// Makes a directory, which must not be there.
pub(super) fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(OWN_MODE).create(path)
}

/// Makes the root where there is none. It must be this user's own, so that nobody else can put links in it.
pub(super) fn own_root(root: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(OWN_MODE).create(root)?;
    let found = fs::symlink_metadata(root)?;
    if !found.is_dir() {
        return Err(io::Error::other("it is a link or no directory"));
    }
    if found.uid() != Uid::effective().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(root, Permissions::from_mode(OWN_MODE))?;
    }
    DirBuilder::new().recursive(true).mode(OWN_MODE).create(record::directory(root))
}

/// Removes a directory and all that is in it; a link is removed and not followed.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match record::absent_is_fine(fs::remove_dir_all(path)) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            // Such as the caches of Go, whose directories cannot be written.
            open_up(path)?;
            record::absent_is_fine(fs::remove_dir_all(path))
        }
        other => other,
    }
}

/// Lets this user read and change every directory below, the links left alone.
fn open_up(path: &Path) -> io::Result<()> {
    let mut directories = vec![path.to_owned()];
    while let Some(directory) = directories.pop() {
        let found = fs::symlink_metadata(&directory)?;
        if found.mode() & OWN_MODE != OWN_MODE {
            fs::set_permissions(&directory, Permissions::from_mode(found.mode() | OWN_MODE))?;
        }
        directories.extend(inner_directories(&directory)?);
    }
    Ok(())
}

fn inner_directories(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// What it takes of the disk, as far as that can be read; files that share their blocks with others count as if they
/// did not.
pub(super) fn bytes(path: &Path) -> u64 {
    let (mut bytes, mut directories) = (0_u64, vec![path.to_owned()]);
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let Ok(found) = entry.metadata() else { continue };
            bytes = bytes.saturating_add(found.blocks().saturating_mul(BLOCK_BYTES));
            if found.is_dir() {
                directories.push(entry.path());
            }
        }
    }
    bytes
}

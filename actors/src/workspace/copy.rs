//! A copy of a directory that takes no room of its own where the file system shares blocks.
//!
//! # Why file by file
//! The standard library copies a file by `fclonefileat` on macOS and by `copy_file_range` on Linux, which shares blocks on
//! APFS, btrfs and XFS and is a fast copy elsewhere. Apple discourages `clonefile` of a whole directory; and this way each
//! file can be looked at, and the copying stopped.

use std::fs::{self, File, FileTimes, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::{Cancel, Unmade, disk};

/// The permissions that a copy has: none that raise anybody.
const MODE: u32 = 0o777;

/// Copies what is in `from` to `to`, which is made. Links stay what they are; times and permissions are kept; what is
/// neither file, directory nor link is refused. What vanishes meanwhile is left out.
pub(super) fn copy(from: &Path, to: &Path, root: &Path, cancel: &Cancel) -> Result<(), Unmade> {
    let found = fs::metadata(from).map_err(|error| source_fault(from, &error))?;
    if !found.is_dir() {
        return Err(Unmade::of_task(format!("{} is not a directory", from.display())));
    }
    if fs::symlink_metadata(from.join(".git")).is_ok_and(|found| found.is_file()) {
        // What git did in a copy of it, it would do to the one that was copied.
        let text = format!("{} is a worktree of git: ask for a worktree of its repository", from.display());
        return Err(Unmade::of_task(text));
    }
    let real = |path: &Path| fs::canonicalize(path).map_err(|error| source_fault(path, &error));
    if real(root)?.starts_with(real(from)?) {
        let text = format!("{} contains the workspaces themselves ({})", from.display(), root.display());
        return Err(Unmade::of_task(text));
    }
    let mut finished = Vec::new();
    let mut directories = vec![(from.to_owned(), to.to_owned(), found)];
    while let Some((from, to, found)) = directories.pop() {
        disk::make(&to).map_err(|error| target_fault(&to, &error))?;
        directories.extend(copy_entries(&from, &to, cancel)?);
        finished.push((to, found));
    }
    // The innermost first: a directory that must not be written is complete by then.
    for (directory, found) in finished.into_iter().rev() {
        finish(&directory, &found).map_err(|error| target_fault(&directory, &error))?;
    }
    Ok(())
}

type Inner = (PathBuf, PathBuf, Metadata);

/// Copies all but the directories, which are given back.
fn copy_entries(from: &Path, to: &Path, cancel: &Cancel) -> Result<Vec<Inner>, Unmade> {
    let mut directories = Vec::new();
    for entry in fs::read_dir(from).map_err(|error| source_fault(from, &error))? {
        if cancel.is_cancelled() {
            return Err(Unmade::Cancelled);
        }
        let entry = entry.map_err(|error| source_fault(from, &error))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let found = match entry.metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(source_fault(&from, &error)),
        };
        if found.is_dir() {
            directories.push((from, to, found));
        } else if found.is_file() {
            copy_file(&from, &to, &found)?;
        } else if found.is_symlink() {
            let target = fs::read_link(&from).map_err(|error| source_fault(&from, &error))?;
            symlink(target, &to).map_err(|error| target_fault(&to, &error))?;
        } else {
            let text = format!("{} is neither a file, a directory nor a link", from.display());
            return Err(Unmade::of_task(text));
        }
    }
    Ok(directories)
}

fn copy_file(from: &Path, to: &Path, found: &Metadata) -> Result<(), Unmade> {
    match fs::copy(from, to) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound && !from.exists() => return Ok(()),
        Err(error) => return Err(target_fault(from, &error)),
    }
    // Permissions may forbid to write it, but not this.
    let times = || {
        let file = File::open(to)?;
        file.set_times(FileTimes::new().set_modified(found.modified()?))
    };
    times().map_err(|error| target_fault(to, &error))
}

fn finish(directory: &Path, found: &Metadata) -> io::Result<()> {
    let file = File::open(directory)?;
    file.set_times(FileTimes::new().set_modified(found.modified()?))?;
    file.set_permissions(Permissions::from_mode(found.permissions().mode() & MODE))
}

/// The task has named it.
fn source_fault(path: &Path, error: &io::Error) -> Unmade {
    match error.kind() {
        ErrorKind::NotFound => Unmade::of_task(format!("there is no {} on this machine", path.display())),
        _ => Unmade::of_task(format!("{} cannot be read: {error}", path.display())),
    }
}

/// This machine's disk, unless the source may not be read.
fn target_fault(path: &Path, error: &io::Error) -> Unmade {
    match error.kind() {
        ErrorKind::PermissionDenied => source_fault(path, error),
        _ => Unmade::of_disk("copying", path, error),
    }
}

//! Secrets of a machine: files of its user, each called as the secret is.
//!
//! They never come into this process: the file is copied by the system, from one that is this user's alone to one that is.
//! What is refused says which path it is and what is wrong with it, never what is in it.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use policy::constraint::SECRET;

use super::files::FILE_MODE;

/// Bytes of the largest secret: a chain of certificates with its key.
const SECRET_LIMIT_BYTES: u64 = 64 * 1024;
/// Secrets that a machine says it has: half of the labels that are kept of one.
const LABELS_LIMIT: usize = 32;

/// Where the secrets of a machine are.
#[derive(Debug)]
pub struct Secrets(PathBuf);

impl Secrets {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// Which there are, as labels. One that could not be given is among them: who asks for it is told why.
    pub(super) fn labels(&self) -> Vec<(Box<str>, Box<str>)> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort_unstable();
        if names.len() > LABELS_LIMIT {
            let (path, all) = (self.0.display(), names.len());
            tracing::warn!(%path, all, "more than {LABELS_LIMIT} secrets: tasks do not find the last by name");
            names.truncate(LABELS_LIMIT);
        }
        names.into_iter().map(|name| (format!("{SECRET}{name}").into(), "yes".into())).collect()
    }

    /// Copies one into `directory`; gives back the copy's path.
    ///
    /// # Errors
    /// When there is none, or somebody else could read or change it, with its path.
    pub(super) fn copy(&self, name: &str, directory: &Path) -> Result<PathBuf, String> {
        let path = self.0.join(name);
        let refused =
            |path: &Path, why: String| format!("secret \"{name}\" is not given: {} {why}", path.display());
        let found = fs::symlink_metadata(&self.0).map_err(|error| refused(&self.0, said(&error)))?;
        // Who may write in it may exchange what is in it.
        check(&found, Kind::Directory).map_err(|why| refused(&self.0, why))?;
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&path);
        let mut file = file.map_err(|error| refused(&path, said(&error)))?;
        let found = file.metadata().map_err(|error| refused(&path, said(&error)))?;
        check(&found, Kind::File).map_err(|why| refused(&path, why))?;
        let copy = directory.join(name);
        write(&mut file, &copy).map_err(|error| refused(&path, format!("cannot be copied: {error}")))?;
        Ok(copy)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    File,
}

/// Whether it is this user's alone; says otherwise what is wrong.
fn check(found: &Metadata, kind: Kind) -> Result<(), String> {
    let (mode, me) = (found.mode() & 0o7777, Uid::effective().as_raw());
    if kind == Kind::Directory && !found.is_dir() {
        return Err("is no directory".to_owned());
    }
    if kind == Kind::File && !found.is_file() {
        return Err("is no plain file".to_owned());
    }
    if found.uid() != me {
        return Err(format!("belongs to user {}, and not to {me}, who runs tasks here", found.uid()));
    }
    if mode & 0o077 != 0 {
        let right = if kind == Kind::Directory { "0700" } else { "0600" };
        return Err(format!("has mode {mode:04o}: others may use it; {right} is right"));
    }
    if kind == Kind::File && found.len() > SECRET_LIMIT_BYTES {
        return Err(format!("has {} bytes, the limit is {SECRET_LIMIT_BYTES}", found.len()));
    }
    Ok(())
}

fn write(from: &mut File, to: &Path) -> io::Result<()> {
    let mut to = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(to)?;
    io::copy(from, &mut to).map(drop)
}

fn said(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "does not exist".to_owned(),
        _ if error.raw_os_error() == Some(libc::ELOOP) => "is a link".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

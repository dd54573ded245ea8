//! Which file a command names, and why a command could not be started: in words for people.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use policy::task::SpawnFailure;

use crate::process::protocol::Start;

/// The absolute path of the program: a bare name is searched in the task's own `PATH`, a relative path is
/// taken from its directory.
pub(super) fn find(start: &Start) -> Result<PathBuf, SpawnFailure> {
    let directory = Path::new(OsStr::from_bytes(start.directory.as_bytes()));
    let Some(name) = start.argv.first().filter(|name| !name.is_empty()) else {
        return failure("the command is empty");
    };
    let texts = start.argv.iter().chain(start.environment.iter().flat_map(|(name, value)| [name, value]));
    if texts.into_iter().chain([&start.directory]).any(|text| text.as_bytes().contains(&0)) {
        return failure("a zero byte in the command, its environment or its directory");
    }
    if name.as_bytes().contains(&b'/') {
        return Ok(directory.join(OsStr::from_bytes(name.as_bytes())));
    }
    let path = start.environment.iter().rfind(|(variable, _)| variable.as_bytes() == b"PATH");
    let path = path.map_or(&b""[..], |(_, value)| value.as_bytes());
    let places = std::env::split_paths(OsStr::from_bytes(path)).map(|place| directory.join(place));
    let mut candidates = places.map(|place| place.join(OsStr::from_bytes(name.as_bytes())));
    let mut forbidden = None;
    let found = candidates.find(|candidate| match standing(candidate) {
        Standing::Runnable => true,
        Standing::NotExecutable => {
            forbidden.get_or_insert_with(|| candidate.clone());
            false
        }
        Standing::Missing | Standing::Directory => false,
    });
    match (found, forbidden) {
        (Some(program), _) => Ok(program),
        (None, Some(program)) => failure(format!("not executable: {}", program.display())),
        (None, None) => failure(format!(
            "command not found: {name:?} (searched PATH={})",
            OsStr::from_bytes(path).display()
        )),
    }
}

/// Why starting `program` failed with `error`.
pub(super) fn explain(start: &Start, program: &Path, error: &io::Error) -> SpawnFailure {
    let directory = Path::new(OsStr::from_bytes(start.directory.as_bytes()));
    let shown = directory.display();
    let reason = match fs::metadata(directory) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => format!("no such directory: {shown}"),
        Err(other) => format!("cannot enter directory {shown}: {other}"),
        Ok(found) if !found.is_dir() => format!("not a directory: {shown}"),
        Ok(_) => explain_program(program, error),
    };
    SpawnFailure { reason: reason.into(), nodes_fault: is_nodes_fault(error) }
}

/// Whether the machine has run out of something, or is broken: another one would start the same.
fn is_nodes_fault(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(
        errno,
        Some(Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE | Errno::ENOSPC | Errno::EIO)
    )
}

fn explain_program(program: &Path, error: &io::Error) -> String {
    let shown = program.display();
    let errno = error.raw_os_error().map(Errno::from_raw);
    match (standing(program), errno) {
        (_, Some(Errno::E2BIG)) => "argument list too long for the operating system".to_owned(),
        (Standing::Missing, _) => format!("command not found: {shown}"),
        (Standing::Directory, _) => format!("is a directory: {shown}"),
        (Standing::NotExecutable, _) => format!("not executable: {shown}"),
        (Standing::Runnable, Some(Errno::ENOENT)) => {
            format!("the interpreter or loader that {shown} names does not exist")
        }
        (Standing::Runnable, Some(Errno::ENOEXEC)) => {
            format!("not a program for this machine, and no #! line: {shown}")
        }
        (Standing::Runnable, Some(Errno::EACCES | Errno::EPERM)) => format!("permission denied: {shown}"),
        (Standing::Runnable, Some(Errno::EAGAIN)) => "too many processes on this machine".to_owned(),
        (Standing::Runnable, Some(Errno::EMFILE | Errno::ENFILE)) => "too many open files".to_owned(),
        (Standing::Runnable, _) => format!("{error}: {shown}"),
    }
}

enum Standing {
    Runnable,
    NotExecutable,
    Directory,
    Missing,
}

fn standing(path: &Path) -> Standing {
    match fs::metadata(path) {
        Err(_) => Standing::Missing,
        Ok(found) if found.is_dir() => Standing::Directory,
        Ok(found) if found.permissions().mode() & 0o111 == 0 => Standing::NotExecutable,
        Ok(_) => Standing::Runnable,
    }
}

fn failure<T>(reason: impl Into<Box<str>>) -> Result<T, SpawnFailure> {
    Err(SpawnFailure::of_task(reason))
}

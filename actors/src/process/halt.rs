//! The flag by which a machine is halted on the machine itself: a file that the host looks for before each start, so
//! that it works whatever else hangs.

use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::process::protocol::HostDirectory;

/// Halts the machine of the host of `directory`; whether it was not halted before. `by` is written into the file.
///
/// # Errors
/// What the file system says.
pub fn set(directory: &Path, by: &str) -> io::Result<bool> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let path = HostDirectory::new(directory).halt();
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(mut file) => writeln!(file, "{by}").map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Ends the halt; whether there was one.
///
/// # Errors
/// What the file system says.
pub fn clear(directory: &Path) -> io::Result<bool> {
    match std::fs::remove_file(HostDirectory::new(directory).halt()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halt_is_set_once_and_cleared_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let host = directory.path().join("host");
        assert!(!clear(&host).expect("nothing is there"));
        assert!(set(&host, "ann@mac").expect("it can be written"));
        assert!(!set(&host, "bob@mac").expect("it is there"));
        let said = std::fs::read_to_string(HostDirectory::new(&host).halt()).expect("it is there");
        assert_eq!(said, "ann@mac\n");
        assert!(clear(&host).expect("it can be removed"));
    }
}

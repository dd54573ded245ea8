//! A directory into which files are fetched: nothing is written anywhere else, whatever they are called and whatever lies there.
//!
//! Each directory is opened from the one above it, and no link is followed. A file has its name when it is whole.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, fstatat, mkdirat};
use nix::unistd::{LinkatFlags, UnlinkatFlags, linkat, unlinkat};
use policy::artifact::{Kept, is_plain_path};

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// See the module.
pub(super) struct Place {
    directory: OwnedFd,
    /// Whether what is there already is replaced.
    force: bool,
}

/// A file that is not whole yet; without its end nothing is left of it.
pub(super) struct Part {
    above: OwnedFd,
    name: String,
    part: String,
    file: File,
    force: bool,
    is_done: bool,
}

impl Place {
    /// The user's own directory, wherever links lead to it; it is made where there is none.
    pub(super) fn open(path: &Path, force: bool) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path).with_context(|| format!("making {}", path.display()))?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory =
            open(path, flags, Mode::empty()).with_context(|| format!("opening {}", path.display()))?;
        Ok(Self { directory, force })
    }

    /// Whether a file may come to this path: so that nothing is begun that cannot be ended.
    pub(super) fn check(&self, path: &str) -> anyhow::Result<()> {
        if !is_plain_path(path) {
            bail!("{path:?} leads elsewhere: nothing is fetched");
        }
        let mut at = self.directory.try_clone()?;
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            let found = fstatat(&at, name, AtFlags::AT_SYMLINK_NOFOLLOW);
            if names.peek().is_none() {
                return match found {
                    Ok(_) if !self.force => {
                        bail!("{path:?} is there already; with --force it is replaced")
                    }
                    _ => Ok(()),
                };
            }
            if found == Err(Errno::ENOENT) {
                return Ok(());
            }
            at = inner(&at, name).with_context(|| in_the_way(path, name))?;
        }
        Ok(())
    }

    /// Begins a file, with the directories of its path.
    pub(super) fn begin(&self, kept: &Kept) -> anyhow::Result<Part> {
        let path = &*kept.path;
        self.check(path)?;
        let mut at = self.directory.try_clone()?;
        let mut names = path.split('/').peekable();
        let mut name = "";
        while let Some(next) = names.next() {
            name = next;
            if names.peek().is_some() {
                match mkdirat(&at, next, Mode::from_bits_truncate(0o777)) {
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(error) => return Err(error).with_context(|| format!("making {next:?} of {path:?}")),
                }
                at = inner(&at, next).with_context(|| in_the_way(path, next))?;
            }
        }
        let part = format!(".crab-{}-{}.part", std::process::id(), kept.number);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        // The user's umask holds, and whoever fetches it can read and remove it.
        let mode = Mode::from_bits_truncate((kept.mode & 0o777 | 0o600).into());
        let file = openat(&at, part.as_str(), flags, mode).with_context(|| format!("writing {path:?}"))?;
        let (name, file, force) = (name.to_owned(), File::from(file), self.force);
        Ok(Part { above: at, name, part, file, force, is_done: false })
    }
}

impl Part {
    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.file.write_all(bytes)?)
    }

    /// It is whole: gives it its name.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        let (part, name) = (self.part.as_str(), self.name.as_str());
        if self.force {
            renameat(&self.above, part, &self.above, name)?;
            self.is_done = true;
            return Ok(());
        }
        // In one step, unlike a look and a rename.
        match linkat(&self.above, part, &self.above, name, LinkatFlags::empty()) {
            Err(Errno::EEXIST) => bail!("{:?} is there already; with --force it is replaced", self.name),
            linked => Ok(linked?),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_done {
            let _ = unlinkat(&self.above, self.part.as_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

fn inner(above: &OwnedFd, name: &str) -> nix::Result<OwnedFd> {
    openat(above.as_fd(), name, DIRECTORY, Mode::empty())
}

fn in_the_way(path: &str, name: &str) -> String {
    format!("{name:?} in the way of {path:?} is a link or no directory")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use policy::artifact::{Digest, Kind};

    use super::*;

    fn kept(path: &str, mode: u16) -> Kept {
        Kept { number: 1, path: path.into(), kind: Kind::Other, bytes: 1, mode, digest: Digest([0; 32]) }
    }

    fn put(place: &Place, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let mut part = place.begin(&kept(path, 0o755))?;
        part.write(bytes)?;
        part.finish()
    }

    #[test]
    fn a_file_is_there_when_it_is_whole_with_who_may_execute_it() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::open(&home.path().join("new/er"), false).unwrap();
        let mut part = place.begin(&kept("a/b", 0o755)).unwrap();
        part.write(b"x").unwrap();
        let path = home.path().join("new/er/a/b");
        assert!(!path.exists());
        part.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o100, 0o100);
        drop(place.begin(&kept("a/c", 0)).unwrap());
        assert_eq!(fs::read_dir(home.path().join("new/er/a")).unwrap().count(), 1, "nothing half");
    }

    #[test]
    fn nothing_is_written_through_links_or_elsewhere_or_over_what_is_there() {
        let home = tempfile::tempdir().unwrap();
        let (outside, inside) = (home.path().join("outside"), home.path().join("inside"));
        fs::create_dir(&outside).unwrap();
        let place = Place::open(&inside, false).unwrap();
        symlink(&outside, inside.join("link")).unwrap();
        symlink(outside.join("file"), inside.join("dangling")).unwrap();
        fs::write(inside.join("there"), "mine").unwrap();
        for path in ["link/a", "dangling", "there", "../a", "/tmp/a", "a/../../b", "a//b", "", "there/a"] {
            assert!(put(&place, path, b"x").is_err(), "{path}");
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(inside.join("there")).unwrap(), "mine");
        let forced = Place::open(&inside, true).unwrap();
        put(&forced, "there", b"x").unwrap();
        put(&forced, "dangling", b"x").unwrap();
        assert!(put(&forced, "link/a", b"x").is_err());
        assert_eq!(
            (fs::read_dir(&outside).unwrap().count(), fs::read(inside.join("dangling")).unwrap()),
            (0, b"x".to_vec())
        );
    }
}

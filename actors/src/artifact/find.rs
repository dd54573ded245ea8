//! Looks for what lies below the directory of a task, without following any link.
//!
//! Every directory is opened from the one above it, so that whoever changes names meanwhile leads nobody elsewhere.
//! Must not know which files are wanted, but where to look.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use policy::artifact::{DEPTH_LIMIT, Found, LOOKED_LIMIT, LeftOut, Sort, WhyLeftOut};
use policy::text::OsText;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) found: Vec<Found>,
    /// What could not be looked into.
    pub(super) left_out: Vec<LeftOut>,
    /// Why not all was looked at.
    pub(super) fault: Option<Box<str>>,
}

/// A directory that is looked into.
const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// The directory of a task, wherever links lead to it.
pub(super) fn open(directory: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(nix::fcntl::open(directory, flags, Mode::empty())?)
}

/// The directory in which a path ends, from `directory` on; `Err` with what is in the way, and how far that is.
pub(super) fn parent(directory: BorrowedFd<'_>, path: &str) -> Result<(OwnedFd, String), (String, Errno)> {
    let mut at = directory.try_clone_to_owned().map_err(|_| (".".to_owned(), Errno::EMFILE))?;
    let mut names = path.split('/').peekable();
    let mut passed = String::new();
    while let Some(name) = names.next() {
        if names.peek().is_none() {
            return Ok((at, name.to_owned()));
        }
        passed = if passed.is_empty() { name.to_owned() } else { format!("{passed}/{name}") };
        at = openat(&at, name, DIRECTORY, Mode::empty()).map_err(|error| (passed.clone(), error))?;
    }
    Err((path.to_owned(), Errno::ENOENT))
}

/// All that lies at and below these places, as long as `goes_on`.
pub(super) fn look(directory: BorrowedFd<'_>, roots: &[&str], goes_on: &dyn Fn() -> bool) -> Listing {
    let mut looking = Looking { listing: Listing::default(), left: LOOKED_LIMIT, goes_on };
    for root in roots {
        match *root {
            "." => match directory.try_clone_to_owned() {
                Ok(itself) => looking.within(&itself, b"", 0),
                Err(error) => looking.leave_out(b".", WhyLeftOut::Unreadable(error.to_string().into())),
            },
            root => match parent(directory, root) {
                Ok((above, name)) => {
                    looking.at(&above, OsStr::new(&name), root.as_bytes(), 0);
                }
                Err((_, Errno::ENOENT)) => {}
                Err((place, error)) => looking.leave_out(place.as_bytes(), in_the_way(error)),
            },
        }
    }
    looking.listing
}

/// What stands where a directory was to be.
fn in_the_way(error: Errno) -> WhyLeftOut {
    match error {
        Errno::ELOOP | Errno::EMLINK => WhyLeftOut::NotAFile(Sort::Link),
        // Linux says so of a link where a directory was to be.
        Errno::ENOTDIR => WhyLeftOut::Unreadable("a link or no directory, and links are not followed".into()),
        error => WhyLeftOut::Unreadable(error.desc().into()),
    }
}

struct Looking<'g> {
    listing: Listing,
    left: usize,
    goes_on: &'g dyn Fn() -> bool,
}

impl Looking<'_> {
    /// One name in a directory.
    fn at(&mut self, above: &OwnedFd, name: &OsStr, path: &[u8], depth: usize) {
        if self.left == 0 || !(self.goes_on)() {
            let why = if self.left == 0 {
                format!("only {LOOKED_LIMIT} names are looked at")
            } else {
                "it took too long to look at all".into()
            };
            self.listing.fault.get_or_insert_with(|| why.into());
            return;
        }
        self.left -= 1;
        let stat = match fstatat(above, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // It went meanwhile.
            Err(Errno::ENOENT) => return,
            Err(error) => return self.leave_out(path, WhyLeftOut::Unreadable(error.desc().into())),
        };
        let sort = sort_of(&stat);
        let bytes = u64::try_from(stat.st_size).unwrap_or(0);
        self.listing.found.push(Found { path: path.to_vec().into(), sort, bytes });
        if sort != Sort::Directory {
            return;
        }
        if depth == DEPTH_LIMIT {
            let why = format!("only directories within {DEPTH_LIMIT} others are looked into");
            return self.leave_out(path, WhyLeftOut::Unreadable(why.into()));
        }
        match openat(above, name, DIRECTORY, Mode::empty()) {
            Ok(directory) => self.within(&directory, path, depth + 1),
            Err(error) => self.leave_out(path, in_the_way(error)),
        }
    }

    /// All names in a directory.
    fn within(&mut self, directory: &OwnedFd, path: &[u8], depth: usize) {
        let listed = directory.try_clone().map_err(|_| Errno::EMFILE).and_then(|again| self.names(again));
        let names = match listed {
            Ok(names) => names,
            Err(error) => return self.leave_out(path, WhyLeftOut::Unreadable(error.desc().into())),
        };
        for name in names {
            let mut inner = path.to_vec();
            if !inner.is_empty() {
                inner.push(b'/');
            }
            inner.extend_from_slice(&name);
            self.at(directory, OsStr::from_bytes(&name), &inner, depth);
        }
    }

    /// The names in a directory, in order; no more than are looked at.
    fn names(&self, directory: OwnedFd) -> Result<Vec<Vec<u8>>, Errno> {
        let mut opened = Dir::from_fd(directory)?;
        let mut names = Vec::new();
        for entry in opened.iter().take(self.left + 3) {
            let name = entry?.file_name().to_bytes().to_vec();
            if !matches!(name.as_slice(), b"." | b"..") {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn leave_out(&mut self, path: &[u8], why: WhyLeftOut) {
        self.listing.left_out.push(LeftOut { path: OsText::from(path.to_vec()), why });
    }
}

pub(super) fn sort_of(stat: &FileStat) -> Sort {
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => Sort::File,
        SFlag::S_IFDIR => Sort::Directory,
        SFlag::S_IFLNK => Sort::Link,
        _ => Sort::Special,
    }
}

/// Opens a file that was found, if it is one still; nothing that was put in its place keeps anybody waiting.
pub(super) fn open_file(directory: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    let (above, name) = parent(directory, path).map_err(|(_, error)| error)?;
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    openat(above.as_fd(), name.as_str(), flags, Mode::empty())
}

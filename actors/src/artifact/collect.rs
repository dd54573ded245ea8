//! Fills a directory with what is to be kept of an attempt: copies of the files, and the manifest.
//!
//! The digest is of the bytes as they were copied. What cannot be read is left out and said; what cannot be written ends it
//! all, so that nothing is half there.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::fstat;
use policy::artifact::{Choice, Digest, KeepLimits, Kept, LeftOut, Manifest, Sort, WhyLeftOut, choose};

use super::source::Brought;
use super::{KEEP_DEADLINE, Wanted, find, manifest};
use crate::clock::Clock;
use crate::workspace::path_of;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 1 << 20;
/// Who may read, write and execute a file; what gives its owner's rights to others is not kept.
const MODE_BITS: u16 = 0o777;

/// Why one file was not copied.
enum NotCopied {
    LeftOut(WhyLeftOut),
    /// The disk takes no more, or no longer.
    Over(io::Error),
}

/// Keeps what is wanted in `into`, which is empty.
pub(super) fn collect(
    wanted: &Wanted,
    limits: KeepLimits,
    into: &Path,
    clock: Clock,
) -> io::Result<Manifest> {
    let until = clock.now() + KEEP_DEADLINE;
    let goes_on = || clock.now() < until;
    let mut manifest = nothing(wanted, clock);
    match find::open(&path_of(&wanted.directory)) {
        Ok(directory) => fill(&mut manifest, (directory.as_fd(), wanted), limits, (into, &goes_on))?,
        Err(error) => {
            manifest.fault =
                Some(format!("the directory {} cannot be read: {error}", wanted.directory).into());
        }
    }
    manifest::write(into, &manifest)?;
    Ok(manifest)
}

/// The same of what was brought `here`: what was left out on the way is known already.
pub(super) fn brought(
    wanted: &Wanted,
    limits: KeepLimits,
    (here, brought): (&Path, Brought),
    (into, clock): (&Path, Clock),
) -> io::Result<Manifest> {
    let until = clock.now() + KEEP_DEADLINE;
    let goes_on = || clock.now() < until;
    let mut manifest = nothing(wanted, clock);
    let directory = find::open(here)?;
    fill(&mut manifest, (directory.as_fd(), wanted), limits, (into, &goes_on))?;
    let missing = |one: &LeftOut| one.why != WhyLeftOut::NothingThere;
    let left_out = std::mem::take(&mut manifest.left_out).into_iter().filter(missing);
    for one in brought.left_out.into_iter().chain(left_out) {
        manifest.leave_out(one);
    }
    manifest.fault = brought.fault.or(manifest.fault);
    manifest::write(into, &manifest)?;
    Ok(manifest)
}

/// Of an attempt of which nothing is kept.
fn nothing(wanted: &Wanted, clock: Clock) -> Manifest {
    Manifest {
        token: wanted.token,
        task: wanted.task,
        attempt: wanted.attempt,
        at: clock.wall(),
        kept: Vec::new(),
        left_out: Vec::new(),
        left_out_more: 0,
        fault: None,
    }
}

fn fill(
    manifest: &mut Manifest,
    (directory, wanted): (BorrowedFd<'_>, &Wanted),
    limits: KeepLimits,
    (into, goes_on): (&Path, &dyn Fn() -> bool),
) -> io::Result<()> {
    let matcher = wanted.artifacts.matcher().map_err(|why| io::Error::new(ErrorKind::InvalidData, why))?;
    let listing = find::look(directory, &wanted.artifacts.roots(), goes_on);
    manifest.fault = listing.fault;
    let chosen = choose(&matcher, listing.found, limits);
    listing.left_out.into_iter().chain(chosen.left_out).for_each(|one| manifest.leave_out(one));
    for choice in chosen.kept {
        let number = u32::try_from(manifest.kept.len()).unwrap_or(u32::MAX).saturating_add(1);
        match copy(directory, &choice, &into.join(number.to_string()), goes_on) {
            Ok((mode, digest)) => {
                let Choice { path, kind, bytes } = choice;
                manifest.kept.push(Kept { number, path, kind, bytes, mode, digest });
            }
            Err(NotCopied::LeftOut(why)) => manifest.leave_out(LeftOut { path: (*choice.path).into(), why }),
            Err(NotCopied::Over(error)) => return Err(error),
        }
    }
    Ok(())
}

/// Copies one file; gives back its mode and the digest of what is in the copy.
fn copy(
    directory: BorrowedFd<'_>,
    choice: &Choice,
    to: &Path,
    goes_on: &dyn Fn() -> bool,
) -> Result<(u16, Digest), NotCopied> {
    let unreadable = |error: Errno| NotCopied::LeftOut(WhyLeftOut::Unreadable(error.desc().into()));
    let opened = find::open_file(directory, &choice.path).map_err(|error| match error {
        Errno::ENOENT | Errno::ELOOP => NotCopied::LeftOut(WhyLeftOut::Changed),
        error => unreadable(error),
    })?;
    let stat = fstat(&opened).map_err(unreadable)?;
    if find::sort_of(&stat) != Sort::File || u64::try_from(stat.st_size) != Ok(choice.bytes) {
        return Err(NotCopied::LeftOut(WhyLeftOut::Changed));
    }
    let mut copy =
        File::options().create_new(true).write(true).mode(0o600).open(to).map_err(NotCopied::Over)?;
    let copied = pour(File::from(opened), &mut copy, choice.bytes, goes_on);
    if let Err(NotCopied::LeftOut(_)) = &copied {
        drop(copy);
        std::fs::remove_file(to).map_err(NotCopied::Over)?;
        return Err(copied.err().unwrap_or(NotCopied::LeftOut(WhyLeftOut::Changed)));
    }
    let digest = copied?;
    nix::unistd::fsync(&copy).map_err(|error| NotCopied::Over(error.into()))?;
    let mode = u16::try_from(stat.st_mode & 0o7777).unwrap_or(0) & MODE_BITS;
    Ok((mode, digest))
}

fn pour(mut from: File, to: &mut File, bytes: u64, goes_on: &dyn Fn() -> bool) -> Result<Digest, NotCopied> {
    let (mut hasher, mut chunk, mut left) = (blake3::Hasher::new(), vec![0; CHUNK_BYTES], bytes);
    loop {
        if !goes_on() {
            let why = format!("keeping all took longer than {KEEP_DEADLINE:?}");
            return Err(NotCopied::LeftOut(WhyLeftOut::Unreadable(why.into())));
        }
        let read = match from.read(&mut chunk) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(NotCopied::LeftOut(WhyLeftOut::Unreadable(error.to_string().into())));
            }
            Ok(read) => read,
        };
        match left.checked_sub(read as u64) {
            Some(0) if read == 0 => return Ok(Digest(*hasher.finalize().as_bytes())),
            // Longer or shorter than it was.
            None => return Err(NotCopied::LeftOut(WhyLeftOut::Changed)),
            Some(_) if read == 0 => return Err(NotCopied::LeftOut(WhyLeftOut::Changed)),
            Some(rest) => left = rest,
        }
        hasher.update(&chunk[..read]);
        to.write_all(&chunk[..read]).map_err(NotCopied::Over)?;
    }
}

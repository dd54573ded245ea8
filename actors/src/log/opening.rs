//! What opening a log finds, and what it does about it.
//!
//! Closed segments were durable, whole, before the next was made: only their headers and lengths are
//! compared here, replay checks every byte. The last segment is read whole: a torn tail is cut behind the
//! last whole batch, anything else that is wrong refuses. What is left is then written again and synced:
//! after a failed sync the system may hold, and show, bytes that the disk does not have.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use policy::event::LogPosition;
use policy::planted;

use crate::clock::Clock;
use crate::log::LogLimits;
use crate::log::disk::system::HoldError;
use crate::log::disk::{Disk, DiskFile};
use crate::log::frame::{self, FORMAT, HEADER_BYTES, Header, HeaderFault, Kind};
use crate::log::frames::{Frame, FrameFault, Frames};
use crate::log::segment::Segment;
use crate::log::tail::TailStart;
use crate::log::writer::is_full;
use crate::wire::codec::CodecError;

/// Why a log cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be held.
    #[error(transparent)]
    Hold(#[from] HoldError),
    /// The disk did not do what it must.
    #[error("could not {doing} {}: {cause}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Something that was durable is no longer what was written.
    #[error(
        "{} is damaged at byte {offset}: {what}. nothing was changed; restore the file from a copy, \
         or move the whole directory away to begin with an empty log",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// A later program wrote it.
    #[error("{} has format {found}, this program knows formats up to {known}; use the program that wrote it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The latest that this program reads.
        known: u32,
    },
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opening {
    /// The number of the first record that is kept; 1 for an empty log.
    pub first_number: u64,
    /// Where the first segment that is kept begins.
    pub first_position: LogPosition,
    /// The number of the last record; 0 for an empty log.
    pub last_number: u64,
    /// What was cut off the end.
    pub cut: Option<Cut>,
}

/// A torn tail: written in part when the process or the power went, never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The file.
    pub path: PathBuf,
    /// The length it has now.
    pub offset: u64,
    /// Bytes that were cut off.
    pub bytes: u64,
}

/// A log as it was found, and where it goes on.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) opening: Opening,
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) start: TailStart,
}

/// A segment with its length.
struct Candidate {
    header: Header,
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    length: u64,
}

/// Finds the log on `disk`.
pub(super) fn find(disk: &dyn Disk, limits: &LogLimits, clock: Clock) -> Result<Found, OpenError> {
    let candidates = candidates(disk)?;
    check_neighbours(&candidates)?;
    let Some((last, closed)) = candidates.split_last() else {
        return Ok(empty(limits, clock));
    };
    let sweep = sweep(last)?;
    let cut = settle(disk, limits, last, &sweep)?;
    let mut segments: Vec<_> = closed.iter().map(|candidate| candidate.segment(candidate.end())).collect();
    segments.push(last.segment(sweep.good_end));
    let first = &candidates[0].header;
    let opening = Opening {
        first_number: first.first_number,
        first_position: first.first_position,
        last_number: sweep.next_number - 1,
        cut,
    };
    let start = TailStart {
        log_id: last.header.log_id,
        segment_bytes: limits.segment_bytes,
        segment_start: last.header.first_position,
        end: sweep.good_end,
        next_number: sweep.next_number,
    };
    Ok(Found { opening, segments, start })
}

fn empty(limits: &LogLimits, clock: Clock) -> Found {
    let log_id = clock.wall().0;
    let segment_bytes = limits.segment_bytes;
    Found {
        opening: Opening { first_number: 1, ..Opening::default() },
        segments: Vec::new(),
        start: TailStart { log_id, segment_bytes, segment_start: 0, end: 0, next_number: 1 },
    }
}

/// The segments in order, without a last one whose making was interrupted.
fn candidates(disk: &dyn Disk) -> Result<Vec<Candidate>, OpenError> {
    let names = disk.list().map_err(|cause| io_error("list", disk.path(""), cause))?;
    let firsts: Vec<LogPosition> = names.iter().filter_map(|name| Segment::parse_name(name)).collect();
    let mut candidates = Vec::with_capacity(firsts.len());
    for (index, &first) in firsts.iter().enumerate() {
        let is_last = index + 1 == firsts.len();
        let name = Segment::name(first);
        let path = disk.path(&name);
        let (file, length, header) = read_header(disk, &name)?;
        match Header::decode(&header) {
            Ok(header) if header.first_position == first => {
                candidates.push(Candidate { header, file, path, length });
            }
            Err(HeaderFault::Newer(found)) => return Err(OpenError::Newer { path, found, known: FORMAT }),
            // Nothing is written behind a header that isn't durable: such a segment holds nothing.
            Err(HeaderFault::Damaged) if is_last && length <= HEADER_BYTES as u64 => {
                disk.remove(&name).map_err(|cause| io_error("remove", path, cause))?;
            }
            Ok(_) => return Err(damaged(path, 0, "the header belongs to another file")),
            Err(HeaderFault::Damaged) => return Err(damaged(path, 0, "the header is not what was written")),
        }
    }
    Ok(candidates)
}

type FileWithHeader = (Arc<dyn DiskFile>, u64, Vec<u8>);

fn read_header(disk: &dyn Disk, name: &str) -> Result<FileWithHeader, OpenError> {
    let failed = |doing| move |cause| io_error(doing, disk.path(name), cause);
    let file = disk.open(name).map_err(failed("open"))?;
    let length = file.length().map_err(failed("measure"))?;
    let mut header = vec![0; HEADER_BYTES];
    let read = file.read_at(&mut header, 0).map_err(failed("read"))?;
    header.truncate(read);
    Ok((file, length, header))
}

fn check_neighbours(candidates: &[Candidate]) -> Result<(), OpenError> {
    for pair in candidates.windows(2) {
        let (one, next) = (&pair[0], &pair[1]);
        if one.header.log_id != next.header.log_id {
            return Err(damaged(next.path.clone(), 0, "it belongs to another log"));
        }
        if one.end() != next.header.first_position {
            return Err(damaged(
                one.path.clone(),
                one.length,
                "it does not reach to where the next file begins",
            ));
        }
    }
    Ok(())
}

impl Candidate {
    fn end(&self) -> LogPosition {
        self.header.first_position + self.length
    }

    fn segment(&self, end: LogPosition) -> Arc<Segment> {
        Arc::new(Segment::found(self.header, Arc::clone(&self.file), end))
    }

    fn damaged(&self, position: LogPosition, what: &'static str) -> OpenError {
        damaged(self.path.clone(), position - self.header.first_position, what)
    }
}

/// What reading the last segment whole showed.
struct Sweep {
    next_number: u64,
    /// Where the group of the last whole batch begins.
    group_start: LogPosition,
    /// The end of the last whole batch.
    good_end: LogPosition,
}

fn sweep(last: &Candidate) -> Result<Sweep, OpenError> {
    let Header { log_id, first_number, first_position } = last.header;
    let body = first_position + HEADER_BYTES as u64;
    let mut frames = Frames::new(last.file.as_ref(), log_id, first_position, (body, last.end()));
    let mut sweep = Sweep { next_number: first_number, group_start: body, good_end: body };
    // Of the batch that is being read.
    let (mut number, mut group_start) = (first_number, None);
    loop {
        match frames.next() {
            Ok(None) => return Ok(sweep),
            Err(FrameFault::Io(cause)) => return Err(io_error("read", last.path.clone(), cause)),
            Err(FrameFault::Bad(position)) => {
                refuse_unless_torn(last, position)?;
                return Ok(sweep);
            }
            Ok(Some(frame)) if frame.kind == Kind::Group => {
                if number != sweep.next_number || frame::group_number(frame.payload) != Some(number) {
                    return Err(last.damaged(frame.position, "a group begins where a record is missing"));
                }
                group_start = Some(frame.position);
            }
            Ok(Some(frame)) => {
                check_number(last, &frame, number)?;
                number += 1;
                let (is_last, end) = (frame.kind == Kind::Last, frame.end());
                let Some(group_start) = group_start else {
                    return Err(last.damaged(body, "it does not begin with a group"));
                };
                if is_last && !(planted!(LastBatchLost) && end == last.end()) {
                    sweep = Sweep { next_number: number, group_start, good_end: end };
                }
            }
        }
    }
}

fn check_number(last: &Candidate, frame: &Frame<'_>, expected: u64) -> Result<(), OpenError> {
    match frame.number() {
        Ok(number) if number == expected => Ok(()),
        Ok(_) => Err(last.damaged(frame.position, "the numbers of the records have a gap")),
        Err(CodecError::Newer { found, known }) => {
            Err(OpenError::Newer { path: last.path.clone(), found: found.into(), known: known.into() })
        }
        Err(_) => Err(last.damaged(frame.position, "a record cannot be read")),
    }
}

/// A group header behind what is bad proves that it had been durable.
fn refuse_unless_torn(last: &Candidate, bad: LogPosition) -> Result<(), OpenError> {
    let from = bad + 1;
    let offset = from - last.header.first_position;
    let mut rest = vec![0; usize::try_from(last.length.saturating_sub(offset)).unwrap_or_default()];
    let read = last.file.read_at(&mut rest, offset);
    let read = read.map_err(|cause| io_error("read", last.path.clone(), cause))?;
    match frame::find_group(&rest[..read], last.header.log_id, from) {
        Some(_) => Err(last.damaged(bad, "a record is not what was written, and later ones follow")),
        None => Ok(()),
    }
}

/// Cuts the torn tail and makes durable what stays.
fn settle(
    disk: &dyn Disk,
    limits: &LogLimits,
    last: &Candidate,
    sweep: &Sweep,
) -> Result<Option<Cut>, OpenError> {
    let failed = |doing| move |cause| io_error(doing, last.path.clone(), cause);
    let base = last.header.first_position;
    let length = sweep.good_end - base;
    let bytes = last.length - length;
    if bytes > 0 {
        last.file.truncate(length).map_err(failed("truncate"))?;
    }
    let offset = sweep.group_start - base;
    let mut group = vec![0; usize::try_from(length - offset).unwrap_or_default()];
    let read = last.file.read_at(&mut group, offset).map_err(failed("read"))?;
    for (bytes, offset) in [(&last.header.encode()[..], 0), (&group[..read], offset)] {
        match last.file.write_at(bytes, offset) {
            // A file system that copies on write needs room for this; what is there is as good as it can be.
            Err(error) if is_full(&error) => {}
            written => written.map_err(failed("write"))?,
        }
    }
    last.file.sync(limits.durability).map_err(failed("sync"))?;
    disk.sync_names(limits.durability).map_err(failed("sync the directory of"))?;
    Ok((bytes > 0).then(|| Cut { path: last.path.clone(), offset: length, bytes }))
}

fn damaged(path: PathBuf, offset: u64, what: &'static str) -> OpenError {
    OpenError::Damaged { path, offset, what }
}

fn io_error(doing: &'static str, path: PathBuf, cause: io::Error) -> OpenError {
    OpenError::Io { doing, path, cause }
}

//! Makes groups durable, one after the other: write, sync once, publish.
//!
//! A full disk stalls: the group is kept and tried again. Any other failure breaks the log for good: after
//! a failed sync nobody knows what is on the disk, and a second sync would say yes to what is lost. Must
//! not know what the records mean.

use std::io;
use std::sync::Arc;

use crate::log::LogHealth;
use crate::log::frame::Header;
use crate::log::segment::Segment;
use crate::log::shared::Shared;
use crate::log::tail::Group;

/// Memory for the next group is kept up to this many bytes: an ordinary burst, not the largest ever.
const SPARE_BYTES: usize = 1024 * 1024;

/// Owns the end of the last segment.
#[derive(Debug)]
pub(super) struct Writer {
    segment: Option<Arc<Segment>>,
    spare: Vec<u8>,
}

/// What came of one attempt to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There was nothing to write.
    Idle,
    /// A group became durable.
    Wrote,
    /// The disk is full.
    Stalled,
    /// The log is broken or closed.
    Broken,
}

/// Why a group could not be written.
enum WriteFault {
    Full(String),
    Broken(String),
}

impl Writer {
    /// A writer that goes on behind `segment`.
    pub(super) fn new(segment: Option<Arc<Segment>>) -> Self {
        Self { segment, spare: Vec::new() }
    }

    /// Writes the next group, if there is one.
    pub(super) fn step(&mut self, shared: &Shared) -> Step {
        if matches!(shared.health(), LogHealth::Broken { .. }) {
            return Step::Broken;
        }
        let Some(group) = shared.tail().tail.take(&mut self.spare) else {
            return Step::Idle;
        };
        match self.write(shared, &group) {
            Ok(segment) => {
                segment.extend(group.end(), &group.marks);
                shared.publish(&group);
                self.recycle(group);
                Step::Wrote
            }
            Err(WriteFault::Full(reason)) => {
                shared.stall(&reason);
                Step::Stalled
            }
            Err(WriteFault::Broken(reason)) => {
                shared.give_up(&reason);
                Step::Broken
            }
        }
    }

    fn recycle(&mut self, group: Arc<Group>) {
        if let Some(group) = Arc::into_inner(group).filter(|group| group.bytes.capacity() <= SPARE_BYTES) {
            self.spare = group.bytes;
        }
    }

    fn write(&mut self, shared: &Shared, group: &Group) -> Result<Arc<Segment>, WriteFault> {
        let segment = match (&self.segment, group.new_segment) {
            (Some(present), None) => Arc::clone(present),
            (Some(present), Some(header)) if present.header == header => Arc::clone(present),
            (_, Some(header)) => self.create(shared, header)?,
            (None, None) => return Err(WriteFault::Broken("no segment to go on with".to_owned())),
        };
        let base = segment.header.first_position;
        let offset = group.start - base;
        let path = || shared.disk.path(&Segment::name(base)).display().to_string();
        if let Err(error) = segment.file.write_at(&group.bytes, offset) {
            let fault = classify("write", &path(), &error);
            if matches!(fault, WriteFault::Full(_)) {
                segment.file.truncate(offset).map_err(|error| broken("truncate", &path(), &error))?;
            }
            return Err(fault);
        }
        let synced = segment.file.sync(shared.limits.durability);
        synced.map_err(|error| broken("sync", &path(), &error))?;
        Ok(segment)
    }

    /// Makes a segment whose name and header are durable before anything is written behind it.
    fn create(&mut self, shared: &Shared, header: Header) -> Result<Arc<Segment>, WriteFault> {
        let name = Segment::name(header.first_position);
        let path = shared.disk.path(&name).display().to_string();
        let durability = shared.limits.durability;
        let file = shared.disk.create(&name).map_err(|error| classify("create", &path, &error))?;
        file.write_at(&header.encode(), 0).map_err(|error| classify("write", &path, &error))?;
        file.sync(durability).map_err(|error| broken("sync", &path, &error))?;
        shared.disk.sync_names(durability).map_err(|error| broken("sync the directory of", &path, &error))?;
        let segment = Arc::new(Segment::made(header, file));
        shared.segments_mut().push(Arc::clone(&segment));
        self.segment = Some(Arc::clone(&segment));
        Ok(segment)
    }
}

fn classify(doing: &str, path: &str, error: &io::Error) -> WriteFault {
    if is_full(error) { WriteFault::Full(describe(doing, path, error)) } else { broken(doing, path, error) }
}

/// Whether the disk, or our share of it, is full: what passes when somebody makes room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn broken(doing: &str, path: &str, error: &io::Error) -> WriteFault {
    WriteFault::Broken(describe(doing, path, error))
}

fn describe(doing: &str, path: &str, error: &io::Error) -> String {
    format!("could not {doing} {path}: {error}")
}

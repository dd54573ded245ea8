//! Where workspaces are made: on this machine's disk ([`super::here`]), or on a machine behind SSH (`session::worktree`).
//!
//! Whoever implements it knows how one is made, looked through and removed; when, and what is written down before, is known by
//! [`super::Workspaces`], which keeps its records here in any case.

use std::fmt;
use std::io;
use std::path::PathBuf;

use policy::time::Moment;
use policy::workspace::Unsaved;

use super::record::Record;
use super::{Cancel, Prepared, Unmade};
use crate::clock::Clock;

/// How long work on a workspace may take, and who may stop it.
pub(crate) struct Work<'w> {
    pub(crate) cancel: &'w Cancel,
    pub(crate) clock: Clock,
    pub(crate) until: Moment,
}

/// It cannot be reached at the moment: what it holds is looked for again later.
pub(crate) struct Away(pub(crate) Box<str>);

/// See the module. Every call blocks.
pub(crate) trait Ground: fmt::Debug + Send + Sync {
    /// What a machine says that has its workspaces there (`policy::constraint::WORKSPACES`).
    fn says(&self) -> Box<str>;

    /// Makes what the record wants, and adds to it what tells later what was changed. Nothing is there of an earlier try.
    fn make(&self, record: &mut Record, work: &Work<'_>) -> Result<Prepared, Unmade>;

    /// What one holds that is nowhere else.
    fn look(&self, record: &Record, work: &Work<'_>) -> Result<Unsaved, Away>;

    /// Takes it away, whatever is in it, and from what git knows.
    fn erase(&self, record: &Record, work: &Work<'_>) -> io::Result<()>;

    /// Where it is.
    fn path(&self, record: &Record) -> PathBuf;

    /// What it takes of the disk; 0 where that cannot be told.
    fn bytes(&self, record: &Record) -> u64;

    /// What is free of that disk; without end where nobody looks.
    fn free_bytes(&self) -> u64;
}

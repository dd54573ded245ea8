//! Where what attempts leave lies: on this machine's disk, or on a machine behind SSH (`session::gather`), from where it is
//! brought here before it is kept.
//!
//! Whoever implements it knows how files come; which of them are kept, and how, is known by [`super::Depot`].

use std::fmt;
use std::path::Path;

use policy::artifact::{KeepLimits, LeftOut};
use policy::task::AttemptOutcome;

use super::Wanted;

/// What has come of bringing it.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    /// What was wanted and has not come.
    pub(crate) left_out: Vec<LeftOut>,
    /// Why not all could be looked at or brought.
    pub(crate) fault: Option<Box<str>>,
}

/// See the module. Every call blocks.
pub(crate) trait Source: fmt::Debug + Send + Sync {
    /// Brings what is wanted of an attempt that ended so into a directory, which is empty, each file under the path that it has
    /// there, with its bits. Never fails: what cannot be had is told.
    fn bring(
        &self,
        wanted: &Wanted,
        outcome: Option<&AttemptOutcome>,
        limits: KeepLimits,
        into: &Path,
    ) -> Brought;
}

//! What `sessions --json` writes.

use serde::Serialize;

/// A session on a machine that is reached by SSH alone.
#[derive(Debug, Serialize)]
pub(crate) struct Session<'a> {
    pub(crate) v: u32,
    pub(crate) node: String,
    pub(crate) session: &'a str,
    pub(crate) role: &'a str,
    pub(crate) age_s: u64,
    /// How many terminals show it.
    pub(crate) attached: u64,
    /// How far what was started in it last is: `starting`, `running`, `ended`, `lost`.
    pub(crate) attempt: Option<&'a str>,
    /// Whose it is, where it is of a task of this scheduler.
    pub(crate) task: Option<String>,
    /// Whether that task has ended.
    pub(crate) ghost: bool,
    /// Whether it was ended now.
    pub(crate) ended: bool,
}

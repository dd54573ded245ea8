//! The groups of the kernel's: where they are, and those that an earlier host has left.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::Machine;
use crate::process::os::cgroup::{self, Cgroup, Cgroups};
use crate::process::protocol::{HostDirectory, HostId, HostReport};

/// Those of an earlier host on this directory, wherever it was.
pub(super) fn left(directory: &HostDirectory) -> Vec<Cgroup> {
    let root = fs::read_to_string(directory.groups()).ok();
    root.map(|root| Cgroups::left_in(Path::new(root.trim()))).unwrap_or_default()
}

/// Where there is a place for them. Without, what is limited is measured.
pub(super) fn open(
    directory: &HostDirectory,
    id: HostId,
    reports: &mut Vec<HostReport>,
) -> Option<Arc<Cgroups>> {
    let place = cgroup::place()?;
    let opened = Cgroups::open(&place, &format!("crab-attempts-{:016x}", id.0));
    // Written down before there is one.
    let written = opened.and_then(|groups| {
        fs::write(directory.groups(), groups.path().display().to_string())?;
        Ok(Arc::new(groups))
    });
    let told =
        |error| HostReport::Trouble(format!("no control groups in {}: {error}", place.display()).into());
    written.map_err(|error| reports.push(told(error))).ok()
}

impl Machine {
    /// The host ends: nothing runs any more.
    pub(super) fn close_groups(&self) {
        for group in &self.left {
            let _ = group.clear();
        }
        if let Some(groups) = &self.groups {
            groups.close();
        }
    }
}

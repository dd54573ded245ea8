//! How a process is started.
//!
//! # Why so plain
//! A process is started without a copy of this one, whatever its size, only where nothing of ours runs between fork and
//! exec (`crate::process::os::launch`): then it takes tens of microseconds. So no parent-death signal and no other user,
//! and the program is named by its path.

use std::io;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use policy::task::{Qos, SpawnFailure};

use super::program;
use crate::process::os::cgroup::{Cgroup, Cgroups};
use crate::process::os::{self, Launch, Launched};
use crate::process::protocol::{MARK_VARIABLE, Start};

/// Starts what `start` says; `mark` is the value of its mark. Takes as long as its program takes to be read. What is limited
/// is in a group of `groups`, if there are any.
pub(super) fn spawn(
    start: &Start,
    mark: &str,
    groups: Option<&Cgroups>,
) -> Result<(Launched, Option<Cgroup>), SpawnFailure> {
    let program = program::find(start)?;
    check_open_files(start)?;
    let group = groups.filter(|_| start.limits.is_measured());
    let group = group.map(|groups| groups.make(&start.token.0.to_string(), &start.limits));
    let group = group.transpose().map_err(|error| no_group(&error))?;
    let launched = launch(start, &program, mark, group.as_ref());
    if let Some(group) = group.as_ref().filter(|_| launched.is_err()) {
        // Nothing is in it.
        let _ = group.remove();
    }
    Ok((launched?, group))
}

fn launch(
    start: &Start,
    program: &Path,
    mark: &str,
    group: Option<&Cgroup>,
) -> Result<Launched, SpawnFailure> {
    let door = group.map(Cgroup::door).transpose().map_err(|error| no_group(&error))?;
    let variables = start.environment.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let launch = Launch {
        program,
        arguments: &start.argv,
        directory: start.directory.as_bytes(),
        environment: variables.chain([(MARK_VARIABLE.as_bytes(), mark.as_bytes())]).collect(),
        open_files: start.limits.open_files,
        group: door.as_ref(),
    };
    let launched = os::launch(&launch).map_err(|error| program::explain(start, program, &error))?;
    if start.qos != Qos::Default {
        // It has run for some microseconds. What cannot be said is no reason not to run it.
        let _ = os::put_into(launched.pid, start.qos);
    }
    Ok(launched)
}

/// A machine that allows less is no place for it.
fn check_open_files(start: &Start) -> Result<(), SpawnFailure> {
    let Some(wanted) = start.limits.open_files else { return Ok(()) };
    let most = getrlimit(Resource::RLIMIT_NOFILE).map_or(wanted, |(_, most)| most);
    if wanted <= most {
        return Ok(());
    }
    let reason = format!("open_files is {wanted}; this machine allows {most}").into();
    Err(SpawnFailure { reason, nodes_fault: true })
}

fn no_group(error: &io::Error) -> SpawnFailure {
    SpawnFailure { reason: format!("no control group for it: {error}").into(), nodes_fault: true }
}

//! How a process is started.
//!
//! # Why so plain
//! A process is started without a copy of this one, whatever its size, only where nothing of ours runs between fork and
//! exec (`crate::process::os::launch`): then it takes tens of microseconds. So no parent-death signal and no other user,
//! and the program is named by its path.

use policy::task::{Qos, SpawnFailure};

use super::program;
use crate::process::os::{self, Launch, Launched};
use crate::process::protocol::{MARK_VARIABLE, Start};

/// Starts what `start` says; `mark` is the value of its mark. Takes as long as its program takes to be read.
pub(super) fn spawn(start: &Start, mark: &str) -> Result<Launched, SpawnFailure> {
    let program = program::find(start)?;
    let variables = start.environment.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let launch = Launch {
        program: &program,
        arguments: &start.argv,
        directory: start.directory.as_bytes(),
        environment: variables.chain([(MARK_VARIABLE.as_bytes(), mark.as_bytes())]).collect(),
    };
    let launched = os::launch(&launch).map_err(|error| program::explain(start, &program, &error))?;
    if start.qos != Qos::Default {
        // It has run for some microseconds. What cannot be said is no reason not to run it.
        let _ = os::put_into(launched.pid, start.qos);
    }
    Ok(launched)
}

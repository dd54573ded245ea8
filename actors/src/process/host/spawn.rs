//! How a process is started.
//!
//! # Why so plain
//! `std` starts a process by `posix_spawn` only where nothing runs between fork and exec, no user is
//! changed and the program is named by its path: then it takes tens of microseconds, whatever the size of
//! this process. So no parent-death signal: it could only be set by a function in the child.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use policy::task::SpawnFailure;

use super::program;
use crate::process::os::{self, signals};
use crate::process::protocol::{MARK_VARIABLE, Start};

/// A process that runs.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) pid: i32,
    /// Can be read from when it has ended.
    pub(super) end: OwnedFd,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// Starts what `start` says; `mark` is the value of its mark. Takes as long as its program takes to be read.
pub(super) fn spawn(start: &Start, mark: &str) -> Result<Spawned, SpawnFailure> {
    let program = program::find(start)?;
    let mut command = Command::new(&program);
    command
        .arg0(OsStr::from_bytes(start.argv[0].as_bytes()))
        .args(start.argv[1..].iter().map(|argument| OsStr::from_bytes(argument.as_bytes())))
        .env_clear()
        .envs(
            start.environment.iter().map(|(name, value)| {
                (OsStr::from_bytes(name.as_bytes()), OsStr::from_bytes(value.as_bytes()))
            }),
        )
        .env(MARK_VARIABLE, mark)
        .current_dir(OsStr::from_bytes(start.directory.as_bytes()))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| program::explain(start, &program, &error))?;
    watched(&mut child).map_err(|error| {
        // Nobody would see its output or its end.
        let _ = child.kill();
        let _ = child.wait();
        SpawnFailure::of_node(format!("cannot watch it: {error}"))
    })
}

fn watched(child: &mut Child) -> io::Result<Spawned> {
    let pipes = child.stdout.take().zip(child.stderr.take());
    let (stdout, stderr) = pipes.ok_or_else(|| io::Error::other("no pipes"))?;
    signals::never_block(&stdout)?;
    signals::never_block(&stderr)?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    Ok(Spawned { pid, end: os::watch(pid)?, stdout, stderr })
}

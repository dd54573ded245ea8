//! Starts processes, on threads of its own: starting can wait for a disk, and whoever enforces deadlines
//! must not.
//!
//! # Why so plain
//! `std` starts a process by `posix_spawn` only where nothing runs between fork and exec, no user is
//! changed and the program is named by its path: then it takes tens of microseconds, whatever the size of
//! this process. So no parent-death signal: it could only be set by a function in the child.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{ChildStderr, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use policy::id::Token;
use policy::task::SpawnFailure;

use super::program;
use crate::process::os::signals;
use crate::process::protocol::{MARK_VARIABLE, Start};

/// Threads that start processes: one waits for an exec while the other prepares the next.
const SPAWNERS: usize = 2;

/// A process that runs.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) pid: i32,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// What came of a start.
pub(super) type SpawnResult = (Token, Result<Spawned, SpawnFailure>);

/// The threads, and what goes to and from them.
#[derive(Debug, Clone)]
pub(super) struct Spawner(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    jobs: Mutex<VecDeque<(Start, String)>>,
    more: Condvar,
    results: Mutex<Vec<SpawnResult>>,
    wake: OwnedFd,
}

impl Spawner {
    /// Starts the threads. Each result writes to `wake`.
    pub(super) fn new(wake: OwnedFd) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            jobs: Mutex::default(),
            more: Condvar::new(),
            results: Mutex::default(),
            wake,
        });
        for number in 0..SPAWNERS {
            let shared = Arc::clone(&shared);
            // They end with the process.
            thread::Builder::new().name(format!("spawner-{number}")).spawn(move || shared.work())?;
        }
        Ok(Self(shared))
    }

    /// Has a process started; `mark` is the value of its mark.
    pub(super) fn spawn(&self, start: Start, mark: String) {
        lock(&self.0.jobs).push_back((start, mark));
        self.0.more.notify_one();
    }

    /// What came of the starts since the last call.
    pub(super) fn results(&self) -> Vec<SpawnResult> {
        std::mem::take(&mut lock(&self.0.results))
    }
}

impl Shared {
    fn work(&self) {
        loop {
            let (start, mark) = self.next_job();
            let result = spawn(&start, &mark);
            let mut results = lock(&self.results);
            results.push((start.token, result));
            if results.len() == 1 {
                // A full pipe wakes as well.
                let _ = nix::unistd::write(self.wake.as_fd(), b"!");
            }
        }
    }

    fn next_job(&self) -> (Start, String) {
        let mut jobs = lock(&self.jobs);
        loop {
            if let Some(job) = jobs.pop_front() {
                return job;
            }
            jobs = self.more.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn(start: &Start, mark: &str) -> Result<Spawned, SpawnFailure> {
    let program = program::find(start)?;
    let text = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    let mut command = Command::new(&program);
    command
        .arg0(text(start.argv[0].as_bytes()))
        .args(start.argv[1..].iter().map(|argument| OsStr::from_bytes(argument.as_bytes())))
        .env_clear()
        .envs(start.environment.iter().map(|(name, value)| (text(name.as_bytes()), text(value.as_bytes()))))
        .env(MARK_VARIABLE, mark)
        .current_dir(OsStr::from_bytes(start.directory.as_bytes()))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().and_then(|mut child| {
        let pipes = child.stdout.take().zip(child.stderr.take());
        let (stdout, stderr) = pipes.ok_or_else(|| io::Error::other("no pipes"))?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        Ok(Spawned { pid, stdout, stderr })
    });
    let spawned = child.map_err(|error| program::explain(start, &program, &error))?;
    for never in [signals::never_block(&spawned.stdout), signals::never_block(&spawned.stderr)] {
        never.map_err(|error| SpawnFailure::of_node(format!("cannot read its output: {error}")))?;
    }
    Ok(spawned)
}

//! One attempt in the host: starts, runs, is stopped, is buried.
//!
//! The only code that signals processes. Must not know of sockets or journals.

mod burial;
mod measure;
mod staged;

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{ChildStderr, ChildStdout};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use policy::bounds::AttemptBounds;
use policy::excess::UseLimits;
use policy::id::Token;
use policy::output::Stream;
use policy::task::{AttemptOutcome, LossReason, Usage};
use policy::time::{Moment, Timestamp};

use burial::Burial;
use measure::Heard;
pub(super) use staged::Next;
use staged::Staged;

use super::family::Known;
use super::journal::Remembered;
use crate::output::spool::SpoolWriter;
use crate::process::os::Launched;
use crate::process::os::cgroup::Cgroup;
use crate::process::os::signals::{self, Reaped};
use crate::process::protocol::StopReason;

/// Reads of one stream in one turn of the loop: a noisy task must not keep the host from the others.
const READS_PER_TURN: u32 = 4;
/// Bytes of one stream read after the end: what a pipe can hold at most, where somebody raised its size.
const DRAIN_LIMIT_BYTES: u64 = 1024 * 1024;

/// One attempt that has not ended.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) record: Remembered,
    grace: Duration,
    bounds: AttemptBounds,
    limits: UseLimits,
    /// The most memory that all its processes were seen to use.
    peak_bytes: u64,
    /// The kernel's group that its processes are in; only where it is limited and there are such.
    group: Option<Cgroup>,
    /// The most processor time that they were seen to have used.
    cpu: Duration,
    heard: Heard,
    phase: Phase,
    stop: Option<Stopping>,
    /// Can be read from when the process has ended.
    end: Option<OwnedFd>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    pub(super) spool: Option<SpoolWriter>,
    known: Vec<Known>,
    /// Where it has more than its command.
    staged: Option<Box<Staged>>,
}

/// How far it is.
#[derive(Debug)]
enum Phase {
    /// Its turn comes, or its process is being started.
    Starting,
    /// The process runs.
    Running { pid: i32 },
    /// The process has ended; what else it started is looked for and killed.
    Burying { outcome: AttemptOutcome, usage: Usage, burial: Burial },
}

#[derive(Debug)]
struct Stopping {
    why: StopReason,
    kill_at: Moment,
    killed: bool,
}

/// What a look at the processes of an attempt came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing is left.
    Clean,
    /// Something was killed, or must be looked for again.
    Again,
    /// These survive being killed. Told once.
    Unkillable(Vec<u32>),
}

impl Attempt {
    /// About to start.
    pub(super) fn starting(
        record: Remembered,
        grace: Duration,
        (bounds, limits): (AttemptBounds, UseLimits),
        spool: SpoolWriter,
    ) -> Self {
        Self {
            record,
            grace,
            bounds,
            limits,
            peak_bytes: 0,
            group: None,
            cpu: Duration::ZERO,
            heard: Heard::default(),
            phase: Phase::Starting,
            stop: None,
            end: None,
            stdout: None,
            stderr: None,
            spool: Some(spool),
            known: Vec::new(),
            staged: None,
        }
    }

    /// Ran when an earlier host died: its exit status went with that host, and it must go as well.
    pub(super) fn orphaned(record: Remembered, now: Moment) -> Self {
        let usage = Usage { wall: now.since(record.at), ..Usage::default() };
        let outcome = AttemptOutcome::Lost(LossReason::HostDied);
        Self {
            record,
            grace: Duration::ZERO,
            bounds: AttemptBounds::default(),
            limits: UseLimits::default(),
            peak_bytes: 0,
            group: None,
            cpu: Duration::ZERO,
            heard: Heard::default(),
            phase: Phase::Burying { outcome, usage, burial: Burial::new(now) },
            stop: None,
            end: None,
            stdout: None,
            stderr: None,
            spool: None,
            known: Vec::new(),
            staged: None,
        }
    }

    /// The process runs.
    pub(super) fn spawned(&mut self, spawned: Launched, group: Option<Cgroup>) {
        self.group = group;
        self.record.pid = Some(spawned.pid);
        self.phase = Phase::Running { pid: spawned.pid };
        self.end = Some(spawned.end);
        self.stdout = Some(spawned.stdout);
        self.stderr = Some(spawned.stderr);
    }

    /// What shows that the process has ended, as long as it runs.
    pub(super) fn end(&self) -> Option<BorrowedFd<'_>> {
        self.end.as_ref().map(AsFd::as_fd)
    }

    /// Takes note of the end of its process, if that has ended.
    pub(super) fn reap(&mut self, now: Moment) {
        if let Phase::Running { pid } = self.phase
            && let Some(reaped) = signals::reap(pid)
        {
            self.end = None;
            self.reaped(&reaped, now);
        }
    }

    /// Its process, while that runs.
    pub(super) fn running_pid(&self) -> Option<i32> {
        match self.phase {
            Phase::Running { pid } => Some(pid),
            Phase::Starting | Phase::Burying { .. } => None,
        }
    }

    /// Whether its process has ended.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Burying { .. })
    }

    /// Begins to end it, or hastens the end.
    pub(super) fn stop(&mut self, why: StopReason, now: Moment) {
        if self.ignores(why) {
            return self.enforce(now);
        }
        let kill_at = match why {
            StopReason::LeaseLost | StopReason::OverLimit(_) => now,
            StopReason::Timeout(overrun) => {
                self.bounds.kill_at(overrun.limit, self.grace, self.running(), now)
            }
            _ => now + self.grace,
        };
        if let Some(stop) = &mut self.stop {
            stop.kill_at = stop.kill_at.min(kill_at);
        } else {
            self.stop = Some(Stopping { why, kill_at, killed: false });
            if let Phase::Running { pid } = self.phase
                && kill_at > now
            {
                signal_group(pid, Signal::SIGTERM);
                // A stopped process hears nothing before it goes on.
                signal_group(pid, Signal::SIGCONT);
            }
        }
        self.enforce(now);
    }

    /// The process has ended.
    fn reaped(&mut self, reaped: &Reaped, now: Moment) {
        let outcome =
            self.stop.as_ref().map_or_else(|| self.ended_by_itself(reaped), |stop| stop.why.outcome());
        let usage = Usage {
            wall: now.since(self.record.at),
            cpu: reaped.cpu.max(self.cpu) + self.cpu_before(),
            peak_memory_bytes: reaped.peak_memory_bytes.max(self.peak_bytes),
            ..Usage::default()
        };
        self.peak_bytes = usage.peak_memory_bytes;
        self.phase = Phase::Burying { outcome, usage, burial: Burial::new(now) };
    }

    /// Does what the time asks for: timeout, end of the grace.
    pub(super) fn enforce(&mut self, now: Moment) {
        if self.stop.is_none() && matches!(self.phase, Phase::Running { .. }) {
            if self.bounds.idle_timeout.is_some() {
                self.listen(now);
            }
            let overrun = self.bounds.exceeded(self.running(), now);
            if let Some(overrun) = overrun.or_else(|| self.step_overrun(now)) {
                return self.stop(StopReason::Timeout(overrun), now);
            }
        }
        let due = self.stop.as_mut().filter(|stop| !stop.killed && now >= stop.kill_at);
        if let (Some(stop), Some(pid)) = (due, self.record.pid) {
            stop.killed = true;
            if matches!(self.phase, Phase::Running { .. }) {
                signal_group(pid, Signal::SIGKILL);
            }
        }
    }

    /// When time will ask for something next.
    pub(super) fn due(&self) -> Option<Moment> {
        match &self.phase {
            Phase::Starting => None,
            Phase::Running { .. } => match &self.stop {
                Some(stop) if !stop.killed => Some(stop.kill_at),
                Some(_) => None,
                None => self.bounds.due(self.running()).into_iter().chain(self.step_due()).min(),
            },
            Phase::Burying { burial, .. } => Some(burial.next_look),
        }
    }

    /// Reads what a stream has now.
    pub(super) fn read(&mut self, stream: Stream, at: Timestamp, buffer: &mut [u8]) {
        for _ in 0..READS_PER_TURN {
            if self.read_once(stream, at, buffer) < buffer.len() {
                break;
            }
        }
    }

    /// Nothing of it is left: reads what the pipes still hold and closes the spool, with what has kept that
    /// from being written.
    pub(super) fn finish(mut self, at: Timestamp, buffer: &mut [u8]) -> (Remembered, Option<io::Error>) {
        self.drain(at, buffer);
        let mut end = match self.phase {
            Phase::Burying { outcome, usage, .. } => (outcome, usage),
            // Only what has been buried is finished.
            Phase::Starting | Phase::Running { .. } => {
                (AttemptOutcome::Lost(LossReason::HostDied), Usage::default())
            }
        };
        let mut trouble = None;
        if let Some(spool) = &mut self.spool {
            spool.finish(at);
            (end.1.stdout_bytes, end.1.stderr_bytes) = spool.seen();
            trouble = spool.take_trouble();
        }
        let left = self.group.and_then(|group| group.remove().err());
        trouble = trouble.or(left);
        self.record.end = Some(end);
        (self.record, trouble)
    }

    /// Reads what the pipes still hold.
    fn drain(&mut self, at: Timestamp, buffer: &mut [u8]) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mut drained = 0;
            while drained < DRAIN_LIMIT_BYTES {
                match self.read_once(stream, at, buffer) {
                    0 => break,
                    read => drained += read as u64,
                }
            }
        }
    }

    /// Bytes read; 0 where there is nothing now, or never again.
    fn read_once(&mut self, stream: Stream, at: Timestamp, buffer: &mut [u8]) -> usize {
        let read = match stream {
            Stream::Stdout => self.stdout.as_mut().map(|pipe| pipe.read(buffer)),
            Stream::Stderr => self.stderr.as_mut().map(|pipe| pipe.read(buffer)),
        };
        match read {
            Some(Ok(read)) if read > 0 => {
                if let Some(spool) = &mut self.spool {
                    spool.push(stream, at, &buffer[..read]);
                }
                if let Some(staged) = &mut self.staged {
                    staged.hear(stream, &buffer[..read]);
                }
                read
            }
            Some(Err(error))
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
            {
                0
            }
            _ => {
                match stream {
                    Stream::Stdout => self.stdout = None,
                    Stream::Stderr => self.stderr = None,
                }
                0
            }
        }
    }

    /// Of an earlier host: its group may belong to somebody else by now, only a look can tell.
    fn is_orphaned(&self) -> bool {
        self.spool.is_none()
    }

    /// The token of its grant.
    pub(super) fn token(&self) -> Token {
        self.record.token
    }

    /// What it may write to.
    pub(super) fn pipes(&self) -> impl Iterator<Item = (Stream, BorrowedFd<'_>)> {
        let stdout = self.stdout.iter().map(|pipe| (Stream::Stdout, pipe.as_fd()));
        stdout.chain(self.stderr.iter().map(|pipe| (Stream::Stderr, pipe.as_fd())))
    }
}

/// A group that is gone needs no signal.
pub(super) fn signal_group(group: i32, signal: Signal) {
    let _ = killpg(Pid::from_raw(group), signal);
}

//! Starts processes, on threads of its own: starting can wait for a disk, and whoever enforces deadlines
//! must not.
//!
//! A runner starts a process and stays with it for the first moments. One that ends within them, and leaves
//! nothing behind, has cost no other thread a wakeup: its runner records the end and begins the next at once.
//! Any other goes to the loop, which watches, stops and buries it. Must not know of sockets.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, thread};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use policy::output::Stream;
use policy::task::{AttemptOutcome, SpawnFailure, Usage};

use super::attempt::Attempt;
use super::gate::{Back, Gate, Job};
use super::spawn::spawn;
use crate::clock::Clock;
use crate::process::os::cgroup::Cgroups;
use crate::process::os::{self, Orphans, signals};
use crate::process::protocol::HostId;

/// Runners: one waits for an exec while another prepares the next.
const RUNNERS: std::ops::RangeInclusive<u64> = 2..=8;
/// How long a runner stays with a process that nobody else waits for: what is shorter is cheap.
const STAY: Duration = Duration::from_millis(10);
/// Between two looks at its output in that time, which is also how late that can be followed.
const LOOK_EVERY_MS: u8 = 2;
/// Bytes read from a pipe at once: what a pipe holds.
pub(super) const READ_BYTES: usize = 64 * 1024;

/// The threads, and what they share with the loop.
#[derive(Debug, Clone)]
pub(super) struct Runners(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    gate: Mutex<Gate>,
    more: Condvar,
    /// Wakes the loop.
    wake: OwnedFd,
    /// Each has a runner give its process to the loop.
    nudges: Vec<OwnedFd>,
    orphans: Arc<Orphans>,
    groups: Option<Arc<Cgroups>>,
    clock: Clock,
    id: HostId,
}

impl Runners {
    /// Starts the threads. They write to `wake` when the loop must look what has come back.
    pub(super) fn start(
        gate: Gate,
        wake: OwnedFd,
        (orphans, groups): (Arc<Orphans>, Option<Arc<Cgroups>>),
        clock: Clock,
        id: HostId,
    ) -> io::Result<Self> {
        let count = os::cores().clamp(*RUNNERS.start(), *RUNNERS.end());
        let pipes = (0..count).map(|_| signals::pipe()).collect::<io::Result<Vec<_>>>()?;
        let (nudged, nudges): (Vec<_>, Vec<_>) = pipes.into_iter().unzip();
        let (gate, more) = (Mutex::new(gate), Condvar::new());
        let shared = Arc::new(Shared { gate, more, wake, nudges, orphans, groups, clock, id });
        for (number, nudged) in nudged.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            // They end with the process.
            let runner = thread::Builder::new().name(format!("runner-{number}"));
            runner.spawn(move || shared.work(&nudged))?;
        }
        Ok(Self(shared))
    }

    /// What is shared. Runners stand still meanwhile.
    pub(super) fn gate(&self) -> MutexGuard<'_, Gate> {
        self.0.gate()
    }

    /// Has begun what can be.
    pub(super) fn kick(&self) {
        let gate = self.gate();
        if gate.can_begin(self.0.clock.now()) {
            if gate.idle > 0 {
                self.0.more.notify_one();
            } else {
                self.nudge();
            }
        }
    }

    /// Every process that is with a runner comes back.
    pub(super) fn nudge(&self) {
        for nudge in &self.0.nudges {
            // A full pipe nudges as well.
            let _ = nix::unistd::write(nudge, b"!");
        }
    }
}

/// What a wait for the end of a process came to.
enum Waited {
    Ended,
    Nudged,
    Nothing,
}

impl Shared {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, nudged: &OwnedFd) {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let mut next = Some(self.wait_for_turn());
            while let Some(job) = next {
                let back = self.run(*job, nudged, &mut buffer);
                next = self.follow(back);
            }
        }
    }

    fn wait_for_turn(&self) -> Box<Job> {
        let mut gate = self.gate();
        loop {
            if let Some(job) = gate.begin(self.clock.now()) {
                self.share(&gate);
                return job;
            }
            gate.idle += 1;
            gate = self.more.wait(gate).unwrap_or_else(PoisonError::into_inner);
            gate.idle -= 1;
        }
    }

    /// Another runner takes what this one cannot take; `false` where there is none.
    fn share(&self, gate: &Gate) -> bool {
        let is_shared = gate.idle > 0;
        if is_shared && gate.can_begin(self.clock.now()) {
            self.more.notify_one();
        }
        is_shared
    }

    /// Gives back what has become of one attempt and begins the next.
    fn follow(&self, back: Back) -> Option<Box<Job>> {
        let now = self.clock.now();
        let mut gate = self.gate();
        let is_over = matches!(back, Back::Over(_));
        gate.give_back(back, now);
        let next = gate.begin(now);
        self.share(&gate);
        let tell = gate.must_tell(is_over && next.is_some(), now);
        drop(gate);
        self.tell(tell);
        next
    }

    fn tell(&self, tell: bool) {
        if tell {
            // A full pipe wakes as well.
            let _ = nix::unistd::write(&self.wake, b"!");
        }
    }

    fn run(&self, job: Job, nudged: &OwnedFd, buffer: &mut [u8]) -> Back {
        let Job { start, mut attempt } = job;
        if attempt.is_staged() {
            attempt.begins(self.clock.now(), self.clock.wall());
        }
        match spawn(&start, &self.id.mark(start.token), self.groups.as_deref()) {
            Ok((spawned, group)) => {
                let pid = spawned.pid;
                attempt.spawned(spawned, group);
                if self.stays(&attempt, pid)
                    && !attempt.is_staged()
                    && self.stay(&mut attempt, nudged, buffer)
                {
                    return self.bury(attempt, buffer);
                }
                Back::Running(Box::new(attempt))
            }
            Err(failure) if attempt.is_staged() => {
                attempt.unstarted(failure, self.clock.now());
                Back::Running(Box::new(attempt))
            }
            Err(failure) => unstarted(attempt, failure),
        }
    }

    /// Records that the process runs; gives back whether there is nothing else to begin.
    fn stays(&self, attempt: &Attempt, pid: i32) -> bool {
        let mut gate = self.gate();
        gate.runs(attempt.token(), pid);
        self.share(&gate) || !gate.can_begin(self.clock.now())
    }

    /// Waits for the end of the process, for a while; gives back whether it came.
    fn stay(&self, attempt: &mut Attempt, nudged: &OwnedFd, buffer: &mut [u8]) -> bool {
        let until = self.clock.now() + STAY;
        loop {
            match wait(attempt, nudged) {
                Waited::Ended => attempt.reap(self.clock.now()),
                Waited::Nudged => return false,
                Waited::Nothing => self.look(attempt, buffer),
            }
            if attempt.has_ended() {
                return true;
            }
            if self.clock.now() >= until {
                return false;
            }
        }
    }

    /// Takes what it has said so far, and sees that nothing waits too long.
    fn look(&self, attempt: &mut Attempt, buffer: &mut [u8]) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            attempt.read(stream, self.clock.wall(), buffer);
        }
        if let Some(spool) = &mut attempt.spool {
            spool.flush();
        }
        let tell = self.gate().must_tell(true, self.clock.now());
        self.tell(tell);
    }

    /// It is over where nothing of it can be left: its group is empty and no orphan has fallen to the host.
    fn bury(&self, mut attempt: Attempt, buffer: &mut [u8]) -> Back {
        let is_clean = attempt.group_is_empty(self.clock.now())
            && self.orphans.list().is_some_and(|orphans| orphans.is_empty());
        if !is_clean {
            return Back::Running(Box::new(attempt));
        }
        let (record, trouble) = attempt.finish(self.clock.wall(), buffer);
        if let Some(error) = trouble {
            self.gate().trouble(error);
        }
        Back::Over(Box::new(record))
    }
}

/// The pipes are not waited for: they close a little before the process has ended.
fn wait(attempt: &Attempt, nudged: &OwnedFd) -> Waited {
    let Some(end) = attempt.end() else { return Waited::Ended };
    let mut fds = [PollFd::new(end, PollFlags::POLLIN), PollFd::new(nudged.as_fd(), PollFlags::POLLIN)];
    // Interrupted by a signal, as if nothing had come.
    let _ = poll(&mut fds, PollTimeout::from(LOOK_EVERY_MS));
    if fds[0].any() == Some(true) {
        Waited::Ended
    } else if fds[1].any() == Some(true) {
        while matches!(nix::unistd::read(nudged, &mut [0; 64]), Ok(64)) {}
        Waited::Nudged
    } else {
        Waited::Nothing
    }
}

fn unstarted(attempt: Attempt, failure: SpawnFailure) -> Back {
    let mut record = attempt.record;
    record.end = Some((AttemptOutcome::SpawnFailed(failure), Usage::default()));
    Back::Over(Box::new(record))
}

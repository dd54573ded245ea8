//! The host's loop and all it holds.
//!
//! One turn: wait, hear, take back what the [runners](super::runner) have, reap, read, enforce, bury, and then
//! write: first the journal, then reports leave. So nothing is told that a later host would not know; that
//! nothing is begun either is the [gate](super::gate)'s.

mod burial;
mod groups;
mod looking;
mod staging;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use policy::id::Token;
use policy::output::Stream;
use policy::sample::Pace;
use policy::time::Moment;
use rustc_hash::FxHashMap;

use super::attempt::Attempt;
use super::gate::{Back, Gate};
use super::journal::{self, Entry, Journal, Remembered};
use super::runner::{READ_BYTES, Runners};
use super::server::{Ear, Server};
use super::{HostError, os, recovery};
use crate::clock::Clock;
use crate::process::os::cgroup::{Cgroup, Cgroups};
use crate::process::os::signals;
use crate::process::os::{self as system, Orphans};
use crate::process::protocol::{Command, HostDirectory, HostId, HostReport, StopReason};
use burial::ended_report;

/// The longest wait while there are attempts: the lease clock runs while the machine sleeps, poll's does not.
const ENFORCE_EVERY: Duration = Duration::from_millis(250);
/// The longest wait while there are none.
const IDLE_WAIT: Duration = Duration::from_secs(1);
/// Without attempts and without a worker, the host ends after this.
const LONELY_LIMIT: Duration = Duration::from_secs(10);

/// Everything the host holds.
pub(super) struct Machine {
    clock: Clock,
    directory: HostDirectory,
    id: HostId,
    boot: Box<str>,
    server: Server,
    runners: Runners,
    orphans: Arc<Orphans>,
    groups: Option<Arc<Cgroups>>,
    /// Groups of an earlier host.
    left: Vec<Cgroup>,
    wake: OwnedFd,
    /// What runs longer than a runner stays, or has left something behind.
    attempts: BTreeMap<Token, Attempt>,
    ended: BTreeMap<Token, Remembered>,
    /// Why those that are with a runner are to be stopped when they come back.
    stops: FxHashMap<Token, StopReason>,
    reports: Vec<HostReport>,
    deadline: Option<Moment>,
    /// Orphans known to belong to an attempt that has not ended.
    claimed: FxHashMap<i32, Token>,
    observed: Moment,
    sampling: Pace,
    weighing: Pace,
    retiring: bool,
    lonely_since: Moment,
    buffer: Box<[u8]>,
}

/// What poll watches.
#[derive(Debug, Clone, Copy)]
enum Source {
    Wake,
    Ear(Ear),
    End(Token),
    Pipe(Token, Stream),
}

impl Machine {
    /// Takes over what an earlier host left, and begins to listen.
    pub(super) fn begin(directory: HostDirectory, id: HostId) -> Result<Self, HostError> {
        let socket = directory.socket();
        let too_long = || HostError::PathTooLong(directory.path().display().to_string().into());
        let socket = socket.ok_or_else(too_long)?;
        let (clock, boot) = (Clock::system(), system::boot_id());
        let now = clock.now();
        let orphans = Arc::new(Orphans::adopt().map_err(os("becoming the reaper of orphans"))?);
        let (wake, waker) = signals::pipe().map_err(os("making a pipe"))?;
        signals::wake_on_signals(&waker).map_err(os("hearing signals"))?;
        let memory = journal::read(&directory.journal()).map_err(os("reading the journal"))?;
        let left = recovery::sort(memory, &boot, &directory, (now, clock.wall()));
        recovery::kill_unrecorded(id, &left.orphaned);
        let held = left.orphaned.iter().map(|attempt| &attempt.record).chain(&left.ended);
        let journal = Journal::begin(&directory.journal(), &boot, held).map_err(os("writing the journal"))?;
        let server = Server::listen(&socket, id).map_err(os("listening"))?;
        let mut reports = Vec::new();
        let left_groups = groups::left(&directory);
        let groups = groups::open(&directory, id, &mut reports);
        let shared = (Arc::clone(&orphans), groups.clone());
        let runners = Runners::start(Gate::new(journal, directory.halt()), waker, shared, clock, id);
        Ok(Self {
            clock,
            server,
            runners: runners.map_err(os("starting a thread"))?,
            directory,
            id,
            boot,
            orphans,
            groups,
            left: left_groups,
            wake,
            attempts: left.orphaned.into_iter().map(|attempt| (attempt.token(), attempt)).collect(),
            ended: left.ended.into_iter().map(|record| (record.token, record)).collect(),
            stops: FxHashMap::default(),
            reports,
            deadline: None,
            claimed: FxHashMap::default(),
            observed: now,
            sampling: Pace::of_samples(now),
            weighing: Pace::of_weighing(now),
            retiring: false,
            lonely_since: now,
            buffer: vec![0; READ_BYTES].into(),
        })
    }

    /// One turn of the loop; `false` when it was the last.
    pub(super) fn turn(&mut self) -> Result<bool, HostError> {
        for source in self.wait().map_err(os("waiting"))? {
            self.attend(source);
        }
        let now = self.clock.now();
        if signals::reap_orphans() {
            self.attempts.values_mut().for_each(|attempt| attempt.bury_now(now));
        }
        self.take_back(now);
        self.enforce(now);
        self.bury(now);
        self.runners.kick();
        self.write();
        let is_empty = self.is_empty();
        if !is_empty || self.server.has_worker() {
            self.lonely_since = now;
        }
        let lonely = now.since(self.lonely_since) >= LONELY_LIMIT;
        Ok(!(is_empty && (self.retiring || lonely)))
    }

    /// Says good-bye: nobody must find a socket that nobody listens to.
    pub(super) fn end(&mut self) {
        if let Some(socket) = self.directory.socket() {
            let _ = std::fs::remove_file(socket);
        }
        self.close_groups();
    }

    /// Waits for whatever comes first.
    fn wait(&self) -> io::Result<Vec<Source>> {
        let mut sources = vec![(Source::Wake, self.wake.as_fd(), false)];
        sources.extend(self.server.ears().map(|(ear, fd, write)| (Source::Ear(ear), fd, write)));
        for (token, attempt) in &self.attempts {
            sources.extend(attempt.end().map(|fd| (Source::End(*token), fd, false)));
            sources.extend(attempt.pipes().map(|(stream, fd)| (Source::Pipe(*token, stream), fd, false)));
        }
        let flags = |write| if write { PollFlags::POLLIN | PollFlags::POLLOUT } else { PollFlags::POLLIN };
        let mut fds: Vec<_> = sources.iter().map(|(_, fd, write)| PollFd::new(*fd, flags(*write))).collect();
        match poll(&mut fds, self.patience()) {
            Ok(0) | Err(Errno::EINTR) => return Ok(Vec::new()),
            ready => ready?,
        };
        let ready = sources.iter().zip(&fds).filter(|(_, fd)| fd.any() != Some(false));
        Ok(ready.map(|((source, ..), _)| *source).collect())
    }

    /// Whether nothing is held that has not ended.
    fn is_empty(&self) -> bool {
        self.attempts.is_empty() && self.runners.gate().is_empty()
    }

    /// How long nothing needs doing.
    fn patience(&self) -> PollTimeout {
        if self.is_empty() {
            return PollTimeout::try_from(IDLE_WAIT).unwrap_or(PollTimeout::ZERO);
        }
        let now = self.clock.now();
        let weighing = self.attempts.values().any(Attempt::is_limited).then(|| self.weighing.next());
        let due = self.attempts.values().filter_map(Attempt::due).chain(self.deadline).chain(weighing).min();
        let wait = due.map_or(ENFORCE_EVERY, |due| due.since(now).min(ENFORCE_EVERY));
        // A part of a millisecond counts as one, or the loop would spin through it.
        let millis = u16::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
        PollTimeout::from(millis)
    }

    fn attend(&mut self, source: Source) {
        match source {
            Source::Wake => while matches!(nix::unistd::read(&self.wake, &mut [0; 64]), Ok(64)) {},
            Source::Ear(Ear::Listener) => self.server.accept(),
            Source::Ear(Ear::Worker) => {
                let commands = self.server.hear_worker();
                self.obey(commands);
            }
            Source::Ear(Ear::Stranger) => {
                let commands = self.server.hear_strangers();
                self.obey(commands);
            }
            Source::End(token) => {
                if let Some(attempt) = self.attempts.get_mut(&token) {
                    attempt.reap(self.clock.now());
                }
            }
            Source::Pipe(token, stream) => {
                if let Some(attempt) = self.attempts.get_mut(&token) {
                    attempt.read(stream, self.clock.wall(), &mut self.buffer);
                }
            }
        }
    }

    fn obey(&mut self, commands: Vec<Command>) {
        let now = self.clock.now();
        for command in commands {
            match command {
                Command::Hello { .. } => {}
                Command::Start(start) => self.start(*start, now),
                Command::Stop { token, why } => self.stop(token, why, now),
                Command::Lease { start_until, kill_at } => {
                    self.deadline = Some(kill_at);
                    self.runners.gate().set_lease(start_until, kill_at);
                }
                Command::Forget(tokens) => tokens.into_iter().for_each(|token| self.forget(token)),
                Command::Inventory => self.tell_inventory(now),
                Command::Retire => self.retiring = true,
                Command::Capacity(capacity) => self.set_capacity(capacity),
                Command::Recall(tokens) => self.recall(&tokens),
                Command::Halt(is_halted) => self.runners.gate().is_halted = is_halted,
                Command::Signal { token, signal } => self.signal(token, signal),
            }
        }
    }

    fn forget(&mut self, token: Token) {
        if self.ended.remove(&token).is_some() {
            self.runners.gate().journal.append(&Entry::Forgot { token });
        }
    }

    /// Takes over what the runners are done with.
    fn take_back(&mut self, now: Moment) {
        let back = self.runners.gate().take_due(now);
        self.absorb(back, now);
    }

    fn absorb(&mut self, back: Vec<Back>, now: Moment) {
        for back in back {
            let record = back.record();
            let (token, pid, step) = (record.token, record.pid, record.step);
            let pid = pid.map(|pid| u32::try_from(pid).unwrap_or(0));
            self.reports.extend(pid.map(|pid| HostReport::Started { token, pid, step }));
            let stop = self.stops.remove(&token);
            match back {
                Back::Running(mut attempt) => {
                    if let Some(why) = stop {
                        attempt.stop(why, now);
                    }
                    self.attempts.insert(token, *attempt);
                }
                Back::Over(record) => {
                    self.reports.extend(ended_report(&record));
                    self.ended.insert(token, *record);
                }
            }
        }
    }

    fn enforce(&mut self, now: Moment) {
        let lost = self.deadline.is_some_and(|deadline| now >= deadline);
        if lost {
            self.lose_staged(now);
        }
        for attempt in self.attempts.values_mut() {
            if lost {
                attempt.stop(StopReason::LeaseLost, now);
            }
            attempt.enforce(now);
        }
        self.observe(now);
        self.left.retain(|group| !group.clear());
    }

    /// The journal first, then what it tells of.
    fn write(&mut self) {
        let (recorded, troubles) = {
            let mut gate = self.runners.gate();
            (gate.journal.flush(), gate.take_troubles())
        };
        self.trouble("writing the journal", recorded.err());
        troubles.into_iter().for_each(|error| self.trouble("starting an attempt", Some(error)));
        for attempt in self.attempts.values_mut() {
            if let Some(spool) = &mut attempt.spool {
                spool.flush();
            }
        }
        for report in self.reports.drain(..) {
            self.server.report(&report);
        }
        self.server.flush();
        self.compact();
    }

    fn compact(&mut self) {
        let mut gate = self.runners.gate();
        if gate.journal.has_pending() || !gate.journal.is_large(self.attempts.len() + self.ended.len()) {
            return;
        }
        let back = gate.take_back();
        let own = self.attempts.values().map(|attempt| &attempt.record).chain(self.ended.values());
        let records = own.chain(gate.away()).chain(back.iter().map(Back::record));
        let fresh = Journal::begin(gate.journal.path(), &self.boot, records);
        let refused = fresh.map(|journal| gate.journal = journal).err();
        drop(gate);
        self.trouble("compacting the journal", refused);
        self.absorb(back, self.clock.now());
    }

    fn trouble(&mut self, what: &str, error: Option<io::Error>) {
        self.reports.extend(error.map(|error| HostReport::Trouble(format!("{what}: {error}").into())));
    }
}

//! The host's loop and all it holds.
//!
//! One turn: wait, hear, start, reap, read, enforce, bury, and then write: first the journal, then
//! processes are started and reports leave. So nothing is told or begun that a later host would not know.

mod burial;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use policy::id::Token;
use policy::task::{AttemptOutcome, LossReason, SpawnFailure};
use policy::time::Moment;
use rustc_hash::{FxHashMap, FxHashSet};

use super::attempt::Attempt;
use super::journal::{self, Entry, Journal, Remembered};
use super::server::{Ear, Server};
use super::spawner::{Spawned, Spawner};
use super::{HostError, os, recovery};
use crate::clock::Clock;
use crate::output::spool::SpoolWriter;
use crate::process::os::signals::{self, Reaped};
use crate::process::os::{self as system, Orphans};
use crate::process::protocol::{
    Command, HostDirectory, HostId, HostReport, Hosted, HostedPhase, INVENTORY_PART, Start, StopReason,
};
use crate::wire::fleet::Stream;
use burial::ended_report;

/// The longest wait while there are attempts: the lease clock runs while the machine sleeps, poll's does not.
const ENFORCE_EVERY: Duration = Duration::from_millis(250);
/// The longest wait while there are none.
const IDLE_WAIT: Duration = Duration::from_secs(1);
/// Without attempts and without a worker, the host ends after this.
const LONELY_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at the trees of running attempts, where the system needs them.
const OBSERVE_EVERY: Duration = Duration::from_secs(1);
/// Bytes read from a pipe at once: what a pipe holds.
const READ_BYTES: usize = 64 * 1024;
/// Ends that the worker has not let go of; beyond it nothing more is started.
const ENDED_LIMIT: usize = 100_000;

/// Everything the host holds.
pub(super) struct Machine {
    clock: Clock,
    directory: HostDirectory,
    id: HostId,
    boot: Box<str>,
    journal: Journal,
    server: Server,
    spawner: Spawner,
    orphans: Orphans,
    wake: OwnedFd,
    attempts: BTreeMap<Token, Attempt>,
    leaders: FxHashMap<i32, Token>,
    /// Handed to the spawner.
    starting: FxHashSet<Token>,
    /// Ended, and not known: orphans, or a process of one of these that are being started.
    early: Vec<(Reaped, FxHashSet<Token>)>,
    ended: BTreeMap<Token, Remembered>,
    /// Recorded with the next write, then started.
    starts: Vec<Start>,
    reports: Vec<HostReport>,
    deadline: Option<Moment>,
    /// Orphans known to belong to an attempt that has not ended.
    claimed: FxHashMap<i32, Token>,
    observed: Moment,
    retiring: bool,
    lonely_since: Moment,
    buffer: Box<[u8]>,
}

/// What poll watches.
#[derive(Debug, Clone, Copy)]
enum Source {
    Wake,
    Ear(Ear),
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
        let orphans = Orphans::adopt().map_err(os("becoming the reaper of orphans"))?;
        let (wake, waker) = signals::pipe().map_err(os("making a pipe"))?;
        signals::wake_on_signals(&waker).map_err(os("hearing signals"))?;
        let memory = journal::read(&directory.journal()).map_err(os("reading the journal"))?;
        let left = recovery::sort(memory, &boot, &directory, (now, clock.wall()));
        recovery::kill_unrecorded(id, &left.orphaned);
        let held = left.orphaned.iter().map(|attempt| &attempt.record).chain(&left.ended);
        let journal = Journal::begin(&directory.journal(), &boot, held).map_err(os("writing the journal"))?;
        Ok(Self {
            clock,
            server: Server::listen(&socket, id).map_err(os("listening"))?,
            spawner: Spawner::new(waker).map_err(os("starting a thread"))?,
            directory,
            id,
            boot,
            journal,
            orphans,
            wake,
            attempts: left.orphaned.into_iter().map(|attempt| (attempt.token(), attempt)).collect(),
            leaders: FxHashMap::default(),
            starting: FxHashSet::default(),
            early: Vec::new(),
            ended: left.ended.into_iter().map(|record| (record.token, record)).collect(),
            starts: Vec::new(),
            reports: Vec::new(),
            deadline: None,
            claimed: FxHashMap::default(),
            observed: now,
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
        self.take_spawned(now);
        self.reap(now);
        self.enforce(now);
        self.bury(now);
        self.write();
        if !self.attempts.is_empty() || self.server.has_worker() {
            self.lonely_since = now;
        }
        let lonely = now.since(self.lonely_since) >= LONELY_LIMIT;
        Ok(!(self.attempts.is_empty() && (self.retiring || lonely)))
    }

    /// Says good-bye: nobody must find a socket that nobody listens to.
    pub(super) fn end(&mut self) {
        if let Some(socket) = self.directory.socket() {
            let _ = std::fs::remove_file(socket);
        }
    }

    /// Waits for whatever comes first.
    fn wait(&self) -> io::Result<Vec<Source>> {
        let mut sources = vec![(Source::Wake, self.wake.as_fd(), false)];
        sources.extend(self.server.ears().map(|(ear, fd, write)| (Source::Ear(ear), fd, write)));
        for (token, attempt) in &self.attempts {
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

    /// How long nothing needs doing.
    fn patience(&self) -> PollTimeout {
        if self.attempts.is_empty() {
            return PollTimeout::try_from(IDLE_WAIT).unwrap_or(PollTimeout::ZERO);
        }
        let now = self.clock.now();
        let due = self.attempts.values().filter_map(Attempt::due).chain(self.deadline).min();
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
                Command::Deadline(moment) => self.deadline = Some(moment),
                Command::Forget(tokens) => tokens.into_iter().for_each(|token| self.forget(token)),
                Command::Inventory => self.tell_inventory(),
                Command::Retire => self.retiring = true,
            }
        }
    }

    fn start(&mut self, start: Start, now: Moment) {
        let token = start.token;
        if let Some(record) = self.ended.get(&token) {
            self.reports.extend(ended_report(record));
            return;
        }
        if self.attempts.contains_key(&token) {
            return;
        }
        let Start { task, attempt, ref need, .. } = start;
        let record = Remembered { token, task, attempt, need: need.clone(), at: now, pid: None, end: None };
        let need = record.need.clone();
        self.journal.append(&Entry::Starting { token, task, attempt, need, at: now });
        if self.ended.len() >= ENDED_LIMIT {
            return self.end_unstarted(record, AttemptOutcome::Lost(LossReason::Evicted));
        }
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return self.end_unstarted(record, AttemptOutcome::Lost(LossReason::LeaseLost));
        }
        let spool = SpoolWriter::new(self.directory.spool(token), start.output);
        self.attempts.insert(token, Attempt::starting(record, start.grace, start.timeout, spool));
        self.starts.push(start);
    }

    fn stop(&mut self, token: Token, why: StopReason, now: Moment) {
        if let Some(attempt) = self.attempts.get_mut(&token) {
            attempt.stop(why, now);
        }
    }

    fn forget(&mut self, token: Token) {
        if self.ended.remove(&token).is_some() {
            self.journal.append(&Entry::Forgot { token });
        }
    }

    fn tell_inventory(&mut self) {
        let running = self.attempts.values().map(|attempt| hosted(&attempt.record));
        let all: Vec<Hosted> = running.chain(self.ended.values().map(hosted)).collect();
        let parts = all.len().div_ceil(INVENTORY_PART).max(1);
        let mut rest = all.into_iter();
        for part in 1..=parts {
            let attempts = rest.by_ref().take(INVENTORY_PART).collect();
            self.reports.push(HostReport::Inventory { attempts, last: part == parts });
        }
    }

    fn take_spawned(&mut self, now: Moment) {
        for (token, result) in self.spawner.results() {
            self.starting.remove(&token);
            match result {
                Ok(spawned) => self.spawned(token, spawned, now),
                Err(failure) => self.not_spawned(token, failure),
            }
            self.early.retain_mut(|(_, candidates)| {
                candidates.remove(&token);
                !candidates.is_empty()
            });
        }
    }

    fn spawned(&mut self, token: Token, spawned: Spawned, now: Moment) {
        let pid = spawned.pid;
        let Some(attempt) = self.attempts.get_mut(&token) else { return };
        attempt.spawned(spawned, now);
        self.leaders.insert(pid, token);
        self.journal.append(&Entry::Running { token, pid });
        self.reports.push(HostReport::Started { token, pid: u32::try_from(pid).unwrap_or(0) });
        let is_it = |(reaped, candidates): &(Reaped, FxHashSet<Token>)| {
            reaped.pid == pid && candidates.contains(&token)
        };
        if let Some(place) = self.early.iter().position(is_it) {
            let (reaped, _) = self.early.swap_remove(place);
            self.leader_ended(&reaped, now);
        }
    }

    fn not_spawned(&mut self, token: Token, failure: SpawnFailure) {
        if let Some(attempt) = self.attempts.remove(&token) {
            self.end_unstarted(attempt.record, AttemptOutcome::SpawnFailed(failure));
        }
    }

    fn reap(&mut self, now: Moment) {
        while let Some(reaped) = signals::reap() {
            if self.leaders.contains_key(&reaped.pid) {
                self.leader_ended(&reaped, now);
            } else {
                self.claimed.remove(&reaped.pid);
                self.early.push((reaped, self.starting.clone()));
                self.attempts.values_mut().for_each(|attempt| attempt.bury_now(now));
            }
        }
        self.take_spawned(now);
        self.early.retain(|(_, candidates)| !candidates.is_empty());
    }

    fn leader_ended(&mut self, reaped: &Reaped, now: Moment) {
        let token = self.leaders.remove(&reaped.pid);
        if let Some(attempt) = token.and_then(|token| self.attempts.get_mut(&token)) {
            attempt.reaped(reaped, now);
        }
    }

    fn enforce(&mut self, now: Moment) {
        let lost = self.deadline.is_some_and(|deadline| now >= deadline);
        for attempt in self.attempts.values_mut() {
            if lost {
                attempt.stop(StopReason::LeaseLost, now);
            }
            attempt.enforce(now);
        }
        if system::watches_trees() && now.since(self.observed) >= OBSERVE_EVERY && !self.attempts.is_empty() {
            self.observed = now;
            let roots = self.roots();
            let sight = self.sight(&roots, self.orphans.list().unwrap_or_default());
            self.attempts.values_mut().for_each(|attempt| attempt.observe(&sight, &roots));
        }
    }

    /// The journal first, then what it tells of.
    fn write(&mut self) {
        let recorded = self.journal.flush();
        let starts = std::mem::take(&mut self.starts);
        if recorded.is_ok() {
            for start in starts {
                let mark = self.id.mark(start.token);
                self.starting.insert(start.token);
                self.spawner.spawn(start, mark);
            }
        } else {
            starts.iter().for_each(|start| self.unrecorded(start.token));
        }
        self.trouble("writing the journal", recorded.err());
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

    /// What cannot be recorded is not started.
    fn unrecorded(&mut self, token: Token) {
        if let Some(attempt) = self.attempts.remove(&token) {
            self.end_unstarted(attempt.record, AttemptOutcome::Lost(LossReason::Evicted));
        }
    }

    fn compact(&mut self) {
        let held = self.attempts.len() + self.ended.len();
        if self.journal.has_pending() || !self.journal.is_large(held) {
            return;
        }
        let records = self.attempts.values().map(|attempt| &attempt.record).chain(self.ended.values());
        let fresh = Journal::begin(self.journal.path(), &self.boot, records);
        match fresh {
            Ok(journal) => self.journal = journal,
            Err(error) => self.trouble("compacting the journal", Some(error)),
        }
    }

    fn trouble(&mut self, what: &str, error: Option<io::Error>) {
        self.reports.extend(error.map(|error| HostReport::Trouble(format!("{what}: {error}").into())));
    }
}

fn hosted(record: &Remembered) -> Hosted {
    let phase = match (&record.end, record.pid) {
        (Some((outcome, usage)), _) => HostedPhase::Ended { outcome: outcome.clone(), usage: *usage },
        (None, Some(pid)) => HostedPhase::Running { pid: u32::try_from(pid).unwrap_or(0) },
        (None, None) => HostedPhase::Starting,
    };
    let Remembered { token, task, attempt, ref need, .. } = *record;
    Hosted { token, task, attempt, need: need.clone(), phase }
}

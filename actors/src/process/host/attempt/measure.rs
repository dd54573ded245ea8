//! What is measured of an attempt that runs: when it last wrote something, and what its processes use.

use std::time::Duration;

use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use policy::bounds::Running;
use policy::excess::InUse;
use policy::sample::{SAMPLE_EVERY, Sample};
use policy::task::AttemptOutcome;
use policy::time::{Moment, Timestamp};

use super::{Attempt, Phase};
use crate::process::os;
use crate::process::os::cgroup::Cgroup;
use crate::process::os::signals::Reaped;
use crate::process::protocol::StopReason;

/// What it had written when it was last looked at.
#[derive(Debug, Default)]
pub(super) struct Heard {
    bytes: u64,
    at: Moment,
}

impl Attempt {
    /// Notes whether something was written since the last time.
    pub(super) fn listen(&mut self, now: Moment) {
        let bytes = self.spool.as_ref().map_or(0, |spool| spool.seen().0 + spool.seen().1);
        if bytes != self.heard.bytes {
            self.heard = Heard { bytes, at: now };
        }
    }

    pub(super) fn running(&self) -> Running {
        Running { since: self.record.at, heard: self.heard.at.max(self.record.at) }
    }

    /// Whether something of it is limited that must be measured.
    pub(in crate::process::host) fn is_limited(&self) -> bool {
        matches!(self.phase, Phase::Running { .. }) && self.stop.is_none() && self.limits.is_measured()
    }

    /// Whether all processes must be looked at to know which are its own.
    pub(in crate::process::host) fn is_scattered(&self) -> bool {
        self.group.is_none()
    }

    /// How it ended, where nobody has stopped it.
    pub(super) fn ended_by_itself(&self, reaped: &Reaped) -> AttemptOutcome {
        // What got over a refusal has succeeded nevertheless.
        let has_failed = reaped.status != WaitStatus::Exited(Pid::from_raw(reaped.pid), 0);
        if let Some(excess) = self.group.as_ref().filter(|_| has_failed).and_then(Cgroup::refused) {
            return AttemptOutcome::OverLimit(excess.into());
        }
        match reaped.status {
            WaitStatus::Signaled(_, signal, _) => AttemptOutcome::Signalled(signal as i32),
            WaitStatus::Exited(_, code) => AttemptOutcome::Exited(code),
            // Stops and continuations are told only to who asks for them.
            _ => AttemptOutcome::Signalled(0),
        }
    }

    /// Whether it has run long enough to be looked at with all others.
    pub(in crate::process::host) fn is_lasting(&self, now: Moment) -> bool {
        matches!(self.phase, Phase::Running { .. }) && now.since(self.record.at) >= SAMPLE_EVERY
    }

    /// What its known processes use.
    pub(in crate::process::host) fn sample(&mut self, at: Timestamp) -> Sample {
        let memory_bytes = self.known.iter().map(|known| os::resident_bytes(known.pid)).sum();
        self.peak_bytes = self.peak_bytes.max(memory_bytes);
        // One that ends takes along what it has used, where nobody waits for it.
        self.cpu = self.known.iter().map(|known| os::cpu_time(known.pid)).sum::<Duration>().max(self.cpu);
        let (out, err) = self.spool.as_ref().map_or((0, 0), |spool| spool.seen());
        Sample {
            at,
            cpu: self.cpu + self.cpu_before(),
            memory_bytes,
            peak_memory_bytes: self.peak_bytes,
            processes: self.known.len() as u64,
            output_bytes: out + err,
        }
    }

    /// Measures what its known processes use, and stops it where that is more than it may.
    pub(in crate::process::host) fn weigh(&mut self, now: Moment) {
        if !self.is_limited() {
            return;
        }
        let pids = match &self.group {
            Some(group) => group.members(),
            None => self.known.iter().map(|known| known.pid).collect(),
        };
        let all = |bytes: fn(i32) -> u64| pids.iter().map(|pid| bytes(*pid)).sum::<u64>();
        let mut memory_bytes = all(os::resident_bytes);
        // What several share is counted once only where that decides.
        if self.limits.memory_bytes.is_some_and(|limit| memory_bytes > limit) {
            memory_bytes = all(os::footprint_bytes);
        }
        self.peak_bytes = self.peak_bytes.max(memory_bytes);
        let processes = pids.len() as u64;
        let excess = self.limits.exceeded(InUse { memory_bytes, processes });
        // What the kernel kills is seen at its end; what it only refuses goes on.
        if let Some(excess) = excess.or_else(|| self.group.as_ref()?.refused()) {
            self.stop(StopReason::OverLimit(excess), now);
            self.group.iter().for_each(Cgroup::kill);
        }
    }
}

//! What is measured of an attempt that runs: when it last wrote something, and what its processes use.

use std::time::Duration;

use policy::bounds::Running;
use policy::excess::InUse;
use policy::sample::{SAMPLE_EVERY, Sample};
use policy::time::{Moment, Timestamp};

use super::{Attempt, Phase};
use crate::process::os;
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
        matches!(self.phase, Phase::Running { .. }) && self.stop.is_none() && !self.limits.is_empty()
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
            cpu: self.cpu,
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
        let all = |bytes: fn(i32) -> u64| self.known.iter().map(|known| bytes(known.pid)).sum::<u64>();
        let mut memory_bytes = all(os::resident_bytes);
        // What several share is counted once only where that decides.
        if self.limits.memory_bytes.is_some_and(|limit| memory_bytes > limit) {
            memory_bytes = all(os::footprint_bytes);
        }
        self.peak_bytes = self.peak_bytes.max(memory_bytes);
        let processes = self.known.len() as u64;
        if let Some(excess) = self.limits.exceeded(InUse { memory_bytes, processes }) {
            self.stop(StopReason::OverLimit(excess), now);
        }
    }
}

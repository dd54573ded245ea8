//! What is measured of an attempt that runs: when it last wrote something, and what its processes use.

use policy::bounds::Running;
use policy::excess::InUse;
use policy::time::Moment;

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

//! What the worker is to be told, and how things stand.

use std::cmp::Reverse;

use policy::id::{NodeSession, Token};
use policy::node::{Pace, Room};
use policy::resources::Resources;

use super::{Attempts, Seen};
use crate::wire::fleet::{Grant, ToWorker};

/// A core, in the unit of resources.
const CORE_MILLIS: u64 = 1000;

/// Bytes of specifications in one `Run` message, well below a frame.
const RUN_BYTES_LIMIT: usize = 256 * 1024;

/// Attempts that the worker may forget and is not told of yet, as long as there are others about which it will be told
/// something soon.
const FORGET_TOGETHER: usize = 32;

impl Attempts {
    /// Whether the worker should be told something now.
    pub(in crate::node) fn has_urgent(&self) -> bool {
        let forget = self.forget.len();
        self.has_orders() || forget >= FORGET_TOGETHER || forget > 0 && self.active.is_empty()
    }

    pub(in crate::node) fn has_outgoing(&self) -> bool {
        self.has_orders() || !self.forget.is_empty()
    }

    fn has_orders(&self) -> bool {
        !(self.run.is_empty() && self.stop.is_empty())
    }

    pub(in crate::node) fn drop_outgoing(&mut self) {
        self.run.clear();
        self.stop.clear();
        self.forget.clear();
    }

    /// Everything to tell the worker: stops first, since they free what the rest may need.
    pub(in crate::node) fn outgoing(&mut self, session: NodeSession, per_message: usize) -> Vec<ToWorker> {
        let mut messages = Vec::new();
        let mut stop = std::mem::take(&mut self.stop);
        // In the order in which they were asked for, what is to end before what only makes way.
        stop.sort_by_key(|(cause, _)| Reverse(*cause));
        for alike in stop.chunk_by(|(one, _), (other, _)| one == other) {
            for part in alike.chunks(per_message) {
                let (cause, tokens) = (part[0].0, part.iter().map(|(_, token)| *token).collect());
                messages.push(ToWorker::Stop { session, tokens, cause });
            }
        }
        let (mut grants, mut bytes) = (Vec::new(), 0);
        for token in std::mem::take(&mut self.run) {
            // What is to stop must not be started by an order that comes behind.
            let wanted = self.active.get(&token).filter(|active| active.stopping.is_none());
            let Some(grant) = wanted.and_then(|active| active.grant.as_ref()) else { continue };
            bytes += grant.spec.approximate_bytes();
            grants.push(Grant::clone(grant));
            if grants.len() == per_message || bytes > RUN_BYTES_LIMIT {
                messages.push(ToWorker::Run { session, grants: std::mem::take(&mut grants) });
                bytes = 0;
            }
        }
        if !grants.is_empty() {
            messages.push(ToWorker::Run { session, grants });
        }
        for tokens in std::mem::take(&mut self.forget).chunks(per_message) {
            messages.push(ToWorker::Forget { session, tokens: tokens.to_vec() });
        }
        messages
    }

    pub(in crate::node) fn room(&self, pace: &Pace) -> Room {
        let capacity = self.slots.capacity().clone();
        let cores = u32::try_from(capacity.cpu_millis / CORE_MILLIS).unwrap_or(u32::MAX);
        let mut room = Room {
            free: self.slots.free().clone(),
            staged: self.staged(),
            staged_limit: pace.staged_limit(cores.max(self.running())),
            capacity,
        };
        for (_, need) in &self.reserved {
            room.take(need);
        }
        room
    }

    pub(in crate::node) fn is_running(&self, token: Token) -> bool {
        self.active.get(&token).is_some_and(|active| active.seen != Seen::Ended)
    }

    pub(in crate::node) fn allocated(&self) -> Resources {
        self.slots.allocated()
    }

    pub(in crate::node) fn running(&self) -> u32 {
        u32::try_from(self.slots.running()).unwrap_or(u32::MAX)
    }

    pub(in crate::node) fn staged(&self) -> u32 {
        u32::try_from(self.slots.staged()).unwrap_or(u32::MAX)
    }
}

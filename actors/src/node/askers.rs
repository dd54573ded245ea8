//! Who waits for an answer of the node's worker, by the number of the request. Must not know what is asked.

use rustc_hash::FxHashMap;
use supervision::Reply;

/// Those who wait for one sort of answer.
#[derive(Debug)]
pub(super) struct Askers<A> {
    waiting: FxHashMap<u64, Reply<A>>,
    last: u64,
}

impl<A> Default for Askers<A> {
    fn default() -> Self {
        Self { waiting: FxHashMap::default(), last: 0 }
    }
}

impl<A: Send + 'static> Askers<A> {
    /// Has `send` put a question with this number, unless `limit` wait already; what is answered at once then, and where it
    /// cannot be put, is said by `refused`.
    pub(super) fn ask(
        &mut self,
        limit: usize,
        reply: Reply<A>,
        send: impl FnOnce(u64) -> bool,
        refused: impl FnOnce(Unasked) -> A,
    ) {
        self.waiting.retain(|_, waiting| !waiting.is_abandoned());
        if self.waiting.len() >= limit {
            return reply.send(refused(Unasked::Full));
        }
        self.last += 1;
        if send(self.last) {
            self.waiting.insert(self.last, reply);
        } else {
            reply.send(refused(Unasked::Unsent));
        }
    }

    pub(super) fn answer(&mut self, request: u64, answer: A) {
        if let Some(reply) = self.waiting.remove(&request) {
            reply.send(answer);
        }
    }

    /// The worker they wait for is gone.
    pub(super) fn drop_all(&mut self, lost: impl Fn() -> A) {
        for (_, reply) in self.waiting.drain() {
            reply.send(lost());
        }
    }
}

/// Why nobody was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unasked {
    /// As many wait as may.
    Full,
    /// It could not be sent.
    Unsent,
}

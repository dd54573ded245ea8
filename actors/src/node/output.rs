//! Who waits for a piece of output from the node's worker.

use policy::id::Token;
use rustc_hash::FxHashMap;
use supervision::Reply;

use crate::node::NodeActor;
use crate::outlet::Outlet;
use crate::wire::fleet::{OutputPiece, OutputRead, OutputRefusal, ToWorker};

/// Readers that may wait on one node at once: each holds a place on the worker as well.
const READERS_LIMIT: u32 = 256;

type Answer = Result<OutputPiece, OutputRefusal>;

/// The readers that wait, by the number of their request.
#[derive(Debug, Default)]
pub(super) struct Readers {
    waiting: FxHashMap<u64, Reply<Answer>>,
    last: u64,
}

impl Readers {
    pub(super) fn ask(
        &mut self,
        outlet: &Outlet<ToWorker>,
        token: Token,
        read: OutputRead,
        reply: Reply<Answer>,
    ) {
        self.waiting.retain(|_, waiting| !waiting.is_abandoned());
        if self.waiting.len() >= READERS_LIMIT as usize {
            return reply.send(Err(OutputRefusal::Busy { limit: READERS_LIMIT }));
        }
        self.last += 1;
        if outlet.send(ToWorker::ReadOutput { request: self.last, token, read }) {
            self.waiting.insert(self.last, reply);
        } else {
            reply.send(Err(OutputRefusal::Away { reason: "the connection is closing".into() }));
        }
    }

    pub(super) fn answer(&mut self, request: u64, answer: Answer) {
        if let Some(reply) = self.waiting.remove(&request) {
            reply.send(answer);
        }
    }

    /// The worker they wait for is gone.
    pub(super) fn drop_all(&mut self) {
        for (_, reply) in self.waiting.drain() {
            reply.send(Err(OutputRefusal::Away { reason: "the connection was lost".into() }));
        }
    }
}

impl NodeActor {
    pub(super) fn read_output(&mut self, token: Token, read: OutputRead, reply: Reply<Answer>) {
        match &self.outlet {
            Some(outlet) => self.readers.ask(outlet, token, read, reply),
            None => reply.send(Err(OutputRefusal::Away { reason: "it is not connected".into() })),
        }
    }
}

//! Who waits for a piece of an artifact from the node's worker.

use policy::id::Token;
use rustc_hash::FxHashMap;
use supervision::Reply;

use crate::node::NodeActor;
use crate::outlet::Outlet;
use crate::wire::fleet::{ArtifactPiece, ArtifactRead, ArtifactRefusal, ToWorker};

/// Readers that may wait on one node at once: each holds a place on the worker as well.
const READERS_LIMIT: u32 = 64;

pub(super) type Answer = Result<ArtifactPiece, ArtifactRefusal>;

/// The readers that wait, by the number of their request.
#[derive(Debug, Default)]
pub(super) struct Collectors {
    waiting: FxHashMap<u64, Reply<Answer>>,
    last: u64,
}

impl Collectors {
    fn ask(&mut self, outlet: &Outlet<ToWorker>, (token, read): (Token, ArtifactRead), reply: Reply<Answer>) {
        self.waiting.retain(|_, waiting| !waiting.is_abandoned());
        if self.waiting.len() >= READERS_LIMIT as usize {
            return reply.send(Err(ArtifactRefusal::Busy { limit: READERS_LIMIT }));
        }
        self.last += 1;
        if outlet.send(ToWorker::ReadArtifact { request: self.last, token, read }) {
            self.waiting.insert(self.last, reply);
        } else {
            let reason = "the connection is closing, or it is of an earlier version that keeps none".into();
            reply.send(Err(ArtifactRefusal::Away { reason }));
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
            reply.send(Err(ArtifactRefusal::Away { reason: "the connection was lost".into() }));
        }
    }
}

impl NodeActor {
    pub(super) fn read_artifact(&mut self, token: Token, read: ArtifactRead, reply: Reply<Answer>) {
        match &self.outlet {
            Some(outlet) => self.collectors.ask(outlet, (token, read), reply),
            None => reply.send(Err(ArtifactRefusal::Away { reason: "it is not connected".into() })),
        }
    }
}

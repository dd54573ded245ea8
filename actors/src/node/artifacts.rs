//! Who waits for a piece of an artifact from the node's worker.

use policy::id::Token;
use supervision::Reply;

use crate::node::NodeActor;
use crate::node::askers::{Askers, Unasked};
use crate::wire::fleet::{ArtifactPiece, ArtifactRead, ArtifactRefusal, ToWorker};

/// Readers that may wait on one node at once: each holds a place on the worker as well.
const READERS_LIMIT: u32 = 64;

type Answer = Result<ArtifactPiece, ArtifactRefusal>;

/// The readers that wait.
pub(super) type Collectors = Askers<Answer>;

impl NodeActor {
    pub(super) fn read_artifact(&mut self, token: Token, read: ArtifactRead, reply: Reply<Answer>) {
        let Some(outlet) = &self.outlet else { return reply.send(away("it is not connected")) };
        let send = |request| outlet.send(ToWorker::ReadArtifact { request, token, read });
        self.collectors.ask(READERS_LIMIT as usize, reply, send, |why| match why {
            Unasked::Full => Err(ArtifactRefusal::Busy { limit: READERS_LIMIT }),
            Unasked::Unsent => {
                away("the connection is closing, or it is of an earlier version that keeps none")
            }
        });
    }
}

/// The node is not there.
pub(super) fn away(reason: &str) -> Answer {
    Err(ArtifactRefusal::Away { reason: reason.into() })
}

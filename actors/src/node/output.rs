//! Who waits for a piece of output from the node's worker.

use policy::id::Token;
use supervision::Reply;

use crate::node::NodeActor;
use crate::node::askers::{Askers, Unasked};
use crate::wire::fleet::{OutputPiece, OutputRead, OutputRefusal, ToWorker};

/// Readers that may wait on one node at once: each holds a place on the worker as well.
const READERS_LIMIT: u32 = 256;

type Answer = Result<OutputPiece, OutputRefusal>;

/// The readers that wait.
pub(super) type Readers = Askers<Answer>;

impl NodeActor {
    pub(super) fn read_output(&mut self, token: Token, read: OutputRead, reply: Reply<Answer>) {
        let Some(outlet) = &self.outlet else { return reply.send(away("it is not connected")) };
        let send = |request| outlet.send(ToWorker::ReadOutput { request, token, read });
        self.readers.ask(READERS_LIMIT as usize, reply, send, |why| match why {
            Unasked::Full => Err(OutputRefusal::Busy { limit: READERS_LIMIT }),
            Unasked::Unsent => away("the connection is closing"),
        });
    }
}

/// The node is not there.
pub(super) fn away(reason: &str) -> Answer {
    Err(OutputRefusal::Away { reason: reason.into() })
}

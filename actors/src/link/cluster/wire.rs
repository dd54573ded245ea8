//! The sending end of a cluster session: frames to the other node's endpoint.

use std::sync::{Mutex, PoisonError};

use ractor::ActorRef;
use tokio::sync::watch;

use super::endpoint::{EndpointMessage, Mark};
use crate::link::preamble::Key;
use crate::link::session::{Answered, Outgoing, Wire, status};

/// Sends to the other node's endpoint, once it is known; until then what goes out waits, within the credit.
pub(crate) struct ClusterWire {
    key: Key,
    to: Mutex<To>,
    state: watch::Sender<State>,
}

enum To {
    Unknown(Vec<Outgoing>),
    Endpoint(ActorRef<EndpointMessage>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Opening,
    Ready,
    Released,
}

impl ClusterWire {
    pub(crate) fn new(key: Key) -> Self {
        Self { key, to: Mutex::new(To::Unknown(Vec::new())), state: watch::Sender::new(State::Opening) }
    }

    /// The other node's endpoint is known.
    pub(super) fn found(&self, endpoint: ActorRef<EndpointMessage>) {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        if let To::Unknown(waiting) = &mut *to {
            for out in std::mem::take(waiting) {
                self.send(&endpoint, out);
            }
            *to = To::Endpoint(endpoint);
        }
        self.advance(State::Ready);
    }

    /// The node has let go of the session.
    pub(super) fn released(&self) {
        self.advance(State::Released);
    }

    /// Waits until the session is usable; `false` when it will not be. Cancel safe.
    pub(crate) async fn ready(&self) -> bool {
        let mut states = self.state.subscribe();
        let reached = states.wait_for(|state| *state >= State::Ready).await;
        reached.is_ok_and(|state| *state == State::Ready)
    }

    /// Waits until the node has let go of the session. Cancel safe.
    pub(crate) async fn gone(&self) {
        let mut states = self.state.subscribe();
        let _ = states.wait_for(|state| *state == State::Released).await;
    }

    fn advance(&self, to: State) {
        self.state.send_if_modified(|state| {
            let advances = *state < to;
            *state = to.max(*state);
            advances
        });
    }

    fn send(&self, endpoint: &ActorRef<EndpointMessage>, out: Outgoing) {
        match out {
            Outgoing::Cast(frame) => self.cast(endpoint, false, frame),
            Outgoing::Acknowledge(total) => self.cast(endpoint, true, total.to_be_bytes().to_vec()),
            Outgoing::Call(frame, answered) => self.call(endpoint, frame, answered),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "remote mailboxes take no envelopes")]
    fn cast(&self, endpoint: &ActorRef<EndpointMessage>, acknowledges: bool, frame: Vec<u8>) {
        let mark = Some(Mark { key: self.key, acknowledges });
        let _ = endpoint.send_message(EndpointMessage::Cast { mark, frame });
    }

    /// The answer is waited for whatever its caller does, because it counts; it comes, or the session ends.
    #[expect(clippy::disallowed_methods, reason = "remote mailboxes take no envelopes")]
    fn call(&self, endpoint: &ActorRef<EndpointMessage>, frame: Vec<u8>, answered: Answered) {
        let (reply, answer) = ractor::concurrency::oneshot();
        let mark = Some(Mark { key: self.key, acknowledges: false });
        let _ = endpoint.send_message(EndpointMessage::Call { mark, frame, reply: reply.into() });
        tokio::spawn(async move {
            if let Ok(bytes) = answer.await {
                answered(status::take(bytes));
            }
        });
    }
}

impl Wire for ClusterWire {
    fn post(&self, out: Outgoing) {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *to {
            To::Unknown(waiting) => waiting.push(out),
            To::Endpoint(endpoint) => self.send(endpoint, out),
        }
    }
}

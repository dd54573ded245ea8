//! What the link brings to the scheduler side: workers to their nodes' actors, clients to the gateway.
//!
//! Must not know what a message means beyond for whom it is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use policy::id::NodeId;
use policy::trust::Member;
use supervision::{Address, Reply};

use crate::client::service::{Asker, FrameService};
use crate::gateway::GatewayMessage;
use crate::head::{FrontDoor, hear_worker, lose_worker};
use crate::link::{self, Door, Peer, PeerId, Role, Via};
use crate::outlet::Outlet;
use crate::side::Side;
use crate::wire::codec;
use crate::wire::fleet::ToWorker;

/// See the module's documentation.
pub struct SchedulerDoor {
    side: Arc<Side>,
    frames: Arc<FrameService>,
    /// The workers that are connected. The link bounds their number.
    workers: Mutex<BTreeMap<PeerId, (NodeId, Outlet<ToWorker>)>>,
}

impl fmt::Debug for SchedulerDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SchedulerDoor({} workers)", self.workers().len())
    }
}

impl SchedulerDoor {
    /// The door of this side.
    #[must_use]
    pub fn new(side: &Arc<Side>, gateway: &Address<GatewayMessage>) -> Arc<Self> {
        let frames = FrameService::new(Arc::new(FrontDoor::new(side, gateway.clone())), side.clock);
        Arc::new(Self { side: Arc::clone(side), frames: Arc::new(frames), workers: Mutex::default() })
    }

    fn refused(&self, who: &str, what: &str, why: &str) {
        self.side.audit.refused((&self.side.log, self.side.clock), who, what, why);
    }

    fn workers(&self) -> MutexGuard<'_, BTreeMap<PeerId, (NodeId, Outlet<ToWorker>)>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Door for SchedulerDoor {
    fn connected(&self, peer: &Peer, outlet: link::Outlet) {
        tracing::debug!(?peer, "connected");
        if peer.role == Role::Worker {
            let layout = peer.layout();
            let to_worker = Outlet::new(move |message: ToWorker| {
                message.is_known_in(layout) && outlet.send(codec::encode_as(layout, &message)).is_ok()
            });
            self.workers().insert(peer.id, (NodeId::from(&*peer.name), to_worker));
        }
    }

    fn cast(&self, peer: &Peer, frame: Vec<u8>) {
        let Some((node, outlet)) = self.workers().get(&peer.id).cloned() else {
            let why = "only a worker says something unasked";
            return self.refused(&peer.name, "a report", why);
        };
        match codec::decode_as(peer.layout(), &frame, link::MAX_FRAME_BYTES) {
            Ok(message) => hear_worker(&self.side, &node, message, &outlet),
            Err(error) => tracing::warn!(?peer, %error, "a worker sent what cannot be read"),
        }
    }

    fn call(&self, peer: &Peer, frame: Vec<u8>, reply: Reply<Vec<u8>>) {
        if peer.role == Role::Worker {
            let why = "a worker asks nothing that a client may";
            return self.refused(&format!("worker {}", peer.name), "a question", why);
        }
        let (frames, caller, layout) = (Arc::clone(&self.frames), peer.caller.clone(), peer.layout());
        let peer = peer.id.0;
        tokio::spawn(async move {
            let asker = Asker { peer, caller: &caller, layout };
            reply.send(frames.answer(&asker, &frame).await);
        });
    }

    fn gone(&self, peer: &Peer) {
        tracing::debug!(?peer, "gone");
        self.frames.forget(peer.id.0);
        if let Some((node, outlet)) = self.workers().remove(&peer.id) {
            lose_worker(&self.side, &node, &outlet);
        }
    }

    fn turned_away(&self, via: Via, reason: &str) {
        self.refused(&told(via), "to connect", reason);
    }

    fn enrolled(&self, via: Via, member: &Arc<Member>) {
        let who = format!("{} {}", member.role, member.name);
        self.side.audit.done(&self.side.log, &who, &format!("got a certificate, from {}", told(via)));
    }
}

/// From where somebody came.
fn told(via: Via) -> String {
    match via {
        Via::Tcp(address) => address.ip().to_string(),
        Via::Unix { uid } => format!("user {uid} of this machine"),
        Via::Direct => "this process".to_owned(),
    }
}

//! What the link brings to the scheduler side: workers to their nodes' actors, clients to the gateway.
//!
//! Must not know what a message means beyond for whom it is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use policy::id::NodeId;
use supervision::{Address, Reply};

use crate::client::service::FrameService;
use crate::gateway::GatewayMessage;
use crate::head::{FrontDoor, hear_worker, lose_worker};
use crate::link::{self, Door, Peer, PeerId, Role};
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
        let frames =
            FrameService::new(Arc::new(FrontDoor::new(gateway.clone(), side.inspector.clone())), side.clock);
        Arc::new(Self { side: Arc::clone(side), frames: Arc::new(frames), workers: Mutex::default() })
    }

    fn workers(&self) -> MutexGuard<'_, BTreeMap<PeerId, (NodeId, Outlet<ToWorker>)>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Door for SchedulerDoor {
    fn connected(&self, peer: &Peer, outlet: link::Outlet) {
        tracing::debug!(?peer, "connected");
        if peer.role == Role::Worker {
            let to_worker = Outlet::new(move |message| outlet.send(codec::encode(&message)).is_ok());
            self.workers().insert(peer.id, (NodeId::from(&*peer.name), to_worker));
        }
    }

    fn cast(&self, peer: &Peer, frame: Vec<u8>) {
        let Some((node, outlet)) = self.workers().get(&peer.id).cloned() else {
            return tracing::warn!(?peer, "said something that only a worker may say");
        };
        match codec::decode(&frame, link::MAX_FRAME_BYTES) {
            Ok(message) => hear_worker(&self.side, &node, message, &outlet),
            Err(error) => tracing::warn!(?peer, %error, "a worker sent what cannot be read"),
        }
    }

    fn call(&self, peer: &Peer, frame: Vec<u8>, reply: Reply<Vec<u8>>) {
        if peer.role == Role::Worker {
            return tracing::warn!(?peer, "asked what only a client may ask");
        }
        let (frames, peer) = (Arc::clone(&self.frames), peer.id.0);
        tokio::spawn(async move { reply.send(frames.answer(peer, &frame).await) });
    }

    fn gone(&self, peer: &Peer) {
        tracing::debug!(?peer, "gone");
        self.frames.forget(peer.id.0);
        if let Some((node, outlet)) = self.workers().remove(&peer.id) {
            lose_worker(&self.side, &node, &outlet);
        }
    }
}

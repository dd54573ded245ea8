//! The node itself: ractor's server of sessions, what it tells us of them, and which are ours.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use ractor::{Actor, ActorId, ActorRef, ActorStatus};
use ractor_cluster::node::{NodeConnectionMode, NodeServerSessionInformation};
use ractor_cluster::{
    BoxRead, BoxWrite, ClusterBidiStream, NodeEventSubscription, NodeServer, NodeServerMessage,
};
use rustc_hash::FxHashMap;
use tokio::io::WriteHalf;

use super::ClusterError;
use super::endpoint::{Endpoint, EndpointMessage, GROUP};
use super::wire::ClusterWire;
use crate::link::MAX_FRAME_BYTES;
use crate::link::life::Life;
use crate::link::preamble::Key;
use crate::link::secret::NodeSecret;
use crate::link::session::Session;
use crate::link::stream::{GuardedRead, Stream};

/// What ractor may put around a frame of ours; its own messages are smaller.
const FRAME_MARGIN_BYTES: u64 = 64 << 10;

/// A running node. Dropping it ends it and its sessions.
pub(crate) struct Node {
    server: ActorRef<NodeServerMessage>,
    endpoint: ActorRef<EndpointMessage>,
    secret: NodeSecret,
    sessions: Arc<Sessions>,
}

impl Node {
    pub(crate) async fn start(
        name: &str,
        secret: NodeSecret,
        sessions: Arc<Sessions>,
    ) -> Result<Self, ClusterError> {
        let failed = |error: ractor::SpawnErr| ClusterError::Start(error.to_string());
        let frames = u64::try_from(MAX_FRAME_BYTES).unwrap_or(u64::MAX) + FRAME_MARGIN_BYTES;
        let isolated = Some(NodeConnectionMode::Isolated);
        let server = NodeServer::new(0, secret.to_hex(), name.to_owned(), name.to_owned(), None, isolated)
            .with_listen_addr(std::net::Ipv4Addr::LOCALHOST.into())
            .with_max_inbound_frame_size(frames);
        let (server, _) = Actor::spawn(None, server, ()).await.map_err(failed)?;
        let started = Actor::spawn_linked(None, Endpoint, Arc::clone(&sessions), server.get_cell()).await;
        let (endpoint, ended) = started.inspect_err(|_| server.kill()).map_err(failed)?;
        let node = Self { server: server.clone(), endpoint, secret, sessions };
        node.subscribe()?;
        // The server would live on without it, and its sessions with nobody to hear them.
        tokio::spawn(async move {
            let _ = ended.await;
            server.kill();
        });
        Ok(node)
    }

    #[expect(clippy::disallowed_methods, reason = "the node's mailbox takes no envelopes")]
    fn subscribe(&self) -> Result<(), ClusterError> {
        let subscription = Box::new(Events(Arc::clone(&self.sessions)));
        self.server
            .send_message(NodeServerMessage::SubscribeToEvents { id: GROUP.to_owned(), subscription })
            .map_err(|error| ClusterError::Start(error.to_string()))
    }

    pub(crate) fn is_running(&self) -> bool {
        self.server.get_status() < ActorStatus::Draining && self.endpoint.get_status() < ActorStatus::Draining
    }

    pub(crate) fn serves(&self, secret: NodeSecret) -> bool {
        self.secret == secret && self.is_running()
    }

    pub(crate) fn server(&self) -> ActorRef<NodeServerMessage> {
        self.server.clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.endpoint.kill();
        self.server.kill();
        // A node that is killed says nothing of its sessions.
        for (_, entry) in self.sessions.by_label().drain() {
            entry.wire.released();
        }
    }
}

/// A session that the node has not let go of.
struct Entry {
    peer: Arc<str>,
    life: Life,
    wire: Arc<ClusterWire>,
}

/// The sessions of this process's node.
#[derive(Default)]
pub(crate) struct Sessions {
    by_key: RwLock<FxHashMap<Key, Arc<Session>>>,
    by_label: Mutex<FxHashMap<String, Entry>>,
    next_label: AtomicU64,
    pub(crate) unknown: AtomicU64,
}

impl Sessions {
    /// Remembers a session under its key and under a label, by which the node will speak of its stream.
    pub(crate) fn enter(&self, peer: &str, session: &Arc<Session>, wire: &Arc<ClusterWire>) -> String {
        let label = format!("link-{}", self.next_label.fetch_add(1, Ordering::Relaxed));
        let mut by_key = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        by_key.insert(session.key(), Arc::clone(session));
        let entry = Entry { peer: peer.into(), life: session.life().clone(), wire: Arc::clone(wire) };
        self.by_label().insert(label.clone(), entry);
        label
    }

    /// The sessions with this peer that are over and that the node has yet to let go of.
    pub(crate) fn ending(&self, peer: &str) -> Vec<Arc<ClusterWire>> {
        let ending = |entry: &&Entry| *entry.peer == *peer && entry.life.ended().is_some();
        self.by_label().values().filter(ending).map(|entry| Arc::clone(&entry.wire)).collect()
    }

    pub(crate) fn leave(&self, session: &Session) {
        let mut by_key = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        by_key.remove(&session.key());
    }

    pub(crate) fn find(&self, key: &Key) -> Option<Arc<Session>> {
        self.by_key.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub(crate) fn any(&self) -> bool {
        !self.by_key.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(crate) fn count_unknown(&self) {
        self.unknown.fetch_add(1, Ordering::Relaxed);
    }

    fn by_label(&self) -> MutexGuard<'_, FxHashMap<String, Entry>> {
        self.by_label.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the node tells of its sessions. Called by the node: quick, and never waiting.
struct Events(Arc<Sessions>);

impl NodeEventSubscription for Events {
    fn node_session_opened(&self, _: NodeServerSessionInformation) {}

    fn node_session_authenticated(&self, _: NodeServerSessionInformation) {}

    fn node_session_ready(&self, session: NodeServerSessionInformation) {
        let wire = self.0.by_label().get(&session.peer_addr).map(|entry| Arc::clone(&entry.wire));
        if let (Some(wire), Some(endpoint)) = (wire, endpoint_of(session.node_id)) {
            wire.found(endpoint);
        }
    }

    fn node_session_disconnected(&self, session: NodeServerSessionInformation) {
        if let Some(entry) = self.0.by_label().remove(&session.peer_addr) {
            entry.wire.released();
        }
    }
}

/// The other node's endpoint: the group's member in that session.
fn endpoint_of(node: u64) -> Option<ActorRef<EndpointMessage>> {
    let in_session = |id| matches!(id, ActorId::Remote { node_id, .. } if node_id == node);
    ractor::pg::get_members(&GROUP.to_owned())
        .into_iter()
        .find(|cell| in_session(cell.get_id()))
        .map(Into::into)
}

/// A stream on its way to the node.
pub(crate) struct Handover {
    read: GuardedRead,
    write: WriteHalf<Stream>,
    label: String,
}

impl Handover {
    pub(crate) fn new(read: GuardedRead, write: WriteHalf<Stream>, label: String) -> Self {
        Self { read, write, label }
    }
}

impl ClusterBidiStream for Handover {
    fn split(self: Box<Self>) -> (BoxRead, BoxWrite) {
        (Box::new(self.read), Box::new(self.write))
    }

    fn peer_label(&self) -> Option<String> {
        Some(self.label.clone())
    }
}

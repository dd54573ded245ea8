//! The cluster carrier: this process as a node of a ractor cluster.
//!
//! One node per process, started at first use and again when it has ended. Its own listener is bound to
//! loopback, on a port nobody is told: streams reach the node only after our preamble. One actor per process
//! can be reached from other nodes, the [`endpoint`]; peers find each other's in a process group.
//!
//! # Why so roundabout
//! ractor_cluster does not say who sent a message, so each carries the session's key. Of two sessions
//! with the same node name it keeps either one, so a session is let go of completely before the next one
//! of the same peer is handed over. Two nodes at the same `host:port` take each other for themselves, so
//! the host is the node's own name.

mod endpoint;
mod node;
mod wire;

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use policy::id::Incarnation;
use ractor_cluster::NodeServerMessage;
use tokio::io::WriteHalf;
use tokio::sync::Mutex;

use super::life::Life;
use super::secret::NodeSecret;
use super::session::Session;
use super::stream::{GuardedRead, Stream};
use node::{Handover, Node, Sessions};
pub(crate) use wire::ClusterWire;

/// This process's node. Cheap to clone. A process has one: ractor's names are global.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    name: String,
    node: Mutex<Option<Node>>,
    sessions: Arc<Sessions>,
    dialled: std::sync::Mutex<Option<Life>>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cluster({})", self.0.name)
    }
}

/// Why a stream could not become a session of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// The node did not start.
    #[error("the node of this process did not start: {0}")]
    Start(String),
    /// The node is connected already: ractor_cluster keeps one session per pair of nodes.
    #[error("this process has a cluster connection already")]
    Connected,
    /// The node serves another cluster.
    #[error("this process is connected to another cluster")]
    AnotherCluster,
}

/// How long the node may take to let go of a session that is over; it takes milliseconds.
const RELEASE_DEADLINE: Duration = Duration::from_secs(1);

/// On which side of a stream we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Accepted,
    Dialled,
}

impl Cluster {
    /// The node of this process; nothing starts yet.
    #[must_use]
    pub fn new(name: &str, incarnation: Incarnation) -> Self {
        Self(Arc::new(Inner {
            name: format!("{name}#{}", incarnation.0),
            node: Mutex::new(None),
            sessions: Arc::default(),
            dialled: std::sync::Mutex::default(),
        }))
    }

    /// Messages that came without a known session's key, and were dropped.
    #[must_use]
    pub fn unknown_senders(&self) -> u64 {
        self.0.sessions.unknown.load(Ordering::Relaxed)
    }

    /// Takes the place of this node's one dialled session, when the one before is over.
    pub(crate) fn claim_dialled(&self, life: &Life) -> Result<(), ClusterError> {
        let mut dialled = self.0.dialled.lock().unwrap_or_else(PoisonError::into_inner);
        if dialled.as_ref().is_some_and(|life| life.ended().is_none()) {
            return Err(ClusterError::Connected);
        }
        *dialled = Some(life.clone());
        Ok(())
    }

    /// Makes a stream a session of this node with `peer`, once the node has let go of those before it. The
    /// session is usable when `wire` is ready.
    #[expect(clippy::disallowed_methods, reason = "the node's mailbox takes no envelopes")]
    pub(crate) async fn attach(
        &self,
        (side, peer): (Side, &str),
        (read, write): (GuardedRead, WriteHalf<Stream>),
        (session, wire): (&Arc<Session>, &Arc<ClusterWire>),
        secret: NodeSecret,
    ) -> Result<(), ClusterError> {
        let mut node = self.0.node.lock().await;
        let server = match node.as_ref() {
            Some(running) if running.serves(secret) => running.server(),
            Some(running) if running.is_running() && self.0.sessions.any() => {
                return Err(ClusterError::AnotherCluster);
            }
            Some(_) | None => {
                // Ends the one before, if there is one.
                drop(node.take());
                let started = Node::start(&self.0.name, secret, Arc::clone(&self.0.sessions)).await?;
                node.insert(started).server()
            }
        };
        for over in self.0.sessions.ending(peer) {
            let _ = tokio::time::timeout(RELEASE_DEADLINE, over.gone()).await;
        }
        let label = self.0.sessions.enter(peer, session, wire);
        let stream = Box::new(Handover::new(read, write, label));
        let is_server = side == Side::Accepted;
        server
            .send_message(NodeServerMessage::ConnectionOpenedExternal { stream, is_server })
            .map_err(|error| ClusterError::Start(error.to_string()))
    }

    /// The session is over: nothing that still comes with its key is handed on.
    pub(crate) fn detach(&self, session: &Session) {
        self.0.sessions.leave(session);
    }
}

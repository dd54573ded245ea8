//! The listener: the scheduler side's front door to other processes.
//!
//! **Role.** Accepts streams on a Unix socket and a TCP address, has the preamble said on each in a task of its
//! own, and keeps the sessions until they end. **Parent** the scheduler side's root; it opens last and closes first.
//! **Hears** its owner. **Tells** the [`Door`], from the sessions' tasks. **On crash** every session ends and the door
//! hears of it; peers dial again. **Invariant.** A stranger holds one task, one packet, and a place for one deadline.

pub(super) mod bind;
mod visit;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use strum::IntoStaticStr;
use supervision::{Actor, ActorError, Me, Message, Reply};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{JoinHandle, JoinSet};

pub use super::handshake::Identity;
pub use bind::BindError;
use bind::Shared;

use super::Limits;
use super::cluster::Cluster;
use super::hall::Hall;
use super::peer::{Door, Peer};
use crate::trust::Fleet;

/// What the listener can be told.
#[derive(Debug, IntoStaticStr)]
pub enum ListenerMessage {
    /// Take no more clients; those who come are told that we are shutting down.
    Close,
    /// Who is connected?
    Peers(Reply<Vec<Peer>>),
    /// On which TCP address do we listen?
    Address(Reply<Option<SocketAddr>>),
    /// A loop that accepts has ended, which it never should.
    AcceptingEnded,
}

impl Message for ListenerMessage {
    fn kind(&self) -> &'static str {
        self.into()
    }
}

/// Everything a listener needs to start.
pub struct ListenerArgs {
    /// Where to listen for other machines, if at all.
    pub tcp: Option<SocketAddr>,
    /// Where to listen for programs of this machine, if at all.
    pub unix: Option<PathBuf>,
    /// Who we are.
    pub identity: Identity,
    /// Who hears what comes in.
    pub door: Arc<dyn Door>,
    /// This process's node.
    pub cluster: Cluster,
    /// The bounds.
    pub limits: Limits,
    /// Who has certificates. Without, only loopback is listened on for other machines.
    pub fleet: Option<Arc<Fleet>>,
}

impl fmt::Debug for ListenerArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListenerArgs({:?}, {:?})", self.tcp, self.unix)
    }
}

/// See the module docs.
pub struct Listener {
    hall: Arc<Hall>,
    address: Option<SocketAddr>,
    accepting: Vec<JoinHandle<()>>,
    tcp: Option<Shared<TcpListener>>,
    unix: Option<Shared<UnixListener>>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({:?})", self.address)
    }
}

impl Actor for Listener {
    const KIND: &'static str = "listener";
    type Message = ListenerMessage;
    type Args = ListenerArgs;

    fn start(args: ListenerArgs, me: &Me<ListenerMessage>) -> Result<Self, ActorError> {
        let ListenerArgs { tcp, unix, identity, door, cluster, limits, fleet } = args;
        let hall = Hall::new(identity, door, cluster, (limits, fleet));
        let mut listener = Self { hall, address: None, accepting: Vec::new(), tcp: None, unix: None };
        if let Some(address) = tcp {
            let socket = bind::tcp(address, listener.hall.fleet.is_some())?;
            listener.address = Some(socket.local_addr()?);
            let socket = Shared::new(socket);
            listener.tcp = Some(socket.clone());
            listener.accept(visit::accept_tcp(socket, Arc::clone(&listener.hall)), me);
        }
        if let Some(path) = unix {
            let socket = Shared::new(bind::unix(&path)?);
            listener.unix = Some(socket.clone());
            listener.accept(visit::accept_unix(socket, Arc::clone(&listener.hall)), me);
        }
        Ok(listener)
    }

    fn handle(&mut self, message: ListenerMessage, _: &Me<ListenerMessage>) -> Result<(), ActorError> {
        match message {
            ListenerMessage::Close => self.hall.close(),
            ListenerMessage::Peers(reply) => reply.send(self.hall.peers()),
            ListenerMessage::Address(reply) => reply.send(self.address),
            ListenerMessage::AcceptingEnded => return Err("a loop that accepts connections has ended".into()),
        }
        Ok(())
    }
}

impl Listener {
    /// The set makes a panic in the loop an end that we hear of, and the loop's end ours.
    fn accept(&mut self, accepting: impl Future<Output = ()> + Send + 'static, me: &Me<ListenerMessage>) {
        let accepting = me.run(async move {
            let mut tasks = JoinSet::new();
            tasks.spawn(accepting);
            let _ = tasks.join_next().await;
            ListenerMessage::AcceptingEnded
        });
        self.accepting.push(accepting);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.hall.close();
        if let Some(socket) = &self.tcp {
            socket.close();
        }
        if let Some(socket) = &self.unix {
            socket.close();
        }
        for accepting in &self.accepting {
            accepting.abort();
        }
    }
}

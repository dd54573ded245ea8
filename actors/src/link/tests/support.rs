//! A listener with a door that tells what it sees, and clients for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use policy::id::Incarnation;
use supervision::{Address, Reply};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::link::handshake::Identity;
use crate::link::listener::{Listener, ListenerArgs, ListenerMessage};
use crate::link::preamble::PROTOCOLS;
use crate::link::stream::Stream;
use crate::link::{
    Cluster, Connection, Cookie, Dial, Door, Endpoint, Hello, Limits, Outlet, Peer, Purpose, Role,
    connect_once,
};
use crate::trust::Fleet;
use crate::trust::authority::Authority;

/// Longer than anything here takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) enum Seen {
    Connected(Peer, Outlet),
    Cast(Vec<u8>),
    Gone(Peer),
}

/// Answers calls with what they say, but for a few words.
pub(super) struct TestDoor {
    pub(super) seen: mpsc::UnboundedSender<Seen>,
}

impl Door for TestDoor {
    fn connected(&self, peer: &Peer, outlet: Outlet) {
        let _ = self.seen.send(Seen::Connected(peer.clone(), outlet));
    }

    fn cast(&self, _: &Peer, frame: Vec<u8>) {
        let _ = self.seen.send(Seen::Cast(frame));
    }

    fn call(&self, _: &Peer, frame: Vec<u8>, reply: Reply<Vec<u8>>) {
        match &frame[..] {
            b"drop" => drop(reply),
            b"large" => reply.send(vec![0; 2 << 20]),
            b"later" => drop(tokio::spawn(async move {
                tokio::task::yield_now().await;
                reply.send(b"later".to_vec());
            })),
            b"never" => drop(tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop(reply);
            })),
            _ => reply.send(frame),
        }
    }

    fn gone(&self, peer: &Peer) {
        let _ = self.seen.send(Seen::Gone(peer.clone()));
    }
}

/// A listener that runs, on both sockets.
pub(super) struct Server {
    pub(super) tcp: SocketAddr,
    pub(super) cookie: Cookie,
    pub(super) address: Address<ListenerMessage>,
    pub(super) seen: mpsc::UnboundedReceiver<Seen>,
    pub(super) limits: Limits,
    pub(super) fleet: Option<Arc<Fleet>>,
    cluster: Cluster,
    directory: TempDir,
    cell: ractor::ActorCell,
    ended: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cluster = Cluster::new("head", Incarnation(1));
        Self::start_at("127.0.0.1:0".parse().unwrap(), directory, limits, cluster).await
    }

    /// One with certificates.
    pub(super) async fn secured(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Authority::create(directory.path(), Clock::system().wall()).unwrap();
        let cluster = Cluster::new("head", Incarnation(1));
        Self::start_at("127.0.0.1:0".parse().unwrap(), directory, limits, cluster).await
    }

    async fn start_at(tcp: SocketAddr, directory: TempDir, limits: Limits, cluster: Cluster) -> Self {
        let fleet = Fleet::open(directory.path(), Clock::system()).unwrap();
        let cookie = Cookie::open(directory.path()).unwrap();
        let (sender, seen) = mpsc::unbounded_channel();
        let args = ListenerArgs {
            tcp: Some(tcp),
            unix: Some(directory.path().join("run/socket")),
            identity: Identity { name: "head".into(), incarnation: Incarnation(1), cookie: cookie.clone() },
            door: Arc::new(TestDoor { seen: sender }),
            cluster: cluster.clone(),
            limits: limits.clone(),
            fleet: fleet.clone(),
        };
        let address = Address::new("listener", "");
        let (cell, ended) = supervision::actor::spawn::<Listener>(args, address.clone(), None).await.unwrap();
        let tcp = address.ask(PATIENCE, ListenerMessage::Address).await.unwrap().unwrap();
        Self { tcp, cookie, address, seen, limits, fleet, cluster, directory, cell, ended }
    }

    /// Stops it, and starts another one in the same place.
    pub(super) async fn restart(self) -> Self {
        self.cell.stop(None);
        self.ended.await.unwrap();
        Self::start_at(self.tcp, self.directory, self.limits, self.cluster).await
    }

    pub(super) async fn stop(&mut self) {
        self.cell.stop(None);
        (&mut self.ended).await.unwrap();
    }

    pub(super) fn unix(&self) -> PathBuf {
        self.directory.path().join("run/socket")
    }

    /// Where it keeps its things.
    pub(super) fn data(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn cookie_file(&self) -> PathBuf {
        self.directory.path().join("cookie")
    }

    /// How to reach it over TCP, and where what it says arrives.
    pub(super) fn dial(&self) -> (Dial, mpsc::UnboundedReceiver<Vec<u8>>) {
        let (sender, heard) = mpsc::unbounded_channel();
        let dial = Dial {
            endpoint: Endpoint::Tcp(self.tcp.to_string()),
            hello: hello(Purpose::Local),
            cookie: Some(self.cookie.clone()),
            own: None,
            cluster: None,
            inbound: Arc::new(move |_, frame| drop(sender.send(frame))),
            limits: self.limits.clone(),
        };
        (dial, heard)
    }

    pub(super) async fn connect(&self) -> Connection {
        connect_once(&self.dial().0).await.unwrap()
    }

    pub(super) async fn raw(&self) -> Stream {
        Box::new(TcpStream::connect(self.tcp).await.unwrap())
    }

    pub(super) async fn next(&mut self) -> Seen {
        tokio::time::timeout(PATIENCE, self.seen.recv()).await.expect("in time").expect("the door stands")
    }

    pub(super) async fn next_connected(&mut self) -> (Peer, Outlet) {
        match self.next().await {
            Seen::Connected(peer, outlet) => (peer, outlet),
            other @ (Seen::Cast(..) | Seen::Gone(_)) => panic!("{other:?}"),
        }
    }

    pub(super) async fn next_cast(&mut self) -> Vec<u8> {
        match self.next().await {
            Seen::Cast(frame) => frame,
            other @ (Seen::Connected(..) | Seen::Gone(_)) => panic!("{other:?}"),
        }
    }

    pub(super) async fn next_gone(&mut self) -> Peer {
        match self.next().await {
            Seen::Gone(peer) => peer,
            other @ (Seen::Connected(..) | Seen::Cast(..)) => panic!("{other:?}"),
        }
    }
}

pub(super) fn hello(purpose: Purpose) -> Hello {
    Hello {
        role: Role::Cli,
        purpose,
        name: "tester".into(),
        incarnation: Incarnation(1),
        protocols: PROTOCOLS,
    }
}

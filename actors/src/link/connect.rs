//! One attempt to connect, from the dialling side.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
#[cfg(feature = "server")]
use policy::id::Incarnation;
use policy::layout::Layout;
use supervision::Reply;
use tokio::net::{TcpStream, UnixStream};

use super::Limits;
#[cfg(feature = "server")]
use super::cluster::{Cluster, ClusterError, ClusterWire, Side};
use super::handshake::{Failure, greet, introduce};
use super::lean::{self, LeanWire};
#[cfg(feature = "server")]
use super::life::EndReason;
use super::life::Life;
use super::peer::{Connection, Endpoint};
use super::preamble::{Challenge, Hello, Protocols, Purpose, Refusal, Welcome};
#[cfg(feature = "server")]
use super::preamble::{PROTOCOLS, Role};
use super::secret::Cookie;
#[cfg(feature = "server")]
use super::secret::NodeSecret;
use super::secure;
use super::session::{Handle, Receive, Session};
use super::stream::{Stream, guard};
use crate::trust::{Own, explained};

/// Hears what the server says of its own accord. Called from the task that reads the stream: it only hands on.
pub type Inbound = Arc<dyn Fn(Layout, Vec<u8>) + Send + Sync>;

/// Everything a connection needs.
#[derive(Clone)]
pub struct Dial {
    /// Where the server listens.
    pub endpoint: Endpoint,
    /// What we say of ourselves.
    pub hello: Hello,
    /// The cluster's cookie; over a Unix socket none is needed.
    pub cookie: Option<Cookie>,
    /// A certificate, for what goes over TCP; then no cookie is needed. Another one may be put in its place.
    pub own: Option<Arc<ArcSwap<Own>>>,
    /// This process's node, for [`Purpose::Cluster`].
    #[cfg(feature = "server")]
    pub cluster: Option<Cluster>,
    /// Hears what the server says of its own accord.
    pub inbound: Inbound,
    /// The bounds.
    pub limits: Limits,
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dial({} as {})", self.endpoint, self.hello.name)
    }
}

#[cfg(feature = "server")]
impl Dial {
    /// As a worker, by a certificate or a cookie where one is needed. With the node of this process where it has one of the
    /// cluster's; else nothing of that but frames.
    #[must_use]
    pub fn worker(
        endpoint: Endpoint,
        (name, incarnation): (&str, Incarnation),
        (cookie, own): (Option<Cookie>, Option<Arc<ArcSwap<Own>>>),
        cluster: Option<Cluster>,
    ) -> Self {
        let purpose = if cluster.is_some() { Purpose::Cluster } else { Purpose::Local };
        let (role, name, protocols) = (Role::Worker, name.to_owned(), PROTOCOLS);
        let hello = Hello { role, purpose, name, incarnation, protocols };
        let (inbound, limits) = (Arc::new(|_, _| {}), Limits::default());
        Self { endpoint, hello, cookie, own, cluster, inbound, limits }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens there, or the network does not lead there.
    #[error("cannot reach {endpoint}: {source}")]
    Unreachable {
        /// Where.
        endpoint: Endpoint,
        /// What the system said.
        source: io::Error,
    },
    /// The server does not want us.
    #[error("{endpoint} {refusal}{}", ours(.refusal, *.protocols))]
    Refused {
        /// Where.
        endpoint: Endpoint,
        /// Why.
        refusal: Refusal,
        /// What we speak.
        protocols: Protocols,
    },
    /// The two cookies differ.
    #[error("the cookie of {endpoint} does not match: copy DATA/cookie of the scheduler's machine")]
    WrongCookie {
        /// Where.
        endpoint: Endpoint,
    },
    /// A cookie is needed over TCP.
    #[error("no cookie for {endpoint}: copy DATA/cookie of the scheduler's machine")]
    NoCookie {
        /// Where.
        endpoint: Endpoint,
    },
    /// One side does not trust the other.
    #[error("{endpoint}: {reason}")]
    Untrusted {
        /// Where.
        endpoint: Endpoint,
        /// Why.
        reason: String,
    },
    /// Something else listens there.
    #[error("what answers on {endpoint} is no scheduler of ours")]
    Stranger {
        /// Where.
        endpoint: Endpoint,
    },
    /// The socket is another user's.
    #[error("the socket {endpoint} is held by user {uid}")]
    OtherUser {
        /// Where.
        endpoint: Endpoint,
        /// The user.
        uid: u32,
    },
    /// The connection broke before it was usable.
    #[error("{endpoint} closed the connection before it was usable: {reason}")]
    Broken {
        /// Where.
        endpoint: Endpoint,
        /// How.
        reason: String,
    },
    /// It took too long.
    #[error("{endpoint} did not answer within {deadline:?}")]
    Late {
        /// Where.
        endpoint: Endpoint,
        /// The deadline.
        deadline: Duration,
    },
    /// Our own node does not work.
    #[cfg(feature = "server")]
    #[error("cannot connect to {endpoint}: {source}")]
    Node {
        /// Where.
        endpoint: Endpoint,
        /// Why.
        source: ClusterError,
    },
    /// [`Purpose::Cluster`] without a node.
    #[error("no node of this process to connect to {endpoint} with")]
    NoNode {
        /// Where.
        endpoint: Endpoint,
    },
}

fn ours(refusal: &Refusal, protocols: Protocols) -> String {
    match refusal {
        Refusal::Protocol(_) => format!(", we speak {protocols}"),
        Refusal::Cookie => ": copy DATA/cookie of the scheduler's machine".to_owned(),
        Refusal::Preamble(_)
        | Refusal::Malformed
        | Refusal::Name
        | Refusal::User(_)
        | Refusal::Full(_)
        | Refusal::ShuttingDown
        | Refusal::Superseded(_)
        | Refusal::TooLate
        | Refusal::Uncertified
        | Refusal::Revoked
        | Refusal::Misnamed
        | Refusal::Other(_) => String::new(),
    }
}

/// Connects once. The deadline of [`Limits::handshake_deadline`] covers all of it. Cancel safe.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect_once(dial: &Dial) -> Result<Connection, ConnectError> {
    let deadline = dial.limits.handshake_deadline;
    match tokio::time::timeout(deadline, Box::pin(dial.connect())).await {
        Ok(connected) => connected,
        Err(_) => Err(ConnectError::Late { endpoint: dial.endpoint.clone(), deadline }),
    }
}

/// Asks who is there, and whether they would take us, without coming in: tells their name. Cancel safe.
///
/// # Errors
/// See [`ConnectError`].
pub async fn knock(dial: &Dial) -> Result<String, ConnectError> {
    let deadline = dial.limits.handshake_deadline;
    let asked = async {
        let (mut stream, cookie) = dial.reach().await?;
        let greeted = greet(&mut stream, &dial.hello, cookie).await;
        Ok(greeted.map_err(|failure| dial.failed(failure))?.0.name)
    };
    match tokio::time::timeout(deadline, Box::pin(asked)).await {
        Ok(asked) => asked,
        Err(_) => Err(ConnectError::Late { endpoint: dial.endpoint.clone(), deadline }),
    }
}

impl Dial {
    async fn connect(&self) -> Result<Connection, ConnectError> {
        let (mut stream, cookie) = self.reach().await?;
        let said = introduce(&mut stream, &self.hello, cookie).await;
        let (challenge, welcome) = said.map_err(|failure| self.failed(failure))?;
        match self.hello.purpose {
            Purpose::Local => Ok(self.lean(stream, challenge, &welcome)),
            Purpose::Cluster => self.node(stream, challenge, &welcome).await,
        }
    }

    /// A stream, and the cookie to show on it: none where the system vouches for the server.
    async fn reach(&self) -> Result<(Stream, Option<&Cookie>), ConnectError> {
        let failed = |source| ConnectError::Unreachable { endpoint: self.endpoint.clone(), source };
        match &self.endpoint {
            Endpoint::Tcp(address) if let Some(own) = &self.own => {
                let stream = TcpStream::connect(address).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                let untrusted = |reason| ConnectError::Untrusted { endpoint: self.endpoint.clone(), reason };
                Ok((secure::dial(stream, &own.load_full()).await.map_err(untrusted)?, None))
            }
            Endpoint::Tcp(address) => {
                let none = || ConnectError::NoCookie { endpoint: self.endpoint.clone() };
                let cookie = self.cookie.as_ref().ok_or_else(none)?;
                let stream = TcpStream::connect(address).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                Ok((Box::new(stream), Some(cookie)))
            }
            Endpoint::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(failed)?;
                let uid = stream.peer_cred().map_err(failed)?.uid();
                if !may_answer(uid, nix::unistd::geteuid().as_raw(), path) {
                    return Err(ConnectError::OtherUser { endpoint: self.endpoint.clone(), uid });
                }
                Ok((Box::new(stream), None))
            }
        }
    }

    fn lean(&self, stream: Stream, challenge: Challenge, welcome: &Welcome) -> Connection {
        let life = Life::default();
        let (wire, queue) = LeanWire::new();
        let session = Session::new(welcome.key, life.clone(), &self.limits, Arc::clone(&wire) as _);
        session.set_receiver(Box::new(Caller(
            Arc::clone(&self.inbound),
            Layout::of_protocol(challenge.protocol),
        )));
        let local = matches!(self.endpoint, Endpoint::Unix(_));
        let streams = guard(stream, life.clone(), (!local).then_some(self.limits.idle_deadline));
        let (running, limits) = (Arc::clone(&session), self.limits.clone());
        tokio::spawn(async move {
            lean::run(streams, Arc::clone(&running), (wire, queue), (life, &limits)).await;
            running.finish();
        });
        Connection::new(Arc::new(Handle(session)), challenge.name.into(), challenge.protocol)
    }

    /// This program is no node.
    #[cfg(not(feature = "server"))]
    async fn node(&self, _: Stream, _: Challenge, _: &Welcome) -> Result<Connection, ConnectError> {
        Err(ConnectError::NoNode { endpoint: self.endpoint.clone() })
    }

    #[cfg(feature = "server")]
    async fn node(
        &self,
        stream: Stream,
        challenge: Challenge,
        welcome: &Welcome,
    ) -> Result<Connection, ConnectError> {
        let none = || ConnectError::NoNode { endpoint: self.endpoint.clone() };
        let cluster = self.cluster.clone().ok_or_else(none)?;
        let told = welcome.node_secret.map(NodeSecret);
        let secret = told.or_else(|| self.cookie.as_ref().map(Cookie::node_secret));
        let secret = secret.ok_or_else(|| ConnectError::Stranger { endpoint: self.endpoint.clone() })?;
        let life = Life::default();
        let wire = Arc::new(ClusterWire::new(welcome.key));
        let session = Session::new(welcome.key, life.clone(), &self.limits, Arc::clone(&wire) as _);
        session.set_receiver(Box::new(Caller(
            Arc::clone(&self.inbound),
            Layout::of_protocol(challenge.protocol),
        )));
        let connection = Connection::new(
            Arc::new(Handle(Arc::clone(&session))),
            challenge.name.into(),
            challenge.protocol,
        );
        let streams = guard(stream, life.clone(), Some(self.limits.idle_deadline));
        let node = |source| ConnectError::Node { endpoint: self.endpoint.clone(), source };
        cluster.claim_dialled(&life).map_err(node)?;
        cluster
            .attach((Side::Dialled, connection.server()), streams, (&session, &wire), secret)
            .await
            .map_err(node)?;
        let ended = life.clone();
        tokio::spawn(async move {
            ended.wait().await;
            cluster.detach(&session);
            session.finish();
        });
        tokio::select! {
            ready = wire.ready() => if ready { return Ok(connection) },
            _ = life.wait() => {}
        }
        let reason = life.ended().unwrap_or(EndReason::PeerClosed).to_string();
        Err(ConnectError::Broken { endpoint: self.endpoint.clone(), reason })
    }

    fn failed(&self, failure: Failure) -> ConnectError {
        let endpoint = self.endpoint.clone();
        match failure {
            Failure::Refused(refusal) => {
                ConnectError::Refused { endpoint, refusal, protocols: self.hello.protocols }
            }
            Failure::Stranger => ConnectError::Stranger { endpoint },
            Failure::Cookie => ConnectError::WrongCookie { endpoint },
            // A client has finished its part of TLS before the server looks at its certificate.
            Failure::Io(error) if self.own.is_some() => {
                ConnectError::Untrusted { endpoint, reason: explained(&error) }
            }
            Failure::Io(error) => ConnectError::Broken { endpoint, reason: error.to_string() },
        }
    }
}

/// Whether user `uid` may be the daemon behind a socket that user `own` dials. Root also speaks to whose directory it is in: it could
/// become them, and nobody else can have put a socket there.
fn may_answer(uid: u32, own: u32, socket: &Path) -> bool {
    let owner = || Some(std::fs::metadata(socket.parent()?).ok()?.uid());
    uid == 0 || uid == own || (own == 0 && owner() == Some(uid))
}

/// The dialling side's receiver. A server does not call.
struct Caller(Inbound, Layout);

impl Receive for Caller {
    fn cast(&mut self, frame: Vec<u8>) {
        (self.0)(self.1, frame);
    }

    fn call(&mut self, _: Vec<u8>, reply: Reply<Vec<u8>>) {
        drop(reply);
    }

    fn gone(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_root_oneself_or_for_root_whose_directory_it_is() {
        let directory = tempfile::tempdir().expect("there is room");
        let socket = directory.path().join("crabd.sock");
        let owner = std::fs::metadata(directory.path()).expect("it is there").uid();
        assert!(may_answer(0, 501, &socket) && may_answer(501, 501, &socket));
        assert!(may_answer(owner, 0, &socket), "root dials the daemon of the directory's owner");
        assert!(!may_answer(owner + 1, 0, &socket), "whoever has put a socket into somebody's directory");
        assert!(!may_answer(502, 501, &socket));
        assert!(!may_answer(502, 0, Path::new("crabd.sock")), "nobody knows whose directory that is");
    }
}

//! What the rest of the program sees of a connection, whatever carries it.
//!
//! The listening side implements [`Door`] and keeps an [`Outlet`] per peer; the dialling side holds a
//! [`Connection`]. Both rest on a [`Carrier`], which a test or a simulation can write for itself.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use policy::id::Incarnation;
use policy::layout::Layout;
use policy::trust::{Caller, Member};
use supervision::Reply;
use tokio::sync::oneshot;

use super::life::{EndReason, Life};
use super::preamble::Role;

/// Names a session for the life of the listening process. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u64);

/// Who is on the other side of an accepted session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The session.
    pub id: PeerId,
    /// As what it came.
    pub role: Role,
    /// Its own name.
    pub name: Arc<str>,
    /// Which life of it this is.
    pub incarnation: Incarnation,
    /// The protocol that was agreed upon.
    pub protocol: u16,
    /// Which way it came.
    pub via: Via,
    /// Who vouches for it.
    pub caller: Caller,
}

impl Peer {
    /// The layout of what is said.
    #[must_use]
    pub fn layout(&self) -> Layout {
        Layout::of_protocol(self.protocol)
    }
}

/// Which way a peer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Over the network, from this address.
    Tcp(SocketAddr),
    /// Over the Unix socket, as this user.
    Unix {
        /// The user's id.
        uid: u32,
    },
    /// From within this process.
    Direct,
}

/// Where a scheduler listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `host:port`.
    Tcp(String),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// The text is neither `host:port` nor a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("endpoint {0:?} is neither host:port nor the path of a socket (a path has a /)")]
pub struct NoEndpoint(String);

impl FromStr for Endpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<Self, NoEndpoint> {
        if text.contains('/') {
            return Ok(Self::Unix(text.into()));
        }
        let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
        match port.map(str::parse::<u16>) {
            Some(Ok(_)) => Ok(Self::Tcp(text.to_owned())),
            Some(Err(_)) | None => Err(NoEndpoint(text.to_owned())),
        }
    }
}

/// Why a frame was not sent or not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The frame is too large; the sender must cut it into chunks.
    #[error("the frame has {bytes} bytes, the limit is {limit}")]
    FrameTooLarge {
        /// The frame's size.
        bytes: usize,
        /// The largest.
        limit: usize,
    },
    /// Too much is on its way to the other side.
    #[error("{unacknowledged} bytes are unacknowledged, the limit is {limit}")]
    Full {
        /// What the other side has not acknowledged, in bytes.
        unacknowledged: u64,
        /// The most it may be.
        limit: u64,
    },
    /// Too many calls wait for their answers.
    #[error("{limit} calls wait for answers, which is the limit")]
    TooManyCalls {
        /// The most there may be.
        limit: usize,
    },
    /// The connection has ended; whether a call was handled is unknown.
    #[error("the connection has ended: {0}")]
    Closed(EndReason),
    /// No answer came in time; whether the call was handled is unknown.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// The other side has dropped the call.
    #[error("the other side dropped the call without an answer")]
    Dropped,
    /// The other side could not read the call.
    #[error("the other side could not read the call")]
    Undecodable,
}

/// What the listening side does with its peers. Called from the tasks that read the streams: each
/// method only hands on what it was given.
///
/// For one peer, `connected` comes before everything else and `gone` after everything else.
pub trait Door: Send + Sync {
    /// A peer has come in and was believed; `outlet` leads to it.
    fn connected(&self, peer: &Peer, outlet: Outlet);
    /// It said something.
    fn cast(&self, peer: &Peer, frame: Vec<u8>);
    /// It asked something. A dropped `reply` is told to it as [`LinkError::Dropped`].
    fn call(&self, peer: &Peer, frame: Vec<u8>, reply: Reply<Vec<u8>>);
    /// It has left. Its outlet leads nowhere.
    fn gone(&self, peer: &Peer);
    /// Somebody was turned away, before they had a session.
    fn turned_away(&self, _via: Via, _reason: &str) {}
    /// Somebody has got a certificate.
    fn enrolled(&self, _via: Via, _member: &Arc<Member>) {}
}

/// The answer to a call, when it comes.
pub type Answer = oneshot::Receiver<Result<Vec<u8>, LinkError>>;

/// Carries frames to one other side.
pub trait Carrier: Send + Sync {
    /// Sends a frame that nobody answers.
    ///
    /// # Errors
    /// The frame is too large, too much is unacknowledged, or the connection has ended.
    fn cast(&self, frame: Vec<u8>) -> Result<(), LinkError>;
    /// Sends a frame to be answered. Closed without an answer when the connection ends first.
    ///
    /// # Errors
    /// As for [`Carrier::cast`], or too many calls wait.
    fn call(&self, frame: Vec<u8>) -> Result<Answer, LinkError>;
    /// Bytes on their way that the other side has not acknowledged.
    fn unacknowledged(&self) -> u64;
    /// The connection's life.
    fn life(&self) -> &Life;
}

/// Leads to one peer. Cheap to clone.
#[derive(Clone)]
pub struct Outlet(Arc<dyn Carrier>);

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outlet({} bytes unacknowledged)", self.0.unacknowledged())
    }
}

impl Outlet {
    /// An outlet over this carrier.
    #[must_use]
    pub fn new(carrier: Arc<dyn Carrier>) -> Self {
        Self(carrier)
    }

    /// Sends a frame to the peer. Frames arrive in the order they were sent, as long as the session lives.
    ///
    /// # Errors
    /// The frame is too large, the peer has too much unacknowledged, or it has left.
    pub fn send(&self, frame: Vec<u8>) -> Result<(), LinkError> {
        self.0.cast(frame)
    }

    /// Bytes on their way that the peer has not acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> u64 {
        self.0.unacknowledged()
    }

    /// Closes the session; [`Door::gone`] follows.
    pub fn close(&self) {
        self.0.life().end(EndReason::Stopped);
    }
}

/// The dialling side's hold on a connection. Cheap to clone; it closes when the last clone is dropped.
#[derive(Clone)]
pub struct Connection(Arc<Hold>);

struct Hold {
    carrier: Arc<dyn Carrier>,
    server: Arc<str>,
    protocol: u16,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.carrier.life().end(EndReason::Stopped);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.0.server)
    }
}

impl Connection {
    /// A connection over this carrier, to a server of this name, with this protocol.
    #[must_use]
    pub fn new(carrier: Arc<dyn Carrier>, server: Arc<str>, protocol: u16) -> Self {
        Self(Arc::new(Hold { carrier, server, protocol }))
    }

    /// The server's own name.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.0.server
    }

    /// The protocol that was agreed upon.
    #[must_use]
    pub fn protocol(&self) -> u16 {
        self.0.protocol
    }

    /// The layout of what is said.
    #[must_use]
    pub fn layout(&self) -> Layout {
        Layout::of_protocol(self.0.protocol)
    }

    /// Asks and waits for the answer. Cancel safe: the answer to a dropped call is dropped too, the call
    /// itself may have been handled.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn call(&self, frame: Vec<u8>, deadline: Duration) -> Result<Vec<u8>, LinkError> {
        let answer = self.0.carrier.call(frame)?;
        let answered = async {
            match answer.await {
                Ok(answer) => answer,
                Err(_) => Err(LinkError::Closed(self.0.carrier.life().wait().await)),
            }
        };
        tokio::time::timeout(deadline, answered).await.unwrap_or(Err(LinkError::Late(deadline)))
    }

    /// Says something.
    ///
    /// # Errors
    /// The frame is too large, too much is unacknowledged, or the connection has ended.
    pub fn cast(&self, frame: Vec<u8>) -> Result<(), LinkError> {
        self.0.carrier.cast(frame)
    }

    /// Bytes on their way that the server has not acknowledged.
    #[must_use]
    pub fn unacknowledged(&self) -> u64 {
        self.0.carrier.unacknowledged()
    }

    /// Waits for the end. Cancel safe.
    pub async fn closed(&self) -> EndReason {
        let life = self.0.carrier.life().clone();
        life.wait().await
    }

    /// Closes it.
    pub fn close(&self) {
        self.0.carrier.life().end(EndReason::Stopped);
    }

    /// Its life, for those who wait for the end without holding the connection open.
    #[must_use]
    pub fn life(&self) -> Life {
        self.0.carrier.life().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read_back_from_what_is_shown() {
        for text in ["127.0.0.1:7000", "studio-1:7000", "[::1]:7000", "/run/crab/socket", "./socket"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        for text in ["", "studio-1", ":7000", "studio-1:port", "studio-1:70000"] {
            assert_eq!(text.parse::<Endpoint>(), Err(NoEndpoint(text.to_owned())));
        }
    }
}

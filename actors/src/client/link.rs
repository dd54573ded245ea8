//! The client's connections to a daemon, over `link`.
//!
//! A command line asks for the lean carrier: it lives for milliseconds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use policy::id::Incarnation;

use super::endpoint::Endpoint;
use super::transport::{BoxFuture, Dial, Transport, TransportError};
use crate::link::preamble::{PROTOCOLS, Purpose, Role};
use crate::link::{self, ConnectError, Connection, Cookie, Hello, Limits, LinkError};

/// Dials a daemon.
#[derive(Debug)]
pub(super) struct LinkDial {
    endpoint: Endpoint,
    /// Read when it is needed: over TCP.
    cookie: Option<PathBuf>,
}

impl LinkDial {
    pub(super) fn new(endpoint: Endpoint, cookie: Option<PathBuf>) -> Self {
        Self { endpoint, cookie }
    }

    async fn connect(&self, deadline: Duration) -> Result<Arc<dyn Transport>, TransportError> {
        let dial = self.link_dial(deadline)?;
        let connection = link::connect_once(&dial).await.map_err(|error| not_connected(&error))?;
        Ok(Arc::new(LinkTransport(connection)))
    }

    fn link_dial(&self, deadline: Duration) -> Result<link::Dial, TransportError> {
        let hello = Hello {
            role: Role::Cli,
            purpose: Purpose::Local,
            name: format!("crab-{}", std::process::id()),
            incarnation: Incarnation(0),
            protocols: PROTOCOLS,
        };
        let limits = Limits { handshake_deadline: deadline, ..Limits::default() };
        let (endpoint, cookie) = match &self.endpoint {
            Endpoint::Socket(path) => (link::Endpoint::Unix(path.clone()), None),
            Endpoint::Address(address) => (link::Endpoint::Tcp(address.clone()), Some(self.read_cookie()?)),
        };
        Ok(link::Dial { endpoint, hello, cookie, cluster: None, inbound: Arc::new(|_| {}), limits })
    }

    fn read_cookie(&self) -> Result<Cookie, TransportError> {
        let missing = "no cookie: copy that of the scheduler's machine into the data directory".to_owned();
        let path = self.cookie.as_ref().ok_or(TransportError::TurnedAway { why: missing })?;
        Cookie::read(path).map_err(|error| TransportError::TurnedAway { why: error.to_string() })
    }
}

impl Dial for LinkDial {
    fn dial(&self, deadline: Duration) -> BoxFuture<'_, Result<Arc<dyn Transport>, TransportError>> {
        Box::pin(self.connect(deadline))
    }

    fn place(&self) -> String {
        self.endpoint.to_string()
    }
}

/// A connection to a daemon. Ends when dropped.
#[derive(Debug)]
struct LinkTransport(Connection);

impl Transport for LinkTransport {
    fn call(&self, frame: Vec<u8>, deadline: Duration) -> BoxFuture<'_, Result<Vec<u8>, TransportError>> {
        Box::pin(async move { self.0.call(frame, deadline).await.map_err(not_answered) })
    }
}

fn not_connected(error: &ConnectError) -> TransportError {
    match error {
        ConnectError::Unreachable { source, .. } => TransportError::NotThere { why: source.to_string() },
        ConnectError::Late { deadline, .. } => TransportError::TimedOut { after: *deadline },
        ConnectError::Broken { reason, .. } => TransportError::Closed { why: reason.clone() },
        ConnectError::Refused { .. }
        | ConnectError::WrongCookie { .. }
        | ConnectError::NoCookie { .. }
        | ConnectError::Stranger { .. }
        | ConnectError::OtherUser { .. }
        | ConnectError::Node { .. }
        | ConnectError::NoNode { .. } => TransportError::TurnedAway { why: error.to_string() },
    }
}

fn not_answered(error: LinkError) -> TransportError {
    match error {
        LinkError::Late(after) => TransportError::TimedOut { after },
        LinkError::Undecodable => TransportError::TurnedAway { why: error.to_string() },
        LinkError::FrameTooLarge { .. }
        | LinkError::Full { .. }
        | LinkError::TooManyCalls { .. }
        | LinkError::Closed(_)
        | LinkError::Dropped => TransportError::Closed { why: error.to_string() },
    }
}

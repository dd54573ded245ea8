//! The client's connections to a daemon, over `link`.
//!
//! A command line asks for the lean carrier: it lives for milliseconds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use policy::id::Incarnation;
use policy::layout::Layout;

use super::endpoint::{COOKIE_NAME, Endpoint};
use super::transport::{BoxFuture, Dial, Transport, TransportError};
use crate::clock::Clock;
use crate::link::preamble::{PROTOCOLS, Purpose, Role};
use crate::link::{self, ConnectError, Connection, Cookie, Hello, Limits, LinkError};
use crate::trust::line::NoInvitation;
use crate::trust::{self, Invitation, Own, TrustError};

/// Dials a daemon.
#[derive(Debug)]
pub(super) struct LinkDial {
    endpoint: Endpoint,
    /// Where the certificate or the cookie is; read when one is needed, over TCP.
    data: Option<PathBuf>,
}

impl LinkDial {
    pub(super) fn new(endpoint: Endpoint, data: Option<PathBuf>) -> Self {
        Self { endpoint, data }
    }

    async fn connect(&self, deadline: Duration) -> Result<Arc<dyn Transport>, TransportError> {
        let dial = self.link_dial(deadline).await?;
        let connection = link::connect_once(&dial).await.map_err(|error| not_connected(&error))?;
        Ok(Arc::new(LinkTransport(connection)))
    }

    async fn link_dial(&self, deadline: Duration) -> Result<link::Dial, TransportError> {
        let hello = Hello {
            role: Role::Cli,
            purpose: Purpose::Local,
            name: format!("crab-{}", std::process::id()),
            incarnation: Incarnation(0),
            protocols: PROTOCOLS,
        };
        let limits = Limits { handshake_deadline: deadline, ..Limits::default() };
        let (endpoint, cookie, own) = match &self.endpoint {
            Endpoint::Socket(path) => (link::Endpoint::Unix(path.clone()), None, None),
            Endpoint::Address(text) => {
                let own = self.certificate(text).await?;
                let address = own.as_ref().map_or(text.as_str(), |(_, address)| address).to_owned();
                let cookie = if own.is_none() { Some(self.cookie(&address)?) } else { None };
                (
                    link::Endpoint::Tcp(address),
                    cookie,
                    own.map(|(own, _)| Arc::new(ArcSwap::from_pointee(own))),
                )
            }
        };
        Ok(link::Dial {
            endpoint,
            hello,
            cookie,
            own,
            #[cfg(feature = "server")]
            cluster: None,
            inbound: Arc::new(|_, _| {}),
            limits,
        })
    }

    /// The certificate for an address, and the address: an invitation in its place is used.
    async fn certificate(&self, text: &str) -> Result<Option<(Own, String)>, TransportError> {
        let turned_away = |why: String| TransportError::TurnedAway { why };
        let failed = |error: TrustError| turned_away(error.to_string());
        if Invitation::is_meant(text) {
            let invitation: Invitation =
                text.parse().map_err(|error: NoInvitation| turned_away(error.to_string()))?;
            let nowhere =
                || turned_away("no directory for the certificate: name one with --data-dir DIR".to_owned());
            let data = self.data.as_ref().ok_or_else(nowhere)?;
            let own = trust::join(data, &invitation).await.map_err(failed)?;
            return Ok(Some((own, invitation.address)));
        }
        let Some(data) = &self.data else { return Ok(None) };
        let Some(own) = Own::of_client(data).map_err(failed)? else { return Ok(None) };
        let address = text.to_owned();
        if !own.is_due(Clock::system().wall()) {
            return Ok(Some((own, address)));
        }
        // The old one is still good, for a while.
        Ok(Some((own.renew(data).await.unwrap_or(own), address)))
    }

    /// Without a certificate: what proves that we may read the scheduler's files.
    fn cookie(&self, address: &str) -> Result<Cookie, TransportError> {
        let path = self.data.as_ref().map(|data| data.join(COOKIE_NAME)).filter(|path| path.exists());
        let missing = || TransportError::TurnedAway {
            why: format!(
                "no certificate for {address}: ask for an invitation (`crab cluster invite NAME` there) and use it \
                 once in place of the address: crab --address LINE status"
            ),
        };
        let path = path.ok_or_else(missing)?;
        Cookie::read(&path).map_err(|error| TransportError::TurnedAway { why: error.to_string() })
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
    fn layout(&self) -> Layout {
        self.0.layout()
    }

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
        | ConnectError::Untrusted { .. }
        | ConnectError::Stranger { .. }
        | ConnectError::OtherUser { .. }
        | ConnectError::NoNode { .. } => TransportError::TurnedAway { why: error.to_string() },
        #[cfg(feature = "server")]
        ConnectError::Node { .. } => TransportError::TurnedAway { why: error.to_string() },
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

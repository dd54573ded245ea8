//! TLS under a stream that was accepted or dialled, and whose certificate is on the other side.
//!
//! Must not know what is said on the stream afterwards.

#[cfg(feature = "server")]
use std::io;
#[cfg(feature = "server")]
use std::sync::Arc;

use policy::trust::Caller;
#[cfg(feature = "server")]
use policy::trust::Member;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

#[cfg(feature = "server")]
use super::preamble::Refusal;
use super::stream::Stream;
#[cfg(feature = "server")]
use crate::trust::{APPLICANTS, Fleet};
use crate::trust::{Own, explained, scheduler_name};

/// The first byte of everything that is said in TLS.
#[cfg(feature = "server")]
const TLS_HANDSHAKE: u8 = 22;

/// A stream that was accepted, and who is there.
#[cfg(feature = "server")]
pub(super) enum Arrival {
    /// Somebody who may say the preamble.
    Guest(Stream, Arrived),
    /// Somebody who wants a certificate, with whom they are by the one they have.
    Applicant(Stream, Option<Arc<Member>>),
    /// Somebody who is turned away.
    Turned(Stream, Refusal),
}

/// Who came, by what the system or a certificate says.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) caller: Caller,
    /// The certificate, where it was one.
    pub(super) certificate: Option<CertificateDer<'static>>,
    /// Whether they need no cookie.
    pub(super) is_vouched: bool,
}

/// TLS as the server, where this fleet has certificates.
#[cfg(feature = "server")]
pub(super) async fn accept(socket: TcpStream, fleet: &Fleet) -> io::Result<Arrival> {
    let mut first = [0];
    // Somebody who does not know of TLS is told so in words they understand.
    if socket.peek(&mut first).await? == 1 && first != [TLS_HANDSHAKE] {
        return Ok(Arrival::Turned(Box::new(socket), Refusal::Uncertified));
    }
    let stream = fleet.acceptor().accept(socket).await?;
    let (_, tls) = stream.get_ref();
    let certificate =
        tls.peer_certificates().and_then(|chain| chain.first()).cloned().map(CertificateDer::into_owned);
    let member = certificate.as_ref().and_then(|certificate| fleet.member(certificate));
    let wants_one = tls.alpn_protocol() == Some(APPLICANTS);
    let stream: Stream = Box::new(stream);
    Ok(match (member, certificate) {
        (member, _) if wants_one => Arrival::Applicant(stream, member),
        (Some(member), certificate) => {
            let caller = Caller::Member(member);
            Arrival::Guest(stream, Arrived { caller, certificate, is_vouched: true })
        }
        (None, Some(_)) => Arrival::Turned(stream, Refusal::Revoked),
        (None, None) => Arrival::Turned(stream, Refusal::Uncertified),
    })
}

/// TLS as the client, with this certificate.
pub(super) async fn dial(socket: TcpStream, own: &Own) -> Result<Stream, String> {
    let name = scheduler_name().map_err(|error| error.to_string())?;
    let connected = TlsConnector::from(own.config()).connect(name, socket).await;
    Ok(Box::new(connected.map_err(|error| explained(&error))?))
}

//! Asking for a certificate: one question and one answer as JSON behind their length, over TLS.
//!
//! With a secret it is an invitation that is used, with a certificate one that is renewed.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use policy::time::Timestamp;
use policy::trust::Member;
use rcgen::{CertificateParams, KeyPair};
use rustls::{CertificateError, ClientConfig};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::TrustError;
use super::own::{Note, Own, keep, scheduler_name};

/// Bytes of the longest question and answer: a request and two certificates are some two thousand.
const MESSAGE_LIMIT_BYTES: usize = 16 * 1024;
/// How long all of it may take at the one who asks.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Application {
    /// In hexadecimal digits; none where a certificate speaks for the one who asks.
    pub(super) secret: Option<String>,
    /// The certificate signing request, DER.
    pub(super) request: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Decision {
    Admitted { certificate: String, authority: String, member: Member, until: Timestamp },
    Refused(String),
}

/// The one who asks: makes a key, has it certified, keeps both.
pub(super) async fn apply(
    data: &Path,
    address: &str,
    config: Arc<ClientConfig>,
    (secret, used): (Option<&[u8; 32]>, Option<Box<str>>),
) -> Result<Own, TrustError> {
    let key = KeyPair::generate()?;
    let request = CertificateParams::default().serialize_request(&key)?;
    let secret = secret.map(|secret| blake3::Hash::from_bytes(*secret).to_hex().to_string());
    let application = Application { secret, request: request.der().to_vec() };
    let asking = ask(address, config, &application);
    let unreachable = |what: String| TrustError::Unreachable { address: address.to_owned(), what };
    let decision = match tokio::time::timeout(DEADLINE, asking).await {
        Ok(decision) => decision.map_err(|error| unreachable(explained(&error)))?,
        Err(_) => return Err(unreachable(format!("no answer within {DEADLINE:?}"))),
    };
    match decision {
        Decision::Refused(why) => Err(TrustError::Refused(why)),
        Decision::Admitted { certificate, authority, member, until } => {
            let pem = [key.serialize_pem(), certificate, authority].concat();
            let note = Note { member, address: address.to_owned(), until, invitation: used };
            keep(data, &pem, &note)
        }
    }
}

async fn ask(address: &str, config: Arc<ClientConfig>, application: &Application) -> io::Result<Decision> {
    let stream = TcpStream::connect(address).await?;
    let name = scheduler_name().map_err(io::Error::other)?;
    let mut stream = TlsConnector::from(config).connect(name, stream).await?;
    write(&mut stream, application).await?;
    read(&mut stream).await
}

/// What went wrong with TLS, in words that lead on.
pub(crate) fn explained(error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        // Every authority goes by the same name, so that of another fleet shows by its signature.
        Some(rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => {
            "another authority answers there: the invitation is for another fleet, or somebody is in between"
                .to_owned()
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            "it does not speak TLS: run `crab cluster init` there and start crabd again".to_owned()
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            format!(
                "it does not take our certificate ({alert:?}): ask for a new invitation (`crab cluster invite NAME`)"
            )
        }
        _ => error.to_string(),
    }
}

pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], &text].concat()).await?;
    stream.flush().await
}

pub(super) async fn read<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let length = usize::try_from(stream.read_u32().await?).unwrap_or(usize::MAX);
    if length > MESSAGE_LIMIT_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message that is too long"));
    }
    let mut text = vec![0; length];
    stream.read_exact(&mut text).await?;
    Ok(serde_json::from_slice(&text)?)
}

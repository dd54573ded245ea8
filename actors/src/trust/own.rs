//! A member's side: its key and certificate in its data directory, and TLS as a client.

use std::path::Path;
use std::sync::Arc;

use policy::time::Timestamp;
use policy::trust::{FleetRole, Member};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde::{Deserialize, Serialize};

use super::papers::digest;
use super::papers::{self, Papers};
use super::{APPLICANTS, Invitation, MEMBERS, RENEW_BEFORE, SCHEDULER_NAME, TrustError, application};

/// What is kept beside the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    #[serde(flatten)]
    pub(super) member: Member,
    pub(super) address: String,
    pub(super) until: Timestamp,
    /// The digest of the invitation that was used for it, in hexadecimal digits.
    pub(super) invitation: Option<Box<str>>,
}

/// A membership: a key, a certificate, and whom to believe.
#[derive(Clone)]
pub struct Own {
    note: Note,
    members: Arc<ClientConfig>,
    applicants: Arc<ClientConfig>,
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Own({} at {})", self.note.member.name, self.note.address)
    }
}

/// The two memberships that one data directory has room for: the machine's, and its user's.
pub(super) fn files(role: FleetRole) -> (&'static str, &'static str) {
    match role {
        FleetRole::Worker => ("worker.pem", "worker.json"),
        FleetRole::Agent | FleetRole::Operator | FleetRole::Viewer => ("client.pem", "client.json"),
    }
}

impl Own {
    /// The machine's own membership, for its worker; `None` where it has none.
    ///
    /// # Errors
    /// Where the files cannot be read or are damaged.
    pub fn of_worker(data: &Path) -> Result<Option<Self>, TrustError> {
        Self::open(data, FleetRole::Worker)
    }

    /// The user's membership, for command lines and agents; `None` where there is none.
    ///
    /// # Errors
    /// Where the files cannot be read or are damaged.
    pub fn of_client(data: &Path) -> Result<Option<Self>, TrustError> {
        Self::open(data, FleetRole::Operator)
    }

    fn open(data: &Path, role: FleetRole) -> Result<Option<Self>, TrustError> {
        let (pem, note) = files(role);
        let (pem_path, note_path) = (papers::path(data, pem), papers::path(data, note));
        let (Some(pem), Some(note)) = (papers::read(&pem_path)?, papers::read(&note_path)?) else {
            return Ok(None);
        };
        let damaged = |error: serde_json::Error| TrustError::Damaged {
            path: note_path.clone(),
            what: error.to_string(),
        };
        let note = serde_json::from_str(&note).map_err(damaged)?;
        Self::of(Papers::parse(&pem_path, &pem)?, note).map(Some)
    }

    fn of(Papers { key, chain }: Papers, note: Note) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for authority in chain.iter().skip(1) {
            roots.add(authority.clone())?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        let speaking = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            config.resumption = Resumption::disabled();
            Arc::new(config)
        };
        Ok(Self { note, members: speaking(MEMBERS), applicants: speaking(APPLICANTS) })
    }

    /// Who it is.
    #[must_use]
    pub fn member(&self) -> &Member {
        &self.note.member
    }

    /// Where the scheduler listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.note.address
    }

    /// Until when its certificate is good.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.note.until
    }

    /// Whether it should be renewed.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        now + RENEW_BEFORE >= self.note.until
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.members)
    }

    /// Asks for another certificate, with this one, and keeps it in its place.
    ///
    /// # Errors
    /// Where the scheduler is not reached or refuses, or the files cannot be written.
    pub async fn renew(&self, data: &Path) -> Result<Self, TrustError> {
        let used = self.note.invitation.clone();
        application::apply(data, &self.note.address, Arc::clone(&self.applicants), (None, used)).await
    }

    /// Whether it was this invitation that made it: a line may be given again at each start.
    #[must_use]
    pub fn is_from(&self, invitation: &Invitation) -> bool {
        self.note.invitation.as_ref().is_some_and(|used| *used == digest(&invitation.secret))
    }
}

/// Uses an invitation, unless that was done before: makes a key here, has it certified there, and keeps both.
///
/// # Errors
/// Where the scheduler is not reached or is another one, the invitation is not good, or files cannot be written.
pub async fn join(data: &Path, invitation: &Invitation) -> Result<Own, TrustError> {
    for own in [Own::of_worker(data)?, Own::of_client(data)?].into_iter().flatten() {
        if own.is_from(invitation) {
            return Ok(own);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let pinned = Pinned { authority: invitation.authority, provider: Arc::clone(&provider) };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth();
    config.alpn_protocols = vec![APPLICANTS.to_vec()];
    config.resumption = Resumption::disabled();
    let with = (Some(&invitation.secret), Some(digest(&invitation.secret)));
    application::apply(data, &invitation.address, Arc::new(config), with).await
}

/// Keeps what was made, and reads it again.
pub(super) fn keep(data: &Path, pem: &str, note: &Note) -> Result<Own, TrustError> {
    let role = note.member.role;
    let (pem_name, note_name) = files(role);
    let text = serde_json::to_string_pretty(note).map_err(|error| TrustError::Making(error.to_string()))?;
    papers::write(&papers::path(data, note_name), &text)?;
    let path = papers::path(data, pem_name);
    papers::write(&path, pem)?;
    let gone = || TrustError::Damaged { path, what: "it is gone again".to_owned() };
    Own::open(data, role)?.ok_or_else(gone)
}

/// The name by which every scheduler goes in its certificate.
pub(crate) fn scheduler_name() -> Result<ServerName<'static>, TrustError> {
    ServerName::try_from(SCHEDULER_NAME).map_err(|error| TrustError::Making(error.to_string()))
}

/// Believes a server whose authority has the digest of the invitation, and no other.
#[derive(Debug)]
struct Pinned {
    authority: blake3::Hash,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let authority = others.iter().find(|other| blake3::hash(other) == self.authority);
        let authority = authority.ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let provider = Arc::clone(&self.provider);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(server, others, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A membership of any making, for tests of who is refused.
#[cfg(test)]
pub(crate) fn kept(data: &Path, pem: &str, (member, address, until): (&Member, &str, Timestamp)) -> Own {
    let note = Note { member: member.clone(), address: address.to_owned(), until, invitation: None };
    keep(data, pem, &note).unwrap()
}

//! The scheduler's side: the authority, the roll, and TLS as a server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use policy::time::Timestamp;
use policy::trust::Member;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::authority::{Authority, membership_from};
use super::roll::{Enrolled, Invited, Roll};
use super::{APPLICANTS, Invitation, MEMBERS, MEMBERSHIP, TrustError};
use crate::clock::Clock;

/// The longest an invitation is good.
pub const INVITATION_LIMIT: Duration = Duration::from_secs(30 * 24 * 3600);

/// See the module's documentation.
pub struct Fleet {
    authority: Authority,
    roll: Roll,
    acceptor: TlsAcceptor,
    clock: Clock,
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fleet({:?})", self.authority)
    }
}

impl Fleet {
    /// That of a data directory, if certificates were made there.
    ///
    /// # Errors
    /// Where the files cannot be read or are damaged.
    pub fn open(data: &Path, clock: Clock) -> Result<Option<Arc<Self>>, TrustError> {
        let Some(authority) = Authority::open(data)? else { return Ok(None) };
        let roll = Roll::open(data)?;
        let acceptor = TlsAcceptor::from(Arc::new(server(&authority)?));
        Ok(Some(Arc::new(Self { authority, roll, acceptor, clock })))
    }

    /// The digest of the authority's certificate.
    #[must_use]
    pub fn fingerprint(&self) -> blake3::Hash {
        self.authority.fingerprint()
    }

    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Invites somebody who reaches us at `address`, for as long as `expires`.
    ///
    /// # Errors
    /// Where the name is taken or the invitation would be good for too long.
    pub fn invite(&self, member: Member, address: &str, expires: Duration) -> Result<Invitation, TrustError> {
        if expires > INVITATION_LIMIT || expires.is_zero() {
            let what = "an invitation is good for at most 30 days: choose a shorter --expires";
            return Err(TrustError::Refused(what.to_owned()));
        }
        let now = self.clock.wall();
        let secret = self.roll.invite(member, now + expires, now)?;
        Ok(Invitation { address: address.to_owned(), authority: self.fingerprint(), secret })
    }

    /// Makes a certificate for whoever holds this secret, once.
    pub(super) fn admit(&self, secret: &[u8], request: &[u8]) -> Result<Admitted, TrustError> {
        let now = self.clock.wall();
        let until = membership_from(now);
        let make = |member: &Member| self.authority.sign(request, member, now, MEMBERSHIP);
        let (certificate, member) = self.roll.redeem(secret, (now, until), make)?;
        Ok(self.admitted(certificate.pem, member, until))
    }

    /// Makes another certificate for a member.
    pub(super) fn renew(&self, member: &Arc<Member>, request: &[u8]) -> Result<Admitted, TrustError> {
        let now = self.clock.wall();
        let until = membership_from(now);
        let certificate = self.authority.sign(request, member, now, MEMBERSHIP)?;
        self.roll.renew(member, &certificate.der, (now, until))?;
        Ok(self.admitted(certificate.pem, Arc::clone(member), until))
    }

    fn admitted(&self, certificate: String, member: Arc<Member>, until: Timestamp) -> Admitted {
        Admitted { certificate, authority: self.authority.pem().to_owned(), member, until }
    }

    /// Takes back all that a name has; tells how many certificates and invitations. Their connections end at once.
    ///
    /// # Errors
    /// Where the roll cannot be written.
    pub fn revoke(&self, name: &str) -> Result<(usize, usize), TrustError> {
        self.roll.revoke(name, self.clock.wall())
    }

    /// Whose certificate this is, if it is good.
    #[must_use]
    pub fn member(&self, certificate: &[u8]) -> Option<Arc<Member>> {
        self.roll.member(certificate, self.clock.wall())
    }

    /// Waits until a certificate is taken back.
    pub async fn until_revoked(&self, certificate: &[u8]) {
        self.roll.until_revoked(certificate).await;
    }

    /// Who has a certificate, and who is invited.
    #[must_use]
    pub fn rows(&self) -> (Vec<Enrolled>, Vec<Invited>) {
        self.roll.rows()
    }
}

/// What somebody gets who is let in.
pub(super) struct Admitted {
    pub(super) certificate: String,
    pub(super) authority: String,
    pub(super) member: Arc<Member>,
    pub(super) until: Timestamp,
}

/// Those who have no certificate yet may come in, to ask for one; nothing else is said to them.
fn server(authority: &Authority) -> Result<ServerConfig, TrustError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone())?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| TrustError::Making(error.to_string()))?;
    let papers = &authority.scheduler;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(papers.chain.clone(), papers.key.clone_key())?;
    config.alpn_protocols = vec![MEMBERS.to_vec(), APPLICANTS.to_vec()];
    // A session taken up again would not show its certificate again.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

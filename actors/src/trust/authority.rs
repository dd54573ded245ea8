//! The fleet's own certificate authority: a key in the scheduler's data directory, and what it signs.

use std::path::Path;
use std::time::Duration;

use policy::time::Timestamp;
use policy::trust::Member;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::pki_types::CertificateDer;

use super::papers::{self, Papers};
use super::{CLOCKS_APART, MEMBERSHIP, SCHEDULER_NAME, TrustError};
use crate::link::secret::random;

/// Key and certificate of the authority.
const AUTHORITY_FILE: &str = "authority.pem";
/// Key and certificates of the scheduler.
const SCHEDULER_FILE: &str = "scheduler.pem";
/// What certificates begin with, as text.
const CERTIFICATE_BEGINS: &str = "-----BEGIN CERTIFICATE-----";
/// How long the authority and the scheduler's own certificate are good: longer than the machines last.
const AUTHORITY_LIFE: Duration = Duration::from_secs(20 * 365 * 24 * 3600);

/// See the module's documentation.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    /// The same as text.
    pem: String,
    pub(super) scheduler: Papers,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority({})", self.fingerprint().to_hex())
    }
}

impl Authority {
    /// Makes one in a data directory, with the scheduler's own certificate.
    ///
    /// # Errors
    /// Where there is one already, or the files cannot be written.
    pub fn create(data: &Path, now: Timestamp) -> Result<Self, TrustError> {
        let path = papers::path(data, AUTHORITY_FILE);
        if papers::read(&path)?.is_some() {
            return Err(TrustError::Exists { path });
        }
        let key = KeyPair::generate()?;
        let mut of_authority = dated(now, AUTHORITY_LIFE)?;
        of_authority.distinguished_name.push(DnType::CommonName, "knittingCrab fleet");
        of_authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        of_authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = of_authority.self_signed(&key)?;
        let own_pem = [key.serialize_pem(), certificate.pem()].concat();
        let issuer = Issuer::new(of_authority, key);
        let of_scheduler = KeyPair::generate()?;
        let mut params = dated(now, AUTHORITY_LIFE)?;
        params.distinguished_name.push(DnType::CommonName, "scheduler");
        params.subject_alt_names = CertificateParams::new([SCHEDULER_NAME.to_owned()])?.subject_alt_names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let signed = params.signed_by(&of_scheduler, &issuer)?;
        let scheduler_pem = [of_scheduler.serialize_pem(), signed.pem(), certificate.pem()].concat();
        // The authority's file is what counts: it is written last.
        papers::write(&papers::path(data, SCHEDULER_FILE), &scheduler_pem)?;
        papers::write(&path, &own_pem)?;
        Self::open(data)?.ok_or_else(|| TrustError::Damaged { path, what: "it is gone again".to_owned() })
    }

    /// That of a data directory, if there is one.
    ///
    /// # Errors
    /// Where its files cannot be read, can be read by others, or are damaged.
    pub fn open(data: &Path) -> Result<Option<Self>, TrustError> {
        let path = papers::path(data, AUTHORITY_FILE);
        let Some(text) = papers::read(&path)? else { return Ok(None) };
        let of_authority = Papers::parse(&path, &text)?;
        let certificate = of_authority.chain[0].clone();
        let issuer = Issuer::from_ca_cert_der(&certificate, KeyPair::from_pem(&text)?)?;
        let pem = text.find(CERTIFICATE_BEGINS).map_or("", |begin| &text[begin..]).to_owned();
        let path = papers::path(data, SCHEDULER_FILE);
        let text = papers::read(&path)?;
        let gone = || TrustError::Damaged { path: path.clone(), what: "it is gone".to_owned() };
        let scheduler = Papers::parse(&path, &text.ok_or_else(gone)?)?;
        Ok(Some(Self { issuer, certificate, pem, scheduler }))
    }

    /// The digest of its certificate, by which it is known in invitations.
    #[must_use]
    pub fn fingerprint(&self) -> blake3::Hash {
        blake3::hash(&self.certificate)
    }

    /// Its certificate.
    #[must_use]
    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its certificate as text.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for whoever made this request, good for `life`. What the request says of its maker is not believed:
    /// only its key is taken over, which has signed it.
    ///
    /// # Errors
    /// Where the request is malformed or was signed by another key.
    pub fn sign(
        &self,
        request: &[u8],
        member: &Member,
        now: Timestamp,
        life: Duration,
    ) -> Result<Signed, TrustError> {
        let request = CertificateSigningRequestParams::from_der(&request.into())?;
        let mut params = dated(now, life)?;
        params.distinguished_name.push(DnType::CommonName, &*member.name);
        params.distinguished_name.push(DnType::OrganizationalUnitName, member.role.to_string());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let signed = params.signed_by(&request.public_key, &self.issuer)?;
        Ok(Signed { der: signed.der().clone(), pem: signed.pem() })
    }
}

/// A new certificate.
#[derive(Debug, Clone)]
pub struct Signed {
    /// It.
    pub der: CertificateDer<'static>,
    /// The same as text.
    pub pem: String,
}

/// Good from a little before now, since clocks differ, for `life`.
fn dated(now: Timestamp, life: Duration) -> Result<CertificateParams, TrustError> {
    let at = |time: Timestamp| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_micros(time.0);
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = at(now - CLOCKS_APART);
    params.not_after = at(now + life);
    let serial: [u8; 16] = random().map_err(|error| TrustError::Making(error.to_string()))?;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

/// How long a membership that begins now is good.
#[must_use]
pub(super) fn membership_from(now: Timestamp) -> Timestamp {
    now + MEMBERSHIP
}

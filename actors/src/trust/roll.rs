//! The roll: who was invited, whose certificate is whose, and who was sent away. A file, and what is asked of it.
//!
//! Secrets and certificates are in it as digests alone: whoever reads the file can use neither.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use policy::time::Timestamp;
use policy::trust::Member;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::authority::Signed;
use super::papers::digest;
use super::{TrustError, papers};
use crate::link::preamble::is_name;
use crate::link::secret::random;

/// The roll's file.
const ROLL_FILE: &str = "members.json";
/// The format of the file.
const FORMAT: u32 = 1;
/// Certificates on the roll, those of the past included: a fleet has some dozens of members.
pub const MEMBERS_LIMIT: usize = 1_024;
/// Invitations that nobody has used yet: each is one line that somebody is about to paste.
pub const INVITATIONS_LIMIT: usize = 256;

/// A certificate, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// Whose.
    #[serde(flatten)]
    pub member: Arc<Member>,
    /// The digest of the certificate, in hexadecimal digits.
    pub certificate: Box<str>,
    /// When it was made, in microseconds since 1970.
    pub since: Timestamp,
    /// Until when it is good.
    pub until: Timestamp,
    /// When it was taken back.
    pub revoked: Option<Timestamp>,
}

/// An invitation that nobody has used yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// Whose.
    #[serde(flatten)]
    pub member: Arc<Member>,
    /// The digest of its secret, in hexadecimal digits.
    secret: Box<str>,
    /// Until when it is good.
    pub until: Timestamp,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Kept {
    format: u32,
    members: Vec<Enrolled>,
    invitations: Vec<Invited>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Roll {
    path: PathBuf,
    kept: Mutex<Kept>,
    /// Counts changes, for those who wait to hear that a certificate was taken back.
    changes: watch::Sender<u64>,
}

impl Roll {
    /// The roll of a data directory; an empty one where there is none.
    ///
    /// # Errors
    /// Where the file cannot be read, is damaged, or was written by a later program.
    pub fn open(data: &Path) -> Result<Self, TrustError> {
        let path = papers::path(data, ROLL_FILE);
        let kept = match papers::read(&path)? {
            None => Kept { format: FORMAT, ..Kept::default() },
            Some(text) => {
                let damaged = |what: String| TrustError::Damaged { path: path.clone(), what };
                let kept: Kept = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
                if kept.format != FORMAT {
                    return Err(damaged(format!("format {} where {FORMAT} is known", kept.format)));
                }
                kept
            }
        };
        Ok(Self { path, kept: Mutex::new(kept), changes: watch::Sender::new(0) })
    }

    /// Invites somebody until `until`; the secret is told here and never again.
    ///
    /// # Errors
    /// Where the name cannot be one or is a member's, too many are invited, or the file cannot be written.
    pub fn invite(&self, member: Member, until: Timestamp, now: Timestamp) -> Result<[u8; 32], TrustError> {
        let name = &member.name;
        if !is_name(name) || !is_name(&member.tenant) {
            let what = format!(
                "{name:?} and its tenant must each be at most 63 of a-z 0-9 . _ -, beginning with a letter or digit"
            );
            return Err(TrustError::Refused(what));
        }
        let mut kept = self.kept();
        if kept.members.iter().any(|one| one.member.name == *name && one.is_good(now)) {
            let what =
                format!("{name} is a member: choose another name, or `crab cluster revoke {name}` first");
            return Err(TrustError::Refused(what));
        }
        let mut changed = kept.clone();
        changed.invitations.retain(|one| one.until > now && one.member.name != *name);
        if changed.invitations.len() >= INVITATIONS_LIMIT {
            let what = format!(
                "{INVITATIONS_LIMIT} invitations are open, which is the limit: they expire, or revoke their names"
            );
            return Err(TrustError::Refused(what));
        }
        let secret: [u8; 32] =
            random().map_err(|source| TrustError::Io { path: "/dev/urandom".into(), source })?;
        changed.invitations.push(Invited { member: Arc::new(member), secret: digest(&secret), until });
        self.save(&mut kept, changed)?;
        Ok(secret)
    }

    /// Uses up an invitation for the certificate that `make` makes; an error of `make` leaves it open.
    ///
    /// # Errors
    /// Where the secret is not, or no longer, good, or as `make` says.
    pub fn redeem(
        &self,
        secret: &[u8],
        (now, until): (Timestamp, Timestamp),
        make: impl FnOnce(&Member) -> Result<Signed, TrustError>,
    ) -> Result<(Signed, Arc<Member>), TrustError> {
        let digest = digest(secret);
        let mut kept = self.kept();
        let found = kept.invitations.iter().position(|one| one.secret == digest && one.until > now);
        let Some(found) = found else {
            let what = "this invitation was used, has expired, or was taken back: ask for a new one (`crab cluster invite NAME`)";
            return Err(TrustError::Refused(what.to_owned()));
        };
        let mut changed = kept.clone();
        let member = changed.invitations.remove(found).member;
        let made = make(&member)?;
        changed.enter(&member, &made.der, (now, until))?;
        self.save(&mut kept, changed)?;
        Ok((made, member))
    }

    /// Enters another certificate of a member. The one before stays good until its end.
    ///
    /// # Errors
    /// Where the member was sent away meanwhile, or the file cannot be written.
    pub fn renew(
        &self,
        member: &Arc<Member>,
        certificate: &[u8],
        (now, until): (Timestamp, Timestamp),
    ) -> Result<(), TrustError> {
        let mut kept = self.kept();
        if !kept.members.iter().any(|one| one.member == *member && one.is_good(now)) {
            return Err(TrustError::Refused(format!("{} is no member any more", member.name)));
        }
        let mut changed = kept.clone();
        changed.enter(member, certificate, (now, until))?;
        self.save(&mut kept, changed)
    }

    /// Takes back every certificate and every invitation of a name; tells how many of each.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn revoke(&self, name: &str, now: Timestamp) -> Result<(usize, usize), TrustError> {
        let mut kept = self.kept();
        let mut changed = kept.clone();
        let before = changed.invitations.len();
        changed.invitations.retain(|one| *one.member.name != *name);
        let mut certificates = 0;
        for one in changed.members.iter_mut().filter(|one| *one.member.name == *name && one.is_good(now)) {
            one.revoked = Some(now);
            certificates += 1;
        }
        let invitations = before - changed.invitations.len();
        self.save(&mut kept, changed)?;
        Ok((certificates, invitations))
    }

    /// Whose certificate this is, if it is good.
    #[must_use]
    pub fn member(&self, certificate: &[u8], now: Timestamp) -> Option<Arc<Member>> {
        let digest = digest(certificate);
        let kept = self.kept();
        let found = kept.members.iter().find(|one| one.certificate == digest && one.is_good(now));
        found.map(|one| Arc::clone(&one.member))
    }

    /// Waits until a certificate is taken back. Its end by age ends no connection.
    pub async fn until_revoked(&self, certificate: &[u8]) {
        let digest = digest(certificate);
        let mut changes = self.changes.subscribe();
        let is_revoked =
            |kept: &Kept| !kept.members.iter().any(|one| one.certificate == digest && one.revoked.is_none());
        loop {
            changes.mark_unchanged();
            if is_revoked(&self.kept()) {
                return;
            }
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// All of it, in order of time.
    #[must_use]
    pub fn rows(&self) -> (Vec<Enrolled>, Vec<Invited>) {
        let kept = self.kept();
        (kept.members.clone(), kept.invitations.clone())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is not on disk does not hold.
    fn save(&self, kept: &mut Kept, changed: Kept) -> Result<(), TrustError> {
        let text =
            serde_json::to_string_pretty(&changed).map_err(|error| TrustError::Making(error.to_string()))?;
        papers::write(&self.path, &text)?;
        *kept = changed;
        self.changes.send_modify(|changes| *changes += 1);
        Ok(())
    }
}

impl Kept {
    /// Makes room by what is of the past, the oldest first.
    fn enter(
        &mut self,
        member: &Arc<Member>,
        certificate: &[u8],
        (since, until): (Timestamp, Timestamp),
    ) -> Result<(), TrustError> {
        if self.members.len() >= MEMBERS_LIMIT {
            let past = self.members.iter().position(|one| !one.is_good(since));
            let full = || {
                TrustError::Refused(format!(
                    "{MEMBERS_LIMIT} certificates are good, which is the limit: revoke some"
                ))
            };
            self.members.remove(past.ok_or_else(full)?);
        }
        let certificate = digest(certificate);
        self.members.push(Enrolled { member: Arc::clone(member), certificate, since, until, revoked: None });
        Ok(())
    }
}

impl Enrolled {
    /// Whether it opens anything.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.until > now
    }
}

//! Who belongs to the fleet.

use std::sync::Arc;
use std::time::Duration;

use policy::time::Timestamp;
use policy::trust::{FleetRole, Member};
use serde::{Deserialize, Serialize};

/// What is to be told or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Enrolment {
    /// Make an invitation.
    Invite {
        /// For whom.
        name: Box<str>,
        /// As what.
        role: FleetRole,
        /// An agent's tenant; its own name where there is none.
        tenant: Option<Box<str>>,
        /// For how long it is good.
        expires: Duration,
        /// Where they reach the scheduler: `HOST:PORT`; where it listens, if none is named.
        address: Option<Box<str>>,
    },
    /// Take back all certificates and invitations of a name; their connections end at once.
    Revoke {
        /// Whose.
        name: Box<str>,
    },
    /// Who is there?
    List,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Enrolled {
    /// The invitation, as one line.
    Invitation(Box<str>),
    /// So many certificates and invitations were taken back.
    Revoked {
        /// Certificates that were good.
        certificates: u64,
        /// Invitations that were open.
        invitations: u64,
    },
    /// All of them, in order of time.
    Members {
        /// Certificates, those of the past included.
        members: Vec<MemberRow>,
        /// Invitations that nobody has used.
        invited: Vec<InvitedRow>,
    },
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    /// Whose.
    pub member: Arc<Member>,
    /// The first digits of its digest.
    pub certificate: Box<str>,
    /// When it was made.
    pub since: Timestamp,
    /// Until when it is good.
    pub until: Timestamp,
    /// When it was taken back.
    pub revoked: Option<Timestamp>,
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitedRow {
    /// For whom.
    pub member: Arc<Member>,
    /// Until when it is good.
    pub until: Timestamp,
}

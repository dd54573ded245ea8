//! Who belongs to the fleet, as `cluster` tells it.

use actors::wire::client::{InvitedRow, MemberRow};
use policy::time::Timestamp;
use serde::Serialize;

use super::VERSION;
use crate::cli::text::rfc3339;

/// Of `cluster init`.
#[derive(Debug, Serialize)]
pub(crate) struct Authority {
    v: u32,
    authority: String,
}

impl Authority {
    pub(crate) fn of(authority: String) -> Self {
        Self { v: VERSION, authority }
    }
}

/// Of `cluster invite`.
#[derive(Debug, Serialize)]
pub(crate) struct Invitation {
    v: u32,
    invitation: String,
}

impl Invitation {
    pub(crate) fn of(invitation: String) -> Self {
        Self { v: VERSION, invitation }
    }
}

/// Of `cluster revoke`.
#[derive(Debug, Serialize)]
pub(crate) struct Revoked {
    v: u32,
    name: String,
    certificates: u64,
    invitations: u64,
}

impl Revoked {
    pub(crate) fn of(name: String, certificates: u64, invitations: u64) -> Self {
        Self { v: VERSION, name, certificates, invitations }
    }
}

/// Of `cluster list`, a line for each certificate and each invitation.
#[derive(Debug, Serialize)]
pub(crate) struct Member {
    v: u32,
    name: String,
    /// `worker`, `agent`, `viewer` or `operator`.
    role: String,
    tenant: String,
    /// `good`, `expired`, `revoked` or `invited`.
    state: &'static str,
    since: Option<String>,
    until: String,
    revoked: Option<String>,
    /// The first digits of its digest.
    certificate: Option<String>,
}

impl Member {
    pub(crate) fn of(row: &MemberRow, state: &'static str) -> Self {
        Self {
            since: Some(rfc3339(row.since)),
            revoked: row.revoked.map(rfc3339),
            certificate: Some(row.certificate.to_string()),
            ..Self::without_certificate(&row.member, state, row.until)
        }
    }

    pub(crate) fn invited(row: &InvitedRow) -> Self {
        Self::without_certificate(&row.member, "invited", row.until)
    }

    fn without_certificate(member: &policy::trust::Member, state: &'static str, until: Timestamp) -> Self {
        Self {
            v: VERSION,
            name: member.name.to_string(),
            role: member.role.to_string(),
            tenant: member.tenant.to_string(),
            state,
            since: None,
            until: rfc3339(until),
            revoked: None,
            certificate: None,
        }
    }
}

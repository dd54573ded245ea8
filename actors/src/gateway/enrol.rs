//! Who belongs to the fleet: told and changed for operators. Each change is written down.

use std::sync::Arc;

use policy::trust::{Caller, FleetRole, Member};

use crate::gateway::answer::{Answerer, not_now, off_loop};
use crate::trust::{Fleet, TrustError};
use crate::wire::client::{Enrolled, Enrolment, InvitedRow, MemberRow, Response};

/// Digits of a certificate's digest that are shown: enough to tell a thousand apart.
const SHOWN_DIGITS: usize = 16;

impl Answerer {
    pub(super) async fn enrol(&self, caller: &Caller, wanted: Enrolment) -> Response {
        let Some((fleet, listens)) = self.side.enrolment() else {
            let next = "this fleet has no certificates: run `crab cluster init` on the scheduler's machine and start \
                        crabd there again";
            return Response::Refused(next.into());
        };
        let what = match &wanted {
            Enrolment::Invite { name, role, .. } => Some(format!("invite {name} as {role}")),
            Enrolment::Revoke { name } => Some(format!("revoke {name}")),
            Enrolment::List => None,
        };
        let (fleet, listens) = (Arc::clone(fleet), listens.map(|listens| listens.to_string()));
        let done = off_loop(move || change(&fleet, listens, wanted)).await;
        let who = caller.to_string();
        match (done, what) {
            (Some(Ok(enrolled)), what) => {
                if let Some(what) = what {
                    self.side.audit.done(&self.side.log, &who, &what);
                }
                Response::Cluster(enrolled)
            }
            (Some(Err(error)), what) => {
                let (what, why) = (what.unwrap_or_default(), error.to_string());
                self.side.audit.refused((&self.side.log, self.side.clock), &who, &what, &why);
                Response::Refused(why.into())
            }
            (None, _) => not_now("the request was dropped"),
        }
    }
}

fn change(fleet: &Fleet, listens: Option<String>, wanted: Enrolment) -> Result<Enrolled, TrustError> {
    match wanted {
        Enrolment::Invite { name, role, tenant, expires, address } => {
            let address =
                address.map(String::from).or_else(|| listens.filter(|address| !is_everywhere(address)));
            let address = address.ok_or_else(|| {
                let next = "where do they reach this scheduler? name it: --at HOST:PORT";
                TrustError::Refused(next.to_owned())
            })?;
            if tenant.is_some() && role != FleetRole::Agent {
                let why =
                    format!("only an agent has a tenant, and {name} is to be a {role}: leave out --tenant");
                return Err(TrustError::Refused(why));
            }
            let name: Arc<str> = name.into();
            let tenant = tenant.map_or_else(|| Arc::clone(&name), Into::into);
            let line = fleet.invite(Member { name, role, tenant }, &address, expires)?;
            Ok(Enrolled::Invitation(line.to_string().into()))
        }
        Enrolment::Revoke { name } => {
            let (certificates, invitations) = fleet.revoke(&name)?;
            Ok(Enrolled::Revoked { certificates: certificates as u64, invitations: invitations as u64 })
        }
        Enrolment::List => Ok(list(fleet)),
    }
}

/// Whether an address is good for listening only.
fn is_everywhere(address: &str) -> bool {
    address.parse::<std::net::SocketAddr>().is_ok_and(|address| address.ip().is_unspecified())
}

fn list(fleet: &Fleet) -> Enrolled {
    let (members, invited) = fleet.rows();
    let member = |one: crate::trust::roll::Enrolled| MemberRow {
        certificate: one.certificate.chars().take(SHOWN_DIGITS).collect::<String>().into(),
        member: one.member,
        since: one.since,
        until: one.until,
        revoked: one.revoked,
    };
    let invitation = |one: crate::trust::roll::Invited| InvitedRow { member: one.member, until: one.until };
    Enrolled::Members {
        members: members.into_iter().map(member).collect(),
        invited: invited.into_iter().map(invitation).collect(),
    }
}

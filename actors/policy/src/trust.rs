//! Who belongs to the fleet, and who may do what: one table, from which what is not allowed is refused.
//!
//! Whether somebody is who they say is found out elsewhere; here a name and a role are believed. Must not know
//! what a message is called: every kind of message asks for one [`Right`].

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::VariantArray;

/// As what somebody was invited.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
#[serde(rename_all = "kebab-case")]
pub enum FleetRole {
    /// A machine that runs tasks. It may not ask anything: what runs tasks of others must not submit its own.
    Worker,
    /// A program that submits tasks of one tenant and sees those alone.
    Agent,
    /// Somebody who may do everything.
    Operator,
    /// Somebody who may see everything and change nothing.
    Viewer,
}

/// What a message asks to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Right {
    /// To ask who is there.
    Greet,
    /// To see which machines there are.
    Machines,
    /// To see tasks and graphs, what they wrote and what happened to them.
    See,
    /// To see what concerns all tenants: counts, claims, settings, actors.
    Survey,
    /// To hand in tasks.
    Submit,
    /// To end tasks, try them again, or give them a larger budget.
    Change,
    /// To direct machines, queues, tenants and actors.
    Operate,
    /// To invite somebody, or to send them away.
    Enrol,
}

/// Whether somebody has a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// For everything.
    Granted,
    /// For what is of their own tenant.
    OwnTenant,
    /// For nothing.
    Denied,
}

impl FleetRole {
    /// The table. What it does not grant is denied.
    #[must_use]
    pub fn permits(self, right: Right) -> Permission {
        match (self, right) {
            (Self::Operator, _)
            | (Self::Viewer, Right::Greet | Right::Machines | Right::See | Right::Survey)
            | (Self::Agent, Right::Greet | Right::Machines) => Permission::Granted,
            (Self::Agent, Right::See | Right::Submit | Right::Change) => Permission::OwnTenant,
            (Self::Agent, Right::Survey | Right::Operate | Right::Enrol)
            | (Self::Viewer, Right::Submit | Right::Change | Right::Operate | Right::Enrol)
            | (Self::Worker, _) => Permission::Denied,
        }
    }
}

/// Somebody who was invited, and came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Their name in the fleet.
    pub name: Arc<str>,
    /// As what.
    pub role: FleetRole,
    /// Whose tasks they may see and change, where that is one tenant's.
    pub tenant: Arc<str>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The system vouches for them: this process, or the daemon's own user on its machine.
    Local,
    /// Their certificate does.
    Member(Arc<Member>),
}

impl Caller {
    /// Whether they have a right.
    #[must_use]
    pub fn permits(&self, right: Right) -> Permission {
        match self {
            Self::Local => Permission::Granted,
            Self::Member(member) => member.role.permits(right),
        }
    }

    /// Their certificate's name, where they have one.
    #[must_use]
    pub fn member(&self) -> Option<&Arc<Member>> {
        match self {
            Self::Local => None,
            Self::Member(member) => Some(member),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("the daemon's own user"),
            Self::Member(member) => write!(f, "{} {}", member.role, member.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table() {
        use Permission::{Denied, Granted, OwnTenant};
        #[rustfmt::skip]
        let table = [
            //                 greet    machines see        survey   submit     change     operate  enrol
            (FleetRole::Worker,   [Denied,  Denied,  Denied,    Denied,  Denied,    Denied,    Denied,  Denied]),
            (FleetRole::Agent,    [Granted, Granted, OwnTenant, Denied,  OwnTenant, OwnTenant, Denied,  Denied]),
            (FleetRole::Operator, [Granted, Granted, Granted,   Granted, Granted,   Granted,   Granted, Granted]),
            (FleetRole::Viewer,   [Granted, Granted, Granted,   Granted, Denied,    Denied,    Denied,  Denied]),
        ];
        assert_eq!(table.map(|(role, _)| role), FleetRole::VARIANTS);
        for (role, row) in table {
            for (right, expected) in Right::VARIANTS.iter().zip(row) {
                let name = Arc::from("x");
                let caller = Caller::Member(Arc::new(Member { tenant: Arc::clone(&name), name, role }));
                assert_eq!(caller.permits(*right), expected, "{role} {right:?}");
                assert_eq!(Caller::Local.permits(*right), Granted);
            }
        }
    }
}

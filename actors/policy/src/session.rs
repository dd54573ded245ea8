//! Sessions: where people and agents work on a machine that may be reached by SSH alone, one tmux session
//! for each pair of repository and work in each role.
//!
//! What is asked for is an [`Identity`]; it has a [`SessionName`], which two different identities may share:
//! then the second is refused, never let into the first one's session. [`prune`] says which sessions have
//! been left, [`target`] which machines and users can be named. Must not know how a machine is reached.

pub mod name;
pub mod prune;
pub mod target;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use name::{Identity, NameRefused, Part, SessionName};

/// Whom a session is for, which decides how long it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// An agent at work: the session stays when what ran in it has ended.
    Agent,
    /// One piece of work: the session ends with it.
    Runner,
    /// A person: nobody else ends it unasked.
    Human,
}

/// When a session ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Not before it is killed or pruned.
    Stays,
    /// With what runs in it.
    EndsWithWork,
    /// Not before it is killed, or pruned by one who names the role.
    ByHand,
}

impl Role {
    /// All of them, in the order in which they are named to people.
    pub const ALL: [Self; 3] = [Self::Agent, Self::Runner, Self::Human];

    /// As it stands in names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Runner => "runner",
            Self::Human => "human",
        }
    }

    /// How long its sessions live.
    #[must_use]
    pub fn life(self) -> Life {
        match self {
            Self::Agent => Life::Stays,
            Self::Runner => Life::EndsWithWork,
            Self::Human => Life::ByHand,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Not a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid role {0:?} (must be agent, runner, human)")]
pub struct RoleRefused(pub Box<str>);

impl FromStr for Role {
    type Err = RoleRefused;

    /// In whatever case.
    fn from_str(text: &str) -> Result<Self, RoleRefused> {
        let named = Self::ALL.into_iter().find(|role| role.as_str().eq_ignore_ascii_case(text));
        named.ok_or_else(|| RoleRefused(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_read_in_any_case_and_nothing_else_is() {
        for role in Role::ALL {
            assert_eq!(role.as_str().to_uppercase().parse(), Ok(role));
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        let refused = "x".parse::<Role>().unwrap_err();
        assert_eq!(refused.to_string(), "invalid role \"x\" (must be agent, runner, human)");
        for bad in ["", " agent", "agents", "agent\n", "rünner", "a\u{0261}ent"] {
            assert!(bad.parse::<Role>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_role_decides_the_life() {
        assert_eq!(Role::ALL.map(Role::life), [Life::Stays, Life::EndsWithWork, Life::ByHand]);
    }
}

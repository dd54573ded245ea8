//! Exit codes: what a script can tell from them.

use std::process::ExitCode;

use actors::session::SessionError;
use policy::session::target::TargetRefused;
use policy::session::{NameRefused, RoleRefused};

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit(pub(crate) u8);

impl Exit {
    pub(crate) const SUCCESS: Self = Self(0);
    pub(crate) const FAILURE: Self = Self(1);
    pub(crate) const USAGE: Self = Self(2);
    const NOT_FOUND: Self = Self(4);
    const CONFLICT: Self = Self(5);
    pub(crate) const UNREACHABLE: Self = Self(6);
    /// Of `exec`: not the command failed but what should have run it.
    pub(crate) const EXEC_TROUBLE: Self = Self(125);

    /// Of an error; `otherwise` where it is of no special kind, or where the command's own codes are passed on.
    pub(crate) fn of(error: &anyhow::Error, otherwise: Self) -> Self {
        if error.is::<NameRefused>() || error.is::<RoleRefused>() || error.is::<TargetRefused>() {
            return Self::USAGE;
        }
        match error.downcast_ref() {
            Some(SessionError::Unsayable(_)) => Self::USAGE,
            _ if otherwise == Self::EXEC_TROUBLE => otherwise,
            Some(SessionError::Refused(refusal)) if refusal.why.is_not_found() => Self::NOT_FOUND,
            Some(SessionError::Refused(refusal)) if refusal.why.is_conflict() => Self::CONFLICT,
            Some(SessionError::Unreachable { .. } | SessionError::Silent { .. }) => Self::UNREACHABLE,
            _ => otherwise,
        }
    }

    /// As the command ended.
    pub(crate) fn of_code(code: i32) -> Self {
        Self(u8::try_from(code & 0xff).unwrap_or(1))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

//! What operators have said.

use policy::directive::{self, Directive, Scope};
use serde::Serialize;

use crate::cli::text::rfc3339;

/// Who has said something, and why.
#[derive(Debug, Serialize)]
pub(crate) struct Author {
    by: String,
    at: String,
    /// Empty where nobody said.
    reason: String,
}

impl From<&directive::Author> for Author {
    fn from(directive::Author { by, reason, at }: &directive::Author) -> Self {
        Self { by: by.to_string(), at: rfc3339(*at), reason: reason.to_string() }
    }
}

/// What is paused: everything where neither is named.
#[derive(Debug, Serialize)]
pub(crate) struct Paused {
    priority: Option<&'static str>,
    tenant: Option<String>,
    said: Author,
}

/// Who has halted everything.
pub(super) fn halted(said: &[(Directive, directive::Author)]) -> Option<Author> {
    said.iter().find(|(directive, _)| matches!(directive, Directive::Halt(None))).map(|(_, said)| said.into())
}

/// What is paused, the widest first.
pub(super) fn paused(said: &[(Directive, directive::Author)]) -> Vec<Paused> {
    let row = |(directive, said): &(Directive, directive::Author)| {
        let Directive::Pause(scope) = directive else { return None };
        let (priority, tenant) = match scope {
            Scope::All => (None, None),
            Scope::Priority(priority) => (Some(priority.into()), None),
            Scope::Tenant(tenant) => (None, Some(tenant.to_string())),
        };
        Some(Paused { priority, tenant, said: said.into() })
    };
    said.iter().filter_map(row).collect()
}

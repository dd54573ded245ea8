//! Tasks that are messages: for an agent that handles their kind, instead of a command.
//!
//! Handling is capacity. An agent that handles `resize`, four at once, is a node that has four of `handler.resize` and
//! nothing else; a task for it needs of that and of nothing else. So nobody else's work is ever placed there, nor this
//! anywhere else, and what places, holds back, explains and bounds is what does so for every task. Must not know how an
//! agent is told.

use crate::resources::{Resources, Shortage};
use crate::task::TaskSpec;
use crate::text::{OsText, is_word};

/// What the names of such resources begin with; no machine may have one of its own.
pub const PREFIX: &str = "handler.";
/// Bytes of a kind: with the beginning it is the name of a resource.
pub const KIND_LIMIT_BYTES: usize = 63 - PREFIX.len();

/// The resource that those have who handle this kind.
#[must_use]
pub fn resource(kind: &str) -> Box<str> {
    format!("{PREFIX}{kind}").into()
}

/// The kind that this resource is about, if it is about one.
#[must_use]
pub fn kind_of(resource: &str) -> Option<&str> {
    resource.strip_prefix(PREFIX)
}

/// Whether this can be a kind.
#[must_use]
pub fn is_kind(text: &str) -> bool {
    is_word(text) && text.len() <= KIND_LIMIT_BYTES
}

/// One of those that handle `kind`, and nothing else.
#[must_use]
pub fn need(kind: &str) -> Resources {
    capacity([(kind, 1)])
}

/// What an agent has that handles these, so many at once.
#[must_use]
pub fn capacity<'k>(kinds: impl IntoIterator<Item = (&'k str, u64)>) -> Resources {
    let named = kinds.into_iter().map(|(kind, at_once)| (resource(kind), at_once)).collect();
    Resources { named, ..Resources::default() }
}

/// The kind of handler that `need` asks for.
#[must_use]
pub fn wanted(need: &Resources) -> Option<&str> {
    need.named.keys().find_map(|name| kind_of(name))
}

impl Shortage {
    /// The kind that is not handled here at all.
    #[must_use]
    pub fn unhandled(&self) -> Option<&str> {
        kind_of(&self.resource).filter(|_| self.available == 0)
    }
}

impl TaskSpec {
    /// A task for whoever handles `kind`, who is told `payload`; it is of the sort of work that the kind is.
    #[must_use]
    pub fn for_handler(name: &str, kind: &str, payload: impl Into<OsText>) -> Self {
        let resources = need(kind);
        Self { resources, kind: Some(kind.into()), ..Self::new(name, vec![payload.into()]) }
    }

    /// The kind of handler that it is for; `None` where it is a command.
    #[must_use]
    pub fn handler(&self) -> Option<&str> {
        wanted(&self.resources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_task_for_a_handler_needs_is_what_its_agent_has_and_no_machine() {
        let task = TaskSpec::for_handler("cat.png", "resize", "{}");
        assert_eq!((task.handler(), task.kind.as_deref()), (Some("resize"), Some("resize")));
        assert!(capacity([("crop", 1), ("resize", 4)]).covers(&task.resources));
        assert!(!capacity([("crop", 1)]).covers(&task.resources));
        assert!(!Resources::cpus(64_000).covers(&task.resources));
        let command = TaskSpec::new("t", vec!["true".into()]);
        assert_eq!(command.handler(), None);
        assert!(!capacity([("resize", 4)]).covers(&command.resources));
    }

    #[test]
    fn a_kind_is_a_word_that_fits_behind_the_beginning() {
        assert!(is_kind("resize") && is_kind(&"k".repeat(55)) && !is_kind(&"k".repeat(56)));
        assert!(!is_kind("") && !is_kind("Resize") && !is_kind("a/b"));
    }
}

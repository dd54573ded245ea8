//! What travels between actors: a message with the marks that make it countable and traceable.
//!
//! Must not know any concrete message. Envelopes are made by [`crate::Address`] and opened by the
//! actor host; nothing else constructs one.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::address::Reply;
use crate::describe::Fact;
use crate::probe::{ProbeId, moment};

/// A message that an actor of ours can be told.
pub trait Message: Send + 'static {
    /// The variant's name, for probes and traces.
    fn kind(&self) -> &'static str;

    /// What it says, for whoever traces it: ids and how things stand, never what may be secret, such as arguments, an
    /// environment or output. Nothing unless somebody has thought about that.
    fn shown(&self) -> Option<String> {
        None
    }
}

/// A message on its way, with its marks.
#[derive(Debug)]
pub struct Envelope<M> {
    /// What is in it.
    pub(crate) content: Content<M>,
    /// When it entered the mailbox.
    pub(crate) enqueued: Instant,
    /// Where it comes from.
    pub(crate) origin: Origin,
    /// Its own number, unique in this process.
    pub(crate) number: u64,
}

/// What an envelope holds.
#[derive(Debug)]
pub(crate) enum Content<M> {
    /// What the receiver is told.
    Message(M),
    /// Somebody wants to see the receiver's state; its host answers.
    Look(Reply<Vec<Fact>>),
}

impl<M: Message> Content<M> {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Message(message) => message.kind(),
            Self::Look(_) => "Look",
        }
    }

    pub(crate) fn shown(&self) -> Option<String> {
        match self {
            Self::Message(message) => message.shown(),
            Self::Look(_) => None,
        }
    }
}

/// The thread of causes that a message belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin {
    /// The actor that sent it; `None` from outside any actor.
    pub from: Option<ProbeId>,
    /// The message that was being handled when it was sent; 0 from outside any actor.
    pub cause: u64,
    /// The first message of the whole flow; 0 where the flow starts with this one.
    pub correlation: u64,
}

impl<M: Send + 'static> ractor::Message for Envelope<M> {}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static CURRENT: Cell<Origin> = const { Cell::new(Origin { from: None, cause: 0, correlation: 0 }) };
    static KIND: Cell<&'static str> = const { Cell::new("") };
}

impl<M> Envelope<M> {
    /// Wraps `message`, taking its origin from the handler that runs on this thread, if any.
    pub(crate) fn new(message: M) -> Self {
        Self::with(Content::Message(message))
    }

    /// As [`Self::new`], with any content.
    pub(crate) fn with(content: Content<M>) -> Self {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { content, enqueued: moment(), origin: CURRENT.get(), number }
    }

    /// The origin that messages sent while handling this one will carry.
    pub(crate) fn origin_of_answers(&self, handler: ProbeId) -> Origin {
        let correlation = if self.origin.correlation == 0 { self.number } else { self.origin.correlation };
        Origin { from: Some(handler), cause: self.number, correlation }
    }
}

/// The origin that a message sent on this thread would carry now.
#[must_use]
pub fn current_origin() -> Origin {
    CURRENT.get()
}

/// The actor whose handler runs on this thread, by its kind and its probe; `None` outside of any. What is logged
/// within a handler is that actor's.
#[must_use]
pub fn current_actor() -> Option<(&'static str, ProbeId)> {
    CURRENT.get().from.map(|probe| (KIND.get(), probe))
}

/// Marks this thread as handling a message until dropped, also when the handler panics. What was marked
/// before comes back then: an actor may be started from within a handler.
pub(crate) struct Handling {
    before: (Origin, &'static str),
}

impl Handling {
    pub(crate) fn start(origin: Origin, kind: &'static str) -> Self {
        Self { before: (CURRENT.replace(origin), KIND.replace(kind)) }
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        CURRENT.set(self.before.0);
        KIND.set(self.before.1);
    }
}

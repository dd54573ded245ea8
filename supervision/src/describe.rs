//! What a supervision tree looks like at one moment: OTP's `which_children` and `count_children`.
//!
//! Plain serialisable values, and the gathering of them from nested supervisors: every supervisor answers
//! for its own children by message, nobody waits inside a handler. Must not know how children are run.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::address::Reply;
use crate::probe::Reading;
use crate::spec::Kind;

/// What one asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inquiry {
    /// Children described per supervisor; the others are only counted. A reading takes about 700 bytes.
    pub children_limit: usize,
    /// How long the whole answer may take. A supervisor gives the ones below it three quarters of its
    /// own time, so that a stuck one is missing in the answer instead of spoiling it.
    pub deadline: Duration,
}

/// Enough for the fixed tree and the beginning of every dynamic list, within a second.
impl Default for Inquiry {
    fn default() -> Self {
        Self { children_limit: 256, deadline: Duration::from_secs(1) }
    }
}

impl Inquiry {
    fn below(self) -> Self {
        Self { deadline: self.deadline.mul_f32(0.75), ..self }
    }
}

/// Where a child is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChildState {
    /// Started, not ready yet.
    Starting,
    /// Runs.
    Running,
    /// Ended, and waiting for its turn or its delay to be started again.
    Restarting,
    /// Asked to stop, or killed, and not gone yet.
    Stopping,
    /// Not running and not to be started by itself.
    Ended,
}

/// One child and, where it is a supervisor, the children below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its name among its siblings.
    pub name: String,
    /// Worker or supervisor.
    pub kind: Kind,
    /// Where it is in its life.
    pub state: ChildState,
    /// Its counters, with its kind of actor and its restarts.
    pub reading: Reading,
    /// Those below it, in order of their start.
    pub children: Vec<Description>,
    /// Whether a supervisor answered in time; without the answer its children are missing here.
    pub answered: bool,
}

impl Description {
    /// A child with nobody below it.
    #[must_use]
    pub fn leaf(name: impl Into<String>, kind: Kind, state: ChildState, reading: Reading) -> Self {
        Self { name: name.into(), kind, state, reading, children: Vec::new(), answered: true }
    }

    /// Walks over this child and all below it, parents first.
    pub fn visit(&self, visitor: &mut impl FnMut(&Self)) {
        visitor(self);
        for child in &self.children {
            child.visit(visitor);
        }
    }
}

/// How many children a supervisor has, not counting those below them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Those it has specs for, or keeps for a restart.
    pub specs: usize,
    /// Those alive.
    pub active: usize,
    /// Supervisors among the specs.
    pub supervisors: usize,
    /// Workers among the specs.
    pub workers: usize,
}

/// A child about to be described: itself, and the answer of those below it.
pub(crate) struct Pending {
    pub(crate) child: Description,
    pub(crate) below: Option<oneshot::Receiver<Vec<Description>>>,
}

/// Answers with `pending` as soon as all answers from below are there, or time is up. Runs beside the
/// supervisor, which goes on at once.
pub(crate) fn answer(pending: Vec<Pending>, inquiry: Inquiry, reply: Reply<Vec<Description>>) {
    if pending.iter().all(|pending| pending.below.is_none()) {
        return reply.send(pending.into_iter().map(|pending| pending.child).collect());
    }
    let until = Instant::now() + inquiry.deadline;
    tokio::spawn(async move {
        let mut children = Vec::with_capacity(pending.len());
        for Pending { mut child, below } in pending {
            if let Some(below) = below {
                let answer = tokio::time::timeout_at(until, below).await;
                child.answered = matches!(answer, Ok(Ok(_)));
                child.children = answer.ok().and_then(Result::ok).unwrap_or_default();
            }
            children.push(child);
        }
        reply.send(children);
    });
}

/// What the ones below are asked, and where their answer arrives.
pub(crate) fn ask_below(inquiry: Inquiry) -> (crate::actor::Request, oneshot::Receiver<Vec<Description>>) {
    let (reply, answer) = Reply::channel();
    (crate::actor::Request::Describe(inquiry.below(), reply), answer)
}

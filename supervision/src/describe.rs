//! What a supervision tree looks like at one moment: OTP's `which_children` and `count_children`.
//!
//! Plain serialisable values, and the gathering of them from nested supervisors: every supervisor answers
//! for its own children by message, nobody waits inside a handler. Must not know how children are run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::address::Reply;
use crate::probe::{Probe, ProbeId, Reading};
use crate::spec::Kind;

/// What one asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// Children described per supervisor; the others are only counted. A reading takes about 700 bytes.
    pub children_limit: usize,
    /// How long the whole answer may take. A supervisor gives the ones below it three quarters of its
    /// own time, so that a stuck one is missing in the answer instead of spoiling it.
    pub deadline: Duration,
    /// Only workers of this name, or this probe: `t12`, `task/t12`, `task`, `#7`; all where there is none.
    /// Supervisors are described in any case, as the way to them.
    pub only: Option<Arc<str>>,
    /// Which children come first where there are more than are described.
    pub first: First,
}

/// Which children of a dynamic supervisor come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum First {
    /// The oldest.
    #[default]
    Oldest,
    /// Those with the most messages waiting.
    Deepest,
}

/// Enough for the fixed tree and the beginning of every dynamic list, within a second.
impl Default for Inquiry {
    fn default() -> Self {
        Self { children_limit: 256, deadline: Duration::from_secs(1), only: None, first: First::default() }
    }
}

impl Inquiry {
    fn below(&self) -> Self {
        Self { deadline: self.deadline.mul_f32(0.75), ..self.clone() }
    }

    /// Whether a worker with this probe, called `name` by its supervisor, is wanted.
    pub(crate) fn wants(&self, name: &str, probe: &Probe) -> bool {
        let Some(only) = self.only.as_deref() else { return true };
        if let Some(id) = only.strip_prefix('#') {
            return id.parse().is_ok_and(|id| ProbeId(id) == probe.id());
        }
        match only.split_once('/') {
            // Names may have a slash of their own, as those of shards do.
            Some((kind, rest)) if kind == probe.kind() && rest == probe.name() => true,
            _ => only == name || only == probe.kind() || only == probe.name(),
        }
    }
}

/// One thing that an actor shows of its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is.
    pub name: Box<str>,
    /// What it is now.
    pub value: Box<str>,
}

impl Fact {
    /// Called `name`.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "values are made in place, by whoever tells them")]
    pub fn new(name: impl Into<Box<str>>, value: impl ToString) -> Self {
        Self { name: name.into(), value: value.to_string().into() }
    }
}

/// Something to be done to one child of the tree, wherever it is: handed down until a supervisor has the child
/// with the probe. Cheap to clone; the first who has it does it, and where nobody has, it is dropped.
#[derive(Debug, Clone)]
pub struct Errand {
    probe: ProbeId,
    deed: Arc<Mutex<Option<Deed>>>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Deed {
    /// Have it show its state.
    Look(Reply<Vec<Fact>>),
    /// Hand out its probe, for who watches it for a while.
    Probe(Reply<Arc<Probe>>),
    /// Kill it; what follows is its supervisor's rule. Answered once that has been asked for.
    Kill(Reply<()>),
}

impl Errand {
    /// To the child with this probe.
    #[must_use]
    pub fn new(probe: ProbeId, deed: Deed) -> Self {
        Self { probe, deed: Arc::new(Mutex::new(Some(deed))) }
    }

    /// Takes the deed, where it is about this child and nobody has taken it yet.
    pub(crate) fn take_for(&self, probe: &Probe) -> Option<Deed> {
        (self.probe == probe.id()).then(|| self.deed.lock().unwrap_or_else(PoisonError::into_inner).take())?
    }

    /// The probe it is about.
    pub(crate) fn probe(&self) -> ProbeId {
        self.probe
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
    /// Stands in its supervisor's table, and is brought to life by what it is told next.
    Asleep,
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
    /// Children of it that are wanted and not described here.
    pub more: usize,
}

impl Description {
    /// A child with nobody below it.
    #[must_use]
    pub fn leaf(name: impl Into<String>, kind: Kind, state: ChildState, reading: Reading) -> Self {
        Self { name: name.into(), kind, state, reading, children: Vec::new(), answered: true, more: 0 }
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

/// The children of one supervisor, and how many more there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Described {
    /// Those that are told.
    pub children: Vec<Description>,
    /// Those that are not.
    pub more: usize,
}

/// A child about to be described: itself, and the answer of those below it.
pub(crate) struct Pending {
    pub(crate) child: Description,
    pub(crate) below: Option<oneshot::Receiver<Described>>,
}

/// Answers with `pending` as soon as all answers from below are there, or time is up. Runs beside the
/// supervisor, which goes on at once.
pub(crate) fn answer(pending: Vec<Pending>, inquiry: &Inquiry, reply: Reply<Described>) {
    if pending.iter().all(|pending| pending.below.is_none()) {
        let children = pending.into_iter().map(|pending| pending.child).collect();
        return reply.send(Described { children, more: 0 });
    }
    let until = Instant::now() + inquiry.deadline;
    tokio::spawn(async move {
        let mut children = Vec::with_capacity(pending.len());
        for Pending { mut child, below } in pending {
            if let Some(below) = below {
                let answer = tokio::time::timeout_at(until, below).await;
                child.answered = matches!(answer, Ok(Ok(_)));
                let below = answer.ok().and_then(Result::ok).unwrap_or_default();
                (child.children, child.more) = (below.children, below.more);
            }
            children.push(child);
        }
        reply.send(Described { children, more: 0 });
    });
}

/// What the ones below are asked, and where their answer arrives.
pub(crate) fn ask_below(inquiry: &Inquiry) -> (crate::actor::Request, oneshot::Receiver<Described>) {
    let (reply, answer) = Reply::channel();
    (crate::actor::Request::Describe(inquiry.below(), reply), answer)
}

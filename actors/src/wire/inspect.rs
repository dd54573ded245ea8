//! What is asked of an inspector, and what it answers: actors, their counters, what one holds.
//!
//! One inspector stands on the scheduler side, one on each machine. A client asks the first, which hands on to
//! the others what is about them.

use std::time::Duration;

use policy::breaker::Key;
use policy::budget::Raise;
use policy::id::{GraphId, NodeId, TaskId, Token};
use policy::task::Priority;
use policy::text::OsText;
use policy::time::Timestamp;
use policy::workspace::WhyKept;
use serde::{Deserialize, Serialize};
use supervision::{ChildState, Fact, First, ProbeId, Traced};

use crate::wire::client::Target;

/// What is asked of one inspector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Look {
    /// Which actors are there, as a tree, parents first?
    Actors {
        /// Only these, and the supervisors above: `t12`, `task/t12`, `task`, `#7`; all where there is none.
        only: Option<Box<str>>,
        /// Which come first where there are more than are told.
        first: First,
        /// At most so many of one supervisor, up to [`CHILDREN_LIMIT`].
        limit: u32,
    },
    /// What does this one hold?
    State(ProbeId),
    /// Which messages go through this one from now on? Answered when there are so many, or the time is over.
    Trace {
        /// Which actor.
        probe: ProbeId,
        /// At most so many messages.
        limit: u32,
        /// For so long, up to [`TRACE_LIMIT`].
        within: Duration,
    },
    /// Kill it, so that its supervisor starts it again. Only by way of [`Action::Restart`], which is recorded.
    Restart(ProbeId),
    /// Which levels does its program's log have?
    Levels,
    /// Change them so, until the program ends. Only by way of [`Action::LogLevel`], which is recorded.
    SetLevels(Box<str>),
    /// Which workspaces does the machine keep?
    Workspaces,
    /// Remove those that are kept of a task, whatever is in them. Only by way of [`Action::Discard`], which is recorded.
    Discard(TaskId),
    /// Which of the actors have changed since the last answer? As `Actors`, for who looks again and again: what was told is
    /// remembered for [`FORGOTTEN_AFTER`], and nobody is answered before [`PACE_LEAST`] after the last answer.
    Changes {
        /// Who looks: a number that nobody else has.
        subscriber: u64,
        /// The number of the last answer that came; 0 before the first.
        after: u64,
        /// As in `Actors`.
        only: Option<Box<str>>,
        /// As in `Actors`.
        first: First,
        /// As in `Actors`.
        limit: u32,
    },
}

impl Look {
    /// Whether it changes something, so that it must be recorded first.
    #[must_use]
    pub fn acts(&self) -> bool {
        matches!(self, Self::Restart(_) | Self::SetLevels(_) | Self::Discard(_))
    }

    /// The same as machines of the version before are asked; `None` where that is the same.
    #[must_use]
    pub fn for_older(&self) -> Option<Self> {
        let Self::Changes { only, first, limit, .. } = self else { return None };
        Some(Self::Actors { only: only.clone(), first: *first, limit: *limit })
    }
}

/// The layout since which there is [`Look::Changes`].
pub const CHANGES_SINCE: u8 = 18;

/// Children of one supervisor that are told at once: a hundred bytes each, some supervisors have four shards.
pub const CHILDREN_LIMIT: u32 = 256;
/// Actors in one answer: far below a frame, and more than anybody reads.
pub const ACTORS_LIMIT: usize = 4096;
/// Who looks again and again, at one inspector: as many as questions it has in hand, for each some 64 KB at the most.
pub const SUBSCRIBERS_LIMIT: usize = 64;
/// Between two answers to one of them: ten a second is more than anybody sees.
pub const PACE_LEAST: Duration = Duration::from_millis(100);
/// How long is remembered what was told, where nobody asks on: some looks of who looks once a second.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// Workspaces in one answer: a few hundred bytes each, far below a frame.
pub const WORKSPACES_LIMIT: usize = 1000;
/// The longest a trace takes: below the deadline of a call; whoever wants more asks again.
pub const TRACE_LIMIT: Duration = Duration::from_secs(10);
/// How long an actor may take to show what it holds; then its counters answer in its place.
pub const STATE_DEADLINE: Duration = Duration::from_millis(250);

/// What an inspector answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sight {
    /// To `Actors`.
    Actors {
        /// In the order of the tree, parents first.
        rows: Vec<ActorRow>,
        /// Rows left out because of [`ACTORS_LIMIT`].
        more: u64,
    },
    /// To `State`.
    State(Vec<Fact>),
    /// To `State`: it did not answer within [`STATE_DEADLINE`].
    Busy(Box<ActorRow>),
    /// To `Trace`.
    Traced {
        /// In the order in which they were handled.
        messages: Vec<Traced>,
        /// How many more there were.
        missed: u64,
    },
    /// To `Restart`.
    Restarted,
    /// To anything that names an actor that is not there.
    NoActor,
    /// To anything: nobody answered there, with the reason.
    Unseen(Box<str>),
    /// To `Levels` and `SetLevels`: those that hold.
    Levels(Box<str>),
    /// To `Workspaces`: the oldest of those that are kept, at most [`WORKSPACES_LIMIT`], and how many more there are.
    Workspaces(Vec<WorkspaceRow>, u64),
    /// To `Discard`: how many are gone, or go.
    Discarded(u64),
    /// To `Changes`.
    Changes(Box<Changes>),
}

/// What has changed of the actors since an answer before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Changes {
    /// The number of this answer.
    pub number: u64,
    /// Whether `rows` are all there are, and nothing of what was told before holds.
    pub is_whole: bool,
    /// Those that are gone.
    pub gone: Vec<ProbeId>,
    /// Those that are otherwise or new, in the order of the tree; with a new one, behind which it stands.
    pub rows: Vec<(Option<ProbeId>, ActorRow)>,
    /// As in `Sight::Actors`.
    pub more: u64,
    /// Answers before this one that did not come to whoever asks: what they told is told anew.
    pub dropped: u64,
}

/// A workspace that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceRow {
    /// The grant of its attempt.
    pub token: Token,
    /// Its task.
    pub task: TaskId,
    /// What that is called.
    pub name: Box<str>,
    /// What was in it at first.
    pub source: Box<str>,
    /// Where it is.
    pub path: OsText,
    /// Since when.
    pub since: Timestamp,
    /// What it takes of the disk.
    pub bytes: u64,
    /// Why it was kept.
    pub why: WhyKept,
}

/// One actor, as its probe shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorRow {
    /// Its probe.
    pub probe: ProbeId,
    /// How far below the root.
    pub level: u8,
    /// The kind of actor, such as `lease`.
    pub kind: Box<str>,
    /// Its name; that among its siblings where it has none of its own.
    pub name: Box<str>,
    /// Whether it has children.
    pub is_supervisor: bool,
    /// Where it is in its life.
    pub state: ChildState,
    /// Whether it answered when asked for its children.
    pub answered: bool,
    /// Children it has that are not told here.
    pub more: u64,
    /// Messages waiting now.
    pub mailbox: u64,
    /// The most that ever waited.
    pub high_water: u64,
    /// Messages ever put into the mailbox.
    pub enqueued: u64,
    /// Messages ever handled.
    pub handled: u64,
    /// Messages told while nobody was there.
    pub undelivered: u64,
    /// Messages that died with the actor.
    pub dropped: u64,
    /// How often it was started again.
    pub restarts: u32,
    /// How long ago, the last times.
    pub restarted: Vec<Duration>,
    /// What half, and 99 of 100, of all messages did not wait longer than; doubled at the most.
    pub waits: [Duration; 2],
    /// What half, and 99 of 100, of all messages did not take longer than to handle; doubled at the most.
    pub handlings: [Duration; 2],
    /// What it handles now, and for how long already.
    pub current: Option<(Box<str>, Duration)>,
}

/// Something an operator wants to be done. It is recorded, with the name of the operator, before it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// End these.
    Cancel(Target),
    /// Try these again.
    Retry(Target),
    /// Let a graph go on under a larger budget.
    Resume {
        /// Which.
        graph: GraphId,
        /// What it may use up from now on.
        raise: Raise,
    },
    /// End an actor, so that its supervisor starts it again.
    Restart {
        /// Where; on the scheduler side where there is none.
        machine: Option<NodeId>,
        /// Which.
        probe: ProbeId,
        /// Its name, for the record.
        name: Box<str>,
    },
    /// Close a breaker.
    ResetBreaker {
        /// Of which machine.
        node: NodeId,
        /// Which of its breakers.
        key: Key,
    },
    /// Let a daemon's log say more or less.
    LogLevel {
        /// Where; on the scheduler side where there is none.
        machine: Option<NodeId>,
        /// `debug`, `actors::scheduler=trace`, or several with commas between.
        levels: Box<str>,
    },
    /// Stop an attempt, which counts as nothing, and queue its task again.
    HandBack {
        /// Where it is.
        node: NodeId,
        /// Whose it is, for the record.
        task: TaskId,
        /// Its grant: nothing happens under another one.
        token: Token,
    },
    /// Remove the workspaces that a machine keeps of a task, whatever is in them.
    Discard {
        /// Which machine.
        machine: NodeId,
        /// Which task.
        task: TaskId,
    },
    /// Let these be as urgent as that from now on.
    Prioritise {
        /// Which: of an array, all of it.
        target: Target,
        /// How urgent.
        priority: Priority,
    },
}

/// `cancel task t12`, as it stands in the record.
impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = |target: &Target| crate::client::error::target_text(*target);
        match self {
            Self::Cancel(target) => write!(f, "cancel {}", what(target)),
            Self::Retry(target) => write!(f, "retry {}", what(target)),
            Self::Resume { graph, .. } => write!(f, "resume graph {graph}"),
            Self::Restart { machine: Some(machine), name, .. } => write!(f, "restart {name} on {machine}"),
            Self::Restart { machine: None, name, .. } => write!(f, "restart {name}"),
            Self::ResetBreaker { node, key: None } => write!(f, "reset the breaker of {node}"),
            Self::ResetBreaker { node, key: Some(kind) } => {
                write!(f, "reset the breaker of {node} for {kind}")
            }
            Self::LogLevel { machine: Some(machine), levels } => write!(f, "log {levels} on {machine}"),
            Self::LogLevel { machine: None, levels } => write!(f, "log {levels}"),
            Self::HandBack { node, task, token } => {
                write!(f, "take lease {token} of task {task} back from {node}")
            }
            Self::Discard { machine, task } => write!(f, "discard the workspaces of {task} on {machine}"),
            Self::Prioritise { target, priority } => write!(f, "give {} {priority} priority", what(target)),
        }
    }
}

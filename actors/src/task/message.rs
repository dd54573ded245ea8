//! What a task can be told, and what it says of itself. It knows nothing of how the task decides.

use std::fmt;

use policy::budget::Charge;
use policy::event::{LogPosition, Next};
use policy::graph::EntryView;
use policy::id::{AttemptNumber, GraphId, TaskId, Token};
use policy::task::{LossReason, TaskReport};
use strum::IntoStaticStr;
use supervision::Message;

use crate::wire::fleet::Phase;

/// What a task can be told.
#[derive(Debug, IntoStaticStr)]
pub enum TaskMessage {
    /// The node says how far the attempt is.
    Reported {
        /// The grant it runs under.
        token: Token,
        /// How far it is.
        phase: Phase,
        /// The report's place among those of the node's session.
        order: u64,
        /// The process of an attempt that has ended before anybody was told that it runs.
        ran: Option<u32>,
    },
    /// The right to run the attempt has ended for certain.
    LeaseExpired {
        /// The grant it belonged to.
        token: Token,
    },
    /// The node no longer holds the attempt, for this reason.
    Lost {
        /// The grant it belonged to.
        token: Token,
        /// Why.
        reason: LossReason,
    },
    /// Somebody asks for its end.
    Cancel(Acknowledge),
    /// Its attempt is to make room for a more urgent task, or its gang is not whole.
    Evict {
        /// For whom; of a gang, whom it lacks.
        by: TaskId,
        /// Whether that is one of its own gang.
        is_recall: bool,
    },
}

impl Message for TaskMessage {
    fn kind(&self) -> &'static str {
        self.into()
    }

    fn shown(&self) -> Option<String> {
        match self {
            Self::Reported { token, phase, order, .. } => {
                let phase: &'static str = phase.into();
                Some(format!("{token} {phase}, report {order}"))
            }
            Self::LeaseExpired { token } => Some(token.to_string()),
            Self::Lost { token, reason } => Some(format!("{token}: {reason}")),
            Self::Evict { by, .. } => Some(format!("for {by}")),
            Self::Cancel(_) => None,
        }
    }
}

/// What to do once a request is safely on disk. Dropped unused it does nothing, and whoever waits asks again.
pub struct Acknowledge(Option<Box<dyn FnOnce() + Send>>);

impl Acknowledge {
    /// Does `act` once.
    #[must_use]
    pub fn with(act: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(act)))
    }

    /// Nobody waits.
    #[must_use]
    pub fn nobody() -> Self {
        Self(None)
    }

    /// Does it.
    pub fn now(self) {
        if let Some(act) = self.0 {
            act();
        }
    }
}

impl fmt::Debug for Acknowledge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acknowledge")
    }
}

/// What a task tells the scheduler of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It was granted an attempt.
    Granted(AttemptNumber),
    /// An attempt, or the whole, is over.
    Over {
        /// What follows.
        next: Next,
        /// What the attempt said of itself, if it did.
        report: Option<Box<TaskReport>>,
        /// What it has used.
        charge: Charge,
        /// Whether what follows is a retry after a failure of the task's own.
        is_retry: bool,
        /// For whom the attempt made room, or whom its gang lacked, if that is how it ended.
        evicted_for: Option<TaskId>,
        /// Whether a machine has died while it ran, this time or before.
        is_suspect: bool,
        /// Whether that was this time.
        has_died: bool,
    },
    /// It is to be tried again.
    RetryAsked,
    /// It goes on with its attempt after a crash: what its life before was told and had not written is lost.
    Resumed,
    /// Something that changes nothing for others: it started, or is to be cancelled.
    Noted,
}

impl Step {
    /// Over, without a word of its own.
    #[must_use]
    pub fn over(next: Next) -> Self {
        let (report, charge) = (None, Charge::default());
        let (is_retry, is_suspect, has_died) = (false, false, false);
        Self::Over { next, report, charge, is_retry, evicted_for: None, is_suspect, has_died }
    }
}

/// Where a task sits: what is known of it without waking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// The task.
    pub task: TaskId,
    /// Its graph.
    pub graph: GraphId,
    /// Where its item's record is in the log.
    pub item: LogPosition,
    /// Its index, if it is a member of an array.
    pub index: u64,
    /// Where its own last record is; 0 where it has none.
    pub last: LogPosition,
}

impl From<&EntryView> for Seat {
    fn from(entry: &EntryView) -> Self {
        let EntryView { task, graph, index, spec_position: item, position: last, .. } = *entry;
        Self { task, graph, item, index, last }
    }
}

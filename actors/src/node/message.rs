//! What a node can be told.

use std::sync::Arc;

use policy::breaker::{Key, Recorded};
use policy::causes::Waited;
use policy::claims::Indices;
use policy::id::{NodeId, TaskId, Token};
use policy::resources::Resources;
use policy::sample::Sample;
use policy::signal::TaskSignal;
use policy::task::{Progress, RequestNumber};
use strum::IntoStaticStr;
use supervision::{Address, Message, Reply};

use crate::node::breaker::Closing;
use crate::outlet::Outlet;
use crate::say::some;
use crate::task::{Acknowledge, Seat, TaskMessage};
use crate::wire::client::NodeRow;
use crate::wire::fleet::{
    ArtifactPiece, ArtifactRead, ArtifactRefusal, FromWorker, Grant, OutputPiece, OutputRead, OutputRefusal,
    StopCause, ToWorker,
};

/// How what runs on a node does.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// What it uses.
    pub samples: Vec<(TaskId, Sample)>,
    /// How far those are that say so.
    pub progress: Vec<(TaskId, Progress)>,
}

/// What a node can be told.
#[derive(Debug, IntoStaticStr)]
pub enum NodeMessage {
    /// The worker speaks; a registration brings the way to answer it.
    Heard {
        /// What it says.
        message: FromWorker,
        /// Where answers go.
        outlet: Outlet<ToWorker>,
    },
    /// The connection of this outlet is gone; the lease is not.
    Disconnected(Outlet<ToWorker>),
    /// Tasks for which the scheduler saw room here.
    Reserve(Vec<Reservation>),
    /// Attempts granted before a restart.
    Restore(Vec<Restored>),
    /// A task's grant is on disk.
    Granted {
        /// The grant.
        grant: Box<Grant>,
        /// The task.
        task: Address<TaskMessage>,
    },
    /// A task that was reserved for does not want to run any more.
    Declined {
        /// The task.
        task: TaskId,
    },
    /// An attempt is to be stopped.
    StopAttempt {
        /// Its grant.
        token: Token,
        /// Why.
        cause: StopCause,
    },
    /// The end of an attempt is on disk.
    AttemptClosed {
        /// Its grant.
        token: Token,
        /// What that says of the node.
        closing: Closing,
    },
    /// How a breaker of the node stood before a restart.
    RestoreBreaker {
        /// Which.
        key: Key,
        /// What changed last.
        recorded: Recorded,
    },
    /// An operator closes a breaker.
    ResetBreaker {
        /// Which.
        key: Key,
        /// `false` where it is closed.
        reply: Reply<bool>,
    },
    /// An operator takes an attempt off the machine.
    HandBack {
        /// Its grant.
        token: Token,
        /// `false` where it is over.
        reply: Reply<bool>,
    },
    /// Somebody asks for the end of a task that is awake here.
    Cancel {
        /// The task.
        task: TaskId,
        /// To be done once that is on disk.
        acknowledge: Acknowledge,
    },
    /// A task that is awake here is to make room for a more urgent one, or its gang is not whole.
    Evict {
        /// The task.
        task: TaskId,
        /// For whom; of a gang, whom it lacks.
        by: TaskId,
        /// Whether that is one of its own gang.
        is_recall: bool,
    },
    /// The attempt of a task is to leave the machine, if that is still under critical strain.
    Relieve {
        /// The task.
        task: TaskId,
    },
    /// Somebody reads an attempt's output.
    ReadOutput {
        /// Its grant.
        token: Token,
        /// Which part.
        read: OutputRead,
        /// Where it goes.
        reply: Reply<Result<OutputPiece, OutputRefusal>>,
    },
    /// Somebody reads what was kept of an attempt.
    ReadArtifact {
        /// Its grant.
        token: Token,
        /// Which part.
        read: ArtifactRead,
        /// Where it goes.
        reply: Reply<Result<ArtifactPiece, ArtifactRefusal>>,
    },
    /// Somebody signals something to what an attempt runs.
    Signal {
        /// Its grant.
        token: Token,
        /// What.
        signal: TaskSignal,
        /// Told when it was handed on, or why not.
        reply: Reply<Result<(), Box<str>>>,
    },
    /// What do attempts use that run there, and how far are they?
    Live(Reply<Live>),
    /// How is it?
    Describe(Reply<Option<NodeRow>>),
    /// An operator has said something.
    Heed,
    /// An operator wants it forgotten.
    Retire,
    /// Timer: look at the lease.
    Tick,
    /// Everything told before this has been handled: send what has gathered.
    Flush,
}

impl Message for NodeMessage {
    fn kind(&self) -> &'static str {
        self.into()
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not named shows nothing")]
    fn shown(&self) -> Option<String> {
        Some(match self {
            Self::Heard { message, .. } => heard(message)?,
            Self::Reserve(reservations) => {
                some(&reservations.iter().map(|one| one.seat.task).collect::<Vec<_>>())
            }
            Self::Granted { grant, .. } => format!("{} under {}", grant.task, grant.token),
            Self::Declined { task } | Self::Cancel { task, .. } | Self::Relieve { task } => task.to_string(),
            Self::StopAttempt { token, .. }
            | Self::AttemptClosed { token, .. }
            | Self::HandBack { token, .. }
            | Self::ReadOutput { token, .. }
            | Self::ReadArtifact { token, .. } => token.to_string(),
            Self::Evict { task, by, .. } => format!("{task} for {by}"),
            _ => return None,
        })
    }
}

fn heard(message: &FromWorker) -> Option<String> {
    match message {
        FromWorker::Register(_) => Some("registration".to_owned()),
        FromWorker::Heartbeat { sequence, inventory, .. } => {
            Some(format!("heartbeat {sequence}, {} attempts", inventory.len()))
        }
        FromWorker::Reports { reports, .. } => {
            Some(format!("reports of {}", some(&reports.iter().map(|one| one.token).collect::<Vec<_>>())))
        }
        FromWorker::Goodbye { .. } => Some("goodbye".to_owned()),
        FromWorker::Output { .. }
        | FromWorker::Inspected { .. }
        | FromWorker::Signalled { .. }
        | FromWorker::Artifact { .. } => None,
    }
}

/// A task for which there should be room.
#[derive(Debug, Clone)]
pub struct Reservation {
    /// Where the task sits.
    pub seat: Seat,
    /// What an attempt holds.
    pub need: Resources,
    /// What sort of work it is.
    pub kind: Option<Arc<str>>,
    /// What the grant says of it.
    pub terms: Terms,
}

/// What a grant says beside who runs what: decided when the task was placed, and never again.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Which of the task's requests the attempt holds.
    pub request: RequestNumber,
    /// The indices of pools that were taken for it.
    pub indices: Indices,
    /// The nodes of its gang, by rank.
    pub gang: Vec<NodeId>,
    /// Of how many of its deaths it is not to blame after all, see `policy::blame`.
    pub excused: u32,
    /// For what it stood in its queue.
    pub waited: Waited,
}

/// An attempt that was granted before a restart.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Where the task sits.
    pub seat: Seat,
    /// Its grant.
    pub token: Token,
    /// What it holds.
    pub need: Resources,
    /// What sort of work it is.
    pub kind: Option<Arc<str>>,
    /// Whether its process was reported to run.
    pub started: bool,
}

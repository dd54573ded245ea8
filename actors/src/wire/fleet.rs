//! What the scheduler side and a worker say to each other.
//!
//! The scheduler side says what it wants again until it is reported (level-triggered), the worker reports
//! again until told to forget: any message may be lost, doubled or late without harm.

mod artifact;
mod output;

use std::sync::Arc;
use std::time::Duration;

use policy::bounds::{AttemptBounds, DeadlineHere};
use policy::claims::Indices;
use policy::id::{AttemptNumber, Epoch, GraphId, Incarnation, NodeId, NodeSession, TaskId, Token};
use policy::layout::{Layout, before, since};
use policy::lease::LeaseTerms;
use policy::resources::Resources;
use policy::sample::Sample;
use policy::signal::TaskSignal;
use policy::stages::{Step, StepEnd};
use policy::strain::Strain;
use policy::task::{AttemptOutcome, Progress, RequestNumber, TaskReport, TaskSpec, Usage};
use policy::time::{Moment, Timestamp};
use serde::{Deserialize, Serialize};

use crate::wire::inspect::{CHANGES_SINCE, Look, Sight};

pub use crate::wire::fleet::artifact::{
    ARTIFACT_PIECE_LIMIT_BYTES, ARTIFACTS_SINCE, ArtifactAnswer, ArtifactPiece, ArtifactRead,
    ArtifactRefusal, ManifestPage,
};
pub use crate::wire::fleet::output::{
    OUTPUT_PIECE_LIMIT_BYTES, OutputFrom, OutputPart, OutputPiece, OutputRead, OutputRefusal,
};

/// From the scheduler side to a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// You are registered. Ends every earlier session of this node.
    Welcome {
        /// The session that all further messages carry.
        session: NodeSession,
        /// The scheduler's reign; messages of an older one are ignored.
        epoch: Epoch,
        /// How leases are timed.
        terms: LeaseTerms,
    },
    /// A heartbeat was heard: the node's lease runs from the moment it was sent.
    HeartbeatHeard {
        /// The session.
        session: NodeSession,
        /// The heartbeat's own `sent`.
        sent: Moment,
        /// The heartbeat's own `sequence`.
        sequence: u64,
    },
    /// Run these, in this order as resources permit. One that is known already changes nothing.
    Run {
        /// The session.
        session: NodeSession,
        /// At most [`GRANTS_PER_MESSAGE`].
        grants: Vec<Grant>,
    },
    /// Stop these: politely, and after the grace by force. One that is not known is reported as such, or as given
    /// back where it was to be.
    Stop {
        /// The session.
        session: NodeSession,
        /// Which.
        tokens: Vec<Token>,
        /// Why.
        cause: StopCause,
    },
    /// The ends of these are safely recorded: forget them.
    Forget {
        /// The session.
        session: NodeSession,
        /// Which.
        tokens: Vec<Token>,
    },
    /// Whether nothing is to be started.
    Halt {
        /// The session.
        session: NodeSession,
        /// What holds from now on.
        halted: bool,
    },
    /// The session is not known here: register anew.
    Reregister,
    /// Read a piece of an attempt's output.
    ReadOutput {
        /// Named by the answer.
        request: u64,
        /// Which attempt.
        token: Token,
        /// From where and how much.
        read: OutputRead,
    },
    /// For the inspector of the machine.
    Inspect {
        /// Named by the answer.
        request: u64,
        /// What is asked.
        look: Look,
    },
    /// Signal this to what an attempt runs.
    Signal {
        /// Named by the answer.
        request: u64,
        /// Which attempt.
        token: Token,
        /// What.
        signal: TaskSignal,
    },
    /// Read a piece of what was kept of an attempt.
    ReadArtifact {
        /// Named by the answer.
        request: u64,
        /// Which attempt.
        token: Token,
        /// Which part.
        read: ArtifactRead,
    },
}

impl ToWorker {
    /// Whether a worker understands it that speaks this layout.
    #[must_use]
    pub fn is_known_in(&self, layout: Layout) -> bool {
        let since = match self {
            Self::Inspect { look: Look::Changes { .. }, .. } => CHANGES_SINCE,
            Self::ReadArtifact { .. } => ARTIFACTS_SINCE,
            _ => 0,
        };
        layout.number() >= since
    }
}

/// Why the scheduler side has an attempt stopped. A later one outweighs those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StopCause {
    /// An operator empties the machine.
    Drain,
    /// It makes room for a more urgent task.
    Preempt,
    /// Its task is to end, or it belongs to nobody any more.
    End,
}

/// From a worker to the scheduler side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromWorker {
    /// The first message on every connection, with all that is there.
    Register(Registration),
    /// A sign of life, with all that is there.
    Heartbeat {
        /// The session.
        session: NodeSession,
        /// Grows by one with each heartbeat of this incarnation.
        sequence: u64,
        /// When, by the node's lease clock.
        sent: Moment,
        /// Every attempt held, running or ended and not yet forgotten.
        inventory: Vec<Held>,
        /// Whether it starts anything.
        halt: HaltState,
        /// What attempts that last use, at most [`SAMPLES_LIMIT`] of them.
        samples: Vec<(TaskId, Sample)>,
        /// How far those of them are that say so.
        #[serde(deserialize_with = "since::<3, _, _>", skip_serializing_if = "before::<3, _>")]
        progress: Vec<(TaskId, Progress)>,
        /// How strained the machine is.
        #[serde(deserialize_with = "since::<11, _, _>", skip_serializing_if = "before::<11, _>")]
        strain: Strain,
    },
    /// What happened to attempts, in the order in which it happened.
    Reports {
        /// The session.
        session: NodeSession,
        /// The reports.
        reports: Vec<Report>,
    },
    /// The answer to a `ReadOutput`.
    Output {
        /// The request it answers.
        request: u64,
        /// The piece, or why there is none.
        piece: Result<OutputPiece, OutputRefusal>,
    },
    /// The answer of the machine's inspector to an `Inspect`.
    Inspected {
        /// The request it answers.
        request: u64,
        /// What is seen.
        sight: Box<Sight>,
    },
    /// The worker stops in order; it holds nothing any more.
    Goodbye {
        /// The session.
        session: NodeSession,
    },
    /// The answer to a `Signal`.
    Signalled {
        /// The request it answers.
        request: u64,
        /// Why it was not handed on; `None` where it was.
        refused: Option<Box<str>>,
    },
    /// The answer to a `ReadArtifact`.
    Artifact {
        /// The request it answers.
        request: u64,
        /// The piece, or why there is none.
        answer: ArtifactAnswer,
    },
}

/// Samples in one heartbeat: some 200 KB, and more than any machine runs at a time.
pub const SAMPLES_LIMIT: usize = 4096;

/// Grants in one `Run` message: with specifications of usual size far below a frame.
pub const GRANTS_PER_MESSAGE: usize = 100;

/// A node, and all it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Its name.
    pub node: NodeId,
    /// The life of its daemon.
    pub incarnation: Incarnation,
    /// The life of its operating system.
    pub boot: Box<str>,
    /// What it has for tasks.
    pub capacity: Resources,
    /// What is known of it: `os`, `arch`, the operator's own.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// The version of its program.
    pub version: Box<str>,
    /// Every attempt held.
    pub inventory: Vec<Held>,
}

/// Whether a machine starts anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HaltState {
    /// Not, since the scheduler side said so last.
    pub told: bool,
    /// Not, since somebody said so on the machine itself.
    pub here: bool,
}

/// One attempt that a node holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its grant.
    pub token: Token,
    /// Its task.
    pub task: TaskId,
    /// How far it is.
    pub phase: Phase,
}

/// How far an attempt on a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Phase {
    /// Waiting for resources on the node.
    Staged,
    /// Its process runs.
    Running {
        /// The process.
        pid: u32,
        /// Which of its commands that is, where it has several.
        #[serde(deserialize_with = "since::<17, _, _>", skip_serializing_if = "before::<17, _>")]
        step: Option<Step>,
    },
    /// It is over.
    Ended {
        /// How.
        outcome: AttemptOutcome,
        /// What it used.
        usage: Usage,
        /// What it said of itself, if it did.
        report: Option<Box<TaskReport>>,
    },
}

/// The right to run one attempt, with all that is needed to do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The fencing token.
    pub token: Token,
    /// The task.
    pub task: TaskId,
    /// Its graph.
    pub graph: GraphId,
    /// Which try.
    pub attempt: AttemptNumber,
    /// The index, where the task is a member of an array.
    pub array_index: Option<u64>,
    /// Which of the task's requests it holds.
    pub request: RequestNumber,
    /// What to run.
    pub spec: Arc<TaskSpec>,
    /// The indices of pools that it holds.
    pub indices: Indices,
    /// How far its time limit stretches, in percent: further where much runs late.
    pub stretch_percent: u32,
    /// When it is of no use any more, and how long after its submission that is.
    pub deadline: Option<(Timestamp, Duration)>,
    /// The nodes of all members of its gang by rank, without a name for those that have succeeded before; empty where it is no
    /// gang's.
    #[serde(deserialize_with = "since::<10, _, _>", skip_serializing_if = "before::<10, _>")]
    pub gang: Vec<NodeId>,
}

impl Grant {
    /// What the attempt holds: the same for the scheduler side, the worker and the process host.
    #[must_use]
    pub fn need(&self) -> &Resources {
        self.spec.request(self.request)
    }

    /// The time the attempt may take on a machine where it is now. How long it may write nothing does not stretch:
    /// that is no measure of how much it has to do.
    #[must_use]
    pub fn bounds(&self, (now, wall): (Moment, Timestamp)) -> AttemptBounds {
        let said = self.spec.bounds.as_deref().copied().unwrap_or_default();
        AttemptBounds {
            timeout: self.spec.timeout.map(|limit| self.stretched(limit)),
            soft_timeout: said.soft_timeout.map(|limit| self.stretched(limit)),
            idle_timeout: said.idle_timeout,
            deadline: self.deadline.map(|(at, after)| DeadlineHere { at: now + at.since(wall), after }),
        }
    }

    fn stretched(&self, limit: Duration) -> Duration {
        limit.checked_mul(self.stretch_percent).map_or(Duration::MAX, |stretched| stretched / 100)
    }
}

impl Phase {
    /// Over, after these of its commands, where it had several.
    #[must_use]
    pub fn ended_after(outcome: AttemptOutcome, usage: Usage, steps: Vec<StepEnd>) -> Self {
        let report = (!steps.is_empty()).then(|| Box::new(TaskReport { steps, ..TaskReport::default() }));
        Self::Ended { outcome, usage, report }
    }

    /// Over, without a word of its own.
    #[must_use]
    pub fn ended(outcome: AttemptOutcome, usage: Usage) -> Self {
        Self::Ended { outcome, usage, report: None }
    }
}

/// What happened to one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its grant.
    pub token: Token,
    /// Its task.
    pub task: TaskId,
    /// What it is now: `Running` or `Ended`.
    pub phase: Phase,
}

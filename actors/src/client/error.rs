//! What can go wrong for a client, in words that say what to do next.

use std::time::Duration;

use policy::admission::Rejection;
use policy::id::GraphId;

use super::transport::TransportError;
use crate::wire::client::Target;
use crate::wire::fleet::{ArtifactRefusal, OutputRefusal};

/// Why a client has no answer, or not the one it wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there.
    #[error("cannot reach {place}: {why}; {advice}")]
    Unreachable {
        /// Where.
        place: String,
        /// What went wrong.
        why: TransportError,
        /// What to do.
        advice: &'static str,
    },
    /// It was reached and then did not answer in time. What was asked for may have been done.
    #[error("{place} did not answer within {after:?}; ask again, or see `crab status`")]
    NoAnswer {
        /// Where.
        place: String,
        /// How long was waited.
        after: Duration,
    },
    /// Not now; nothing happened.
    #[error("the scheduler takes nothing now: {reason}; try again in {retry_after:?}")]
    Busy {
        /// What is full or missing.
        reason: Box<str>,
        /// When to try again.
        retry_after: Duration,
    },
    /// The submission is refused whole.
    #[error("{}", rejection_text(.0))]
    Rejected(Rejection),
    /// There is no such task or graph.
    #[error("there is no {}; `crab list` shows the graphs, `crab status GRAPH` their tasks", target_text(*.0))]
    NotFound(Target),
    /// It cannot be done.
    #[error("{0}")]
    Refused(Box<str>),
    /// The key belongs to another submission; nothing happened.
    #[error("the key was used for another submission, {graph}: choose another key")]
    Conflict {
        /// That one.
        graph: GraphId,
    },
    /// There is no output to read.
    #[error(transparent)]
    NoOutput(OutputRefusal),
    /// There is no artifact to read.
    #[error(transparent)]
    NoArtifact(ArtifactRefusal),
    /// The bytes of an artifact are not those that were kept.
    #[error("{path:?} is not what was kept: its digest is another one; the node's disk may be damaged")]
    Spoiled {
        /// Which.
        path: Box<str>,
    },
    /// The request is too large to be sent at all.
    #[error("a request of {size} bytes, the limit is {limit}; submit less at once, or use arrays")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The other side said something that makes no sense here.
    #[error("the scheduler's answer is not understood: {0}; are both programs of the same version?")]
    Protocol(String),
}

impl ClientError {
    /// Whether the same request may succeed when it is sent again, and has done no harm.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::NoAnswer { .. }
                | Self::Busy { .. }
                | Self::NoOutput(OutputRefusal::Busy { .. } | OutputRefusal::Away { .. })
                | Self::NoArtifact(ArtifactRefusal::Busy { .. } | ArtifactRefusal::Away { .. })
        )
    }

    /// Whether the scheduler was there and the connection ended before its answer.
    pub(super) fn was_cut_off(&self) -> bool {
        matches!(self, Self::Unreachable { why: TransportError::Closed { .. }, .. })
    }

    pub(super) fn transport(place: String, why: TransportError) -> Self {
        let advice = match &why {
            TransportError::TimedOut { after } => return Self::NoAnswer { place, after: *after },
            TransportError::NotThere { .. } => {
                "start it with `crabd`, or name another with --address HOST:PORT"
            }
            TransportError::TurnedAway { .. } => {
                "check its certificate or secret, and the versions of both programs"
            }
            TransportError::Closed { .. } => "it may be restarting: try again",
        };
        Self::Unreachable { place, why, advice }
    }
}

/// `task t12`, `graph g12`.
#[must_use]
pub fn target_text(target: Target) -> String {
    match target {
        Target::Task(task) => format!("task {task}"),
        Target::Graph(graph) => format!("graph {graph}"),
    }
}

fn rejection_text(rejection: &Rejection) -> String {
    let mut lines = vec!["the submission was refused, nothing was started".to_owned()];
    for problem in &rejection.problems {
        let place = problem.item.map(|item| format!("item {item}: ")).unwrap_or_default();
        lines.push(format!("  {place}{problem}"));
    }
    if rejection.more > 0 {
        lines.push(format!("  and {} more", rejection.more));
    }
    lines.join("\n")
}

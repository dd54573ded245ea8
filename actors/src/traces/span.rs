//! A span, and the ids of spans: made from the submission's key and from what a span is of, so they are the same whoever
//! makes them.

use policy::event::GraphHead;
use policy::id::{GraphId, NodeId, TaskId};
use policy::time::Timestamp;

/// A span's id.
pub type SpanId = [u8; 8];

/// Something that took a while and is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The graph's trace.
    pub trace: [u8; 16],
    /// Its own id.
    pub id: SpanId,
    /// Within which it was.
    pub parent: Option<SpanId>,
    /// The span of the same trace that it waited for.
    pub link: Option<SpanId>,
    /// What it is.
    pub name: String,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// On which machine; of the scheduler where there is none.
    pub node: Option<NodeId>,
    /// What else is known.
    pub attributes: Vec<(&'static str, Value)>,
    /// What went wrong.
    pub trouble: Option<String>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Words.
    Text(String),
    /// A number.
    Number(i64),
}

#[expect(clippy::needless_pass_by_value, reason = "values are made in place, by whoever tells them")]
pub(super) fn text(of: impl ToString) -> Value {
    Value::Text(of.to_string())
}

pub(super) fn number(of: impl TryInto<i64>) -> Value {
    Value::Number(of.try_into().unwrap_or(i64::MAX))
}

/// What a span is of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    Graph,
    Submission,
    Task(TaskId),
    /// A wait before the attempt of this number, by the place of its name in [`WAITS`].
    Wait(TaskId, u32, u8),
    Attempt(TaskId, u32),
    Start(TaskId, u32),
    Run(TaskId, u32),
}

/// What a wait is called.
pub(super) const WAITS: [&str; 3] = ["dependencies", "queue", "back-off"];

impl Of {
    pub(super) fn id(self, trace: &[u8; 16]) -> SpanId {
        let (kind, task, attempt) = match self {
            Self::Graph => (0, 0, 0),
            Self::Submission => (1, 0, 0),
            Self::Task(task) => (2, task.0, 0),
            Self::Attempt(task, attempt) => (3, task.0, attempt),
            Self::Start(task, attempt) => (4, task.0, attempt),
            Self::Run(task, attempt) => (5, task.0, attempt),
            Self::Wait(task, attempt, which) => (6 + which, task.0, attempt),
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"span").update(trace).update(&[kind]);
        hasher.update(&task.to_le_bytes()).update(&attempt.to_le_bytes());
        first(&hasher)
    }
}

fn first<const N: usize>(hasher: &blake3::Hasher) -> [u8; N] {
    let mut id = [0; N];
    hasher.finalize_xof().fill(&mut id);
    id
}

/// Two submissions under one key are one, and two clusters have different keys for the same number.
pub(super) fn trace_of(graph: GraphId, head: &GraphHead) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"trace").update(&head.key.0.to_le_bytes()).update(&graph.0.to_le_bytes());
    first(&hasher)
}

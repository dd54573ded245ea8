//! What a client asks of the scheduler side, and what it is answered.
//!
//! Every question is one request with one answer; following (events, output, the end of a graph) is done
//! by asking again from where the last answer ended, so a client that stalls holds nothing here.

use std::sync::Arc;
use std::time::Duration;

use policy::admission::Rejection;
use policy::event::{LogPosition, Record};
use policy::id::{AttemptNumber, GraphId, NodeId, TaskId, Token};
use policy::resources::Resources;
use policy::submission::Submission;
use policy::task::{AttemptOutcome, Priority, TaskOutcome, TaskSpec, Usage};
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::fleet::{OutputPiece, OutputRead, OutputRefusal};

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
pub enum Request {
    /// Who are you?
    Hello,
    /// Run this graph. The same key with the same content is the same submission.
    Submit(Box<Submission>),
    /// End these.
    Cancel(Target),
    /// Try these again.
    Retry(Target),
    /// How is everything?
    Status,
    /// Which graphs are there, newest first?
    Graphs {
        /// Only those before this one.
        before: Option<GraphId>,
        /// At most this many, up to [`PAGE_LIMIT`].
        limit: u32,
    },
    /// How is this graph? Answers when it has ended, or when `wait` is over.
    Graph {
        /// Which.
        graph: GraphId,
        /// How long to wait for its end, up to [`WAIT_LIMIT`].
        wait: Duration,
    },
    /// Which tasks are there, by id?
    Tasks {
        /// Only these.
        filter: TaskFilter,
        /// Only those after this one.
        after: Option<TaskId>,
        /// At most this many, up to [`PAGE_LIMIT`].
        limit: u32,
    },
    /// Everything about this task.
    Task(TaskId),
    /// Which tasks or graphs have this name? The newest first, up to [`PAGE_LIMIT`].
    Find(Arc<str>),
    /// What has happened since?
    Events {
        /// Only records with larger numbers.
        after: u64,
        /// Only these.
        filter: EventFilter,
        /// At most this many, up to [`PAGE_LIMIT`].
        limit: u32,
        /// Wait up to this long where there is nothing yet, up to [`WAIT_LIMIT`].
        wait: Duration,
    },
    /// What did this task write?
    Output {
        /// Which task.
        task: TaskId,
        /// Which try; the last where there is none.
        attempt: Option<AttemptNumber>,
        /// Which part.
        read: OutputRead,
    },
    /// Which machines are there?
    Nodes,
}

/// Rows in one answer.
pub const PAGE_LIMIT: u32 = 1000;
/// The longest an answer may be waited for; then ask again.
pub const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// To `Hello`.
    Hello(ServerInfo),
    /// To `Submit`: safely on disk.
    Submitted(Submitted),
    /// To `Submit`: refused whole, nothing happened.
    Rejected(Rejection),
    /// To anything: not now; nothing happened.
    Busy {
        /// What is full or missing.
        reason: Box<str>,
        /// When to try again.
        retry_after: Duration,
    },
    /// To `Cancel`: safely on disk.
    CancelAsked {
        /// How many tasks had not ended yet.
        tasks: u64,
    },
    /// To `Retry`: safely on disk.
    RetryAsked {
        /// How many tasks will be tried again.
        tasks: u64,
    },
    /// To `Status`.
    Status(Box<Status>),
    /// To `Graphs`.
    Graphs(Vec<GraphRow>),
    /// To `Graph`.
    Graph(GraphRow),
    /// To `Tasks`.
    Tasks(Vec<TaskRow>),
    /// To `Task`.
    Task(Box<TaskDetail>),
    /// To `Find`.
    Found(Vec<Found>),
    /// To `Events`.
    Events(EventsPage),
    /// To `Output`.
    Output(Result<OutputPiece, OutputRefusal>),
    /// To `Nodes`.
    Nodes(Vec<NodeRow>),
    /// To anything that names what is not there.
    NotFound(Target),
    /// To anything that cannot be done to what it names, with the reason.
    Refused(Box<str>),
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// A task.
    Task(TaskId),
    /// All tasks of a graph.
    Graph(GraphId),
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// The version of its program.
    pub version: Box<str>,
    /// The name of the machine it runs on.
    pub name: Box<str>,
    /// Since when it runs.
    pub started: Timestamp,
    /// The scheduler's reign.
    pub epoch: u32,
    /// The number of the last durable record.
    pub durable: u64,
}

/// A submission that is safely on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Its graph. Its tasks have the ids from the graph's own number on.
    pub graph: GraphId,
    /// How many tasks.
    pub tasks: u64,
    /// Whether the key was known and nothing new was made.
    pub repeated: bool,
}

/// Which tasks to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaskFilter {
    /// Only of this graph.
    pub graph: Option<GraphId>,
    /// Only in one of these states; empty for all.
    pub states: Vec<StateName>,
}

/// A task's state, as shown.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case", ascii_case_insensitive)]
pub enum StateName {
    /// For tasks it depends on.
    Waiting,
    /// In a queue.
    Ready,
    /// For its next attempt.
    BackingOff,
    /// A node was granted an attempt, which has not started yet.
    Granted,
    /// Its process runs.
    Running,
    /// Its last attempt exited with 0.
    Succeeded,
    /// Its last attempt failed.
    Failed,
    /// Somebody asked for it.
    Cancelled,
    /// A task it depends on did not succeed.
    Skipped,
}

impl StateName {
    /// Whether nothing follows but another try that somebody asks for.
    #[must_use]
    pub fn has_ended(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Skipped => true,
            Self::Waiting | Self::Ready | Self::BackingOff | Self::Granted | Self::Running => false,
        }
    }
}

/// How everything is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Who answers.
    pub server: ServerInfo,
    /// Tasks by state.
    pub tasks: TaskCounts,
    /// Tasks in the queues by priority: low, normal, high, critical.
    pub queued: [u64; 4],
    /// Graphs that have not ended.
    pub graphs: u64,
    /// Machines.
    pub nodes: Vec<NodeRow>,
    /// Task actors that are awake.
    pub awake: u64,
    /// Trouble that an operator should know of, such as a full disk.
    pub warnings: Vec<Box<str>>,
}

/// Tasks by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaskCounts {
    /// For tasks they depend on.
    pub waiting: u64,
    /// In a queue.
    pub ready: u64,
    /// For their next attempt.
    pub backing_off: u64,
    /// Granted or running.
    pub active: u64,
    /// Succeeded.
    pub succeeded: u64,
    /// Failed.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// Skipped.
    pub skipped: u64,
}

impl TaskCounts {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.unended() + self.ended()
    }

    /// Those that have not ended.
    #[must_use]
    pub fn unended(&self) -> u64 {
        self.waiting + self.ready + self.backing_off + self.active
    }

    /// Those that have ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.succeeded + self.failed + self.cancelled + self.skipped
    }
}

/// A graph in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphRow {
    /// Which.
    pub graph: GraphId,
    /// Its name.
    pub name: Arc<str>,
    /// When it was submitted.
    pub submitted: Timestamp,
    /// When its last task ended; `None` while one has not.
    pub ended: Option<Timestamp>,
    /// Its tasks by state.
    pub tasks: TaskCounts,
}

/// A task in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRow {
    /// Which.
    pub task: TaskId,
    /// Of which graph.
    pub graph: GraphId,
    /// Its name, with the index where it is a member of an array: `test[7]`.
    pub name: Box<str>,
    /// Its state.
    pub state: StateName,
    /// Its priority.
    pub priority: Priority,
    /// Its tenant.
    pub tenant: Arc<str>,
    /// How many attempts there have been, the present one included.
    pub attempts: u32,
    /// Where it runs, or ran last.
    pub node: Option<NodeId>,
    /// Since when it is in its state.
    pub since: Timestamp,
    /// How it ended, or how its last attempt did.
    pub outcome: Option<TaskOutcome>,
}

/// Everything about a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskDetail {
    /// As in a list.
    pub row: TaskRow,
    /// Where it is a member of an array.
    pub array_index: Option<u64>,
    /// What it is.
    pub spec: Arc<TaskSpec>,
    /// The tasks and arrays it depends on, by name.
    pub dependencies: Vec<Box<str>>,
    /// Why it is ready and does not run.
    pub waits_for: Option<Box<str>>,
    /// When it was submitted.
    pub submitted: Timestamp,
    /// Its attempts, in order.
    pub attempts: Vec<AttemptRow>,
    /// All its events, in order, with the records' positions in the log.
    pub events: Vec<(LogPosition, Record)>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// Which.
    pub number: AttemptNumber,
    /// Its grant.
    pub token: Token,
    /// Where.
    pub node: NodeId,
    /// When it was granted.
    pub granted: Timestamp,
    /// When its process started.
    pub started: Option<Timestamp>,
    /// Its process.
    pub pid: Option<u32>,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// How.
    pub outcome: Option<AttemptOutcome>,
    /// What it used.
    pub usage: Usage,
}

/// Something that has the name asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What.
    pub target: Target,
    /// Its name.
    pub name: Box<str>,
}

/// Which events to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum EventFilter {
    /// All.
    #[default]
    All,
    /// Of this task.
    Task(TaskId),
    /// Of this graph and its tasks.
    Graph(GraphId),
}

/// Some events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsPage {
    /// The records, in order.
    pub records: Vec<Record>,
    /// Ask for those after this number next.
    pub next_after: u64,
    /// Records with smaller numbers were removed by retention before they could be read; 0 if none.
    pub lost_before: u64,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    /// Its name.
    pub node: NodeId,
    /// How it is.
    pub health: NodeHealth,
    /// What it has.
    pub capacity: Resources,
    /// What is taken.
    pub allocated: Resources,
    /// Attempts that run.
    pub running: u32,
    /// Attempts granted that wait on the node for resources.
    pub staged: u32,
    /// When it was last heard of.
    pub heard: Timestamp,
    /// What is known of it.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// The version of its program.
    pub version: Box<str>,
}

/// How a node is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display, strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum NodeHealth {
    /// Heard of in time.
    Up,
    /// Late.
    Suspect,
    /// Given up.
    Lost,
}

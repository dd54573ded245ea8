//! What a client asks of the scheduler side, and what it is answered.
//!
//! Every question is one request with one answer; following (events, output, the end of a graph) is done
//! by asking again from where the last answer ended, so a client that stalls holds nothing here.

mod came_of;
mod enrol;
mod explain;
mod metrics;
mod rows;
mod settings;
mod state;
mod way;

use std::sync::Arc;
use std::time::Duration;

use policy::admission::Rejection;
use policy::budget::Raise;
use policy::claims::ClaimsView;
use policy::directive::Directive;
use policy::graph::ReadyItem;
use policy::id::{AttemptNumber, GraphId, NodeId, TaskId};
use policy::layout::{before, since};
use policy::signal::TaskSignal;
use policy::submission::Submission;
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::wire::client::enrol::{Enrolled, Enrolment, InvitedRow, MemberRow};
pub use crate::wire::client::explain::{
    BLOCKERS_LIMIT, Blocker, Evicting, Explanation, HOLDINGS_LIMIT, WhatIf,
};
pub use crate::wire::client::metrics::{
    ActorRow, EndsRow, MetersRow, NodeNewsRow, Sample, WAIT_BOUNDS, WaitsRow,
};
pub use crate::wire::client::rows::{
    AttemptRow, BudgetRow, Directed, EventFilter, EventsPage, Found, GraphRow, NodeHealth, NodeRow,
    PressureRow, SpendingRow, Status, TaskCounts, TaskDetail, TaskRow, TenantRow,
};
pub use crate::wire::client::settings::{Origin, SettingRow};
pub use crate::wire::client::state::StateName;
pub use crate::wire::client::way::{WayRow, WhereTo};
use crate::wire::fleet::{ArtifactAnswer, ArtifactRead, OutputPiece, OutputRead, OutputRefusal};
use crate::wire::inspect::{Action, Look, Sight};

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantNames)]
pub enum Request {
    /// Who are you?
    Hello,
    /// Run this graph, or add this to one. The same key with the same content is the same submission.
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
    /// What is measured?
    Metrics,
    /// What of the fleet is claimed, and who waits for it?
    Claims,
    /// Which settings hold?
    Settings,
    /// What does this task wait for?
    Explain(TaskId),
    /// Let a graph go on whose budget was used up, under a larger one.
    Resume {
        /// Which.
        graph: GraphId,
        /// What it may use up from now on.
        raise: Raise,
    },
    /// An operator says something that holds until it is taken back.
    Direct {
        /// What.
        directive: Directive,
        /// Who, for the record: at most [`BY_LIMIT_BYTES`].
        by: Arc<str>,
        /// Why, for the record: at most [`REASON_LIMIT_BYTES`]; empty where nobody said.
        #[serde(deserialize_with = "since::<9, _, _>", skip_serializing_if = "before::<9, _>")]
        reason: Arc<str>,
    },
    /// An operator wants a node empty.
    Drain {
        /// Which.
        node: NodeId,
        /// After so long what still runs there is given back; `None` for never.
        within: Option<Duration>,
        /// Who, as in `Direct`.
        by: Arc<str>,
        /// Why, as in `Direct`.
        #[serde(deserialize_with = "since::<9, _, _>", skip_serializing_if = "before::<9, _>")]
        reason: Arc<str>,
    },
    /// As `Submit`, and tell how it went: answers when the graph has ended, or when `wait` is over. What takes
    /// milliseconds is over with one exchange.
    Run {
        /// What to run.
        submission: Box<Submission>,
        /// How long to wait for its end, up to [`WAIT_LIMIT`].
        wait: Duration,
        /// Whether its events so far and the output of a single task are wanted as well.
        report: bool,
    },
    /// Which actors are there, and how are they?
    Inspect {
        /// On which machine; on the scheduler side where there is none.
        machine: Option<NodeId>,
        /// What of them.
        look: Look,
    },
    /// Do this. It is recorded first.
    Operate {
        /// Who wants it, for the record.
        by: Box<str>,
        /// Why, for the record; empty where nobody said.
        reason: Box<str>,
        /// What.
        action: Action,
    },
    /// How is the session of a task reached, or a machine that is reached by SSH alone?
    Way(WhereTo),
    /// Who belongs to the fleet is to be told or changed.
    Cluster(Enrolment),
    /// What would this task wait for, if it asked for something else?
    Suppose(TaskId, WhatIf),
    /// Signal this to what a task runs, once. Sent again it may be heard again.
    Signal(TaskId, TaskSignal),
    /// What is ready of the tasks and arrays that came first, up to [`PAGE_LIMIT`]?
    Oldest(u32),
    /// What was kept of what this task left behind?
    Artifact {
        /// Which task.
        task: TaskId,
        /// Which try; the last where there is none.
        attempt: Option<AttemptNumber>,
        /// Which part.
        read: ArtifactRead,
    },
}

/// Bytes of the name of whoever gives a directive: `user@host`.
pub const BY_LIMIT_BYTES: usize = 128;
/// Bytes of why a directive is given: a line or two, which every list of machines shows.
pub const REASON_LIMIT_BYTES: usize = 200;
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
    Graph(Box<GraphRow>),
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
    /// To `Metrics`.
    Metrics(Box<Sample>),
    /// To `Claims`.
    Claims(Box<ClaimsView>),
    /// To `Settings`: in the order of the file.
    Settings(Vec<SettingRow>),
    /// To `Explain`.
    Explanation(Box<Explanation>),
    /// To anything that names what is not there.
    NotFound(Target),
    /// To anything that cannot be done to what it names, with the reason.
    Refused(Box<str>),
    /// To `Resume`: safely on disk.
    Resumed {
        /// How many tasks are ready to be started by that.
        tasks: u64,
    },
    /// To `Inspect`, and to `Operate` where it is about an actor or a breaker.
    Inspected(Box<Sight>),
    /// To `Direct` and `Drain`: safely on disk.
    Directed {
        /// Whether anything has changed by that.
        changed: bool,
    },
    /// To `Run`: safely on disk, and how it is.
    Ran(Box<Ran>),
    /// To `Submit`: the key belongs to another submission.
    Conflict {
        /// That one.
        graph: GraphId,
    },
    /// To `Way`.
    Way(Box<WayRow>),
    /// To `Cluster`.
    Cluster(Enrolled),
    /// To `Operate`, where it says how urgent something is: safely on disk.
    Prioritised {
        /// How many tasks wait, and go by that; 0 where it was so already.
        tasks: u64,
    },
    /// To `Signal`: the process host of the machine has it.
    Signalled {
        /// Which machine.
        node: NodeId,
    },
    /// To `Oldest`.
    Oldest(Vec<ReadyItem>),
    /// To `Artifact`.
    Artifact(ArtifactAnswer),
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Its graph, or the one it was added to.
    pub graph: GraphId,
    /// Its first task; the others have the ids behind it.
    pub first: TaskId,
    /// How many tasks.
    pub tasks: u64,
    /// Whether the key was known and nothing new was made.
    pub repeated: bool,
    /// What of it no machine of the fleet can run as things are, the first [`WARNINGS_LIMIT`].
    pub warnings: Box<[Box<str>]>,
}

/// Warnings that come with one submission: what a person reads.
pub const WARNINGS_LIMIT: usize = 8;

/// A submission that is safely on disk, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// What was submitted.
    pub submitted: Submitted,
    /// How it is.
    pub row: GraphRow,
    /// What has happened to it so far, where that was asked for; go on from here.
    pub events: EventsPage,
    /// All that a graph of one task has written in its only attempt, where that was asked for, is over, and
    /// is no more than [`RAN_OUTPUT_LIMIT_BYTES`].
    pub output: Option<OutputPiece>,
}

/// Bytes of output that travel with the answer to `Run`: a screen or two of text.
pub const RAN_OUTPUT_LIMIT_BYTES: u32 = 64 * 1024;

/// Which tasks to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaskFilter {
    /// Only of this graph.
    pub graph: Option<GraphId>,
    /// Only in one of these states; empty for all.
    pub states: Vec<StateName>,
}

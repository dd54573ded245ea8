//! What has happened: the facts that the log keeps and from which every state is made.
//!
//! These types, and all that they are made of, are kept: how they may change is said in `layout`.

mod node;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::budget::{Budget, Exceeded, OnReached, Reached, Spending};
use crate::causes::Waited;
use crate::claims::{Indices, RateUsage};
use crate::dependency::Dependency;
use crate::directive::Directive;
use crate::id::{AttemptNumber, GraphId, NodeId, NodeSession, TaskId, TaskRange, Token};
use crate::layout::{before, since};
use crate::pressure::ModeChange;
use crate::stages::Step;
use crate::task::{AttemptOutcome, Priority, RequestNumber, TaskOutcome, TaskReport, TaskSpec, Usage};
use crate::time::Timestamp;

pub use crate::event::node::NodeEvent;
pub use crate::task::ArraySpec;

/// One numbered fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number in the log, from 1, without gaps.
    pub number: u64,
    /// When, by the scheduler's wall clock.
    pub at: Timestamp,
    /// The record that led to this one; 0 where none did.
    pub cause: u64,
    /// The flow it belongs to, by the number of its graph; 0 for what belongs to none.
    pub correlation: u64,
    /// What happened.
    pub event: Event,
}

/// What happened, and to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// To a graph.
    Graph(GraphId, GraphEvent),
    /// To a task.
    Task {
        /// Which.
        task: TaskId,
        /// Its number among the task's events, from 1, without gaps.
        sequence: u32,
        /// Where the task's previous record starts in the log; 0 where there is none.
        previous: LogPosition,
        /// What.
        event: TaskEvent,
    },
    /// To a node.
    Node(NodeId, NodeEvent),
    /// To the scheduler itself.
    Scheduler(SchedulerEvent),
}

/// A byte position in the log, counted over all segments.
pub type LogPosition = u64;

/// What can happen to a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
pub enum GraphEvent {
    /// It was admitted whole. Its items follow in the next records, one `ItemAdmitted` each.
    Admitted(GraphHead),
    /// One of its items: a task, or an array of tasks.
    ItemAdmitted(Item),
    /// Somebody asked to cancel all of it.
    CancelAsked,
    /// It has used up its budget.
    BudgetReached {
        /// What of it.
        reached: Reached,
        /// What follows.
        follows: OnReached,
    },
    /// Somebody said to go on, under this budget.
    Resumed {
        /// All of it.
        budget: Budget,
    },
    /// Some of its tasks are ready, and no node of those there are can ever run them. Told once for each reason.
    Unschedulable {
        /// Which.
        tasks: TaskRange,
        /// Why not.
        reason: Arc<str>,
    },
    /// A node is there now that can run what was unschedulable.
    Schedulable {
        /// Which, as they were told before.
        tasks: TaskRange,
    },
    /// More was added to it, whole. The items follow in the next records, one `ItemAdmitted` each.
    Extended(GraphPart),
    /// An operator has said anew how urgent tasks of it are.
    Prioritised {
        /// Which: whole items.
        tasks: TaskRange,
        /// From now on.
        priority: Priority,
    },
}

/// What is added to a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphPart {
    /// Its first task; the others have the ids behind it.
    pub first: TaskId,
    /// The submitter's key.
    pub key: SubmissionKey,
    /// How many items follow.
    pub items: u32,
    /// How many tasks they make.
    pub tasks: u64,
    /// The digest of the submission.
    pub digest: [u8; 16],
}

impl GraphPart {
    /// The ids of its tasks.
    #[must_use]
    pub fn range(&self) -> TaskRange {
        TaskRange { first: self.first, count: u32::try_from(self.tasks).unwrap_or(u32::MAX) }
    }
}

/// The graph as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphHead {
    /// Its name.
    pub name: Arc<str>,
    /// The submitter's key; the same key again is the same submission.
    pub key: SubmissionKey,
    /// How many items follow.
    pub items: u32,
    /// How many tasks they make.
    pub tasks: u64,
    /// The digest of the submission, to tell a repeated submission from another one under the same key.
    pub digest: [u8; 16],
    /// What it may use up.
    pub budget: Budget,
}

/// What a submitter calls a submission, so that sending it twice does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SubmissionKey(pub u128);

/// A task of a graph, or an array of tasks that differ only by their index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What it is.
    pub spec: Arc<TaskSpec>,
    /// What must have ended before it starts.
    pub dependencies: Vec<Dependency>,
    /// Present where it is an array.
    pub array: Option<ArraySpec>,
}

/// What can happen to a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
pub enum TaskEvent {
    /// A node may run an attempt.
    Granted {
        /// The grant's fencing token.
        token: Token,
        /// Which try it is.
        attempt: AttemptNumber,
        /// Where.
        node: NodeId,
        /// In which session of that node.
        session: NodeSession,
        /// Which of the task's requests it holds.
        request: RequestNumber,
        /// The indices of pools that it holds.
        indices: Indices,
        /// The nodes of its gang by rank, without a name for those that have succeeded; empty where it is in none.
        #[serde(deserialize_with = "since::<10, _, _>", skip_serializing_if = "before::<10, _>")]
        gang: Vec<NodeId>,
        /// For what it stood in its queue how long, as far as that was looked at.
        #[serde(deserialize_with = "since::<15, _, _>", skip_serializing_if = "before::<15, _>")]
        waited: Waited,
    },
    /// The attempt's process runs.
    Started {
        /// The grant it runs under.
        token: Token,
        /// Its process id on the node.
        pid: u32,
        /// Its place among the reports of the node's session: resources are held in this order.
        order: u64,
    },
    /// Somebody asked to cancel it.
    CancelAsked,
    /// The attempt is over.
    AttemptEnded {
        /// The grant it ran under.
        token: Token,
        /// How.
        outcome: AttemptOutcome,
        /// What it used.
        usage: Usage,
        /// Its place among the reports of the node's session; 0 where the node did not report it.
        order: u64,
        /// What follows.
        next: Next,
        /// What it said of itself, if it did.
        report: Option<Box<TaskReport>>,
    },
    /// It ended without, or after, its attempts: cancelled while waiting, or skipped.
    Finished(TaskOutcome),
    /// Somebody asked for another try of an ended task.
    RetryAsked,
    /// Parts of what an attempt reported could not be understood and count for nothing.
    ReportIgnored {
        /// The grant it ran under.
        token: Token,
        /// Which, as a person should read it.
        faults: Vec<Box<str>>,
    },
    /// Its attempt is to make room for a more urgent task, or its gang is not whole.
    EvictAsked {
        /// The grant it runs under.
        token: Token,
        /// For whom; of a gang, whom it lacks.
        by: TaskId,
        /// Whether its gang lacks that.
        #[serde(deserialize_with = "since::<10, _, _>", skip_serializing_if = "before::<10, _>")]
        is_recall: bool,
    },
    /// One of the commands of its attempt has begun.
    StepBegan {
        /// The grant it runs under.
        token: Token,
        /// Which.
        step: Step,
        /// The process that it began with.
        pid: u32,
    },
}

/// What follows the end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Next {
    /// The task has ended.
    Finish(TaskOutcome),
    /// Another attempt after this wait.
    RetryAfter(Duration),
}

/// What can happen to the scheduler itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
pub enum SchedulerEvent {
    /// It started, in this epoch.
    Started {
        /// Its reign.
        epoch: u32,
        /// The version of the program.
        version: Arc<str>,
    },
    /// It stopped in order.
    Stopped,
    /// An operator wants something to be done; it is begun once this is on disk.
    Operated {
        /// Who, as they call themselves.
        by: Arc<str>,
        /// What.
        action: Arc<str>,
        /// Why; empty where nobody said.
        reason: Arc<str>,
    },
    /// What waits is another strain than before.
    Pressure(ModeChange),
    /// The first task of a line has waited so long that it is served as more urgent than it is.
    AgedBoost {
        /// Which.
        task: TaskId,
        /// Its own priority.
        priority: Priority,
        /// As which it is served from now on.
        served_as: Priority,
        /// How long it has waited since it was ready, or since its line was served.
        waited: Duration,
        /// Whether that is longer than the objective.
        is_late: bool,
    },
    /// A tenant has used up its budget.
    TenantBudgetReached(Exceeded),
    /// A tenant goes on: its period is over, or it may use more.
    TenantResumed {
        /// Who.
        tenant: Arc<str>,
    },
    /// What a tenant has used up so far, before records from which that is known are let go.
    TenantSpent(Spending),
    /// An operator has said something that holds until it is taken back.
    Directed {
        /// What.
        directive: Directive,
        /// Who, as the program that asked says.
        by: Arc<str>,
        /// Why; empty where nobody said.
        #[serde(deserialize_with = "since::<9, _, _>", skip_serializing_if = "before::<9, _>")]
        reason: Arc<str>,
    },
    /// What rates have used so far: records that say so may be removed after this.
    RatesUsed(Vec<RateUsage>),
    /// An urgent task waits for what a less urgent one holds. Told once of the two.
    PriorityInverted {
        /// The first of those that wait.
        task: TaskId,
        /// How urgent it is.
        priority: Priority,
        /// What it waits for: `lock repo`.
        what: Arc<str>,
        /// Who holds it.
        holder: TaskId,
        /// How urgent that is.
        holder_priority: Priority,
    },
    /// Somebody with a certificate has had something done, or somebody was refused something.
    Audited {
        /// Who, by their certificate; by their address where they have none.
        who: Arc<str>,
        /// What they wanted.
        what: Arc<str>,
        /// Why they did not get it; `None` where they did.
        refused: Option<Arc<str>>,
        /// Further refusals since the last one told, which are only counted: whoever is refused must not fill the log.
        untold: u64,
    },
    /// Tasks that something more urgent waits for go into its queue.
    PriorityLent {
        /// The first of them.
        task: TaskId,
        /// How many, with consecutive ids.
        tasks: u32,
        /// Their own priority.
        priority: Priority,
        /// As which they are served while that waits.
        served_as: Priority,
        /// Whose priority that is.
        by: TaskId,
    },
}

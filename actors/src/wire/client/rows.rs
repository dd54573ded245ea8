//! How things stand, as rows: graphs, tasks, attempts, machines, events.

use std::sync::Arc;

use policy::breaker::{Key, Seen};
use policy::budget::{Budget, Exceeded, Reached, Spent};
use policy::dependency::Need;
use policy::directive::{Author, Directive, Scope};
use policy::event::{LogPosition, Record};
use policy::graph::{Counts, TaskState};
use policy::id::{AttemptNumber, GraphId, NodeId, TaskId, Token};
use policy::layout::{before, since};
use policy::pressure::Mode;
use policy::resources::Resources;
use policy::sample::Sample;
use policy::stages::Step;
use policy::strain::Strain;
use policy::task::{About, AttemptOutcome, Priority, Progress, RequestNumber, TaskOutcome, TaskSpec, Usage};
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::client::{ServerInfo, StateName, Target};

/// How everything is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Who answers.
    pub server: ServerInfo,
    /// Tasks by state.
    pub tasks: TaskCounts,
    /// Tasks in the queues by priority: low, normal, high, critical.
    pub queued: [u64; 4],
    /// Who waits or holds something, by name.
    pub tenants: Vec<TenantRow>,
    /// Graphs that have not ended.
    pub graphs: u64,
    /// Machines.
    pub nodes: Vec<NodeRow>,
    /// Task actors that are awake.
    pub awake: u64,
    /// Trouble that an operator should know of, such as a full disk.
    pub warnings: Vec<Box<str>>,
    /// How strained the queue is.
    pub pressure: PressureRow,
    /// Whether an operator has halted everything.
    pub halted: bool,
    /// What operators have paused, the widest first.
    pub paused: Vec<Scope>,
    /// Who has halted everything, and who has paused what, in the same order.
    #[serde(deserialize_with = "since::<9, _, _>", skip_serializing_if = "before::<9, _>")]
    pub said: Vec<(Directive, Author)>,
}

/// How strained the queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PressureRow {
    /// What holds.
    pub mode: Mode,
    /// Tasks and arrays that have not ended; an array counts once.
    pub depth: u64,
    /// How many there may be.
    pub limit: u64,
    /// Submissions that were told to come back since the scheduler started.
    pub shed: u64,
}

/// What one tenant has, each by priority: low, normal, high, critical.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRow {
    /// Who.
    pub tenant: Arc<str>,
    /// How much is its due, beside others of the same priority.
    pub weight: u32,
    /// Tasks in the queues.
    pub waiting: [u64; 4],
    /// Attempts that hold something.
    pub running: [u64; 4],
    /// What they hold: of the resource of which that is most, in millionths of what the fleet has.
    pub share_ppm: [u64; 4],
    /// What it may use up, where that is limited.
    pub budget: Option<Box<SpendingRow>>,
}

/// What a tenant may use up, and has in the present period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpendingRow {
    /// What it may use up.
    pub budget: Budget,
    /// What it has.
    pub spent: Spent,
    /// What of it is used up, and until when.
    pub exceeded: Option<Exceeded>,
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

/// What the table counts.
impl From<&Counts> for TaskCounts {
    fn from(counts: &Counts) -> Self {
        Self {
            waiting: counts.of(TaskState::Waiting),
            ready: counts.of(TaskState::Ready),
            backing_off: counts.of(TaskState::BackingOff),
            active: counts.of(TaskState::Active),
            succeeded: counts.of(TaskState::Succeeded),
            failed: counts.of(TaskState::Failed),
            cancelled: counts.of(TaskState::Cancelled),
            skipped: counts.of(TaskState::Skipped),
        }
    }
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
    /// How many of the ready ones no node can ever run, as things are.
    pub unschedulable: u64,
    /// What it may use up, if that is limited.
    pub budget: Option<Box<BudgetRow>>,
}

/// What a graph may use up, and has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetRow {
    /// What it may.
    pub budget: Budget,
    /// What it has.
    pub spent: Spent,
    /// What was used up, so that the graph was paused or cancelled.
    pub reached: Option<Reached>,
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
    /// What it uses, where it has run for some seconds.
    pub in_use: Option<Box<Sample>>,
    /// How far it is, where it says so while it runs.
    #[serde(deserialize_with = "since::<3, _, _>", skip_serializing_if = "before::<3, _>")]
    pub progress: Option<Box<Progress>>,
    /// What it says of itself.
    #[serde(deserialize_with = "since::<16, _, _>", skip_serializing_if = "before::<16, _>")]
    pub about: Option<Box<About>>,
    /// Which of its commands runs, where it has several.
    #[serde(deserialize_with = "since::<17, _, _>", skip_serializing_if = "before::<17, _>")]
    pub step: Option<Step>,
}

impl TaskRow {
    /// `running`, or `running: gate` while that is not its command.
    #[must_use]
    pub fn doing(&self) -> String {
        let at = self.beside_command().map(|step| format!(": {step}")).unwrap_or_default();
        format!("{}{at}", self.state)
    }

    /// How far it is: `gate`, `40% linking`; `None` where nothing is known but its state.
    #[must_use]
    pub fn how_far(&self) -> Option<String> {
        let step = self.beside_command().map(|step| step.to_string());
        let said = step.into_iter().chain(self.progress.as_ref().map(ToString::to_string));
        Some(said.collect::<Vec<_>>().join(", ")).filter(|said| !said.is_empty())
    }

    /// What runs of it that is not its command.
    fn beside_command(&self) -> Option<Step> {
        self.step.filter(|step| *step != Step::COMMAND && self.state == StateName::Running)
    }
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
    /// The tasks and arrays it depends on, by name, and how it needs them.
    pub dependencies: Vec<(Box<str>, Need)>,
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
    /// Which of the task's requests it holds.
    pub request: RequestNumber,
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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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
    /// Its breakers that are not closed: the node's own where no kind is named.
    pub breakers: Vec<(Key, Seen)>,
    /// What operators have said of it.
    pub directed: Directed,
    /// How strained it is.
    #[serde(deserialize_with = "since::<11, _, _>", skip_serializing_if = "before::<11, _>")]
    pub strain: Strain,
}

/// What operators have said of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Directed {
    /// It takes no new work.
    pub cordoned: bool,
    /// It takes no new work and gives back what it has.
    pub draining: bool,
    /// When it gives back what runs, if it is to.
    pub drain_deadline: Option<Timestamp>,
    /// It is drained, and nothing is left.
    pub drained: bool,
    /// It starts nothing.
    pub halted: bool,
    /// It starts nothing, as somebody has said on the machine itself.
    pub halted_here: bool,
    /// Who has said the gravest of this, where that was said of this machine alone.
    #[serde(deserialize_with = "since::<9, _, _>", skip_serializing_if = "before::<9, _>")]
    pub said: Option<Author>,
    /// Labels that operators have put on it, over its own.
    #[serde(deserialize_with = "since::<19, _, _>", skip_serializing_if = "before::<19, _>")]
    pub labels: Vec<(Arc<str>, Arc<str>)>,
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

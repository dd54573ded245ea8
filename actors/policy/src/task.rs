//! What a task is: its specification and how a try at it, or the whole of it, can end.

mod about;
mod loss;
mod priority;
mod qos;
mod report;
mod request;
mod retrying;
mod shown;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::artifact::Artifacts;
use crate::bounds::{Overrun, TimeBounds};
use crate::claims::Claims;
use crate::constraint::Constraints;
use crate::excess::{Excess, UseLimits};
use crate::id::{AttemptNumber, NodeId, TaskId};
use crate::layout::{before, since};
use crate::provision::Provision;
use crate::resources::Resources;
use crate::stages::{Stages, StepFailure};
use crate::text::OsText;
use crate::workspace::Workspace;

pub use crate::task::about::{
    About, EVALUATION_LIMIT_BYTES, Evaluation, GOAL_LIMIT_CHARS, LABEL_LIMIT_BYTES, PHASES, PRODUCTION,
    TASK_LABELS_LIMIT,
};
pub use crate::task::loss::LossReason;
pub use crate::task::priority::Priority;
pub use crate::task::qos::Qos;
pub use crate::task::report::{
    DOING_LIMIT_CHARS, PARKED_LIMIT, Parked, Progress, RESULTS_LIMIT, RateUse, ResultField, TaskReport, Usage,
};
pub(crate) use crate::task::request::request_of;
pub use crate::task::request::{REQUESTS_LIMIT, RequestNumber};
pub use crate::task::retrying::{RetryPolicy, Signals};

/// What a task needs where it says nothing: one core.
pub const DEFAULT_CPU_MILLIS: u64 = 1000;
/// Between the polite signal and the one that cannot be refused, where a task says nothing.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(5);
/// Who is charged where nobody is named.
pub const DEFAULT_TENANT: &str = "default";

/// What one submitted task, or every member of an array, is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Its name within the graph: 1 to 100 characters.
    pub name: Arc<str>,
    /// The program and its arguments; never read by a shell. At least the program.
    pub argv: Vec<OsText>,
    /// The absolute directory to run in; the worker's own home directory where there is none. Of a task with a
    /// workspace it is relative to that, which it is itself where there is none.
    pub directory: Option<OsText>,
    /// Variables set on top of the worker's base environment.
    pub environment: Vec<(OsText, OsText)>,
    /// What it holds while it runs: the request that it likes best.
    pub resources: Resources,
    /// What else will do, in order of preference; the grant says which of all these holds.
    pub alternatives: Vec<Resources>,
    /// What it asks of the node it runs on, besides room.
    pub constraints: Constraints,
    /// How urgent it is.
    pub priority: Priority,
    /// Who is charged its share.
    pub tenant: Arc<str>,
    /// Which failures lead to another attempt, and when.
    pub retry: RetryPolicy,
    /// The longest an attempt may run before it is killed; `None` for no limit.
    pub timeout: Option<Duration>,
    /// What else it says of time; `None` where that is nothing.
    pub bounds: Option<Box<TimeBounds>>,
    /// What its processes must not exceed; `None` where nothing is limited.
    pub limits: Option<Box<UseLimits>>,
    /// Between the polite signal and the one that cannot be refused.
    pub grace: Duration,
    /// What sort of work it is, such as `build`: tasks of one kind fail alike. `None` for no sort of its own.
    pub kind: Option<Arc<str>>,
    /// What it claims of the fleet while it runs; `None` where that is nothing.
    pub claims: Option<Arc<Claims>>,
    /// Whether it may be stopped to make room for a more urgent task, and run again later.
    #[serde(deserialize_with = "since::<2, _, _>", skip_serializing_if = "before::<2, _>")]
    pub is_preemptible: bool,
    /// How much its processes matter to the machine.
    #[serde(deserialize_with = "since::<4, _, _>", skip_serializing_if = "before::<4, _>")]
    pub qos: Qos,
    /// A directory of its own to work in; `None` where it works in place.
    #[serde(deserialize_with = "since::<6, _, _>", skip_serializing_if = "before::<6, _>")]
    pub workspace: Option<Box<Workspace>>,
    /// How many nodes its item needs at once: as many members as it has, see `gang`. `None` where each task starts for itself.
    #[serde(deserialize_with = "since::<10, _, _>", skip_serializing_if = "before::<10, _>")]
    pub gang: Option<u32>,
    /// What it is given where it runs; `None` where that is nothing.
    #[serde(deserialize_with = "since::<14, _, _>", skip_serializing_if = "before::<14, _>")]
    pub provision: Option<Box<Provision>>,
    /// What it says of itself to people and programs; `None` where that is nothing.
    #[serde(deserialize_with = "since::<16, _, _>", skip_serializing_if = "before::<16, _>")]
    pub about: Option<Box<About>>,
    /// What is done before and after its command, and its gate; `None` where that is nothing.
    #[serde(deserialize_with = "since::<17, _, _>", skip_serializing_if = "before::<17, _>")]
    pub stages: Option<Box<Stages>>,
    /// What is kept of what it leaves behind; `None` where that is nothing.
    #[serde(deserialize_with = "since::<20, _, _>", skip_serializing_if = "before::<20, _>")]
    pub artifacts: Option<Box<Artifacts>>,
}

impl TaskSpec {
    /// A task of one core that says nothing else of itself: what every other specification differs from.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, argv: Vec<OsText>) -> Self {
        Self {
            name: name.into(),
            argv,
            directory: None,
            environment: Vec::new(),
            resources: Resources::cpus(DEFAULT_CPU_MILLIS),
            alternatives: Vec::new(),
            constraints: Constraints::default(),
            priority: Priority::Normal,
            tenant: DEFAULT_TENANT.into(),
            retry: RetryPolicy::default(),
            timeout: None,
            bounds: None,
            limits: None,
            grace: DEFAULT_GRACE,
            kind: None,
            claims: None,
            is_preemptible: false,
            qos: Qos::Default,
            workspace: None,
            gang: None,
            provision: None,
            about: None,
            stages: None,
            artifacts: None,
        }
    }

    /// All that it asks for, in order of preference; at least one.
    pub fn requests(&self) -> impl Iterator<Item = &Resources> {
        std::iter::once(&self.resources).chain(&self.alternatives)
    }

    /// What an attempt holds that was granted this request.
    #[must_use]
    pub fn request(&self, number: RequestNumber) -> &Resources {
        request_of(&self.resources, &self.alternatives, number)
    }

    /// About how many bytes it takes when encoded: what varies, without the rest.
    #[must_use]
    pub fn approximate_bytes(&self) -> usize {
        let variables = self.environment.iter().map(|(name, value)| name.len() + value.len());
        let claims = self.claims.as_ref().map_or(0, |claims| claims.bytes());
        let company = self.constraints.company.as_ref().map_or(0, |company| company.bytes());
        let workspace = self.workspace.as_ref().map_or(0, |workspace| workspace.bytes());
        let provision = self.provision.as_ref().map_or(0, |provision| provision.bytes());
        let stages = self.stages.as_ref().map_or(0, |stages| stages.bytes());
        let words = self.argv.iter().map(OsText::len).chain(variables).sum::<usize>();
        let about = self.about.as_ref().map_or(0, |about| about.bytes());
        let artifacts = self.artifacts.as_ref().map_or(0, |artifacts| artifacts.bytes());
        words + claims + company + workspace + provision + about + stages + artifacts + 128
    }
}

/// Why a command did not even start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpawnFailure {
    /// What was wrong, as a person should read it: `command not found: "fob" (searched PATH=...)`.
    pub reason: Box<str>,
    /// Whether the machine is to blame, such as where it has no memory or no process left: another one would
    /// have started it.
    pub nodes_fault: bool,
}

impl SpawnFailure {
    /// The task is to blame: it would not start anywhere.
    #[must_use]
    pub fn of_task(reason: impl Into<Box<str>>) -> Self {
        Self { reason: reason.into(), nodes_fault: false }
    }

    /// The machine is to blame.
    #[must_use]
    pub fn of_node(reason: impl Into<Box<str>>) -> Self {
        Self { reason: reason.into(), nodes_fault: true }
    }
}

/// How one attempt ended, as the machine it ran on saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptOutcome {
    /// The process exited; 0 is success.
    Exited(i32),
    /// A signal that was not ours ended it.
    Signalled(i32),
    /// It reached a limit of time and was stopped.
    TimedOut(Box<Overrun>),
    /// It used more than it may and was killed.
    OverLimit(Box<Excess>),
    /// It was asked to stop, and is gone.
    Cancelled,
    /// It never started.
    SpawnFailed(SpawnFailure),
    /// Its machine lost the right to run it, or was lost, or restarted: not the task's fault.
    Lost(LossReason),
    /// Its gate failed, or a hook of its own before its command, which was not run then.
    StepFailed(Box<StepFailure>),
}

/// The indices of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArraySpec {
    /// The first index.
    pub first: u64,
    /// How many, from 1.
    pub count: u64,
    /// How many may run at once; `None` for no limit.
    pub parallel_limit: Option<u32>,
}

/// How a task ended, for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskOutcome {
    /// Its last attempt exited with 0.
    Succeeded,
    /// Its last attempt failed and no other follows.
    Failed(AttemptOutcome),
    /// Somebody asked for it.
    Cancelled,
    /// A task it depends on did not succeed.
    Skipped(TaskId),
    /// Machines died while it ran, again and again: it is set aside until somebody asks for another try.
    Poisoned(Box<[Death]>),
    /// It would be tried again, but its graph has used up its retries.
    OutOfRetries {
        /// How its last attempt ended.
        last: AttemptOutcome,
        /// How many retries the graph has in all.
        budget: u64,
    },
}

/// A machine, or the program there that owns processes, died while an attempt ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// Which try it was.
    pub attempt: AttemptNumber,
    /// Where.
    pub node: NodeId,
    /// How that showed.
    pub reason: LossReason,
}

impl AttemptOutcome {
    /// Whether this is success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Exited(0))
    }

    /// Whether it was stopped to make room for a more urgent task.
    #[must_use]
    pub fn is_preempted(&self) -> bool {
        matches!(self, Self::Lost(LossReason::Preempted))
    }

    /// Whether it was stopped for the sake of others, and its task goes on as if it had not been started.
    #[must_use]
    pub fn is_put_off(&self) -> bool {
        matches!(self, Self::Lost(LossReason::Preempted | LossReason::Recalled))
    }

    /// Whether something else than the task is to blame: then it does not count towards its attempts.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Lost(_)) || matches!(self, Self::SpawnFailed(failure) if failure.nodes_fault)
    }
}

impl AttemptOutcome {
    /// Whether the machine died while it ran, or before.
    #[must_use]
    pub fn is_death(&self) -> bool {
        matches!(self, Self::Lost(reason) if reason.is_death())
    }
}

impl TaskOutcome {
    /// Whether this is success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded)
    }
}

/// Names an attempt for people: task and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttemptId {
    /// The task.
    pub task: TaskId,
    /// Which try.
    pub number: AttemptNumber,
}

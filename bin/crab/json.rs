//! What `--json` writes. The names of these fields are a promise: fields may be added, none is renamed or
//! removed without a larger `v`.
//!
//! Ids are texts as they are shown (`t12`, `g12`), times RFC 3339 in UTC, lengths of time seconds, amounts
//! whole numbers of the unit in the name. What is not there is `null`, never left out.

mod artifact;
mod attempt;
mod budget;
mod claims;
mod cluster;
mod directive;
mod doctor;
mod event;
mod explain;
mod node;
mod output;
mod report;
mod session;
mod setting;
mod stages;
mod suite;
mod task;
mod timeline;
mod workspace;

use std::collections::BTreeMap;

use actors::wire::client::{GraphRow, Submitted, TaskCounts, TenantRow};
use policy::id::{NodeId, TaskId};
use policy::resources::Resources;
use policy::signal::TaskSignal;
use serde::Serialize;

use crate::cli::status::{Seen, Waiting};
use crate::cli::text::rfc3339;

use self::budget::Budget;
use self::directive::{Author, Paused};
pub(crate) use artifact::{Artifact, LeftOutArtifact};
pub(crate) use claims::claims;
pub(crate) use cluster::{Authority, Invitation, Member, Revoked};
pub(crate) use doctor::{Finding, Service};
pub(crate) use event::Event;
pub(crate) use explain::Explanation;
pub(crate) use node::Node;
pub(crate) use output::{Digest, Output};
pub(crate) use session::Session;
pub(crate) use setting::{Checked, Setting};
pub(crate) use suite::{Share, Suite, TestEnd};
pub(crate) use task::{Outcome, Task, TaskDetail};
pub(crate) use timeline::{Blame, Timeline};
pub(crate) use workspace::Workspace;

/// The version of all views.
pub(crate) const VERSION: u32 = 1;

/// To standard error, instead of the text.
#[derive(Debug, Serialize)]
pub(crate) struct Trouble {
    v: u32,
    exit_code: u8,
    error: String,
}

impl Trouble {
    pub(crate) fn of(exit_code: u8, error: String) -> Self {
        Self { v: VERSION, exit_code, error }
    }
}

/// Of `submit`.
#[derive(Debug, Serialize)]
pub(crate) struct Submission {
    v: u32,
    graph: String,
    tasks: u64,
    first_task: String,
    repeated: bool,
    /// What of it no machine can run as things are.
    warnings: Vec<String>,
}

impl From<&Submitted> for Submission {
    fn from(submitted: &Submitted) -> Self {
        Self {
            v: VERSION,
            graph: submitted.graph.to_string(),
            tasks: submitted.tasks,
            first_task: submitted.first.to_string(),
            repeated: submitted.repeated,
            warnings: submitted.warnings.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Of `cancel` and `retry`.
#[derive(Debug, Serialize)]
pub(crate) struct Asked {
    v: u32,
    target: String,
    tasks: u64,
}

impl Asked {
    pub(crate) fn of(target: String, tasks: u64) -> Self {
        Self { v: VERSION, target, tasks }
    }
}

/// Of `signal`.
#[derive(Debug, Serialize)]
pub(crate) struct Signalled {
    v: u32,
    task: String,
    signal: &'static str,
    node: String,
}

impl Signalled {
    pub(crate) fn of(task: TaskId, signal: TaskSignal, node: &NodeId) -> Self {
        Self { v: VERSION, task: task.to_string(), signal: signal.into(), node: node.to_string() }
    }
}

/// Of `list`, `wait`, and the last line of `run`.
#[derive(Debug, Serialize)]
pub(crate) struct Graph {
    v: u32,
    graph: String,
    name: String,
    submitted: String,
    ended: Option<String>,
    duration_s: Option<f64>,
    tasks: Counts,
    /// `null` where nothing is limited.
    budget: Option<Budget>,
    /// Of the ready ones, as things are.
    unschedulable: u64,
}

impl From<&GraphRow> for Graph {
    fn from(row: &GraphRow) -> Self {
        Self {
            v: VERSION,
            graph: row.graph.to_string(),
            name: row.name.to_string(),
            submitted: rfc3339(row.submitted),
            ended: row.ended.map(rfc3339),
            duration_s: row.ended.map(|ended| ended.since(row.submitted).as_secs_f64()),
            tasks: Counts::from(&row.tasks),
            budget: row.budget.as_deref().map(Budget::from),
            unschedulable: row.unschedulable,
        }
    }
}

/// Tasks by state.
#[derive(Debug, Serialize)]
pub(crate) struct Counts {
    total: u64,
    waiting: u64,
    ready: u64,
    backing_off: u64,
    active: u64,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    skipped: u64,
}

impl From<&TaskCounts> for Counts {
    fn from(counts: &TaskCounts) -> Self {
        Self {
            total: counts.total(),
            waiting: counts.waiting,
            ready: counts.ready,
            backing_off: counts.backing_off,
            active: counts.active,
            succeeded: counts.succeeded,
            failed: counts.failed,
            cancelled: counts.cancelled,
            skipped: counts.skipped,
        }
    }
}

/// Amounts of resources.
#[derive(Debug, Serialize)]
pub(crate) struct Amounts {
    cpu_millis: u64,
    memory_bytes: u64,
    gpu: u64,
    disk_bytes: u64,
    named: BTreeMap<String, u64>,
}

impl From<&Resources> for Amounts {
    fn from(resources: &Resources) -> Self {
        Self {
            cpu_millis: resources.cpu_millis,
            memory_bytes: resources.memory_bytes,
            gpu: resources.gpu_slots,
            disk_bytes: resources.disk_bytes,
            named: resources.named.iter().map(|(name, &amount)| (name.to_string(), amount)).collect(),
        }
    }
}

/// Of `node`, `pause`, `resume`, `halt` and `unhalt`.
#[derive(Debug, Serialize)]
pub(crate) struct Said {
    v: u32,
    /// Such as `drain`.
    directive: &'static str,
    changed: bool,
}

impl Said {
    pub(crate) fn of(directive: &'static str, changed: bool) -> Self {
        Self { v: VERSION, directive, changed }
    }
}

/// Of `log-level`.
#[derive(Debug, Serialize)]
pub(crate) struct LogLevels {
    v: u32,
    /// Whose; the scheduler's daemon where there is none.
    node: Option<String>,
    levels: String,
}

impl LogLevels {
    pub(crate) fn of(node: Option<String>, levels: String) -> Self {
        Self { v: VERSION, node, levels }
    }
}

/// Of `status`.
#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    v: u32,
    name: String,
    version: String,
    started: String,
    epoch: u32,
    last_event: u64,
    graphs: u64,
    tasks: Counts,
    queued: ByPriority<u64>,
    tenants: Vec<Tenant>,
    awake: u64,
    pressure: Pressure,
    /// Whether an operator has halted everything.
    halted: bool,
    /// Who has.
    halted_said: Option<Author>,
    /// What operators have paused.
    paused: Vec<Paused>,
    warnings: Vec<String>,
    nodes: Vec<Node>,
    /// What came first of what waits: tasks, and arrays.
    oldest: Vec<Oldest>,
}

/// How strained the queue is.
#[derive(Debug, Serialize)]
struct Pressure {
    mode: &'static str,
    /// Tasks and arrays that have not ended.
    depth: u64,
    limit: u64,
    /// Submissions that were told to come back since the scheduler started.
    shed: u64,
}

/// A number for each priority.
#[derive(Debug, Serialize)]
struct ByPriority<N> {
    low: N,
    normal: N,
    high: N,
    critical: N,
}

impl<N> From<[N; 4]> for ByPriority<N> {
    fn from([low, normal, high, critical]: [N; 4]) -> Self {
        Self { low, normal, high, critical }
    }
}

/// What one tenant has.
#[derive(Debug, Serialize)]
struct Tenant {
    tenant: String,
    weight: u32,
    waiting: ByPriority<u64>,
    running: ByPriority<u64>,
    /// Of the fleet, 0 to 1.
    share: ByPriority<f64>,
    /// `null` where nothing is limited.
    budget: Option<Budget>,
}

impl From<&TenantRow> for Tenant {
    fn from(row: &TenantRow) -> Self {
        Self {
            tenant: row.tenant.to_string(),
            weight: row.weight,
            waiting: row.waiting.into(),
            running: row.running.into(),
            share: row.share_ppm.map(|ppm| ppm as f64 / 1e6).into(),
            budget: row.budget.as_deref().map(Budget::from),
        }
    }
}

/// A task that waits in its queue, or the members of an array that do, of which the first is named.
#[derive(Debug, Serialize)]
struct Oldest {
    task: String,
    name: String,
    priority: &'static str,
    since: String,
    waits_for: Option<String>,
    /// How many wait.
    tasks: u64,
    /// The last of them.
    last_task: String,
    /// Their indices in the array, first and last; `null` for a task by itself.
    indices: Option<(u64, u64)>,
}

impl From<&Seen> for Overview {
    fn from(seen: &Seen) -> Self {
        let status = &seen.status;
        let oldest = |Waiting { row, why, array }: &Waiting| Oldest {
            task: row.task.to_string(),
            name: row.name.to_string(),
            priority: row.priority.into(),
            since: rfc3339(row.since),
            waits_for: why.as_deref().map(ToOwned::to_owned),
            tasks: array.as_ref().map_or(1, |(_, item)| item.tasks),
            last_task: array.as_ref().map_or(row.task, |(_, item)| item.last).to_string(),
            indices: array.as_ref().and_then(|(_, item)| item.indices),
        };
        Self {
            v: VERSION,
            name: status.server.name.to_string(),
            version: status.server.version.to_string(),
            started: rfc3339(status.server.started),
            epoch: status.server.epoch,
            last_event: status.server.durable,
            graphs: status.graphs,
            tasks: Counts::from(&status.tasks),
            queued: status.queued.into(),
            tenants: status.tenants.iter().map(Tenant::from).collect(),
            awake: status.awake,
            pressure: Pressure {
                mode: status.pressure.mode.into(),
                depth: status.pressure.depth,
                limit: status.pressure.limit,
                shed: status.pressure.shed,
            },
            halted: status.halted,
            halted_said: directive::halted(&status.said),
            paused: directive::paused(&status.said),
            warnings: status.warnings.iter().map(ToString::to_string).collect(),
            nodes: status.nodes.iter().map(Node::from).collect(),
            oldest: seen.oldest.iter().map(oldest).collect(),
        }
    }
}

#[cfg(test)]
mod tests;

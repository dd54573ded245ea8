//! Tasks and their attempts.

use std::collections::BTreeMap;

use actors::wire::client::{TaskDetail as Detail, TaskRow};
use policy::sample::Sample;
use policy::stages::StepOutcome;
use policy::task::{AttemptOutcome, Evaluation, TaskOutcome, TaskSpec};
use policy::time::Timestamp;
use policy::workspace::{Source, Workspace};
use serde::Serialize;

use super::artifact::{WantedArtifact, wanted};
use super::attempt::Attempt;
use super::stages::{Hooks, Which, around};
use super::{Amounts, Event, VERSION, report};
use crate::cli::text::rfc3339;

/// Of `status GRAPH`, `wait TASK`, and within `show`.
#[derive(Debug, Serialize)]
pub(crate) struct Task {
    v: u32,
    task: String,
    graph: String,
    name: String,
    state: &'static str,
    priority: &'static str,
    tenant: String,
    attempts: u32,
    node: Option<String>,
    since: String,
    outcome: Option<Outcome>,
    /// What of an attempt runs that has more than its command.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<Which>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_use: Option<InUse>,
    /// From 0 to 1, where it says so while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    doing: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<String>,
}

/// What all processes of a task use that has run for some seconds.
#[derive(Debug, Serialize)]
struct InUse {
    at: String,
    cpu_s: f64,
    memory_bytes: u64,
    peak_memory_bytes: u64,
    processes: u64,
    output_bytes: u64,
}

impl From<&Sample> for InUse {
    fn from(sample: &Sample) -> Self {
        Self {
            at: rfc3339(sample.at),
            cpu_s: sample.cpu.as_secs_f64(),
            memory_bytes: sample.memory_bytes,
            peak_memory_bytes: sample.peak_memory_bytes,
            processes: sample.processes,
            output_bytes: sample.output_bytes,
        }
    }
}

impl From<&TaskRow> for Task {
    fn from(row: &TaskRow) -> Self {
        let about = row.about.as_deref().cloned().unwrap_or_default();
        Self {
            v: VERSION,
            task: row.task.to_string(),
            graph: row.graph.to_string(),
            name: row.name.to_string(),
            state: row.state.into(),
            priority: row.priority.into(),
            tenant: row.tenant.to_string(),
            attempts: row.attempts,
            node: row.node.as_ref().map(ToString::to_string),
            since: rfc3339(row.since),
            outcome: row.outcome.as_ref().map(Outcome::from),
            step: row.step.map(Which::from),
            in_use: row.in_use.as_deref().map(InUse::from),
            progress: row.progress.as_deref().and_then(report::part),
            doing: row.progress.as_ref().map(|progress| progress.doing.to_string()),
            labels: about.labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            goal: about.goal.map(Into::into),
        }
    }
}

/// How a task or an attempt ended. `kind` is one of succeeded, exited, signalled, timed-out, over-limit, cancelled,
/// not-started, stage-failed, lost, skipped, poisoned. Of a task whose graph had no retry left it is that of its last attempt,
/// with the reason.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Outcome {
    kind: &'static str,
    exit_code: Option<i32>,
    signal: Option<i32>,
    /// Where a stage failed that is not the command: `before` or `gate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'static str>,
    /// In words, where the kind does not say it all.
    reason: Option<String>,
    /// Where it timed out: `timeout`, `soft_timeout`, `idle_timeout`, `queue_timeout` or
    /// `deadline`.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used_s: Option<f64>,
    /// Of `memory_limit`, in bytes, or `process_limit`, where it used more than it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<u64>,
}

impl From<&TaskOutcome> for Outcome {
    fn from(outcome: &TaskOutcome) -> Self {
        match outcome {
            TaskOutcome::Succeeded => Self { kind: "succeeded", exit_code: Some(0), ..Self::default() },
            TaskOutcome::Failed(attempt) => Self::from(attempt),
            TaskOutcome::Cancelled => Self { kind: "cancelled", ..Self::default() },
            TaskOutcome::Skipped(because) => Self {
                kind: "skipped",
                reason: Some(format!("{because} did not succeed")),
                ..Self::default()
            },
            TaskOutcome::Poisoned(_) => {
                Self { kind: "poisoned", reason: Some(outcome.to_string()), ..Self::default() }
            }
            TaskOutcome::OutOfRetries { last, .. } => {
                Self { reason: Some(outcome.to_string()), ..Self::from(last) }
            }
        }
    }
}

impl From<&AttemptOutcome> for Outcome {
    fn from(outcome: &AttemptOutcome) -> Self {
        let of = |kind| Self { kind, ..Self::default() };
        match outcome {
            AttemptOutcome::Exited(0) => Self { exit_code: Some(0), ..of("succeeded") },
            AttemptOutcome::Exited(code) => Self { exit_code: Some(*code), ..of("exited") },
            AttemptOutcome::Signalled(signal) => Self { signal: Some(*signal), ..of("signalled") },
            AttemptOutcome::TimedOut(overrun) => Self {
                reason: Some(overrun.to_string()),
                limit: Some(overrun.limit.into()),
                limit_s: Some(overrun.allowed.as_secs_f64()),
                used_s: Some(overrun.used.as_secs_f64()),
                ..of("timed-out")
            },
            AttemptOutcome::Cancelled => of("cancelled"),
            AttemptOutcome::OverLimit(excess) => Self {
                reason: Some(excess.to_string()),
                limit: Some(excess.limit.into()),
                allowed: Some(excess.allowed),
                used: Some(excess.used),
                ..of("over-limit")
            },
            AttemptOutcome::SpawnFailed(failure) => {
                Self { reason: Some(failure.reason.to_string()), ..of("not-started") }
            }
            AttemptOutcome::Lost(reason) => Self { reason: Some(reason.to_string()), ..of("lost") },
            AttemptOutcome::StepFailed(failure) => {
                let (exit_code, signal) = match &failure.end {
                    StepOutcome::Exited(code) => (Some(*code), None),
                    StepOutcome::Signalled(signal) => (None, Some(*signal)),
                    StepOutcome::NotStarted(_) | StepOutcome::Stopped(_) => (None, None),
                };
                let (stage, reason) = (Some(failure.step.stage.into()), Some(failure.to_string()));
                Self { exit_code, signal, stage, reason, ..of("stage-failed") }
            }
        }
    }
}

/// Of `show`.
#[derive(Debug, Serialize)]
pub(crate) struct TaskDetail {
    #[serde(flatten)]
    task: Task,
    array_index: Option<u64>,
    submitted: String,
    dependencies: Vec<OnWhat>,
    waits_for: Option<String>,
    spec: Spec,
    /// What came of it, as its last attempt that said so did.
    result: report::Results,
    attempt_list: Vec<Attempt>,
    events: Vec<Event>,
}

impl From<&Detail> for TaskDetail {
    fn from(detail: &Detail) -> Self {
        Self {
            task: Task::from(&detail.row),
            array_index: detail.array_index,
            submitted: rfc3339(detail.submitted),
            dependencies: detail
                .dependencies
                .iter()
                .map(|(name, needs)| OnWhat { task: name.to_string(), needs: needs.to_string() })
                .collect(),
            waits_for: detail.waits_for.as_deref().map(ToOwned::to_owned),
            spec: Spec::of(&detail.spec, detail.submitted),
            result: report::results(detail.results()),
            attempt_list: detail.attempts.iter().map(Attempt::from).collect(),
            events: detail.events.iter().map(|(_, record)| Event::from(record)).collect(),
        }
    }
}

/// What it depends on, and how that must have ended.
#[derive(Debug, Serialize)]
struct OnWhat {
    task: String,
    needs: String,
}

/// Where a task works that does not work in place.
#[derive(Debug, Serialize)]
struct Space {
    /// `scratch`, `copy` or `worktree`.
    kind: &'static str,
    /// The directory that is copied, or the repository.
    of: Option<String>,
    commit: Option<String>,
    /// `unsaved`, `on_failure`, `always` or `never`.
    keep: &'static str,
    private_home: bool,
}

impl From<&Workspace> for Space {
    fn from(workspace: &Workspace) -> Self {
        let (kind, of, commit) = match &workspace.source {
            Source::Scratch => ("scratch", None, None),
            Source::Copy { of } => ("copy", Some(of.to_string()), None),
            Source::Worktree { repository, commit } => {
                ("worktree", Some(repository.to_string()), Some(commit.to_string()))
            }
        };
        Self { kind, of, commit, keep: workspace.keep.into(), private_home: workspace.private_home }
    }
}

/// By what the run of a task is judged, and how far its agent is.
#[derive(Debug, Serialize)]
struct Judged {
    run: Option<String>,
    rubric: Option<String>,
    /// Whether it decides on a promotion.
    gate: bool,
    phase: Option<u8>,
}

impl From<&Evaluation> for Judged {
    fn from(evaluation: &Evaluation) -> Self {
        let text = |text: &Option<Box<str>>| text.as_ref().map(ToString::to_string);
        Self {
            run: text(&evaluation.run),
            rubric: text(&evaluation.rubric),
            gate: evaluation.is_gate,
            phase: evaluation.phase,
        }
    }
}

/// What a task is. Texts that are not UTF-8 have what is not replaced.
#[derive(Debug, Serialize)]
struct Spec {
    argv: Vec<String>,
    /// The kind of handler that is told the one word of `argv`; `null` where that is a command.
    handler: Option<String>,
    directory: Option<String>,
    workspace: Option<Space>,
    /// The variables in which the paths of their files are, by the names of the secrets.
    secrets: BTreeMap<String, String>,
    jobserver: bool,
    /// `workspace`.
    sandbox: Option<&'static str>,
    gate: Option<Vec<String>>,
    hooks: Hooks,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    artifacts: Vec<WantedArtifact>,
    env: BTreeMap<String, String>,
    resources: Amounts,
    alternatives: Vec<Amounts>,
    require: Vec<String>,
    prefer: Vec<String>,
    /// `no`, `prefer` or `require`.
    avoid_failed: &'static str,
    /// The group that it is counted with.
    group: Option<String>,
    spread: Vec<String>,
    apart: Vec<String>,
    prefer_apart: Vec<String>,
    preemptible: bool,
    /// How many start together, each on a machine of its own.
    gang: Option<u32>,
    /// By what its run is judged; `null` where it is not.
    evaluation: Option<Judged>,
    /// `default`, `utility` or `background`.
    qos: &'static str,
    timeout_s: Option<f64>,
    soft_timeout_s: Option<f64>,
    idle_timeout_s: Option<f64>,
    queue_timeout_s: Option<f64>,
    deadline: Option<String>,
    memory_limit_bytes: Option<u64>,
    process_limit: Option<u64>,
    open_files: Option<u64>,
    grace_s: f64,
    max_attempts: u32,
}

impl Spec {
    fn of(spec: &TaskSpec, submitted: Timestamp) -> Self {
        let bounds = spec.bounds.as_deref().copied().unwrap_or_default();
        let provision = spec.provision.as_deref().cloned().unwrap_or_default();
        let (gate, hooks) = around(spec.stages.as_deref());
        let company = spec.constraints.company.as_deref().cloned().unwrap_or_default();
        Self {
            argv: spec.argv.iter().map(ToString::to_string).collect(),
            handler: spec.handler().map(ToOwned::to_owned),
            directory: spec.directory.as_ref().map(ToString::to_string),
            workspace: spec.workspace.as_deref().map(Space::from),
            secrets: provision
                .secrets
                .iter()
                .map(|one| (one.name.to_string(), one.variable.to_string()))
                .collect(),
            jobserver: provision.jobserver,
            sandbox: provision.sandbox.map(<&str>::from),
            gate,
            hooks,
            artifacts: wanted(spec.artifacts.as_deref()),
            env: spec.environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            resources: Amounts::from(&spec.resources),
            alternatives: spec.alternatives.iter().map(Amounts::from).collect(),
            require: spec.constraints.require.iter().map(ToString::to_string).collect(),
            prefer: spec.constraints.prefer.iter().map(ToString::to_string).collect(),
            avoid_failed: spec.constraints.avoid_failed.into(),
            group: company.group.as_ref().map(ToString::to_string),
            spread: company.spread.iter().map(ToString::to_string).collect(),
            apart: company.apart.iter().map(ToString::to_string).collect(),
            prefer_apart: company.prefer_apart.iter().map(ToString::to_string).collect(),
            preemptible: spec.is_preemptible,
            gang: spec.gang,
            evaluation: spec.about.as_deref().and_then(|about| about.evaluation.as_ref()).map(Judged::from),
            qos: spec.qos.into(),
            timeout_s: spec.timeout.map(|timeout| timeout.as_secs_f64()),
            soft_timeout_s: bounds.soft_timeout.map(|timeout| timeout.as_secs_f64()),
            queue_timeout_s: bounds.queue_timeout.map(|timeout| timeout.as_secs_f64()),
            deadline: bounds.deadline.map(|deadline| rfc3339(deadline.of(submitted))),
            idle_timeout_s: bounds.idle_timeout.map(|timeout| timeout.as_secs_f64()),
            memory_limit_bytes: spec.limits.as_deref().and_then(|limits| limits.memory_bytes),
            process_limit: spec.limits.as_deref().and_then(|limits| limits.processes),
            open_files: spec.limits.as_deref().and_then(|limits| limits.open_files),
            grace_s: spec.grace.as_secs_f64(),
            max_attempts: spec.retry.max_attempts,
        }
    }
}

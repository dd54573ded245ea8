//! From what a file says to what is submitted: names into places, defaults filled in, paths made whole.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use policy::bounds::TimeBounds;
use policy::budget::{Budget, OnReached};
use policy::claims::Claims;
use policy::event::{ArraySpec, Item};
use policy::excess::UseLimits;
use policy::submission::Submission;
use policy::task::{DEFAULT_GRACE, Priority, Qos, RetryPolicy, Signals, TaskSpec};
use policy::text::OsText;
use rustc_hash::FxHashMap;

use super::Context;
use super::about::about;
use super::after::dependencies;
use super::artifacts::artifacts;
use super::fault::Fault;
use super::handler;
use super::hooks::stages;
use super::provision::provision;
use super::reader::At;
use super::request::requests;
use super::shape::{Common, File, Retry, Task};
use super::shard;
use super::tree::Node;
use super::wish::constraints;
use super::workspace;

/// Attempts in all where a task has a `retry` table that does not say.
const DEFAULT_RETRY_ATTEMPTS: u32 = 3;

/// A submission, with the lines of each item. Where something was wrong a harmless value stands in
/// its place, so that the rest can be checked as well.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) submission: Submission,
    pub(super) lines: Vec<ItemLines>,
    pub(super) faults: Vec<Fault>,
}

/// Where an item stands: its name, and its fields by their names.
#[derive(Debug)]
pub(super) struct ItemLines {
    name: usize,
    fields: Vec<(&'static str, usize)>,
}

impl ItemLines {
    fn of(task: &At<Task>, defaults: &Common) -> Self {
        let own = [
            ("command", line(&task.value.command)),
            ("command", line(&task.value.shell)),
            ("handler", line(&task.value.handler)),
            ("payload", line(&task.value.payload)),
            ("after", line(&task.value.after)),
            ("array", line(&task.value.array)),
            ("gang", line(&task.value.gang)),
            ("shard", line(&task.value.shard)),
        ];
        let common = [common_lines(&task.value.common), common_lines(defaults)];
        let fields = own.into_iter().chain(common.into_iter().flatten());
        Self { name: task.line, fields: fields.filter_map(|(name, line)| Some((name, line?))).collect() }
    }

    /// The line of a field such as `retry.attempts`; that of the item's name where the file has none.
    pub(super) fn of_field(&self, field: &str) -> usize {
        let outermost = field.split('.').next().unwrap_or_default();
        self.fields.iter().find(|(name, _)| *name == outermost).map_or(self.name, |&(_, line)| line)
    }
}

fn common_lines(common: &Common) -> [(&'static str, Option<usize>); 50] {
    [
        ("directory", line(&common.directory)),
        ("workspace", line(&common.workspace)),
        ("workspace_keep", line(&common.workspace_keep)),
        ("private_home", line(&common.private_home)),
        ("secrets", line(&common.secrets)),
        ("jobserver", line(&common.jobserver)),
        ("sandbox", line(&common.sandbox)),
        ("gate", line(&common.gate)),
        ("hooks", line(&common.hooks)),
        ("artifacts", line(&common.artifacts)),
        ("env", line(&common.env)),
        ("cpus", line(&common.cpus)),
        ("memory", line(&common.memory)),
        ("gpu", line(&common.gpu)),
        ("disk", line(&common.disk)),
        ("alternatives", line(&common.alternatives)),
        ("resources", line(&common.resources)),
        ("require", line(&common.require)),
        ("require", line(&common.node)),
        ("require", line(&common.location)),
        ("prefer", line(&common.prefer)),
        ("avoid_failed", line(&common.avoid_failed)),
        ("prefer", line(&common.near)),
        ("group", line(&common.group)),
        ("spread", line(&common.spread)),
        ("apart", line(&common.apart)),
        ("prefer_apart", line(&common.prefer_apart)),
        ("locks", line(&common.locks)),
        ("pools", line(&common.pools)),
        ("amounts", line(&common.amounts)),
        ("rates", line(&common.rates)),
        ("priority", line(&common.priority)),
        ("tenant", line(&common.tenant)),
        ("timeout", line(&common.timeout)),
        ("soft_timeout", line(&common.soft_timeout)),
        ("idle_timeout", line(&common.idle_timeout)),
        ("queue_timeout", line(&common.queue_timeout)),
        ("deadline", line(&common.deadline)),
        ("memory_limit", line(&common.memory_limit)),
        ("process_limit", line(&common.process_limit)),
        ("open_files", line(&common.open_files)),
        ("grace", line(&common.grace)),
        ("retry", line(&common.retries)),
        ("retry", line(&common.retry)),
        ("kind", line(&common.kind)),
        ("labels", line(&common.labels)),
        ("goal", line(&common.goal)),
        ("evaluation", line(&common.evaluation)),
        ("preemptible", line(&common.preemptible)),
        ("qos", line(&common.qos)),
    ]
}

fn line<T>(field: &Option<At<T>>) -> Option<usize> {
    field.as_ref().map(|at| at.line)
}

/// `root` is the file as it was read.
pub(super) fn build(file: &File, (root, context): (&Node, &Context)) -> Built {
    let tasks = file.tasks.as_ref().map(|tasks| tasks.value.0.as_slice()).unwrap_or_default();
    let nothing = Common::default();
    let defaults = file.defaults.as_ref().map_or(&nothing, |defaults| &defaults.value);
    let mut faults = Vec::new();
    if let Some(fault) = nothing_to_do(file) {
        faults.push(fault);
    }
    let places: FxHashMap<&str, u32> =
        (0..).zip(tasks).map(|(place, (name, _))| (name.as_str(), place)).collect();
    let adds = context.into.is_some();
    let mut items = Vec::with_capacity(tasks.len());
    for (name, task) in tasks {
        faults.extend(conflicts(name, task));
        faults.extend(handler::conflicts(name, task));
        faults.extend(shard::conflicts(name, task));
        faults.extend(workspace::conflicts(name, &task.value.common, defaults));
        items.push(Item {
            dependencies: dependencies(name, task.value.after.as_ref(), (&places, adds), &mut faults),
            array: array(&task.value),
            ..Item::new(shard::apply(
                spec(name, &task.value, defaults, context),
                &task.value,
                (root, context),
            ))
        });
    }
    let name = file.name.as_ref().map_or(&*context.name, |name| &name.value.0);
    let (budget, into) = (budget(file), context.into);
    let submission = Submission { budget, into, ..Submission::new(context.key, name, items) };
    let lines = tasks.iter().map(|(_, task)| ItemLines::of(task, defaults)).collect();
    Built { submission, lines, faults }
}

fn nothing_to_do(file: &File) -> Option<Fault> {
    let line = match &file.tasks {
        Some(tasks) if !tasks.value.0.is_empty() => return None,
        Some(tasks) => tasks.line,
        None => 0,
    };
    let expected = "there is no task; the smallest file is: [task.hello] command = [\"echo\", \"hello\"]";
    Some(Fault {
        line,
        task: None,
        field: String::new(),
        value: String::new(),
        expected: expected.to_owned(),
    })
}

/// Fields that exclude or need each other.
fn conflicts(name: &str, task: &At<Task>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |line: usize, field: &str, expected: &str| {
        let (task, field) = (Some(name.to_owned()), field.to_owned());
        faults.push(Fault { line, task, field, value: String::new(), expected: expected.to_owned() });
    };
    match (&task.value.command, &task.value.shell) {
        (None, None) if task.value.handler.is_some() => {}
        (None, None) if shard::takes_the_place_of_a_command(&task.value) => {}
        (None, None) => fault(task.line, "command", "is missing (or shell, for a line that a shell reads)"),
        (Some(_), Some(shell)) => fault(shell.line, "shell", "stands beside command: keep one of them"),
        _ => {}
    }
    if let (Some(_), Some(gang)) = (&task.value.array, &task.value.gang) {
        fault(gang.line, "gang", "stands beside array: a gang is an array of its own, keep one of them");
    }
    let common = &task.value.common;
    if let (Some(_), Some(retry)) = (&common.retries, &common.retry) {
        fault(retry.line, "retry", "stands beside retries: keep one of them");
    }
    faults
}

/// Its indices: those that it gives, those of its gang, or its shards where it divides its tests itself.
fn array(task: &Task) -> Option<ArraySpec> {
    let gang = value(&task.gang).map(|members| ArraySpec::of_gang(members.0));
    gang.or_else(|| value(&task.array).map(|array| array.0)).or_else(|| shard::array(task))
}

fn spec(name: &str, task: &Task, defaults: &Common, context: &Context) -> TaskSpec {
    let own = &task.common;
    let directory = pick(&own.directory, &defaults.directory).map(|directory| directory.0.as_str());
    let tenant = pick(&own.tenant, &defaults.tenant).map_or(&*context.tenant, |tenant| &tenant.0);
    let told = handler::need(task);
    let is_command = told.is_none();
    let (resources, alternatives) = told.map_or_else(|| requests(own, defaults), |need| (need, Vec::new()));
    let workspace = workspace::workspace(own, defaults, &context.directory).filter(|_| is_command);
    let directory = workspace::directory(workspace.is_some(), directory, &context.directory);
    let handled = value(&task.handler).map(|kind| &kind.0);
    TaskSpec {
        directory: directory.filter(|_| is_command),
        workspace,
        provision: provision(own, defaults).filter(|_| is_command),
        about: about(own, defaults),
        stages: stages(own, defaults).filter(|_| is_command),
        artifacts: artifacts(own, defaults).filter(|_| is_command),
        environment: environment(own, defaults),
        resources,
        alternatives,
        constraints: constraints(own, defaults),
        priority: pick(&own.priority, &defaults.priority).map_or(Priority::Normal, |priority| priority.0),
        tenant: tenant.into(),
        retry: retry(own, defaults),
        timeout: pick(&own.timeout, &defaults.timeout).map(|timeout| timeout.0),
        bounds: bounds(own, defaults),
        limits: limits(own, defaults).filter(|_| is_command),
        grace: pick(&own.grace, &defaults.grace).map_or(DEFAULT_GRACE, |grace| grace.0),
        kind: value(&own.kind)
            .map(|kind| &kind.0)
            .or(handled)
            .or_else(|| value(&defaults.kind).map(|kind| &kind.0))
            .map(|kind| kind.as_str().into()),
        claims: claims(own, defaults),
        qos: pick(&own.qos, &defaults.qos).filter(|_| is_command).map_or_else(Qos::default, |qos| qos.0),
        gang: value(&task.gang).map(|members| members.0),
        is_preemptible: pick(&own.preemptible, &defaults.preemptible).is_some_and(|one| one.0),
        ..TaskSpec::new(name, argv(task))
    }
}

/// The program that reads `shell` lines.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

fn argv(task: &Task) -> Vec<OsText> {
    match (&task.command, &task.shell) {
        _ if task.handler.is_some() => {
            vec![value(&task.payload).map_or_else(|| "".into(), |payload| payload.0.as_str().into())]
        }
        (Some(words), _) => words.value.0.iter().map(|word| word.as_str().into()).collect(),
        (None, Some(script)) => shell_argv(&script.value.0),
        // The missing command is a fault already.
        (None, None) => vec!["true".into()],
    }
}

/// The argument list that has `/bin/sh` read `script`.
#[must_use]
pub fn shell_argv(script: &str) -> Vec<OsText> {
    SHELL.into_iter().chain([script]).map(OsText::from).collect()
}

fn environment(own: &Common, defaults: &Common) -> Vec<(OsText, OsText)> {
    let mut variables: Vec<(&str, &str)> = Vec::new();
    for table in [&defaults.env, &own.env].into_iter().flatten() {
        for (name, value) in &table.value.0 {
            match variables.iter_mut().find(|(known, _)| known == name) {
                Some(variable) => variable.1 = value,
                None => variables.push((name, value)),
            }
        }
    }
    variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// What is said of time beside `timeout`.
fn bounds(own: &Common, defaults: &Common) -> Option<Box<TimeBounds>> {
    let bounds = TimeBounds {
        soft_timeout: pick(&own.soft_timeout, &defaults.soft_timeout).map(|timeout| timeout.0),
        idle_timeout: pick(&own.idle_timeout, &defaults.idle_timeout).map(|timeout| timeout.0),
        queue_timeout: pick(&own.queue_timeout, &defaults.queue_timeout).map(|timeout| timeout.0),
        deadline: pick(&own.deadline, &defaults.deadline).and_then(|deadline| deadline.0),
    };
    (!bounds.is_empty()).then(|| Box::new(bounds))
}

/// What its processes must not exceed.
fn limits(own: &Common, defaults: &Common) -> Option<Box<UseLimits>> {
    let limits = UseLimits {
        memory_bytes: pick(&own.memory_limit, &defaults.memory_limit).map(|limit| limit.0),
        processes: pick(&own.process_limit, &defaults.process_limit).map(|limit| limit.0),
        open_files: pick(&own.open_files, &defaults.open_files).map(|limit| limit.0),
    };
    (!limits.is_empty()).then(|| Box::new(limits))
}

/// What the defaults claim, and the task's own over that.
fn claims(own: &Common, defaults: &Common) -> Option<Arc<Claims>> {
    let mut claims = Claims::default();
    for common in [defaults, own] {
        claims.locks.extend(value(&common.locks).into_iter().flat_map(|locks| locks.0.clone()));
        claims.pools.extend(value(&common.pools).into_iter().flat_map(|pools| pools.0.clone()));
        claims.amounts.extend(value(&common.amounts).into_iter().flat_map(|amounts| amounts.0.clone()));
        claims.rates.extend(value(&common.rates).into_iter().flat_map(|rates| rates.0.clone()));
    }
    (!claims.is_empty()).then(|| Arc::new(claims))
}

/// The task's own `retries` or `retry` go before either of the defaults.
fn retry(own: &Common, defaults: &Common) -> RetryPolicy {
    for common in [own, defaults] {
        if let Some(retry) = &common.retry {
            return retry_policy(&retry.value);
        }
        if let Some(retries) = &common.retries {
            return RetryPolicy { max_attempts: retries.value.0.saturating_add(1), ..RetryPolicy::default() };
        }
    }
    RetryPolicy::default()
}

fn retry_policy(retry: &Retry) -> RetryPolicy {
    let usual = RetryPolicy::default();
    RetryPolicy {
        max_attempts: value(&retry.attempts).map_or(DEFAULT_RETRY_ATTEMPTS, |attempts| attempts.0),
        backoff: value(&retry.backoff).map_or(usual.backoff, |backoff| backoff.0),
        factor_percent: value(&retry.factor).map_or(usual.factor_percent, |factor| factor.0),
        backoff_limit: value(&retry.backoff_limit).map_or(usual.backoff_limit, |limit| limit.0),
        retryable_exit_codes: value(&retry.exit_codes).map(|codes| codes.0.clone()).unwrap_or_default(),
        signals: value(&retry.signals).map_or(usual.signals, |these| Signals::These(these.0.clone())),
        timeouts: value(&retry.timeouts).map_or(usual.timeouts, |timeouts| timeouts.0),
        spawn_failures: value(&retry.spawn_failures).map_or(usual.spawn_failures, |again| again.0),
        losses: value(&retry.losses).map_or(usual.losses, |losses| losses.0),
    }
}

/// What the graph may use up.
fn budget(file: &File) -> Budget {
    let retries = value(&file.retry_budget).map_or(0, |retries| retries.0);
    let Some(table) = value(&file.budget) else { return Budget { retries, ..Budget::default() } };
    Budget {
        wall: value(&table.time).map_or(Duration::ZERO, |time| time.0),
        cpu: value(&table.cpu_time).map_or(Duration::ZERO, |time| time.0),
        attempts: value(&table.attempts).map_or(0, |attempts| attempts.0),
        cost: value(&table.cost).map_or(0, |cost| cost.0),
        retries,
        on_reached: value(&table.on_reached).map_or_else(OnReached::default, |follows| follows.0),
    }
}

pub(super) fn value<T>(field: &Option<At<T>>) -> Option<&T> {
    field.as_ref().map(|at| &at.value)
}

pub(super) fn pick<'c, T>(own: &'c Option<At<T>>, default: &'c Option<At<T>>) -> Option<&'c T> {
    value(own).or_else(|| value(default))
}

/// `path` as seen from `base`, without `.`; `..` is resolved by the names alone, as a shell does.
#[must_use]
pub fn absolute(base: &Path, path: &str) -> PathBuf {
    let mut whole = PathBuf::new();
    for component in base.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                whole.pop();
            }
            other => whole.push(other),
        }
    }
    whole
}

/// A path, byte for byte.
#[must_use]
pub fn path_text(path: &Path) -> OsText {
    use std::os::unix::ffi::OsStrExt;
    OsText::from(path.as_os_str().as_bytes().to_vec())
}

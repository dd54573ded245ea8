//! What is done before and after the commands of tasks on this machine, and what an attempt's host is told of that.
//!
//! Commands of the machine are its operator's: they run where the attempt works, but in the daemon's environment alone and
//! outside of any sandbox, so that nothing a task says decides what they are.

use std::time::Duration;

use policy::stages::Stages;
use policy::task::SpawnFailure;
use policy::text::OsText;

use super::WorkerArgs;
use crate::process::protocol::{StagePlan, Start};
use crate::wire::fleet::Grant;

/// How long the machine's commands before may take together: what fetches an image or clears a disk, and no longer, since the
/// attempt holds its room meanwhile.
pub const BEFORE_TIMEOUT: Duration = Duration::from_secs(300);
/// How long all commands after may take together: who cancelled the task, or drains the machine, waits for them.
pub const AFTER_TIMEOUT: Duration = Duration::from_secs(30);

/// What a machine has done around every attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooks {
    /// Before it: where one fails, the machine is at fault.
    pub before: Vec<Vec<OsText>>,
    /// After it, however it went.
    pub after: Vec<Vec<OsText>>,
    /// The longest that those before may take together.
    pub before_timeout: Duration,
    /// The longest that those after may take, with the task's own.
    pub after_timeout: Duration,
}

impl Default for Hooks {
    /// None, and the usual limits for tasks that have some.
    fn default() -> Self {
        let (before, after) = (Vec::new(), Vec::new());
        Self { before, after, before_timeout: BEFORE_TIMEOUT, after_timeout: AFTER_TIMEOUT }
    }
}

/// Why an attempt cannot be run here: what runs attempts here runs their commands alone.
pub(super) fn refused(args: &WorkerArgs, grant: &Grant) -> Option<SpawnFailure> {
    if args.hooks.is_none() && grant.spec.stages.is_some() {
        return Some(SpawnFailure::of_node("no hooks and no gates are run on this machine"));
    }
    let cannot_keep = grant.spec.artifacts.is_some() && !args.depot.keeps();
    cannot_keep.then(|| SpawnFailure::of_node("no artifacts are kept on this machine"))
}

/// What the host is told; `None` where the attempt is its command alone.
pub(super) fn plan(args: &WorkerArgs, grant: &Grant) -> Option<Box<StagePlan>> {
    let hooks = args.hooks.as_deref()?;
    let own = grant.spec.stages.as_deref();
    if own.is_none() && hooks.before.is_empty() && hooks.after.is_empty() {
        return None;
    }
    let Stages { before, gate, after } = own.cloned().unwrap_or_default();
    let has_machines = !(hooks.before.is_empty() && hooks.after.is_empty());
    let report = args.directory.report(grant.token);
    let environment = has_machines.then(|| args.base.of_machine(grant, &args.node, &report));
    Some(Box::new(StagePlan {
        machine_before: hooks.before.clone(),
        before,
        gate,
        after,
        machine_after: hooks.after.clone(),
        machine_environment: environment.unwrap_or_default(),
        before_timeout: hooks.before_timeout,
        after_timeout: hooks.after_timeout,
    }))
}

/// Changes all commands of a start that are the task's.
pub(super) fn each_of_task(start: &mut Start, change: impl Fn(&[OsText]) -> Vec<OsText>) {
    start.argv = change(&start.argv);
    let Some(plan) = start.stages.as_deref_mut() else { return };
    for argv in plan.before.iter_mut().chain(&mut plan.gate).chain(&mut plan.after) {
        *argv = change(argv);
    }
}

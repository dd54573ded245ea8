//! What holds work back before a node is looked at: pressure, and what tenants may have.
//!
//! Decides with `policy::{pressure, tenant}`. What each of them says is asked once for each shape and round, or
//! once for each submission, never for each task that waits.

use std::sync::Arc;

use policy::budget::{Ledger, OnReached, Reached, TenantLedger};
use policy::demand::Demand;
use policy::event::{Event, SchedulerEvent};
use policy::graph::EntryView;
use policy::hindrance::Hindrance;
use policy::id::{GraphId, TaskId};
use policy::inflow::Inflow;
use policy::preempt;
use policy::pressure::{Drain, Mode, Pressure};
use policy::submission::Submission;
use policy::task::Priority;
use policy::tenant::{Quotas, Running};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::config::Limits;
use crate::scheduler::SchedulerActor;
use crate::scheduler::placed::Placed;
use crate::wire::client::{PressureRow, Response};

/// What is remembered of it.
#[derive(Debug)]
pub(super) struct Guard {
    pressure: Pressure,
    drain: Drain,
    /// Items that had not ended when that was last looked at, and those taken in since.
    depth: u64,
    taken_in: u64,
    running: Running,
    /// Tasks on nodes that only wait for others.
    only_wait: u64,
    inflow: Inflow,
    /// Submissions that were told to come back.
    shed: u64,
    /// What graphs may use up, and have.
    pub(super) ledger: Ledger,
    /// What tenants may use up, and have.
    pub(super) tenants: TenantLedger,
    /// Budgets that were found to be used up, and what follows.
    pub(super) due: Vec<(GraphId, Reached, OnReached)>,
    /// Graphs of which something was to start though their budgets are used up.
    pub(super) to_hold: Vec<GraphId>,
    /// Graphs that are paused: nothing of them is in a queue.
    pub(super) held: FxHashSet<GraphId>,
}

impl Guard {
    pub(super) fn new(limits: &Limits, ledger: Ledger, tenants: TenantLedger) -> Self {
        Self {
            pressure: Pressure::new(limits.pressure),
            drain: Drain::default(),
            depth: 0,
            taken_in: 0,
            running: Running::default(),
            only_wait: 0,
            inflow: Inflow::default(),
            shed: 0,
            ledger,
            tenants,
            due: Vec::new(),
            to_hold: Vec::new(),
            held: FxHashSet::default(),
        }
    }

    pub(super) fn row(&self) -> PressureRow {
        let (depth, limit) = self.pressure.depth();
        PressureRow { mode: self.pressure.mode(), depth, limit, shed: self.shed }
    }

    fn came(&mut self, placed: &Placed) {
        match placed.only_waits {
            true => self.only_wait += 1,
            false => self.running.start(&placed.tenant),
        }
    }

    fn went(&mut self, placed: &Placed) {
        match placed.only_waits {
            true => self.only_wait = self.only_wait.saturating_sub(1),
            false => self.running.end(&placed.tenant),
        }
    }

    /// How many more of a demand may be started as far as its tenant goes, up to `most`.
    pub(super) fn places(&self, quotas: &Quotas, demand: &Demand, most: u32) -> u32 {
        let places = self.running.places(&demand.tenant, quotas).unwrap_or(0);
        u32::try_from(places).unwrap_or(u32::MAX).min(most)
    }
}

impl SchedulerActor {
    /// After every message: whether what waits has become another strain.
    pub(super) fn observe_pressure(&mut self) {
        let depth = self.graphs.open_items();
        let before = self.guard.depth.saturating_add(std::mem::take(&mut self.guard.taken_in));
        self.guard.depth = depth;
        if depth < before {
            let now = self.now();
            self.guard.drain.ended(before - depth, now);
        }
        if depth == before && depth == self.guard.pressure.depth().0 {
            return;
        }
        self.guard.pressure.set_rules(self.side.limits().pressure);
        if let Some(change) = self.guard.pressure.observe(depth) {
            tracing::info!(from = %change.from, to = %change.to, depth, limit = change.limit, "pressure");
            self.side.log.append(&Event::Scheduler(SchedulerEvent::Pressure(change)), 0, 0);
            self.side.set_mode(change.to);
            self.dispatch.wake();
        }
    }

    /// Whether its tenants may hand in one more now; also what is refused for another reason then was one.
    pub(super) fn check_pace(&mut self, submission: &Submission) -> Result<(), Response> {
        let (limits, now) = (self.side.limits(), self.now());
        self.guard.inflow.admit(&tenants_of(submission), &limits.paces, now).map_err(|too_fast| {
            self.guard.shed += 1;
            Response::Busy { reason: too_fast.to_string().into(), retry_after: too_fast.retry_after }
        })
    }

    /// Whether a submission is taken in now. Each that is not is counted.
    pub(super) fn check_guard(&mut self, submission: &Submission) -> Result<(), Response> {
        let checked = self.admits(submission);
        match &checked {
            Ok(()) => self.guard.taken_in += submission.items.len() as u64,
            Err(_) => self.guard.shed += 1,
        }
        checked
    }

    /// It was let in and is refused for another reason after all.
    pub(super) fn not_taken_in(&mut self, submission: &Submission) {
        self.guard.taken_in = self.guard.taken_in.saturating_sub(submission.items.len() as u64);
    }

    fn admits(&self, submission: &Submission) -> Result<(), Response> {
        let new = submission.items.len() as u64;
        let priorities = submission.items.iter().map(|item| item.spec.priority);
        let lowest = priorities.min().unwrap_or(Priority::Normal);
        let now = self.now();
        let busy = |reason: String, ends: u64, drain: &Drain| {
            Err(Response::Busy { reason: reason.into(), retry_after: drain.retry_after(ends, now) })
        };
        self.admits_spending(submission)?;
        if let Err(shed) = self.guard.pressure.admit(new, lowest) {
            return busy(shed.to_string(), self.guard.pressure.excess(&shed), &self.guard.drain);
        }
        let limits = self.side.limits();
        self.gangs_within(submission, &limits.quotas)?;
        for (tenant, new) in by_tenant(submission, &limits.quotas) {
            let waiting = self.unended_of(&tenant);
            if let Err(over) = limits.quotas.admit(&tenant, waiting, new) {
                let excess = (waiting + new).saturating_sub(limits.quotas.of(&tenant).max_waiting);
                return busy(over.to_string(), excess.min(waiting), &self.guard.drain);
            }
        }
        Ok(())
    }

    /// Whether no gang is larger than what its tenant may ever have started at once.
    fn gangs_within(&self, submission: &Submission, quotas: &Quotas) -> Result<(), Response> {
        for (needs, spec) in submission.items.iter().filter_map(|item| Some((item.spec.gang?, &item.spec))) {
            let refused = |why: String| Response::Refused(format!("gang = {needs}: {why}").into());
            Running::default()
                .admits(&spec.tenant, quotas, needs)
                .map_err(|over| refused(over.to_string()))?;
            if !self.guard.tenants.could_cover(&spec.tenant, needs) {
                return Err(refused(format!("tenant {:?} never has so many attempts left", spec.tenant)));
            }
        }
        Ok(())
    }

    /// Tasks of a tenant that have not ended, but for those that run and only wait for others: these could not hand them in.
    fn unended_of(&self, tenant: &str) -> u64 {
        let shapes = self.shapes.all().filter(|(_, demand)| *demand.tenant == *tenant);
        let unended: u64 = shapes.map(|(shape, _)| self.graphs.unended(shape)).sum();
        let only_wait = |placed: &&Placed| placed.only_waits && *placed.tenant == *tenant;
        let waiting =
            if self.guard.only_wait == 0 { 0 } else { self.placed.values().filter(only_wait).count() };
        unended.saturating_sub(waiting as u64)
    }

    /// How many more may be started in all, up to `most`.
    pub(super) fn startable(&self, most: u32) -> u32 {
        if self.side.directives().all_stopped().is_some() {
            return 0;
        }
        let mode = self.guard.pressure.mode();
        if mode == Mode::Normal {
            return most;
        }
        let places = mode.parallelism(self.dispatch.cores()).saturating_sub(self.at_work());
        u32::try_from(places).unwrap_or(u32::MAX).min(most)
    }

    /// Whether one more of a demand may be started as far as its tenant goes.
    pub(super) fn tenant_may_start(&self, demand: &Demand) -> bool {
        let whole = demand.nodes();
        self.guard.places(&self.side.limits().quotas, demand, whole) >= whole
            && (self.guard.tenants.is_empty() || self.tenant_covers(demand).is_ok())
    }

    /// How many are on nodes, but for those who only wait for others.
    fn at_work(&self) -> u64 {
        (self.placed.len() as u64).saturating_sub(self.guard.only_wait)
    }

    /// A task was sent to a node, or is known to be there.
    pub(super) fn note_placed(&mut self, task: TaskId, placed: Placed) {
        self.guard.came(&placed);
        let demand = self.shapes.demand(placed.taken.shape);
        if let Some(company) = demand.and_then(|demand| demand.constraints.company.as_ref()) {
            self.dispatch.enter(task, &placed.node, company);
        }
        let own = self.own_priority(task, placed.priority);
        if demand.is_some_and(|demand| preempt::may_ever_yield(demand, own)) {
            self.dispatch.evicting.came(task, &placed.node);
        }
        if let Some(before) = self.placed.insert(task, placed) {
            self.guard.went(&before);
            let is_elsewhere = self.placed.get(&task).is_some_and(|placed| placed.node != before.node);
            if is_elsewhere {
                self.dispatch.evicting.gone(task, &before.node);
            }
        }
    }

    /// A task is not on a node any more.
    pub(super) fn note_gone(&mut self, task: TaskId) -> Option<Placed> {
        let placed = self.placed.remove(&task)?;
        self.dispatch.evicting.gone(task, &placed.node);
        self.dispatch.stops.gone(task);
        self.guard.went(&placed);
        self.dispatch.leave(task);
        if placed.is_set_aside {
            self.guard.tenants.release(&placed.tenant);
        }
        // Its node told of the room before the end was recorded: nobody else says that the others may go on now.
        if placed.is_set_aside || self.guard_counts_running() {
            self.dispatch.wake();
        }
        Some(placed)
    }

    /// Whether how many run decides how many more may.
    fn guard_counts_running(&self) -> bool {
        !self.side.limits().quotas.are_unlimited() || self.guard.pressure.mode() != Mode::Normal
    }

    /// Why a task is not started, whatever the nodes say.
    pub(super) fn held_back(&self, entry: &EntryView) -> Option<Hindrance> {
        let EntryView { graph, shape, runs_as, .. } = *entry;
        if let Some(stopped) = self.stopped(runs_as, shape) {
            return Some(Hindrance::Stopped(stopped));
        }
        if let Some(reached) = self.guard.ledger.reached(graph) {
            return Some(Hindrance::Budget(reached));
        }
        let demand = self.shapes.demand(shape)?;
        if let Err(exceeded) = self.tenant_covers(demand) {
            return Some(Hindrance::TenantBudget(exceeded));
        }
        if let Err(over) =
            self.guard.running.admits(&demand.tenant, &self.side.limits().quotas, demand.nodes())
        {
            return Some(Hindrance::Quota(over));
        }
        if let Some(lacking) = self.gang_in_the_way(entry.task) {
            return Some(lacking);
        }
        let mode = self.guard.pressure.mode();
        let running = self.at_work();
        (self.startable(1) == 0).then_some(Hindrance::Pressure { mode, running })
    }
}

/// Whose a submission is, each once, by name.
fn tenants_of(submission: &Submission) -> Vec<Arc<str>> {
    let mut tenants: Vec<_> = submission.items.iter().map(|item| &item.spec.tenant).collect();
    // Nearly always one of them, many times over.
    tenants.dedup();
    tenants.sort_unstable();
    tenants.dedup();
    tenants.into_iter().cloned().collect()
}

/// How many tasks of each tenant that is limited a submission makes.
fn by_tenant(submission: &Submission, quotas: &Quotas) -> FxHashMap<Arc<str>, u64> {
    let mut tasks: FxHashMap<Arc<str>, u64> = FxHashMap::default();
    if quotas.are_unlimited() {
        return tasks;
    }
    for item in &submission.items {
        let sum = tasks.entry(Arc::clone(&item.spec.tenant)).or_default();
        *sum = sum.saturating_add(item.tasks());
    }
    tasks
}

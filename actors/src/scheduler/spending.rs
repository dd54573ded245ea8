//! What tenants may use up: asked before an attempt is sent out, charged when it is over, told once when it is
//! reached, and there again when the period ends or the operator says so.
//!
//! Decides with `policy::budget::TenantLedger`. What is ready of a tenant that is paused stays in its queue and does
//! not fit.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use policy::budget::{Charge, Exceeded, OnReached};
use policy::demand::Demand;
use policy::event::{Event, SchedulerEvent};
use policy::id::{GraphId, TaskId};
use policy::submission::Submission;
use policy::time::Timestamp;

use crate::scheduler::SchedulerActor;
use crate::task::Acknowledge;
use crate::wire::client::{Response, SpendingRow};

/// The longest that somebody is told to stay away: what an operator changes meanwhile should be noticed.
const AWAY_LIMIT: Duration = Duration::from_mins(5);

impl SchedulerActor {
    /// How many more attempts of a demand's tenant may be sent out as far as its budget goes.
    pub(super) fn tenant_places(&self, demand: &Demand) -> Result<u64, Exceeded> {
        self.guard.tenants.places(&demand.tenant, self.side.clock.wall())
    }

    /// Whether one more of a demand may be sent out as far as its tenant's budget goes; of a gang, all of it.
    pub(super) fn tenant_covers(&self, demand: &Demand) -> Result<(), Exceeded> {
        self.guard.tenants.covers(&demand.tenant, demand.nodes(), self.side.clock.wall())
    }

    /// How many of `places` the budget covers. Who is refused is noted.
    pub(super) fn covered(&self, demand: &Demand, places: u32, refused: &RefCell<Vec<Arc<str>>>) -> u32 {
        if places == 0 || self.guard.tenants.is_empty() {
            return places;
        }
        match self.tenant_places(demand) {
            Ok(covered) => u32::try_from(covered).unwrap_or(u32::MAX).min(places),
            Err(_) => {
                refused.borrow_mut().push(Arc::clone(&demand.tenant));
                0
            }
        }
    }

    /// Work of these waits that their budgets do not cover.
    pub(super) fn tenants_refused(&mut self, tenants: Vec<Arc<str>>) {
        let now = self.side.clock.wall();
        for tenant in tenants {
            if let Some(exceeded) = self.guard.tenants.refused(&tenant, now) {
                self.tenant_exceeded(exceeded);
            }
        }
    }

    /// Sets an attempt aside for what is sent to a node; whether there is a budget for it.
    pub(super) fn set_aside(&mut self, tenant: &Arc<str>) -> bool {
        let limits = !self.guard.tenants.is_empty();
        if limits {
            self.guard.tenants.reserve(tenant, self.side.clock.wall());
        }
        limits
    }

    pub(super) fn tenant_granted(&mut self, task: TaskId, at: Timestamp) {
        if self.guard.tenants.is_empty() {
            return;
        }
        if let Some(placed) = self.placed.get_mut(&task) {
            placed.is_set_aside = false;
            self.guard.tenants.granted(&placed.tenant, at);
        }
    }

    /// An attempt is over.
    pub(super) fn tenant_charge(&mut self, task: TaskId, charge: &Charge, at: Timestamp) {
        if self.guard.tenants.is_empty() {
            return;
        }
        let Some(tenant) = self.placed.get(&task).map(|placed| Arc::clone(&placed.tenant)) else { return };
        if let Some(exceeded) = self.guard.tenants.charge(&tenant, charge, at) {
            self.tenant_exceeded(exceeded);
        }
    }

    fn tenant_exceeded(&mut self, exceeded: Exceeded) {
        tracing::info!(tenant = &*exceeded.tenant, %exceeded, "a budget is used up");
        let (tenant, follows) = (Arc::clone(&exceeded.tenant), exceeded.follows);
        self.side.log.append(&Event::Scheduler(SchedulerEvent::TenantBudgetReached(exceeded)), 0, 0);
        if follows == OnReached::Cancel {
            self.end_tenant(&tenant);
        }
    }

    /// Cancels every graph that has work of a tenant and has not ended.
    fn end_tenant(&mut self, tenant: &str) {
        let open = self.graphs.newest(None).filter(|view| view.finished_at.is_none());
        let concerned: Vec<_> =
            open.map(|view| view.graph).filter(|graph| self.has_work_of(*graph, tenant)).collect();
        concerned.into_iter().for_each(|graph| self.end_graph(graph, Acknowledge::nobody));
    }

    fn has_work_of(&self, graph: GraphId, tenant: &str) -> bool {
        let shapes = self.graphs.items(graph, 0).filter_map(|(task, _)| Some(self.graphs.entry(task)?.shape));
        let mut tenants = shapes.filter_map(|shape| self.shapes.demand(shape));
        tenants.any(|demand| *demand.tenant == *tenant)
    }

    /// Goes on where budgets were used up and a crash may have come between.
    pub(super) fn restore_spending(&mut self) {
        for exceeded in self.guard.tenants.all_exceeded() {
            if exceeded.follows == OnReached::Cancel {
                self.end_tenant(&exceeded.tenant);
            }
        }
    }

    /// Looks now and then who may go on: after a period, or because the operator gives more.
    pub(super) fn resume_tenants(&mut self) {
        if self.guard.tenants.set_rules(&self.side.limits().budgets) {
            self.dispatch.wake();
        }
        if self.guard.tenants.is_empty() {
            return;
        }
        if self.dispatch.gangs.is_any_standing() {
            // What is left of a budget may have been too little for a gang: then nobody is told to go on.
            self.dispatch.wake();
        }
        for tenant in self.guard.tenants.resumed(self.side.clock.wall()) {
            tracing::info!(tenant = &*tenant, "a tenant goes on under its budget");
            self.side.log.append(&Event::Scheduler(SchedulerEvent::TenantResumed { tenant }), 0, 0);
            self.dispatch.wake();
        }
    }

    /// Whether nobody hands in work that would be cancelled at once.
    pub(super) fn admits_spending(&self, submission: &Submission) -> Result<(), Response> {
        if self.guard.tenants.is_empty() {
            return Ok(());
        }
        let now = self.side.clock.wall();
        let refused = submission.items.iter().find_map(|item| {
            let exceeded = self.guard.tenants.places(&item.spec.tenant, now).err()?;
            (exceeded.follows == OnReached::Cancel).then_some(exceeded)
        });
        let Some(exceeded) = refused else { return Ok(()) };
        let reason = exceeded.to_string().into();
        Err(match exceeded.until {
            Some(until) => Response::Busy { reason, retry_after: until.since(now).min(AWAY_LIMIT) },
            None => Response::Refused(reason),
        })
    }

    /// Writes down what tenants have used, before records from which that is known can go.
    pub(super) fn write_spendings(&mut self) {
        for spending in self.guard.tenants.news() {
            self.side.log.append(&Event::Scheduler(SchedulerEvent::TenantSpent(spending)), 0, 0);
        }
    }

    pub(super) fn spending_row(&self, tenant: &str) -> Option<Box<SpendingRow>> {
        let (account, exceeded) = self.guard.tenants.account(tenant, self.side.clock.wall())?;
        let (budget, spent) = (*account.budget(), *account.spent());
        Some(Box::new(SpendingRow { budget, spent, exceeded }))
    }
}

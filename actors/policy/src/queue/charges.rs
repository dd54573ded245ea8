//! What the tasks of each need cost, whose they are, and how many of them are started.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::demand::Demand;
use crate::placement::ShapeId;
use crate::planted;
use crate::resources::Resources;
use crate::share::{self, TenantId, Tenants};
use crate::task::DEFAULT_TENANT;

/// How much tenants are due beside others, by name; [`DEFAULT_TENANT`]'s holds for all who are not named.
pub type Weights = BTreeMap<Box<str>, u32>;

/// Against what shares are measured: made anew when the fleet or the weights change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scale {
    /// All that the nodes have.
    pub fleet: Resources,
    /// How much everybody is due.
    pub weights: Arc<Weights>,
}

/// The charges of one queue.
#[derive(Debug, Default)]
pub(super) struct Charges {
    pub(super) tenants: Tenants,
    scale: Arc<Scale>,
    of: FxHashMap<ShapeId, Charge>,
}

#[derive(Debug)]
struct Charge {
    tenant: TenantId,
    need: Resources,
    cost: u64,
    /// Attempts that are started and not over.
    active: u32,
    is_waiting: bool,
}

impl Scale {
    /// A tenant's weight.
    #[must_use]
    pub fn weight(&self, tenant: &str) -> u32 {
        weight_of(&self.weights, tenant)
    }
}

/// A tenant's weight; 1 where nothing is said.
#[must_use]
pub fn weight_of(weights: &Weights, tenant: &str) -> u32 {
    if planted!(WeightsIgnored) {
        return 1;
    }
    weights.get(tenant).or_else(|| weights.get(DEFAULT_TENANT)).copied().unwrap_or(1)
}

impl Charges {
    /// The fleet or the weights have changed.
    pub(super) fn rescale(&mut self, scale: Arc<Scale>) {
        let known: Vec<_> =
            self.tenants.all().map(|(id, account)| (id, scale.weight(&account.name))).collect();
        for (id, weight) in known {
            self.tenants.set_weight(id, weight);
        }
        for charge in self.of.values_mut() {
            let cost = share::cost(&charge.need, &scale.fleet);
            self.tenants.reprice(charge.tenant, charge.active, charge.cost, cost);
            charge.cost = cost;
        }
        self.scale = scale;
    }

    pub(super) fn is_measured_by(&self, scale: &Arc<Scale>) -> bool {
        Arc::ptr_eq(&self.scale, scale)
    }

    /// Tasks of this need wait, where none did.
    pub(super) fn waits(&mut self, shape: ShapeId, demand: &Demand) {
        let charge = Self::entry(&mut self.of, &mut self.tenants, &self.scale, shape, demand);
        if !std::mem::replace(&mut charge.is_waiting, true) {
            self.tenants.waits(charge.tenant);
        }
    }

    /// Tasks of this need wait again, of which one came back.
    pub(super) fn waits_again(&mut self, shape: ShapeId) {
        if let Some(charge) = self.of.get_mut(&shape)
            && !std::mem::replace(&mut charge.is_waiting, true)
        {
            self.tenants.waits(charge.tenant);
        }
    }

    /// No task of this need waits any more.
    pub(super) fn rests(&mut self, shape: ShapeId) {
        let Some(charge) = self.of.get_mut(&shape) else { return };
        if std::mem::take(&mut charge.is_waiting) {
            let (tenant, active) = (charge.tenant, charge.active);
            if active == 0 {
                self.of.remove(&shape);
            }
            self.tenants.rests(tenant);
        }
    }

    /// One that waits starts.
    pub(super) fn start(&mut self, shape: ShapeId) {
        if let Some(charge) = self.of.get_mut(&shape) {
            charge.active += 1;
            self.tenants.start(charge.tenant, charge.cost);
        }
    }

    /// One that was started before anybody could count it is held.
    pub(super) fn hold(&mut self, shape: ShapeId, demand: &Demand) {
        let charge = Self::entry(&mut self.of, &mut self.tenants, &self.scale, shape, demand);
        charge.active += 1;
        self.tenants.hold(charge.tenant, charge.cost);
    }

    /// One start came to nothing.
    pub(super) fn undo(&mut self, shape: ShapeId) {
        self.finish(shape, Tenants::undo);
    }

    /// One is over.
    pub(super) fn end(&mut self, shape: ShapeId) {
        self.finish(shape, Tenants::end);
    }

    pub(super) fn tenant(&self, shape: ShapeId) -> Option<TenantId> {
        self.of.get(&shape).map(|charge| charge.tenant)
    }

    pub(super) fn cost(&self, shape: ShapeId) -> u64 {
        self.of.get(&shape).map_or(0, |charge| charge.cost)
    }

    fn finish(&mut self, shape: ShapeId, act: fn(&mut Tenants, TenantId, u64)) {
        let Some(charge) = self.of.get_mut(&shape).filter(|charge| charge.active > 0) else { return };
        charge.active -= 1;
        let (tenant, cost, is_over) = (charge.tenant, charge.cost, charge.active == 0 && !charge.is_waiting);
        if is_over {
            self.of.remove(&shape);
        }
        act(&mut self.tenants, tenant, cost);
    }

    fn entry<'a>(
        of: &'a mut FxHashMap<ShapeId, Charge>,
        tenants: &mut Tenants,
        scale: &Scale,
        shape: ShapeId,
        demand: &Demand,
    ) -> &'a mut Charge {
        of.entry(shape).or_insert_with(|| Charge {
            tenant: tenants.enter(&demand.tenant, scale.weight(&demand.tenant)),
            need: demand.resources.clone(),
            cost: share::cost(&demand.resources, &scale.fleet),
            active: 0,
            is_waiting: false,
        })
    }

    /// Asserts that what tenants hold is what their needs hold.
    pub(super) fn check(&self) {
        self.tenants.check();
        let mut held: BTreeMap<TenantId, (u64, u64)> = BTreeMap::new();
        for charge in self.of.values() {
            assert!(charge.active > 0 || charge.is_waiting, "a need of nobody is forgotten");
            let sum = held.entry(charge.tenant).or_default();
            sum.0 += u64::from(charge.active) * charge.cost;
            sum.1 += u64::from(charge.active);
        }
        for (id, account) in self.tenants.all() {
            let held = held.get(&id).copied().unwrap_or_default();
            assert_eq!((account.held, account.active), held, "of {}", account.name);
        }
    }
}

//! Who would be next and cannot start: a turn that is missed, or one for whom others may have to stop.

use rustc_hash::FxHashMap;

use crate::id::TaskId;
use crate::placement::ShapeId;
use crate::queue::{Arrival, Pick, Queue, Taken};
use crate::share::{TenantId, Turns};

/// What a pick comes to.
#[derive(Debug, Clone, Default)]
pub struct Picked {
    /// Taken out, in order.
    pub taken: Vec<Taken>,
    /// Who of the stuck was first in turn.
    pub skipped: Option<Skipped>,
    /// Who of the urgent was.
    pub urgent: Option<Skipped>,
}

/// Who is first in turn, and does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// What it needs.
    pub shape: ShapeId,
    /// Which.
    pub task: TaskId,
}

impl Queue {
    /// Who was first in turn of those that do not fit, and what is taken.
    pub fn answer(&mut self, pick: &Pick) -> Picked {
        let (skipped, urgent) = (self.skipped(pick, &pick.stuck), self.skipped(pick, &pick.urgent));
        Picked { taken: self.pick(pick), skipped, urgent }
    }

    /// Who would be next if everything fitted, where that is somebody of the `stuck`. Ask before a pick.
    pub fn skipped(&mut self, pick: &Pick, stuck: &[ShapeId]) -> Option<Skipped> {
        if stuck.is_empty() {
            return None;
        }
        let mut fronts: FxHashMap<TenantId, (Arrival, ShapeId, bool)> = FxHashMap::default();
        let all = pick.fitting.iter().map(|shape| (*shape, false));
        for (shape, is_stuck) in all.chain(stuck.iter().map(|shape| (*shape, true))) {
            let first = self.lanes.get(&shape).and_then(|line| line.lane.first());
            if let Some((first, tenant)) = first.zip(self.charges.tenant(shape)) {
                let front = fronts.entry(tenant).or_insert((first, shape, is_stuck));
                *front = (*front).min((first, shape, is_stuck));
            }
        }
        let mut turns = Turns::among(&mut self.charges.tenants, fronts.keys().copied());
        for (tenant, (first, shape, _)) in &fronts {
            let cost = self.charges.cost(*shape);
            turns.enter(&self.charges.tenants, *tenant, *first, cost);
        }
        let tenant = turns.take(&self.charges.tenants)?;
        let (_, shape, _) = fronts.get(&tenant).filter(|(.., is_stuck)| *is_stuck)?;
        let task = self.lanes.get(shape)?.lane.first_task()?;
        Some(Skipped { shape: *shape, task })
    }
}

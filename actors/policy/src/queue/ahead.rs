//! Who would be taken before a task, were there room for all that fit: the turns of [`Queue::pick`] on a copy of the
//! tenants' accounts, over lanes that stay as they are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::id::TaskId;
use crate::placement::ShapeId;
use crate::queue::{Arrival, Queue};
use crate::share::{TenantId, Turns};

/// Turns that are gone through for one question: some two milliseconds. What stands further back is worked out in
/// proportion.
const TURNS_LIMIT: u64 = 4096;

/// Who is before a task in its queue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InQueue {
    /// How many are taken before it.
    pub tasks: u64,
    /// Those of them that are its own tenant's: they came earlier.
    pub own: u64,
    /// Those that are others', by name: it is their turn before.
    pub others: BTreeMap<Arc<str>, u64>,
    /// Who is taken first of all.
    pub first: Option<TaskId>,
    /// Whether every turn was gone through.
    pub is_exact: bool,
}

/// The lanes of one tenant by their next tasks.
type Heads = BinaryHeap<Reverse<(Arrival, ShapeId, TaskId)>>;

impl Queue {
    /// Who is before a task, where these needs fit (ascending; its own among them) and the first of each of the lines
    /// in `first` goes before all. `None` where it is not here.
    #[must_use]
    pub fn ahead(
        &self,
        task: TaskId,
        shape: ShapeId,
        fitting: &[ShapeId],
        first: &[ShapeId],
    ) -> Option<InQueue> {
        let arrival = self.lanes.get(&shape)?.lane.arrival_of(task)?;
        let own = self.charges.tenant(shape)?;
        let mut tenants = self.charges.tenants.clone();
        let mut lanes: FxHashMap<ShapeId, _> = FxHashMap::default();
        for shape in fitting {
            lanes.extend(self.lanes.get(shape).map(|line| (*shape, line.lane.living())));
        }
        let mut told = InQueue { is_exact: true, ..InQueue::default() };
        for shape in first {
            let Some((taken, _)) = lanes.get_mut(shape).and_then(Iterator::next) else { continue };
            if taken == task {
                return Some(told);
            }
            let Some(tenant) = self.charges.tenant(*shape) else { continue };
            tenants.start(tenant, self.charges.cost(*shape));
            self.note(&mut told, (tenant, own), taken);
        }
        let mut heads: FxHashMap<TenantId, Heads> = FxHashMap::default();
        for (shape, lane) in &mut lanes {
            if let Some(((task, arrival), tenant)) = lane.next().zip(self.charges.tenant(*shape)) {
                heads.entry(tenant).or_default().push(Reverse((arrival, *shape, task)));
            }
        }
        let mut turns = Turns::among(&mut tenants, heads.keys().copied());
        for (tenant, heads) in &heads {
            if let Some(Reverse((first, shape, _))) = heads.peek() {
                turns.enter(&tenants, *tenant, *first, self.charges.cost(*shape));
            }
        }
        while told.tasks < TURNS_LIMIT {
            let Some(tenant) = turns.take(&tenants) else { break };
            let Some(heads) = heads.get_mut(&tenant) else { break };
            let Some(Reverse((_, shape, taken))) = heads.pop() else { break };
            if taken == task {
                return Some(told);
            }
            tenants.start(tenant, self.charges.cost(shape));
            self.note(&mut told, (tenant, own), taken);
            if let Some((task, arrival)) = lanes.get_mut(&shape).and_then(Iterator::next) {
                heads.push(Reverse((arrival, shape, task)));
            }
            if let Some(Reverse((first, shape, _))) = heads.peek() {
                turns.enter(&tenants, tenant, *first, self.charges.cost(*shape));
            }
        }
        Some(self.in_proportion(&told, own, arrival, fitting))
    }

    fn note(&self, told: &mut InQueue, (tenant, own): (TenantId, TenantId), taken: TaskId) {
        told.tasks += 1;
        told.first.get_or_insert(taken);
        if tenant == own {
            told.own += 1;
        } else {
            let name = &self.charges.tenants.account(tenant).name;
            *told.others.entry(Arc::clone(name)).or_default() += 1;
        }
    }

    /// The rest of the way: how many of its own tenant came earlier is known, and others go on as they did, as far as
    /// they have something.
    fn in_proportion(&self, told: &InQueue, own: TenantId, arrival: Arrival, fitting: &[ShapeId]) -> InQueue {
        let (mut earlier, mut waiting) = (0, BTreeMap::<Arc<str>, u64>::new());
        for (shape, line) in fitting.iter().filter_map(|shape| Some((shape, self.lanes.get(shape)?))) {
            match self.charges.tenant(*shape) {
                Some(tenant) if tenant == own => earlier += line.lane.before(arrival),
                Some(tenant) => {
                    let name = &self.charges.tenants.account(tenant).name;
                    *waiting.entry(Arc::clone(name)).or_default() += line.lane.len();
                }
                None => {}
            }
        }
        let scale = |turns: u64| u128::from(turns) * u128::from(earlier + 1) / u128::from(told.own + 1);
        let others: BTreeMap<_, _> = told
            .others
            .iter()
            .map(|(name, turns)| {
                let all = waiting.get(name).copied().unwrap_or(*turns);
                (Arc::clone(name), u64::try_from(scale(*turns)).unwrap_or(u64::MAX).min(all))
            })
            .collect();
        let tasks = others.values().sum::<u64>().saturating_add(earlier);
        InQueue { tasks, own: earlier, others, first: told.first, is_exact: false }
    }
}

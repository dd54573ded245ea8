//! The tasks of one priority that could run now, and which of them is next.
//!
//! Tasks that need alike stand in one lane, in the order of their arrival. Whoever takes tasks says which
//! needs fit: between tenants the turn is shared out (`share`), and the tenant whose turn it is gives the task
//! that came first among those that fit. A task that fits nowhere right now keeps its place but stands in
//! nobody's way. Lanes that have waited too long (`ageing`) are named by whoever takes, and served first.
//!
//! A need belongs to one tenant, so a lane does, and a pick costs the same with one task waiting and with a million.

mod ahead;
mod charges;
mod lane;
mod removed;
mod skipped;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::ageing::{Ladder, Standing};
use crate::demand::Demand;
use crate::id::{TaskId, TaskRange};
use crate::placement::ShapeId;
use crate::queue::charges::Charges;
use crate::queue::lane::Lane;
use crate::share::{Account, TenantId, Turns};

pub use crate::queue::ahead::InQueue;
pub use crate::queue::charges::{Scale, Weights, weight_of};
pub use crate::queue::skipped::{Picked, Skipped};

/// Aged lines that are named at a time, the oldest first: the rest are named when these have been served.
const AGED_LIMIT: usize = 1024;

/// A place in the order of arrival, over all queues. Smaller came earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Arrival(pub u64);

/// A task taken out, with all that is needed to put it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub task: TaskId,
    /// What it needs.
    pub shape: ShapeId,
    /// When it came.
    pub arrival: Arrival,
    /// Since when its line had waited.
    pub since: Arrival,
}

/// What is to be taken.
#[derive(Debug, Clone, Default)]
pub struct Pick {
    /// One of each of these needs, before all else.
    pub first: Vec<ShapeId>,
    /// So many more of those that fit.
    pub want: u32,
    /// The needs that fit, ascending.
    pub fitting: Arc<[ShapeId]>,
    /// Later than all that have come anywhere: lines that are served wait since then.
    pub now: Arrival,
    /// The needs that do not fit now and would on an empty node, where it is to be told who of them misses a turn.
    pub stuck: Arc<[ShapeId]>,
    /// The needs for which others may have to stop, where it is to be told who of them is first.
    pub urgent: Arc<[ShapeId]>,
}

/// A line whose first has waited long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgedLine {
    /// What it needs.
    pub shape: ShapeId,
    /// Its first.
    pub task: TaskId,
    /// Since when it has waited.
    pub since: Arrival,
    /// Where it stands by now.
    pub standing: Standing,
    /// Whether its first stands there for the first time.
    pub is_news: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Queue {
    lanes: FxHashMap<ShapeId, Waiting>,
    charges: Charges,
    /// The lanes by the arrival of their first.
    order: BTreeMap<Arrival, ShapeId>,
    len: u64,
    /// Later than every arrival so far.
    horizon: Arrival,
}

/// A lane, and how long it waits.
#[derive(Debug, Default)]
struct Waiting {
    lane: Lane,
    /// When it was served last.
    served: Arrival,
    /// Where its first was last said to stand.
    told: Option<(TaskId, Standing)>,
}

impl Arrival {
    /// The arrival of the task that comes `places` later in a range.
    #[must_use]
    pub fn after(self, places: u64) -> Self {
        Self(self.0 + places)
    }
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The fleet, or somebody's weight, is another one.
    pub fn rescale(&mut self, scale: &Arc<Scale>) {
        if !self.charges.is_measured_by(scale) {
            self.charges.rescale(Arc::clone(scale));
        }
    }

    /// Tasks come, the first at `arrival`, the next one later each: the numbers from `arrival` on, as many as
    /// there are tasks, are used up and later than all before. None of the tasks may be in the queue. A need
    /// that is in use always means the same demand.
    pub fn push(&mut self, tasks: impl Into<TaskRange>, shape: ShapeId, demand: &Demand, arrival: Arrival) {
        let tasks = tasks.into();
        if tasks.count == 0 {
            return;
        }
        self.len += u64::from(tasks.count);
        self.horizon = self.horizon.max(arrival.after(u64::from(tasks.count)));
        self.charges.waits(shape, demand);
        self.change(shape, |line| line.lane.push(tasks, arrival));
    }

    /// A task that was taken comes back to its old place, and its line waits on as if it had not been.
    pub fn put_back(&mut self, taken: Taken) {
        self.len += 1;
        self.horizon = self.horizon.max(taken.arrival.after(1));
        self.charges.waits_again(taken.shape);
        self.charges.undo(taken.shape);
        self.change(taken.shape, |line| {
            let is_new = line.lane.first().is_none();
            line.served = if is_new { taken.since } else { line.served.min(taken.since) };
            line.lane.put_back(taken.task, taken.arrival);
        });
    }

    /// A task that was taken comes back behind all of its line, so that it does not stand in the way of those for
    /// whom there is room where there is none for it. Alone it keeps its old place.
    pub fn put_behind(&mut self, taken: Taken, arrival: Arrival) {
        if !self.lanes.contains_key(&taken.shape) {
            return self.put_back(taken);
        }
        self.len += 1;
        self.horizon = self.horizon.max(arrival.after(1));
        self.charges.undo(taken.shape);
        self.change(taken.shape, |line| line.lane.push(taken.task.into(), arrival));
    }

    /// Attempts of these needs are over.
    pub fn ended(&mut self, shapes: &[ShapeId]) {
        for shape in shapes {
            self.charges.end(*shape);
        }
    }

    /// A line was served before this queue began, when this place in the order of arrival was the next.
    pub fn was_served(&mut self, shape: ShapeId, at: Arrival) {
        if let Some(line) = self.lanes.get_mut(&shape) {
            line.served = line.served.max(at);
        }
    }

    /// An attempt was started before this queue began.
    pub fn holds(&mut self, shape: ShapeId, demand: &Demand) {
        self.charges.hold(shape, demand);
    }

    /// Takes tasks: those that are to be first, then by turns between the tenants, of each what came first
    /// among what fits. What is taken counts as held until it is put back or [`Self::ended`].
    pub fn pick(&mut self, pick: &Pick) -> Vec<Taken> {
        let mut taken: Vec<_> = pick.first.iter().filter_map(|shape| self.take(*shape, pick.now)).collect();
        if pick.want > 0 {
            self.take_turns(pick, &mut taken);
        }
        if self.len == 0 {
            self.charges.tenants.idle();
        }
        taken
    }

    fn take_turns(&mut self, pick: &Pick, taken: &mut Vec<Taken>) {
        let mut fitting: FxHashMap<TenantId, BinaryHeap<Reverse<(Arrival, ShapeId)>>> = FxHashMap::default();
        for shape in pick.fitting.iter() {
            let first = self.lanes.get(shape).and_then(|line| line.lane.first());
            if let Some((first, tenant)) = first.zip(self.charges.tenant(*shape)) {
                fitting.entry(tenant).or_default().push(Reverse((first, *shape)));
            }
        }
        let mut turns = Turns::among(&mut self.charges.tenants, fitting.keys().copied());
        for (tenant, lanes) in &fitting {
            if let Some(Reverse((first, shape))) = lanes.peek() {
                let cost = self.charges.cost(*shape);
                turns.enter(&self.charges.tenants, *tenant, *first, cost);
            }
        }
        for _ in 0..pick.want {
            let Some(tenant) = turns.take(&self.charges.tenants) else { return };
            let Some(lanes) = fitting.get_mut(&tenant) else { return };
            let Some(Reverse((_, shape))) = lanes.pop() else { return };
            taken.extend(self.take(shape, pick.now));
            if let Some(first) = self.lanes.get(&shape).and_then(|line| line.lane.first()) {
                lanes.push(Reverse((first, shape)));
            }
            if let Some(Reverse((first, shape))) = lanes.peek() {
                let cost = self.charges.cost(*shape);
                turns.enter(&self.charges.tenants, tenant, *first, cost);
            }
        }
    }

    /// Takes the first of a lane.
    fn take(&mut self, shape: ShapeId, now: Arrival) -> Option<Taken> {
        let line = self.lanes.get(&shape)?;
        let since = line.since()?;
        // Counted before the lane can be empty, so that its need is still known.
        self.charges.start(shape);
        let (task, arrival) = self.change(shape, |line| {
            line.served = now;
            line.lane.pop()
        })?;
        self.len -= 1;
        Some(Taken { task, shape, arrival, since })
    }

    /// Tasks leave without being taken; each of them must be in the queue.
    pub fn remove(&mut self, tasks: impl Into<TaskRange>, shape: ShapeId) {
        let (tasks, horizon) = (tasks.into(), self.horizon);
        if tasks.count == 0 || !self.lanes.contains_key(&shape) {
            return;
        }
        self.len -= u64::from(tasks.count);
        self.change(shape, |line| line.lane.remove(tasks, horizon));
    }

    /// The lines that have waited long, the oldest first. Looks at every lane once: ask at every tick.
    pub fn aged(&mut self, ladder: &Ladder) -> Vec<AgedLine> {
        let raised = |line: &Waiting| line.since().filter(|since| ladder.raises(*since));
        let mut aged: Vec<_> =
            self.lanes.iter().filter_map(|(shape, line)| raised(line).map(|since| (since, *shape))).collect();
        aged.sort_unstable();
        aged.truncate(AGED_LIMIT);
        let named = aged.into_iter().filter_map(|(since, shape)| {
            let line = self.lanes.get_mut(&shape)?;
            let (task, standing) = (line.lane.first_task()?, ladder.standing(since));
            let is_news = line.told.replace((task, standing)) != Some((task, standing));
            Some(AgedLine { shape, task, since, standing, is_news })
        });
        named.collect()
    }

    /// Everybody who waits, holds or owes something, and how many of theirs wait.
    pub fn accounts(&self) -> impl Iterator<Item = (&Account, u64)> {
        let mut waiting: FxHashMap<TenantId, u64> = FxHashMap::default();
        for (shape, line) in &self.lanes {
            if let Some(tenant) = self.charges.tenant(*shape) {
                *waiting.entry(tenant).or_default() += line.lane.len();
            }
        }
        let waiting = move |id| waiting.get(&id).copied().unwrap_or(0);
        self.charges.tenants.all().map(move |(id, account)| (account, waiting(id)))
    }

    /// How many are waiting.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The earliest arrival of all that wait.
    #[must_use]
    pub fn oldest(&self) -> Option<Arrival> {
        self.order.first_key_value().map(|(arrival, _)| *arrival)
    }

    /// The needs in the queue, each with its earliest arrival and how many have it, the earliest first.
    pub fn lanes(&self) -> impl Iterator<Item = (ShapeId, Arrival, u64)> {
        self.order.iter().map(|(arrival, shape)| (*shape, *arrival, self.lanes[shape].lane.len()))
    }

    /// Bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lanes.values().map(|line| line.lane.bytes()).sum()
    }

    /// Changes a lane and keeps its place in the order.
    fn change<R>(&mut self, shape: ShapeId, act: impl FnOnce(&mut Waiting) -> R) -> R {
        let line = self.lanes.entry(shape).or_default();
        let before = line.lane.first();
        let answer = act(line);
        let after = line.lane.first();
        if before != after {
            before.map(|arrival| self.order.remove(&arrival));
            after.map(|arrival| self.order.insert(arrival, shape));
        }
        if after.is_none() {
            self.lanes.remove(&shape);
            self.charges.rests(shape);
        }
        answer
    }

    /// Asserts every invariant. It looks at each lane: for tests and simulations.
    ///
    /// # Panics
    ///
    /// When one does not hold.
    pub fn check(&self) {
        assert_eq!(self.order.len(), self.lanes.len(), "every lane has its place in the order");
        for (arrival, shape) in &self.order {
            let lane = &self.lanes[shape].lane;
            assert_eq!(lane.first(), Some(*arrival), "and it is that of its first");
            assert!(self.charges.tenant(*shape).is_some(), "it is somebody's");
            lane.check();
        }
        self.charges.check();
        assert_eq!(
            self.len,
            self.lanes.values().map(|line| line.lane.len()).sum::<u64>(),
            "the length is what the lanes hold"
        );
    }
}

impl Waiting {
    /// Since when its first has waited for others than its own line.
    fn since(&self) -> Option<Arrival> {
        self.lane.first().map(|first| first.max(self.served))
    }
}

#[cfg(test)]
mod tests;

//! Rounds of dispatch: ask the queues for what may fit, place it, send it to the nodes.
//!
//! One round at a time: how much fits is worked out from what the nodes said last, less what was sent since;
//! the time slices share it between the priorities; each queue picks its part in its own order; what then
//! does not fit goes back to its place.

mod back;
mod causes;
mod evict;
mod gangs;
mod relief;
mod keeping;
mod nodes;
mod stops;
mod why;

use std::cell::RefCell;
use std::sync::Arc;

use policy::causes::Causes;
use policy::demand::Demand;
use policy::directive::Directives;
use policy::fleet::{Asker, COUNTED_LIMIT, Fleet};
use policy::graph::{Closed, Ready};
use policy::id::TaskId;
use policy::order::TurnId;
use policy::placement::{Choice, ShapeId, Shapes};
use policy::queue::{Picked, Taken};
use policy::reserve::LineId;
use policy::task::Priority;
use rustc_hash::FxHashMap;

use crate::node::{Reservation, Terms};
use crate::scheduler::dispatch::evict::Evicting;
use crate::scheduler::dispatch::gangs::Gangs;
use crate::scheduler::dispatch::keeping::Keeping;
pub(super) use crate::scheduler::dispatch::keeping::Kept;
use crate::scheduler::dispatch::nodes::Door;
use crate::scheduler::dispatch::stops::Stops;
use crate::scheduler::order::Ordering;
use crate::scheduler::{Placed, SchedulerActor, no_effects};

/// Tasks in one round at the most: what one batch of messages carries.
const ROUND_LIMIT: u32 = COUNTED_LIMIT;

pub(super) const PRIORITIES: [Priority; 4] =
    [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

/// What dispatching remembers.
#[derive(Debug, Default)]
pub(super) struct Dispatch {
    fleet: Fleet,
    /// By the places of the fleet.
    doors: Vec<Door>,
    directives: Arc<Directives>,
    pub(super) ordering: Ordering,
    /// Ready tasks by shape and priority: what the queues hold.
    queued: FxHashMap<ShapeId, [u64; 4]>,
    queued_of: [u64; 4],
    /// For whom room is kept.
    keeping: Keeping,
    /// Who makes room for others.
    pub(super) evicting: Evicting,
    pub(super) gangs: Gangs,
    /// Who is to stop for others.
    pub(super) stops: Stops,
    causes: Causes,
    /// Answers of queues that this round still waits for.
    awaited: u32,
    picked: Vec<(TurnId, Priority, Taken)>,
    /// Picked in this round, and found ended.
    dropped: Vec<TaskId>,
    /// Ended while a round was under way: whether they are still in their queue shows at its end.
    leaving: Vec<Closed>,
    /// Ready since then: into the queues behind those that leave.
    pub(super) coming: Vec<Ready>,
    /// Sent behind their lines since anything was placed or a node has changed.
    sent_behind: u64,
    /// Whether anything has changed since a round last found nothing to do.
    is_stale: bool,
}

impl Dispatch {
    pub(super) fn queued(&mut self, shape: ShapeId, priority: Priority, more: u64) {
        self.queued.entry(shape).or_default()[priority as usize] += more;
        self.queued_of[priority as usize] += more;
        self.is_stale = true;
    }

    pub(super) fn unqueued(&mut self, shape: ShapeId, priority: Priority, fewer: u64) {
        if let Some(of_shape) = self.queued.get_mut(&shape) {
            of_shape[priority as usize] = of_shape[priority as usize].saturating_sub(fewer);
            if of_shape.iter().all(|count| *count == 0) {
                self.queued.remove(&shape);
            }
        }
        self.queued_of[priority as usize] = self.queued_of[priority as usize].saturating_sub(fewer);
    }

    pub(super) fn is_anybody_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Something has changed that may let more start.
    pub(super) fn wake(&mut self) {
        self.is_stale = true;
    }

    /// Cores of all nodes that are up.
    pub(super) fn cores(&self) -> u64 {
        self.fleet.cores()
    }

    pub(super) fn has_queued(&self) -> bool {
        !self.queued.is_empty()
    }

    pub(super) fn queued_by_priority(&self) -> [u64; 4] {
        self.queued_of
    }

    fn queued_of(&self, shape: ShapeId, priority: Priority) -> u64 {
        self.queued.get(&shape).map_or(0, |counts| counts[priority as usize])
    }

    /// What waits, by need and priority.
    pub(super) fn queued_by_shape(&self) -> &FxHashMap<ShapeId, [u64; 4]> {
        &self.queued
    }

    /// The shapes that wait and fit somewhere now, and how many tasks of each do.
    fn fitting(&mut self, shapes: &Shapes) -> Vec<(ShapeId, u32)> {
        let Self { fleet, queued, .. } = self;
        fleet.forget_unused(queued.len(), |shape| queued.contains_key(&shape));
        let fit = |shape: &ShapeId| Some((*shape, fleet.room_for(shapes.demand(*shape)?, *shape)));
        let mut fitting: Vec<_> = queued.keys().filter_map(fit).filter(|(_, fit)| *fit > 0).collect();
        fitting.sort_unstable();
        fitting
    }

    /// Tasks of these shapes that wait, by priority.
    pub(super) fn waiting(&self, shapes: &[ShapeId]) -> [u64; 4] {
        let mut waiting = [0; 4];
        for counts in shapes.iter().filter_map(|shape| self.queued.get(shape)) {
            waiting.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        waiting
    }
}

impl SchedulerActor {
    /// Begins a round where something may fit and none is under way; what waits then, waits for a reason.
    pub(super) fn start_round(&mut self) {
        self.begin_round();
        if self.dispatch.awaited == 0 {
            self.look_at_causes();
        }
    }

    fn begin_round(&mut self) {
        self.tend_gangs();
        if self.dispatch.awaited > 0 || !self.is_anything_new() {
            return;
        }
        self.tend_holds();
        let mut fitting = self.passing_shapes();
        let stuck = self.stuck(&fitting);
        self.leave_to_claims(&mut fitting);
        let most = fitting.iter().map(|(_, fit)| *fit).max().unwrap_or(0).min(ROUND_LIMIT);
        let most = self.startable(most);
        let urgent = self.urgent(&stuck, &fitting);
        if most == 0 && urgent.is_empty() {
            return;
        }
        let fitting: Vec<_> = fitting.into_iter().map(|(shape, _)| shape).collect();
        let waiting = self.dispatch.waiting(&fitting);
        let mut kept = self.dispatch.begin_keeping((&fitting, waiting), stuck, urgent);
        kept.first.extend(self.hurried(&fitting));
        let picks = self.picks(most, waiting, &fitting.into(), &kept);
        for (priority, pick) in picks {
            self.dispatch.awaited += 1;
            self.side.queue(priority).tell(pick);
        }
    }

    /// Whether a round may come to something that the last one did not.
    fn is_anything_new(&mut self) -> bool {
        let is_stale = std::mem::take(&mut self.dispatch.is_stale);
        self.dispatch.evicting.begin() || is_stale
    }

    /// The shapes that may start now, past every gate, and how many tasks of each do.
    pub(super) fn startable_shapes(&mut self) -> Vec<(ShapeId, u32)> {
        let mut fitting = self.passing_shapes();
        self.leave_to_claims(&mut fitting);
        fitting
    }

    /// The shapes that wait and fit somewhere now, and how many tasks of each do; what they claim was not asked for.
    fn passing_shapes(&mut self) -> Vec<(ShapeId, u32)> {
        let room = self.dispatch.fitting(&self.shapes);
        let limits = self.side.limits();
        let directives = self.side.directives();
        let refused = RefCell::new(Vec::new());
        let may = |demand: &Demand| match directives.is_tenant_paused(&demand.tenant) {
            true => 0,
            false => {
                let places = self.guard.places(&limits.quotas, demand, ROUND_LIMIT);
                demand.starts_within(self.covered(demand, places, &refused))
            }
        };
        let may = |(shape, fit): (ShapeId, u32)| Some((shape, fit.min(may(self.shapes.demand(shape)?))));
        let fitting = room.into_iter().filter_map(may).filter(|(_, fit)| *fit > 0).collect();
        self.tenants_refused(refused.into_inner());
        fitting
    }

    /// A queue's answer; with the last one of the round all are placed, in turns.
    pub(super) fn picked(&mut self, priority: Priority, answer: Picked) {
        let Picked { taken, skipped, urgent } = answer;
        self.dispatch.evicting.heard(priority, urgent);
        self.dispatch.keeping.heard(priority, skipped);
        self.dispatch.awaited = self.dispatch.awaited.saturating_sub(1);
        let (turns, is_short) = self.dispatch.ordering.picked(priority, &taken);
        self.dispatch.is_stale |= is_short;
        let given = turns.into_iter().zip(taken).map(|(turn, taken)| (turn, priority, taken));
        self.dispatch.picked.extend(given);
        if self.dispatch.awaited > 0 {
            return;
        }
        let mut picked = std::mem::take(&mut self.dispatch.picked);
        picked.sort_by_key(|(turn, ..)| *turn);
        let (now, mut back) = (self.now(), Vec::new());
        for (turn, priority, taken) in picked {
            self.dispatch.unqueued(taken.shape, priority, 1);
            if self.place(priority, taken) {
                self.dispatch.sent_behind = 0;
                self.dispatch.ordering.started(turn);
                let node = self.placed.get(&taken.task).map(|placed| &placed.node);
                self.dispatch.served(priority, taken.shape, node);
                self.history.started(now, priority);
            } else {
                self.dispatch.ordering.not_placed(turn, taken);
                back.push((priority, taken));
            }
        }
        self.dispatch.send_batches();
        self.return_to_queues(back);
        let shares = self.side.limits().scheduling.shares;
        self.dispatch.end_keeping(&self.shapes, shares);
        self.make_room();
        // Until all of it is known: what is taken out of the queues must not be what this round has taken.
        self.dispatch.awaited = 1;
        self.settle_budgets();
        self.dispatch.awaited = 0;
        self.leave_queues();
    }

    /// Sends a task to a node; `false` where none has room, or what it claims is not to be had. One that has been
    /// cancelled meanwhile is forgotten here.
    fn place(&mut self, priority: Priority, taken: Taken) -> bool {
        let Some(demand) = self.shapes.demand(taken.shape).cloned() else { return true };
        if !self.tenant_may_start(&demand) || self.stopped(priority, taken.shape).is_some() {
            return false;
        }
        if demand.gang.is_some() {
            return self.place_gang(priority, taken, &demand);
        }
        let line = Some(LineId { priority, shape: taken.shape });
        let apart = self.kept_from(taken.task);
        let asker = Asker { line, failed_on: self.failed_on.get(&taken.task), apart: &apart };
        let Some(Choice { place, request }) = self.dispatch.fleet.choose(&demand, taken.shape, asker) else {
            return false;
        };
        let node = self.dispatch.fleet.id(place).clone();
        let Some(indices) = self.take_claims(priority, &taken, &node, &demand) else { return false };
        if !self.may_still_start(taken.task) {
            self.give_back_claims(taken.task);
            self.dispatch.dropped.push(taken.task);
            self.dispatch.ordering.over(priority, taken.shape);
            // It was picked in somebody's place.
            self.dispatch.is_stale = true;
            return true;
        }
        let terms = Terms { indices, ..Terms::default() };
        self.dispatch.is_stale |= self.send(priority, taken, (&demand, Choice { place, request }), terms);
        true
    }

    /// Has a task go to the node that was chosen for it, on these terms and what is known of its wait and its past; `false`
    /// where it is not known any more.
    fn send(
        &mut self,
        priority: Priority,
        taken: Taken,
        (demand, Choice { place, request }): (&Arc<Demand>, Choice),
        terms: Terms,
    ) -> bool {
        let task = taken.task;
        let Some(seat) = self.seat(task) else { return false };
        let node = self.dispatch.fleet.id(place).clone();
        let (need, kind) = (demand.request(request).clone(), demand.kind.clone());
        let (excused, waited) = (self.blame.excused(task), self.measure_start(priority, &taken));
        let (tenant, since) = (Arc::clone(&demand.tenant), self.now());
        let is_set_aside = self.set_aside(&tenant);
        let placed = Placed {
            is_granted: false,
            node: node.clone(),
            tenant,
            since,
            priority,
            taken,
            request,
            is_set_aside,
            only_waits: demand.only_waits(),
        };
        self.take_hold(task, placed);
        let terms = Terms { request, excused, waited, ..terms };
        self.dispatch.take(place, Reservation { seat, need, terms, kind });
        self.mind_staging(&node);
        true
    }

    /// Whether a task that was picked has not been cancelled meanwhile and its graph may go on; it is active then.
    fn may_still_start(&mut self, task: TaskId) -> bool {
        if self.dispatch.leaving.iter().any(|closed| closed.tasks.contains(task)) || !self.budget_covers(task)
        {
            return false;
        }
        let is_active = self.graphs.activate(task, &mut no_effects());
        if !is_active {
            self.budget_release(task);
        }
        is_active
    }
}

//! Keeping room for what is large: feeds `policy::reserve` with what rounds show, and `policy::fleet` with what it decides.

use std::sync::Arc;

use policy::demand::Demand;
use policy::id::{NodeId, TaskId};
use policy::placement::{ShapeId, Shapes};
use policy::queue::Skipped;
use policy::reserve::{LineId, Reserve};
use policy::task::{Priority, RequestNumber};
use policy::time_slice::Shares;
use rustc_hash::FxHashMap;

use super::{Dispatch, PRIORITIES};
use crate::scheduler::SchedulerActor;

/// Starts of a round that count towards turns: beyond these every class is due anyway.
const STARTS_COUNTED: u32 = 40;

/// What is remembered of it.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    reserve: Reserve,
    /// Who was first of the lines that have missed turns.
    first: FxHashMap<LineId, TaskId>,
    /// Of the round that is under way: what had something that fits, or that would on an empty node.
    fits: [bool; 4],
    stuck: [bool; 4],
    /// Whose turn it was, and who could not use it.
    turns: Vec<(Priority, Option<Skipped>)>,
    /// How many were started.
    started: u32,
}

/// What the queues are asked beside who is next.
#[derive(Debug, Default)]
pub(in crate::scheduler) struct Kept {
    /// Lines for which there is room now that was held for them: they are asked first.
    pub(in crate::scheduler) first: Vec<LineId>,
    /// Needs that do not fit now and would on an empty node.
    pub(in crate::scheduler) stuck: Arc<[ShapeId]>,
    /// The classes whose turn it is: who of the stuck is first there?
    pub(in crate::scheduler) due: [bool; 4],
    /// Needs of urgent tasks for which others may have to stop.
    pub(in crate::scheduler) urgent: Arc<[ShapeId]>,
}

impl Kept {
    /// The needs of which a queue is to say who is first: of those that miss a turn, and of those that others may stop for.
    pub(in crate::scheduler) fn asked_of(&self, priority: Priority) -> [Arc<[ShapeId]>; 2] {
        let of = |is_asked: bool, shapes: &Arc<[ShapeId]>| {
            if is_asked { Arc::clone(shapes) } else { Arc::default() }
        };
        let (is_due, is_urgent) = (self.due[priority as usize], priority == Priority::Critical);
        [of(is_due, &self.stuck), of(is_urgent, &self.urgent)]
    }
}

impl Keeping {
    /// A queue has answered.
    pub(super) fn heard(&mut self, priority: Priority, skipped: Option<Skipped>) {
        if self.stuck[priority as usize] && self.reserve.is_due(priority) {
            self.turns.push((priority, skipped));
        }
    }
}

impl SchedulerActor {
    /// Gives up what is held for those who do not wait any more or may not start, and looks for another node where one
    /// can run them no more.
    pub(super) fn tend_holds(&mut self) {
        let waits = |line: &LineId| self.dispatch.queued_of(line.shape, line.priority) > 0;
        let gone = self.dispatch.keeping.first.keys().filter(|line| !waits(line)).copied();
        let held = self.dispatch.fleet.holds();
        let barred = held
            .iter()
            .map(|(line, _)| *line)
            .filter(|line| self.stopped(line.priority, line.shape).is_some() || !self.may_hold(*line));
        for line in gone.chain(barred).collect::<Vec<_>>() {
            self.dispatch.give_up(line.priority, line.shape);
        }
        for (line, task) in self.dispatch.fleet.holds() {
            let Some(demand) = self.shapes.demand(line.shape) else { continue };
            if !self.dispatch.fleet.hold(line, task, demand) {
                self.dispatch.keeping.reserve.lost(line);
            }
        }
        // Before what has become free is given away again.
        self.dispatch.hold_wanted(&self.shapes);
    }

    /// The needs that fit nowhere now, of those that are given here, and would on an empty node.
    pub(super) fn stuck(&mut self, fitting: &[(ShapeId, u32)]) -> Vec<ShapeId> {
        let has_room = |shape: &ShapeId| fitting.binary_search_by_key(shape, |(fits, _)| *fits).is_ok();
        let Dispatch { fleet, queued, .. } = &mut self.dispatch;
        let without = queued.keys().copied().filter(|shape| !has_room(shape));
        let could =
            |shape: &ShapeId| self.shapes.demand(*shape).is_some_and(|demand| fleet.is_able(demand, *shape));
        let mut stuck: Vec<_> = without.filter(could).collect();
        stuck.retain(|shape| self.may_keep(*shape));
        stuck.sort_unstable();
        stuck
    }

    /// Whether tasks of this need might start if there were room.
    fn may_keep(&self, shape: ShapeId) -> bool {
        self.shapes.demand(shape).is_some_and(|demand| {
            self.tenant_may_keep(demand) && self.claim_in_the_way(shape, demand).is_none()
        })
    }

    /// Whether what is held for this line may be of use: others may be about to let go of what it claims.
    fn may_hold(&self, line: LineId) -> bool {
        let is_expected = || line.priority == Priority::Critical && self.is_room_on_its_way(line.shape);
        let tenant_may = || self.shapes.demand(line.shape).is_some_and(|demand| self.tenant_may_keep(demand));
        self.may_keep(line.shape) || (is_expected() && tenant_may())
    }

    pub(super) fn tenant_may_keep(&self, demand: &Demand) -> bool {
        self.tenant_may_start(demand) && !self.side.directives().is_tenant_paused(&demand.tenant)
    }
}

impl Dispatch {
    /// A task of this line was started on this node.
    pub(super) fn served(&mut self, priority: Priority, shape: ShapeId, node: Option<&NodeId>) {
        self.keeping.started += 1;
        if !self.fleet.served_at(LineId { priority, shape }, node) {
            self.give_up(priority, shape);
        }
    }

    /// This node is held for a line, of which `task` is the first, since others make room for one of it there.
    pub(super) fn hold_at(
        &mut self,
        place: usize,
        (line, task): (LineId, TaskId),
        wanted: (&Demand, RequestNumber),
    ) {
        if let Some(before) = self.fleet.hold_at(place, (line, task), wanted) {
            self.keeping.reserve.lost(before);
        }
        self.keeping.first.insert(line, task);
    }

    /// Nothing is held for this line any more, and it has missed nothing.
    pub(super) fn give_up(&mut self, priority: Priority, shape: ShapeId) {
        let line = LineId { priority, shape };
        if self.keeping.first.remove(&line).is_some() {
            self.fleet.release(line);
            self.keeping.reserve.served(line);
        }
    }

    /// What a round asks the queues for the sake of those that do not fit.
    pub(super) fn begin_keeping(
        &mut self,
        (fitting, waiting): (&[ShapeId], [u64; 4]),
        stuck: Vec<ShapeId>,
        urgent: Vec<ShapeId>,
    ) -> Kept {
        let is_there = |counts: [u64; 4]| counts.map(|count| count > 0);
        let stuck_of = is_there(self.waiting(&stuck));
        let first = self.fleet.holds().into_iter().map(|(line, _)| line);
        let first = first.filter(|line| fitting.binary_search(&line.shape).is_ok()).collect();
        let keeping = &mut self.keeping;
        (keeping.fits, keeping.stuck, keeping.started) = (is_there(waiting), stuck_of, 0);
        keeping.turns.clear();
        let due = PRIORITIES.map(|one| stuck_of[one as usize] && keeping.reserve.is_due(one));
        Kept { first, stuck: stuck.into(), due, urgent: urgent.into() }
    }

    /// What a round has shown: turns that were missed, and nodes to be held.
    pub(super) fn end_keeping(&mut self, shapes: &Shapes, shares: Shares) {
        let keeping = &mut self.keeping;
        let started = std::mem::take(&mut keeping.started);
        if started > 0 {
            for (priority, skipped) in std::mem::take(&mut keeping.turns) {
                keeping.reserve.turn(priority, skipped.map(|skipped| skipped.shape));
                if let Some(Skipped { shape, task }) = skipped {
                    keeping.first.insert(LineId { priority, shape }, task);
                }
            }
            let Shares { critical, high, normal, low } = shares;
            let shares = [low, normal, high, critical].map(u32::from);
            for _ in 0..started.min(STARTS_COUNTED) {
                keeping.reserve.started(shares, keeping.fits, keeping.stuck);
            }
        }
        self.hold_wanted(shapes);
    }

    /// Has a node held for each line that wants one, in order, as far as there are any.
    fn hold_wanted(&mut self, shapes: &Shapes) {
        let Self { keeping, fleet, .. } = self;
        let first = &keeping.first;
        let mut is_over = false;
        keeping.reserve.hold(|line| {
            let wants = first.get(&line).zip(shapes.demand(line.shape)).filter(|_| !is_over);
            let Some((task, demand)) = wants else { return false };
            let is_held = fleet.hold(line, *task, demand);
            is_over = !is_held && fleet.awaits_holds(demand);
            is_held
        });
    }
}

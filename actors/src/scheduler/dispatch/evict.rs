//! Room that others make for urgent tasks: feeds `policy::preempt` with what runs, and has stopped whom it names.
//!
//! A node is held for the beneficiary (`policy::fleet`) from the moment in which its victims are asked to go, so nobody
//! else takes their room. Who leaves counts as gone at the next look, so one line has one set of victims at a time.
//!
//! Nothing is staged on a node where somebody holds something who may have to make room: an urgent task that waits there
//! is bound to that node, and what nobody knows to lack room has no room made for it.

use std::collections::BTreeMap;

use policy::constraint::AvoidFailed;
use policy::demand::Demand;
use policy::graph::TaskState;
use policy::id::{NodeId, TaskId};
use policy::placement::ShapeId;
use policy::preempt::{self, Evicted, Eviction, LEAVING_LIMIT, Preemption, Running, Site};
use policy::queue::{Arrival, Skipped, Taken};
use policy::reserve::LineId;
use policy::task::Priority;
use policy::time::Moment;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::scheduler::dispatch::stops::Stop;
use crate::scheduler::{Placed, SchedulerActor, no_effects};
use crate::wire::client;

/// What is remembered of it.
#[derive(Debug, Default)]
pub(in crate::scheduler) struct Evicting {
    /// What tasks that have not ended have put up with.
    suffered: BTreeMap<TaskId, Evicted>,
    /// Of the round that is under way: the urgent one that is first in turn and does not fit.
    first: Option<Skipped>,
    /// Attempts that may have to make room, by node.
    yielding: FxHashMap<NodeId, FxHashSet<TaskId>>,
    /// When an attempt was last taken off a node that is under critical strain.
    pub(super) relieved: BTreeMap<NodeId, Moment>,
    /// What was configured when that was last looked at.
    configured: Preemption,
}

impl Evicting {
    /// As the records say; who was to go is asked again where that is still wanted.
    pub(super) fn after(suffered: BTreeMap<TaskId, Evicted>) -> Self {
        Self { suffered, ..Self::default() }
    }

    /// A queue has answered.
    pub(super) fn heard(&mut self, priority: Priority, skipped: Option<Skipped>) {
        if priority == Priority::Critical {
            self.first = skipped;
        }
    }

    /// A task that may have to make room holds something on a node.
    pub(in crate::scheduler) fn came(&mut self, task: TaskId, node: &NodeId) {
        self.yielding.entry(node.clone()).or_default().insert(task);
    }

    /// A task holds nothing on its node any more.
    pub(in crate::scheduler) fn gone(&mut self, task: TaskId, node: &NodeId) {
        if let Some(there) = self.yielding.get_mut(node) {
            there.remove(&task);
            if there.is_empty() {
                self.yielding.remove(node);
            }
        }
    }

    /// A task has ended.
    pub(in crate::scheduler) fn ended(&mut self, task: TaskId) {
        self.suffered.remove(&task);
    }
}

impl SchedulerActor {
    /// Lets nobody wait on a node behind what may have to make room.
    pub(in crate::scheduler) fn mind_staging(&mut self, node: &NodeId) {
        if self.dispatch.evicting.yielding.contains_key(node) && self.preempts() {
            self.dispatch.fleet.unstage(node);
        }
    }

    fn preempts(&self) -> bool {
        self.side.limits().scheduling.preemption == Preemption::Critical
    }

    /// Of needs that fit nowhere now, those of urgent tasks for which others may have to make room.
    pub(super) fn urgent(&self, stuck: &[ShapeId]) -> Vec<ShapeId> {
        let is_any = self.dispatch.queued_of[Priority::Critical as usize] > 0;
        if !is_any || !self.preempts() || self.startable(1) == 0 {
            return Vec::new();
        }
        let waits = |shape: &ShapeId| self.dispatch.queued_of(*shape, Priority::Critical) > 0;
        let is_helped = |shape: &ShapeId| self.is_room_on_its_way(*shape);
        // Room is made on one node at a time: for a gang it is kept until there is enough.
        let may_be = |shape: &ShapeId| waits(shape) && !self.is_gang(*shape) && !is_helped(shape);
        stuck.iter().copied().filter(may_be).collect()
    }

    /// Whether somebody leaves for the first of this line already.
    fn is_room_on_its_way(&self, shape: ShapeId) -> bool {
        let line = LineId { priority: Priority::Critical, shape };
        let first = self.dispatch.fleet.holds().into_iter().find(|(held, _)| *held == line);
        first.is_some_and(|(_, task)| self.dispatch.stops.evicted().any(|(_, by)| by == task))
    }

    /// Has others make room for the urgent task that was first in turn and found none.
    pub(super) fn make_room(&mut self) {
        let Some(Skipped { shape, task }) = self.dispatch.evicting.first.take() else { return };
        let is_due = || self.has_less_than_its_slice(Priority::Critical) && self.lacks_room_alone(task);
        if self.urgent(&[shape]).is_empty() || !is_due() {
            return;
        }
        let Some(demand) = self.shapes.demand(shape).cloned() else { return };
        let line = LineId { priority: Priority::Critical, shape };
        let requests: Vec<_> = demand.requests().collect();
        let chosen = preempt::choose(line.priority, &requests, self.sites((line, task), &demand));
        let Some(Eviction { place, request, victims }) = chosen else { return };
        if self.dispatch.stops.leaving() + victims.len() > LEAVING_LIMIT {
            return;
        }
        self.dispatch.hold_at(place, (line, task), (&demand, request));
        for victim in victims {
            self.ask_to_stop(victim, Stop::Evict(task));
        }
    }

    fn has_less_than_its_slice(&self, priority: Priority) -> bool {
        let mut runs = [0; 4];
        self.placed.values().for_each(|placed| runs[placed.priority as usize] += 1);
        let shares = self.side.limits().scheduling.shares;
        preempt::is_short_of_its_slice(priority, shares, runs, self.dispatch.queued_of)
    }

    /// Whether nothing but room keeps a task from starting: by the gates that explain what it waits for.
    fn lacks_room_alone(&self, task: TaskId) -> bool {
        let Some(entry) = self.graphs.entry(task).filter(|entry| entry.state == TaskState::Ready) else {
            return false;
        };
        let Some(demand) = self.shapes.demand(entry.shape) else { return false };
        self.held_back(&entry).is_none()
            && self.claim_in_the_way(entry.shape, demand).is_none()
            && self.dispatch.no_node(demand, self.asker(&entry, &self.kept_from(task))).is_some()
    }

    /// The nodes where room might be made, with what runs there.
    fn sites<'a>(&'a self, (line, task): (LineId, TaskId), demand: &'a Demand) -> Vec<Site<'a>> {
        let mut nodes: Vec<_> = self.dispatch.fleet.yielding(line, demand).collect();
        let kept_from = self.kept_from(task);
        nodes.retain(|(_, id, ..)| !kept_from.contains(id));
        let must_leave = demand.constraints.avoid_failed == AvoidFailed::Require;
        if let Some(failed_on) = self.failed_on.get(&task).filter(|_| must_leave && nodes.len() > 1) {
            nodes.retain(|(_, id, ..)| *id != failed_on);
        }
        let mut running: FxHashMap<&NodeId, Vec<Running<'_>>> = FxHashMap::default();
        for (task, placed) in &self.placed {
            if let Some(one) = self.running(*task, placed) {
                running.entry(&placed.node).or_default().push(one);
            }
        }
        let site = |(place, id, capacity, is_kept)| {
            let running = running.remove(id).unwrap_or_default();
            Site { place, capacity, is_kept, running }
        };
        nodes.into_iter().map(site).collect()
    }

    pub(super) fn running<'a>(&'a self, task: TaskId, placed: &Placed) -> Option<Running<'a>> {
        let demand = self.shapes.demand(placed.taken.shape)?;
        let suffered = &self.dispatch.evicting.suffered;
        Some(Running {
            task,
            need: demand.request(placed.request),
            priority: self.queue_of(task, placed.priority),
            is_preemptible: demand.is_preemptible,
            ran: self.now().since(placed.since),
            evictions: suffered.get(&task).map_or(0, |evicted| evicted.times),
            is_leaving: self.dispatch.stops.is_asked(task),
        })
    }

    /// Somebody may have to make room since that is configured now.
    pub(in crate::scheduler) fn look_at_preemption(&mut self) {
        let configured = self.side.limits().scheduling.preemption;
        if configured != std::mem::replace(&mut self.dispatch.evicting.configured, configured) {
            self.dispatch.wake();
        }
    }

    /// An attempt has made room and is over. Where its task `waits` for another it stands in its old place, as if it had
    /// not been started.
    pub(in crate::scheduler) fn evicted(&mut self, task: TaskId, by: TaskId, waits: bool) {
        let suffered = &mut self.dispatch.evicting.suffered;
        suffered.insert(task, Evicted::again(suffered.get(&task), by));
        let mut due = no_effects();
        if let Some(entry) = self.graphs.entry(task).filter(|_| waits) {
            self.graphs.due(task, entry.position, &mut due);
        }
        let placed = self.drop_hold(task);
        // One that was granted before a restart has no old place: everybody got a new one.
        match placed {
            Some(Placed { priority, taken, .. })
                if !due.ready.is_empty() && !self.is_held(task) && taken.arrival != Arrival::default() =>
            {
                self.note_waits(&due);
                self.survey.came(taken.shape);
                self.bring_back(priority, Taken { since: self.next_arrival, ..taken });
            }
            placed => {
                if let Some(placed) = placed {
                    self.dispatch.ordering.over(placed.priority, placed.taken.shape);
                }
                self.carry_out(due);
            }
        }
    }
}

/// What is told of it.
impl SchedulerActor {
    /// Who makes room for a task, and where.
    pub(in crate::scheduler) fn evicting_for(&self, task: TaskId) -> Option<client::Evicting> {
        let leaving = self.dispatch.stops.evicted().filter(|(_, by)| *by == task);
        let tasks: Vec<_> = leaving.map(|(victim, _)| victim).collect();
        let node = self.placed.get(tasks.first()?)?.node.clone();
        Some(client::Evicting { node, tasks })
    }

    /// For whom a task makes room now.
    pub(in crate::scheduler) fn makes_room_for(&self, task: TaskId) -> Option<TaskId> {
        self.dispatch.stops.evicted().find(|(victim, _)| *victim == task).map(|(_, by)| by)
    }

    /// For whom a task has made room last, and how often it has.
    pub(in crate::scheduler) fn was_evicted(&self, task: TaskId) -> Option<Evicted> {
        self.dispatch.evicting.suffered.get(&task).copied()
    }
}

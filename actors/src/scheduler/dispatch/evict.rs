//! Room that others make for urgent tasks: feeds `policy::preempt` with what runs, and has stopped whom it names.
//!
//! A node is held for the beneficiary (`policy::fleet`) from the moment in which its victims are asked to go, so nobody
//! else takes their room. Who leaves counts as gone at the next look, so one line has one set of victims at a time.
//!
//! Nothing is staged on a node where somebody holds something who may have to make room: an urgent task that waits there
//! is bound to that node, and what nobody knows to lack room has no room made for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::claims::Lacking;
use policy::constraint::AvoidFailed;
use policy::demand::Demand;
use policy::graph::TaskState;
use policy::id::{NodeId, TaskId};
use policy::placement::ShapeId;
use policy::preempt::{self, Claimed, Evicted, Eviction, LEAVING_LIMIT, Preemption, Running, Site};
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
    /// Of the round that is under way: the urgent one that is first in turn and cannot start.
    first: Option<Skipped>,
    /// Attempts that may have to make room, by node.
    yielding: FxHashMap<NodeId, FxHashSet<TaskId>>,
    /// When an attempt was last taken off a node that is under critical strain.
    pub(super) relieved: BTreeMap<NodeId, Moment>,
    /// What was configured when that was last looked at.
    configured: Preemption,
    /// Needs for which nobody had to stop, or could so that it helped, since the last beat or somebody came who may have to.
    in_vain: FxHashSet<ShapeId>,
    /// Whether the next urgent one may have others stop, now that one has been looked at.
    is_next_due: bool,
}

impl Evicting {
    /// As the records say; who was to go is asked again where that is still wanted.
    pub(super) fn after(suffered: BTreeMap<TaskId, Evicted>) -> Self {
        Self { suffered, ..Self::default() }
    }

    /// Whether it is the next one's turn to have others stop.
    pub(super) fn begin(&mut self) -> bool {
        std::mem::take(&mut self.is_next_due)
    }

    /// A queue has answered.
    pub(super) fn heard(&mut self, priority: Priority, urgent: Option<Skipped>) {
        if priority == Priority::Critical {
            self.first = urgent;
        }
    }

    /// A task that may have to make room holds something on a node.
    pub(in crate::scheduler) fn came(&mut self, task: TaskId, node: &NodeId) {
        self.yielding.entry(node.clone()).or_default().insert(task);
        self.in_vain.clear();
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

    /// Of needs that cannot start now, those of urgent tasks for which others may have to stop: of the `stuck`, which lack room
    /// alone, and of those that wait for what others hold of the fleet's.
    pub(super) fn urgent(&self, stuck: &[ShapeId], fitting: &[(ShapeId, u32)]) -> Vec<ShapeId> {
        let is_any = self.dispatch.queued_of[Priority::Critical as usize] > 0;
        if !is_any || !self.preempts() || self.startable(1) == 0 {
            return Vec::new();
        }
        let fits = |shape: ShapeId| fitting.binary_search_by_key(&shape, |(fits, _)| *fits).is_ok();
        let claiming =
            self.claiming.waiting().filter(|shape| !fits(*shape) && stuck.binary_search(shape).is_err());
        let claiming = claiming.filter(|shape| self.lacks_what_others_claim(*shape));
        let may_be = |shape: &ShapeId| {
            let waits = self.dispatch.queued_of(*shape, Priority::Critical) > 0;
            // Room is made on one node at a time: for a gang it is kept until there is enough.
            waits && !self.is_gang(*shape) && !self.dispatch.evicting.in_vain.contains(shape)
        };
        let all = stuck.iter().copied().filter(may_be).chain(claiming.filter(may_be));
        all.filter(|shape| self.wants_more_room(*shape)).collect()
    }

    /// Whether there are urgent tasks of a demand for which nobody leaves yet. What others claim is had by one of them at a time.
    fn wants_more_room(&self, shape: ShapeId) -> bool {
        let line = LineId { priority: Priority::Critical, shape };
        let is_claiming = self.shapes.demand(shape).is_some_and(|demand| demand.claims.is_some());
        let most = if is_claiming { 1 } else { self.dispatch.queued_of(shape, Priority::Critical) };
        !self.is_room_on_its_way(shape) || self.dispatch.fleet.made_for(Some(line)) < most
    }

    /// Whether tasks of a demand wait for what others hold of the fleet's, and those could let go of it.
    fn lacks_what_others_claim(&self, shape: ShapeId) -> bool {
        let Some(demand) = self.shapes.demand(shape) else { return false };
        let lacking = self.lacking(demand).filter(|lacking| !lacking.missing.is_empty());
        lacking.is_some() && self.tenant_may_keep(demand)
    }

    /// What is missing of its claims once all have gone that leave already; `None` where it waits for something else.
    fn lacking(&self, demand: &Demand) -> Option<Lacking> {
        let Some(claims) = &demand.claims else { return Some(Lacking::default()) };
        self.claiming.table.lacking(claims, self.now(), |task| self.dispatch.stops.is_asked(task))
    }

    /// Whether somebody leaves for the first of this line already.
    pub(in crate::scheduler) fn is_room_on_its_way(&self, shape: ShapeId) -> bool {
        let line = LineId { priority: Priority::Critical, shape };
        let first = self.dispatch.fleet.holds().into_iter().find(|(held, _)| *held == line);
        first.is_some_and(|(_, task)| self.dispatch.stops.evicted().any(|(_, by)| by == task))
    }

    /// Has others stop for the urgent task that was first in turn and cannot start.
    pub(super) fn make_room(&mut self) {
        let Some(Skipped { shape, task }) = self.dispatch.evicting.first.take() else { return };
        let is_asked_for = self.preempts() && self.startable(1) > 0 && self.wants_more_room(shape);
        if !is_asked_for || !self.has_less_than_its_slice(Priority::Critical) {
            return;
        }
        self.dispatch.evicting.is_next_due = true;
        let Some((demand, lacking)) = self.lacks_only_what_others_have(task) else {
            self.dispatch.evicting.in_vain.insert(shape);
            return;
        };
        let line = LineId { priority: Priority::Critical, shape };
        if !self.is_room_on_its_way(shape) {
            // Whoever left for it has left, and it has not started there.
            self.dispatch.fleet.release_made(line);
        }
        let requests: Vec<_> = demand.requests().collect();
        let (sites, claimed) = (self.sites((line, task), &demand), self.claimed(&lacking));
        let chosen = preempt::choose(line.priority, &requests, sites, &claimed);
        if chosen.as_ref().is_none_or(|eviction| eviction.victims.is_empty()) {
            self.dispatch.evicting.in_vain.insert(shape);
        }
        let Some(Eviction { place, request, victims }) = chosen else { return };
        if self.dispatch.stops.leaving() + victims.len() > LEAVING_LIMIT {
            self.dispatch.evicting.is_next_due = false;
            return;
        }
        self.dispatch.hold_at(place, (line, task), (&demand, request));
        for victim in victims {
            self.ask_to_stop(victim, Stop::Evict(task));
        }
    }

    /// Whether a class has less than its slice, those counted with it for whom others leave.
    fn has_less_than_its_slice(&self, priority: Priority) -> bool {
        let mut runs = [0; 4];
        self.placed.values().for_each(|placed| runs[placed.priority as usize] += 1);
        runs[Priority::Critical as usize] += self.dispatch.fleet.made_for(None);
        let shares = self.side.limits().scheduling.shares;
        preempt::is_short_of_its_slice(priority, shares, runs, self.dispatch.queued_of)
    }

    /// What a task asks, and lacks of the fleet's, where nothing keeps it from starting but what others have: by the gates that
    /// explain what it waits for.
    fn lacks_only_what_others_have(&self, task: TaskId) -> Option<(Arc<Demand>, Lacking)> {
        let entry = self.graphs.entry(task).filter(|entry| entry.state == TaskState::Ready)?;
        let demand = self.shapes.demand(entry.shape)?;
        if self.held_back(&entry).is_some() {
            return None;
        }
        let lacking = self.lacking(demand)?;
        let is_right = match self.claim_in_the_way(entry.shape, demand) {
            // Else others are before it, or leave already for somebody.
            Some(_) => !lacking.missing.is_empty(),
            None => self.dispatch.no_node(demand, self.asker(&entry, &self.kept_from(task))).is_some(),
        };
        is_right.then(|| (Arc::clone(demand), lacking))
    }

    /// The same with those who have it.
    fn claimed(&self, lacking: &Lacking) -> Claimed<'_> {
        let holder = |(task, gives): (&TaskId, &Vec<u64>)| {
            Some((self.running(*task, self.placed.get(task)?)?, gives.clone()))
        };
        Claimed {
            missing: lacking.missing.clone(),
            holders: lacking.holders.iter().filter_map(holder).collect(),
        }
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
        if !std::mem::take(&mut self.dispatch.evicting.in_vain).is_empty() {
            self.dispatch.wake();
        }
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
    /// Who stops for a task, and where it is to start then.
    pub(in crate::scheduler) fn evicting_for(&self, task: TaskId) -> Option<client::Evicting> {
        let leaving = self.dispatch.stops.evicted().filter(|(_, by)| *by == task);
        let tasks: Vec<_> = leaving.map(|(victim, _)| victim).collect();
        let first = self.placed.get(tasks.first()?).map(|placed| &placed.node);
        let node = self.dispatch.fleet.held_for(task).or(first)?.clone();
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

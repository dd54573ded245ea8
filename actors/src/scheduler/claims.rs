//! What tasks claim of the fleet: asked once for each demand and round, taken when room is reserved, given back
//! when the end of the attempt is recorded.
//!
//! Decides with `policy::claims`. Demands without claims are never asked about, and where no task that waits has
//! any a round costs nothing more.

use std::sync::Arc;

use policy::claims::{
    Blocked, ClaimRules, ClaimTable, ClaimsView, Contender, Holder, Indices, Inversion, RateHistory,
    VIEW_LIMIT, WaitingView,
};
use policy::demand::Demand;
use policy::event::{Event, SchedulerEvent};
use policy::graph::LiveGrant;
use policy::hindrance::Hindrance;
use policy::id::{NodeId, TaskId};
use policy::placement::ShapeId;
use policy::queue::{Arrival, Taken};
use policy::reserve::LineId;
use policy::task::{Priority, TaskReport};
use policy::time::Moment;
use rustc_hash::FxHashMap;
use supervision::Me;

use crate::scheduler::dispatch::PRIORITIES;
use crate::scheduler::{SchedulerActor, SchedulerMessage, TIMER_RESOLUTION};
use crate::wire::client::{HOLDINGS_LIMIT, Response};

/// What is remembered of it.
#[derive(Debug)]
pub(super) struct Claiming {
    pub(super) table: ClaimTable,
    rules: Arc<ClaimRules>,
    /// About when the first came of those that wait, and which that was, by demand; only of demands with claims.
    arrivals: FxHashMap<ShapeId, (Arrival, TaskId)>,
    /// What was refused in the last round, and why.
    refused: FxHashMap<ShapeId, Blocked>,
    /// When the first of the rates that refused somebody lets somebody in.
    due: Option<Moment>,
    armed: Option<Moment>,
}

impl Claiming {
    /// Nothing held yet.
    pub(super) fn new(rules: &Arc<ClaimRules>) -> Self {
        Self {
            table: ClaimTable::new(rules),
            rules: Arc::clone(rules),
            arrivals: FxHashMap::default(),
            refused: FxHashMap::default(),
            due: None,
            armed: None,
        }
    }

    /// The demands with claims of which tasks wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = ShapeId> {
        self.arrivals.keys().copied()
    }
}

impl SchedulerActor {
    /// Tasks of a demand wait from this place in the order of arrival on.
    pub(super) fn note_arrival(&mut self, shape: ShapeId, arrival: Arrival, task: TaskId) {
        if self.shapes.demand(shape).is_some_and(|demand| demand.claims.is_some()) {
            let first = self.claiming.arrivals.entry(shape).or_insert((arrival, task));
            *first = (arrival, task).min(*first);
        }
    }

    /// Leaves of what fits somewhere what may also have its claims.
    pub(super) fn leave_to_claims(&mut self, fitting: &mut Vec<(ShapeId, u32)>) {
        let queued = self.dispatch.queued_by_shape();
        self.claiming.arrivals.retain(|shape, _| queued.contains_key(shape));
        if self.claiming.arrivals.is_empty() {
            return;
        }
        self.look_at_rules();
        let expected: Vec<_> =
            self.claiming.waiting().filter(|shape| self.is_room_on_its_way(*shape)).collect();
        let (now, shapes, queued) = (self.now(), &self.shapes, self.dispatch.queued_by_shape());
        let Claiming { table, arrivals, refused, due, .. } = &mut self.claiming;
        table.pass(now);
        let contender = |shape: ShapeId| {
            let claims = shapes.demand(shape)?.claims.as_deref()?;
            let waiting = queued.get(&shape)?;
            let most_urgent = PRIORITIES.into_iter().filter(|priority| waiting[*priority as usize] > 0);
            let arrival = arrivals.get(&shape).map_or(u64::MAX, |(arrival, _)| arrival.0);
            let is_expected = expected.contains(&shape);
            Some(Contender { shape, claims, priority: most_urgent.max()?, arrival, is_expected })
        };
        let fits = |shape: &ShapeId| fitting.binary_search_by_key(shape, |(fits, _)| *fits).is_ok();
        let absent = expected.iter().copied().filter(|shape| !fits(shape));
        let contenders = fitting.iter().map(|(shape, _)| *shape).chain(absent);
        let contenders: Vec<_> = contenders.filter_map(contender).collect();
        let answers = table.round(&contenders, now, |shape| arrivals.contains_key(&shape));
        refused.clear();
        let mut rooms: FxHashMap<ShapeId, u32> = FxHashMap::default();
        for (contender, answer) in contenders.iter().zip(answers) {
            match answer {
                Ok(room) => drop(rooms.insert(contender.shape, room)),
                Err(blocked) => {
                    if let Some(wait) = blocked.wait() {
                        let over = now + wait;
                        *due = Some(due.map_or(over, |due| due.min(over)));
                    }
                    rooms.insert(contender.shape, 0);
                    refused.insert(contender.shape, blocked);
                }
            }
        }
        for (shape, fit) in fitting.iter_mut() {
            *fit = rooms.get(shape).map_or(*fit, |room| (*room).min(*fit));
        }
        fitting.retain(|(_, fit)| *fit > 0);
        self.tell_inversions();
    }

    /// Whoever is less urgent and has to start before somebody more urgent may claim what both want: asked first of all,
    /// where priority is lent. Its line stays where it is, since it has had its turn with one start.
    pub(super) fn hurried(&self, fitting: &[ShapeId]) -> Vec<LineId> {
        if !self.graphs.lends() {
            return Vec::new();
        }
        let ahead = self.claiming.table.ahead_of_urgent().iter().copied();
        let line = |shape| {
            let waiting = self.dispatch.queued_by_shape().get(&shape)?;
            let priority = PRIORITIES.into_iter().rev().find(|one| waiting[*one as usize] > 0)?;
            Some(LineId { priority, shape })
        };
        ahead.filter(|shape| fitting.binary_search(shape).is_ok()).filter_map(line).collect()
    }

    /// Tells of the urgent that wait for what the less urgent hold, once of each two. A holder runs already, and cannot
    /// be hurried: it waits for nothing.
    fn tell_inversions(&mut self) {
        for Inversion { shape, priority, what, holder, holder_priority } in self.claiming.table.inversions() {
            let Some((_, task)) = self.claiming.arrivals.get(&shape).copied() else { continue };
            let (graph, what) = (self.graph_of(task).map_or(0, |graph| graph.0), what.into());
            let event = SchedulerEvent::PriorityInverted { task, priority, what, holder, holder_priority };
            self.side.log.append(&Event::Scheduler(event), 0, graph);
        }
    }

    /// Takes what a task claims, all or nothing, and the indices among it; `None` where it is not to be had.
    pub(super) fn take_claims(
        &mut self,
        priority: Priority,
        taken: &Taken,
        node: &NodeId,
        demand: &Demand,
    ) -> Option<Indices> {
        let Some(claims) = &demand.claims else { return Some(Indices::new()) };
        let now = self.now();
        let holder = Holder { task: taken.task, node: node.clone(), priority };
        let Claiming { table, arrivals, refused, .. } = &mut self.claiming;
        match table.take(holder, claims, now) {
            Ok(indices) => {
                let shapes = &self.shapes;
                let claims_of = |shape| shapes.demand(shape)?.claims.as_deref();
                table.had_turn((taken.shape, taken.arrival.0), claims, claims_of);
                // The others of its demand came behind it.
                arrivals.insert(taken.shape, (taken.arrival.after(1), TaskId(taken.task.0 + 1)));
                Some(indices)
            }
            Err(blocked) => {
                refused.insert(taken.shape, blocked);
                None
            }
        }
    }

    /// What was reserved came to nothing.
    pub(super) fn give_back_claims(&mut self, task: TaskId) {
        if self.claiming.table.give_back(task, self.now()) {
            self.dispatch.wake();
        }
    }

    /// The end of an attempt is recorded.
    pub(super) fn end_claims(&mut self, task: TaskId, report: Option<&TaskReport>) {
        if self.claiming.table.end(task, report, std::time::Duration::ZERO, self.now()) {
            self.dispatch.wake();
        }
    }

    /// What a grant holds that was made before a restart.
    pub(super) fn restore_claims(&mut self, grant: &LiveGrant, priority: Priority, demand: &Demand) {
        let Some(claims) = &demand.claims else { return };
        let (now, age) = (self.now(), self.side.clock.wall().since(grant.at));
        let holder = Holder { task: grant.task, node: grant.node.clone(), priority };
        self.claiming.table.restore(holder, (claims, &grant.indices), age, now);
    }

    /// What rates had used before a restart, and what they are parked for.
    pub(super) fn restore_rates(&mut self, rates: &RateHistory) {
        let (wall, now) = (self.side.clock.wall(), self.now());
        rates.tell(&mut self.claiming.table, wall, now);
    }

    /// Writes down what rates have used, for the records that say so will go.
    pub(super) fn write_usage(&mut self) {
        let (wall, now) = (self.side.clock.wall(), self.now());
        self.claiming.table.pass(now);
        let usage = self.claiming.table.usage(wall, now);
        if !usage.is_empty() {
            self.side.log.append(&Event::Scheduler(SchedulerEvent::RatesUsed(usage)), 0, 0);
        }
    }

    /// Takes over what was declared anew.
    pub(super) fn look_at_rules(&mut self) {
        let limits = self.side.limits();
        if !Arc::ptr_eq(&limits.claims, &self.claiming.rules) {
            self.claiming.table.configure(&limits.claims);
            self.claiming.rules = Arc::clone(&limits.claims);
            self.dispatch.wake();
        }
    }

    /// Why tasks of a demand cannot have what they claim.
    pub(super) fn claim_in_the_way(&self, shape: ShapeId, demand: &Demand) -> Option<Hindrance> {
        let claims = demand.claims.as_deref()?;
        let blocked = match self.claiming.table.room(claims, self.now()) {
            Err(blocked) => blocked,
            Ok(_) => self
                .claiming
                .refused
                .get(&shape)
                .filter(|blocked| matches!(blocked, Blocked::Behind { .. }))?
                .clone(),
        };
        let until = blocked.wait().map(|wait| self.side.clock.wall() + wait);
        Some(Hindrance::Claim { blocked, until })
    }

    /// What of the fleet is claimed, and who waits for it.
    pub(super) fn claims_view(&mut self) -> Response {
        let now = self.now();
        self.claiming.table.pass(now);
        let Claiming { table, arrivals, .. } = &self.claiming;
        let waiting = arrivals.iter().filter_map(|(shape, (_, task))| {
            let demand = self.shapes.demand(*shape)?;
            let waiting = self.dispatch.queued_by_shape().get(shape)?;
            let most_urgent =
                PRIORITIES.into_iter().filter(|priority| waiting[*priority as usize] > 0).max()?;
            let Hindrance::Claim { blocked, .. } = self.claim_in_the_way(*shape, demand)? else {
                return None;
            };
            Some(WaitingView { task: *task, tasks: waiting.iter().sum(), priority: most_urgent, blocked })
        });
        let mut waiting: Vec<_> = waiting.take(VIEW_LIMIT).collect();
        waiting.sort_by_key(|one| (std::cmp::Reverse(one.priority), one.task));
        Response::Claims(Box::new(ClaimsView { waiting, ..table.view(now) }))
    }

    /// Who holds what is in the way.
    pub(super) fn claim_holders(&self, hindrance: &Hindrance) -> Vec<TaskId> {
        match hindrance {
            Hindrance::Claim { blocked, .. } => self.claiming.table.in_the_way(blocked, HOLDINGS_LIMIT),
            _ => Vec::new(),
        }
    }

    /// A rate may let somebody in.
    pub(super) fn claims_due(&mut self) {
        (self.claiming.armed, self.claiming.due) = (None, None);
        self.dispatch.wake();
    }

    /// Arms the timer for the first rate that lets somebody in, unless it is armed for that or earlier.
    pub(super) fn arm_claims(&mut self, me: &Me<SchedulerMessage>) {
        let Some(due) = self.claiming.due else { return };
        if self.claiming.armed.is_none_or(|armed| armed > due) {
            self.claiming.armed = Some(due);
            me.after(due.since(self.now()).max(TIMER_RESOLUTION), SchedulerMessage::ClaimsDue);
        }
    }
}

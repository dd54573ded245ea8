//! In which order: what the queues are asked for and go by, and what each tenant holds.
//!
//! Decided by `policy::{order, ageing}` here and by `policy::share` in the queues; this feeds them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use policy::ageing::Calendar;
use policy::arrivals::Arrivals;
use policy::causes::Waited;
use policy::demand::Demand;
use policy::event::{Event, SchedulerEvent};
use policy::graph::{Ages, LiveGrant, Ready};
use policy::id::TaskId;
use policy::order::{Order, TurnId};
use policy::placement::ShapeId;
use policy::planted;
use policy::queue::{AgedLine, Arrival, Pick, Scale, Taken, weight_of};
use policy::reserve::LineId;
use policy::resources::Resources;
use policy::share::{self, WHOLE};
use policy::submission::Submission;
use policy::task::Priority;
use policy::time::Moment;
use rustc_hash::FxHashMap;
use supervision::Me;

use crate::queue::QueueMessage;
use crate::scheduler::dispatch::{Kept, PRIORITIES};
use crate::scheduler::{Placed, SchedulerActor, SchedulerMessage};
use crate::wire::client::{Response, TenantRow};

/// What the order goes by.
#[derive(Debug, Default)]
pub(super) struct Ordering {
    order: Order,
    calendar: Calendar,
    /// The needs of attempts that are over since the queue of their priority was last asked.
    ended: [Vec<ShapeId>; 4],
    /// Attempts that hold something, by need and priority.
    active: FxHashMap<ShapeId, [u64; 4]>,
    scale: Arc<Scale>,
    /// When places in the order of arrival were given out.
    arrivals: Arrivals,
    is_beating: bool,
    /// How many were asked of each queue of which aged lines were.
    asked: [u32; 4],
}

impl Ordering {
    /// An attempt is over, or was never begun.
    pub(super) fn over(&mut self, priority: Priority, shape: ShapeId) {
        self.ended[priority as usize].push(shape);
    }

    /// A queue has given this: whose turn each is, and whether that is less than it was asked for, because an aged
    /// line was gone.
    pub(super) fn picked(&mut self, priority: Priority, taken: &[Taken]) -> (Vec<TurnId>, bool) {
        let turns = taken.iter().map(|taken| self.order.served(priority, taken.shape)).collect();
        (turns, taken.len() < std::mem::take(&mut self.asked[priority as usize]) as usize)
    }

    /// Places from this one on are given out now.
    pub(super) fn arrived(&mut self, arrival: Arrival, now: Moment) {
        self.arrivals.mark(arrival, now);
    }

    /// The fleet is another one.
    pub(super) fn set_fleet(&mut self, fleet: Resources) {
        self.scale = Arc::new(Scale { fleet, weights: Arc::clone(&self.scale.weights) });
    }

    /// What was picked was sent to a node.
    pub(super) fn started(&mut self, turn: TurnId) {
        self.order.started(turn);
    }

    /// What was picked found no room after all.
    pub(super) fn not_placed(&mut self, turn: TurnId, taken: Taken) {
        self.order.put_back(turn, taken.since);
    }

    /// The order as it is now.
    pub(super) fn copy(&self) -> Order {
        self.order.clone()
    }
}

impl SchedulerActor {
    /// What each queue is asked for, where `most` may start and so many `waiting` fit.
    pub(super) fn picks(
        &mut self,
        most: u32,
        waiting: [u64; 4],
        fitting: &Arc<[ShapeId]>,
        kept: &Kept,
    ) -> Vec<(Priority, QueueMessage)> {
        let (limits, now, directives) = (self.side.limits(), self.next_arrival, self.side.directives());
        let open = |priority: Priority| !directives.is_paused(priority);
        let waiting = PRIORITIES.map(|one| if open(one) { waiting[one as usize] } else { 0 });
        let ordering = &mut self.dispatch.ordering;
        // What was read was checked.
        let _ = ordering.order.set_shares(limits.scheduling.fairness, limits.scheduling.shares);
        if !Arc::ptr_eq(&ordering.scale.weights, &limits.scheduling.weights) {
            let (fleet, weights) = (ordering.scale.fleet.clone(), Arc::clone(&limits.scheduling.weights));
            ordering.scale = Arc::new(Scale { fleet, weights });
        }
        let fits = |born, shape| open(born) && fitting.binary_search(&shape).is_ok();
        let mut plan = ordering.order.plan(most, waiting, fits);
        for LineId { priority, shape } in kept.first.iter().copied().filter(|line| open(line.priority)) {
            plan.ask_first(priority, shape, most);
        }
        let is_asked = |priority: &Priority| {
            plan.asked(*priority) > 0 || kept.asked_of(*priority).iter().any(|shapes| !shapes.is_empty())
        };
        let asked = PRIORITIES.into_iter().filter(is_asked).collect::<Vec<_>>();
        let picks = asked.into_iter().map(|priority| {
            let asked = plan.asked(priority);
            let (first, want) =
                (std::mem::take(&mut plan.first[priority as usize]), plan.want[priority as usize]);
            ordering.asked[priority as usize] = if first.is_empty() { 0 } else { asked };
            let [stuck, urgent] = kept.asked_of(priority);
            let pick = Pick { first, want, fitting: Arc::clone(fitting), now, stuck, urgent };
            let ended = std::mem::take(&mut ordering.ended[priority as usize]);
            (priority, QueueMessage::Pick { pick, ended, scale: Arc::clone(&ordering.scale) })
        });
        picks.collect()
    }

    /// A task is sent to a node: how long it has waited since it could be, and for what.
    pub(super) fn measure_start(&self, priority: Priority, taken: &Taken) -> Waited {
        let now = self.now();
        let waited = self.dispatch.ordering.arrivals.waited(taken.arrival, now);
        self.side.meters.started(priority, waited.unwrap_or_default());
        waited.map_or_else(Waited::new, |waited| self.waited_for(priority, taken, waited, now))
    }

    /// An active task holds its need.
    pub(super) fn take_hold(&mut self, task: TaskId, placed: Placed) {
        let active = self.dispatch.ordering.active.entry(placed.taken.shape).or_default();
        active[placed.priority as usize] += 1;
        self.note_placed(task, placed);
    }

    /// As [`Self::take_hold`] for one that was granted before a restart: its queue does not know of it.
    pub(super) fn take_hold_again(
        &mut self,
        grant: &LiveGrant,
        (shape, priority): (ShapeId, Priority),
        demand: &Arc<Demand>,
    ) {
        let (task, arrival) = (grant.task, Arrival::default());
        let taken = Taken { task, shape, arrival, since: arrival };
        let (tenant, since) = (Arc::clone(&demand.tenant), self.now());
        let node = grant.node.clone();
        let request = grant.request;
        let (is_set_aside, is_granted, only_waits) = (false, true, demand.only_waits());
        self.take_hold(
            task,
            Placed { node, tenant, since, priority, taken, request, is_set_aside, is_granted, only_waits },
        );
        if demand.gang.is_some() {
            self.dispatch.gangs.touch(task.into());
        }
        if planted!(CompanyForgotten) {
            self.dispatch.leave(task);
        }
        self.side.queue(priority).tell(QueueMessage::Holds { shape, demand: Arc::clone(demand) });
    }

    /// A task is active no more; whoever takes it back into its queue tells the queue so.
    pub(super) fn drop_hold(&mut self, task: TaskId) -> Option<Placed> {
        let placed = self.note_gone(task)?;
        let active = &mut self.dispatch.ordering.active;
        if let Some(counts) = active.get_mut(&placed.taken.shape) {
            counts[placed.priority as usize] = counts[placed.priority as usize].saturating_sub(1);
            if counts.iter().all(|count| *count == 0) {
                active.remove(&placed.taken.shape);
            }
        }
        Some(placed)
    }

    /// An attempt is over: its queue hears of it when it is asked next.
    pub(super) fn let_go(&mut self, task: TaskId) -> Option<Placed> {
        let placed = self.drop_hold(task)?;
        self.dispatch.ordering.over(placed.priority, placed.taken.shape);
        Some(placed)
    }

    /// Whether there may be so many tenants.
    pub(super) fn check_tenants(&self, submission: &Submission) -> Result<(), Response> {
        let limit = self.side.limits().tenants;
        let stranger =
            submission.items.iter().find(|item| !self.shapes.admits_tenant(&item.spec.tenant, limit));
        match stranger {
            None => Ok(()),
            Some(item) => {
                let tenant = &item.spec.tenant;
                let reason = format!("tenant = {tenant:?}: there are {limit} tenants at once already");
                Err(Response::Refused(reason.into()))
            }
        }
    }
}

/// By how much the clock by which ages are told is ahead of the machine's: what waits may be older than the boot of its
/// machine. Longer than the longest climb.
const BEFORE_THE_BOOT: Duration = Duration::from_hours(24 * 30);

fn aged(now: Moment) -> Moment {
    now + BEFORE_THE_BOOT
}

/// Ages.
impl SchedulerActor {
    /// Fills the queues anew with what was ready before a restart: it goes on waiting since it was.
    pub(super) fn wait_again(&mut self, ages: &Ages, ready: &[Ready]) {
        let (now, wall, limits) = (aged(self.now()), self.side.clock.wall(), self.side.limits());
        let ageing = &limits.scheduling.ageing;
        let (mut marked, mut parts) = (None, ages.in_order(ready, wall).into_iter().peekable());
        while let Some((since, ready)) = parts.next() {
            self.enqueue(ready);
            // One mark a tick is enough, as for those who come later.
            let next = parts.peek().map_or(wall, |(next, _)| *next);
            if marked.is_none_or(|marked| next.since(marked) >= ageing.tick) {
                let moment = now - wall.since(since);
                self.dispatch.ordering.calendar.mark(moment, self.next_arrival, ageing);
                marked = Some(since);
            }
        }
        if planted!(AgesForgotten) {
            self.dispatch.ordering.calendar = Calendar::default();
        }
        for (LineId { priority, shape }, at) in ages.served() {
            let at = self.dispatch.ordering.calendar.before(now - wall.since(at));
            self.side.queue(priority).tell(QueueMessage::Served { shape, at });
        }
    }

    /// Looks at ages as long as anybody waits, or is to be reminded.
    pub(super) fn arm_beat(&mut self, me: &Me<SchedulerMessage>) {
        let is_of_use = self.dispatch.queued_by_priority() != [0; 4] || self.dispatch.stops.is_recalling();
        if !self.dispatch.ordering.is_beating && is_of_use {
            self.dispatch.ordering.is_beating = true;
            me.after(self.side.limits().scheduling.ageing.tick, SchedulerMessage::Beat);
        }
    }

    pub(super) fn beat(&mut self) {
        self.resume_tenants();
        self.look_at_preemption();
        self.look_at_lending();
        self.remind_stopping();
        // A place that nobody takes: so lines that are served now wait since before the next beat, also where nobody comes.
        self.next_arrival = self.next_arrival.after(1);
        let (now, next, limits) = (self.now(), self.next_arrival, self.side.limits());
        self.look_at_rules();
        let (ageing, queued) = (&limits.scheduling.ageing, self.dispatch.queued_by_priority());
        let ordering = &mut self.dispatch.ordering;
        ordering.is_beating = false;
        ordering.calendar.mark(aged(now), next, ageing);
        for priority in PRIORITIES.into_iter().filter(|priority| queued[*priority as usize] > 0) {
            let ladder = ordering.calendar.ladder(priority, aged(now), ageing);
            if !planted!(AgeingDisabled) {
                self.side.queue(priority).tell(QueueMessage::Age(Box::new(ladder)));
            }
        }
    }

    /// Lines have climbed. Whoever climbs for the first time is worth an event: one for each line and level, never
    /// one for each task that waits.
    pub(super) fn aged(&mut self, priority: Priority, lines: Vec<AgedLine>) {
        let now = self.now();
        self.side.meters.aged(lines.iter().filter(|line| line.is_news).count() as u64);
        for line in lines.iter().filter(|line| line.is_news) {
            let AgedLine { task, standing, since, .. } = *line;
            let waited = self.dispatch.ordering.calendar.waited(since, aged(now));
            let (served_as, is_late) = (standing.class, standing.is_late);
            let event = SchedulerEvent::AgedBoost { task, priority, served_as, waited, is_late };
            let graph = self.graphs.entry(task).map_or(0, |entry| entry.graph.0);
            self.side.log.append(&Event::Scheduler(event), 0, graph);
        }
        self.dispatch.ordering.order.aged(priority, lines);
    }
}

/// How things stand.
impl SchedulerActor {
    /// Every tenant that waits or holds something, by name.
    pub(super) fn tenants(&self) -> Vec<TenantRow> {
        let scale = &self.dispatch.ordering.scale;
        let limits = self.side.limits();
        let mut rows: BTreeMap<Arc<str>, TenantRow> = BTreeMap::new();
        let mut held: BTreeMap<Arc<str>, [u64; 4]> = BTreeMap::new();
        let none = [0; 4];
        let fresh = |tenant: &Arc<str>| TenantRow {
            weight: weight_of(&limits.scheduling.weights, tenant),
            tenant: Arc::clone(tenant),
            waiting: none,
            running: none,
            share_ppm: none,
            budget: self.spending_row(tenant),
        };
        let active = &self.dispatch.ordering.active;
        let queued = self.dispatch.queued_by_shape();
        let shapes = queued.iter().map(|(shape, waiting)| (*shape, *waiting, active.get(shape)));
        let others = active.iter().filter(|(shape, _)| !queued.contains_key(*shape));
        let shapes = shapes.chain(others.map(|(shape, active)| (*shape, none, Some(active))));
        for (shape, waiting, active) in shapes {
            let Some(demand) = self.shapes.demand(shape) else { continue };
            let (tenant, active) = (Arc::clone(&demand.tenant), active.copied().unwrap_or(none));
            let row = rows.entry(Arc::clone(&tenant)).or_insert_with(|| fresh(&tenant));
            let (cost, held) =
                (share::cost(&demand.resources, &scale.fleet), held.entry(tenant).or_default());
            for one in 0..4 {
                row.waiting[one] += waiting[one];
                row.running[one] += active[one];
                held[one] = held[one].saturating_add(cost.saturating_mul(active[one]));
            }
        }
        // Who is paused or was cancelled is shown, also where nothing of it waits.
        for exceeded in self.guard.tenants.all_exceeded() {
            rows.entry(Arc::clone(&exceeded.tenant)).or_insert_with(|| fresh(&exceeded.tenant));
        }
        for (tenant, held) in held {
            if let Some(row) = rows.get_mut(&tenant) {
                row.share_ppm = held.map(|held| held / (WHOLE / 1_000_000));
            }
        }
        rows.into_values().collect()
    }
}

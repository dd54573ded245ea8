//! What a task waits for: asks every gate that would be asked, then its queue who is before it.

use std::sync::Arc;
use std::time::Duration;

use policy::demand::Demand;
use policy::event::LogPosition;
use policy::explain::{self, Ahead, Holding, Pace, Verdict};
use policy::fleet::Asker;
use policy::graph::{EntryView, Lent, TaskState};
use policy::hindrance::Hindrance;
use policy::id::{NodeId, TaskId, TaskRange};
use policy::placement::{Reason, ShapeId};
use policy::preempt::Evicted;
use policy::queue::InQueue;
use policy::reserve::LineId;
use policy::task::Priority;
use policy::time::Moment;
use supervision::Reply;

use crate::queue::QueueMessage;
use crate::scheduler::dispatch::PRIORITIES;
use crate::scheduler::{RawRow, SchedulerActor};
use crate::wire::client::{BLOCKERS_LIMIT, Evicting, HOLDINGS_LIMIT, WhatIf};

/// The stretch over which the ends of what runs are added up.
const HOUR: Duration = Duration::from_hours(1);

/// What the scheduler knows of a task's waiting; its queue adds who is before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawExplanation {
    /// The task.
    pub row: RawRow,
    /// In one word.
    pub verdict: Verdict,
    /// What it depends on and is not over, with its own priority and as what it is served.
    pub blocked_by: Vec<Open>,
    /// What refuses it.
    pub hindrances: Vec<Hindrance>,
    /// Who makes room for it.
    pub evicting: Option<Evicting>,
    /// For whom it makes room.
    pub makes_room_for: Option<TaskId>,
    /// As what it is served, and whose priority that is, where that is another's.
    pub lent: Option<Lent>,
    /// For whom it has made room last.
    pub evicted: Option<Evicted>,
    /// Who holds what it needs.
    pub holdings: Vec<Holding>,
    /// Who is before it.
    pub ahead: Option<Ahead>,
    /// How long tasks that ask alike take as a rule.
    pub usual: Option<Duration>,
    /// When it should start.
    pub estimate: Option<explain::Estimate>,
}

/// Tasks that are not over, the record of their item, their own priority and as what they are served.
type Open = (TaskRange, LogPosition, [Priority; 2]);

impl SchedulerActor {
    pub(super) fn explain(
        &mut self,
        (task, what_if): (TaskId, Option<Box<WhatIf>>),
        reply: Reply<Option<RawExplanation>>,
    ) {
        let now = self.now();
        self.claiming.table.pass(now);
        let (Some(row), Some(entry)) = (self.row(task), self.graphs.entry(task)) else {
            return reply.send(None);
        };
        let mut told = RawExplanation {
            row,
            verdict: self.verdict(&entry),
            blocked_by: self.blockers(task),
            hindrances: Vec::new(),
            evicting: self.evicting_for(task),
            makes_room_for: self.makes_room_for(task),
            lent: self.graphs.lent(task),
            evicted: self.was_evicted(task),
            holdings: Vec::new(),
            ahead: None,
            usual: self.history.usual(entry.shape),
            estimate: None,
        };
        if entry.state != TaskState::Ready {
            return reply.send(Some(told));
        }
        if let Some(what_if) = what_if {
            self.suppose(&entry, &what_if, &mut told);
            return reply.send(Some(told));
        }
        told.hindrances = self.hindrances(&entry);
        told.holdings = self.holdings(&told.hindrances);
        let EntryView { shape, runs_as: priority, .. } = entry;
        let task = self.stands_for(task);
        let fitting = self.contenders(shape, told.hindrances.is_empty());
        let (waiting, order) = (self.dispatch.waiting(&fitting), self.dispatch.ordering.copy());
        let directives = self.side.directives();
        let waiting = PRIORITIES.map(|one| if directives.is_paused(one) { 0 } else { waiting[one as usize] });
        let (first, pace, fit) = (order.top(priority), self.pace(), Arc::clone(&fitting));
        let wall = self.side.clock.wall();
        let finish = move |there: Option<InQueue>| {
            let fits =
                |born, shape: ShapeId| !directives.is_paused(born) && fit.binary_search(&shape).is_ok();
            // Where it has just left its queue nobody is before it any more.
            let there = there.unwrap_or_default();
            let ahead = Ahead::of(there, priority, order, waiting, fits);
            told.verdict = explain::of_ready(&told.hindrances, &ahead);
            told.estimate = explain::estimate((told.verdict, wall), &ahead, pace, &told.holdings);
            // Nobody is before what can never run.
            told.ahead = Some(ahead).filter(|_| told.verdict != Verdict::NeverFits);
            reply.send(Some(told));
        };
        let locate = QueueMessage::Locate { task, shape, fitting, first, found: finish.into() };
        self.side.queue(priority).tell(locate);
    }

    /// What would refuse it, were its demand another one. Who is before it is not said: it would stand in another line.
    fn suppose(&self, entry: &EntryView, what_if: &WhatIf, told: &mut RawExplanation) {
        let Some(demand) = self.shapes.demand(entry.shape) else { return };
        let mut demand = Demand::clone(demand);
        what_if.change(&mut demand);
        told.hindrances = self.hindrances_of(entry, &demand);
        told.holdings = self.holdings(&told.hindrances);
        told.verdict = explain::of_ready(&told.hindrances, &Ahead::default());
        told.usual = None;
    }

    /// The needs with which a task competes: those that may start now, where it may; else those that could, were there
    /// room.
    fn contenders(&mut self, own: ShapeId, may_start: bool) -> Arc<[ShapeId]> {
        let mut fitting: Vec<_> = match may_start {
            true => self.startable_shapes().into_iter().map(|(shape, _)| shape).collect(),
            false => self.dispatch.capable(&self.shapes),
        };
        if let Err(place) = fitting.binary_search(&own) {
            fitting.insert(place, own);
        }
        fitting.into()
    }

    /// How fast starts follow each other: by the last minute, and by how long what runs takes as a rule.
    fn pace(&self) -> Pace {
        let per_hour = |one: &super::Placed| {
            let usual = self.history.usual(one.taken.shape)?;
            Some(HOUR.as_nanos().checked_div(usual.as_nanos().max(1)).unwrap_or(0))
        };
        let ends: u128 = self.placed.values().filter_map(per_hour).sum();
        let as_a_rule = HOUR.as_nanos().checked_div(ends).and_then(|nanos| u64::try_from(nanos).ok());
        Pace {
            lately: self.history.between_starts(self.now()),
            as_a_rule: as_a_rule.map(Duration::from_nanos),
        }
    }

    /// What it depends on and is not over, with the records of their items.
    fn blockers(&self, task: TaskId) -> Vec<Open> {
        let open = self.graphs.blocked_by(task, BLOCKERS_LIMIT).into_iter();
        let told = open.filter_map(|tasks| {
            let entry = self.graphs.entry(tasks.first)?;
            Some((tasks, entry.spec_position, [entry.priority, entry.runs_as]))
        });
        told.collect()
    }

    /// Of a task that is not ready: what its state says.
    fn verdict(&self, entry: &EntryView) -> Verdict {
        match entry.state {
            TaskState::Waiting => Verdict::WaitsForOthers,
            TaskState::Ready => Verdict::NotNow,
            TaskState::BackingOff => {
                let is_its = |task, since| (task, since) == (entry.task, entry.position);
                let due = self.backing_off.iter().find(|waiting| is_its(waiting.0.1, waiting.0.2));
                let wait = due.map_or_else(Duration::default, |due| due.0.0.since(self.now()));
                Verdict::ParkedUntil(self.side.clock.wall() + wait)
            }
            TaskState::Active => Verdict::Active,
            TaskState::Succeeded | TaskState::Failed | TaskState::Cancelled | TaskState::Skipped => {
                Verdict::Ended
            }
        }
    }

    /// The task as one who looks for a node.
    pub(super) fn asker<'a>(&'a self, entry: &EntryView, apart: &'a [NodeId]) -> Asker<'a> {
        let line = LineId { priority: entry.runs_as, shape: entry.shape };
        Asker { line: Some(line), failed_on: self.failed_on.get(&entry.task), apart }
    }

    /// Everything that refuses tasks of a demand now, each as its gate says it.
    pub(super) fn hindrances(&self, entry: &EntryView) -> Vec<Hindrance> {
        let demand = self.shapes.demand(entry.shape);
        demand.map_or_else(Vec::new, |demand| self.hindrances_of(entry, demand))
    }

    /// The same with another demand: by the same gates, so that what is supposed is what would be done.
    fn hindrances_of(&self, entry: &EntryView, demand: &Demand) -> Vec<Hindrance> {
        let held_back = self.held_back(entry).into_iter();
        held_back
            .chain(self.claim_in_the_way(entry.shape, demand))
            .chain(self.dispatch.no_node(demand, self.asker(entry, &self.kept_from(entry.task))))
            .collect()
    }

    /// The attempts that hold what it claims, or run on nodes that would take it if they had room, those that should
    /// end first before others.
    fn holdings(&self, hindrances: &[Hindrance]) -> Vec<Holding> {
        let full = hindrances.iter().flat_map(|hindrance| match hindrance {
            Hindrance::NoNode { nodes, .. } | Hindrance::Gang { nodes, .. } => nodes.as_slice(),
            _ => &[],
        });
        let full: Vec<_> = full
            .filter(|(_, reason)| matches!(reason, Reason::Short(_) | Reason::Keeping(_)))
            .map(|(node, _)| node)
            .collect();
        let claimed: Vec<_> = hindrances.iter().flat_map(|hindrance| self.claim_holders(hindrance)).collect();
        if full.is_empty() && claimed.is_empty() {
            return Vec::new();
        }
        let now = self.now();
        let is_meant = |(task, placed): &(&TaskId, &super::Placed)| {
            full.contains(&&placed.node) || claimed.contains(task)
        };
        let held = self.placed.iter().filter(is_meant);
        let mut holdings: Vec<_> = held.map(|(task, placed)| self.holding(*task, placed, now)).collect();
        holdings.sort_by_key(|holding| (holding.free_in.is_none(), holding.free_in, holding.task));
        holdings.truncate(HOLDINGS_LIMIT);
        holdings
    }

    fn holding(&self, task: TaskId, placed: &super::Placed, now: Moment) -> Holding {
        let held_for = now.since(placed.since);
        let shape = self.graphs.entry(task).map(|entry| entry.shape);
        let usual = shape.and_then(|shape| self.history.usual(shape));
        let free_in = usual.map(|usual| usual.saturating_sub(held_for));
        Holding { task, priority: placed.priority, node: placed.node.clone(), held_for, free_in }
    }
}

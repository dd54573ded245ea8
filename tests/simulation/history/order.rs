//! Who came first, against who should have: I8.
//!
//! Looked at are tasks whose readiness the records show without the scheduler's word: no dependencies, no claims, no
//! limit of an array, no attempt yet. A task is looked at as what it is served as (`lending`). Slices and order hold within one reign: a new one begins anew. What starts at
//! one moment is one round, whose records come node by node: who of them was first cannot be told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policy::constraint::Constraints;
use policy::event::{Event, GraphEvent, SchedulerEvent, TaskEvent};
use policy::id::{TaskId, TaskRange};
use policy::resources::Resources;
use policy::task::Priority;
use policy::time::Timestamp;

use super::index::Index;
use super::lending::{Change, Served};
use super::{Findings, History};

/// By priority: the part of all starts that each has while all wait, in percent.
const SHARES: [u64; 4] = [5, 15, 30, 50];

/// Starts by which a priority may be away from its share: what a node has no room for after all is counted again.
const SLICE_SLACK: u64 = 30;

/// How many younger equals may start before a task: those of the same round, on other nodes.
const OVERTAKEN_LIMIT: u64 = 24;

/// What makes tasks equals: of them the first that came is the first to start.
type Kind = (Priority, Vec<Resources>, Box<str>, Constraints, bool, Option<Arc<str>>);

#[derive(Default)]
struct Pass {
    kinds: Vec<(Kind, BTreeSet<TaskId>)>,
    kind_of: BTreeMap<TaskId, usize>,
    /// When each task was first granted: what is placed in one round is recorded node by node, and nobody of it overtakes.
    moments: BTreeMap<TaskId, Timestamp>,
    /// How many younger equals have started before a task that waits.
    overtaken: BTreeMap<TaskId, Overtaken>,
    /// Starts by priority since all four wait, without those of this moment.
    started: [u64; 4],
    /// Those of this moment.
    starting: [u64; 4],
    now: Timestamp,
    /// Whether tenants may not start whatever fits, or what waits climbs within seconds: then slices are not what decides.
    are_gated: bool,
}

/// By how many a task was overtaken: at earlier moments, and at the last one.
#[derive(Debug, Clone, Copy, Default)]
struct Overtaken {
    before: u64,
    at: Timestamp,
    at_once: u64,
}

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let limits = &history.limits;
    let climbs = limits.scheduling.ageing.base <= super::patience::LONG;
    let are_gated = climbs || !limits.quotas.are_unlimited() || !limits.budgets.are_unlimited();
    let mut pass = Pass { moments: moments(history), are_gated, ..Pass::default() };
    let (mut admitted, mut served) = (BTreeMap::new(), Served::new(history, index));
    for (_, record) in &history.records {
        for change in served.hear(&record.event) {
            pass.served_anew(&change, &served);
        }
        match &record.event {
            Event::Graph(graph, GraphEvent::ItemAdmitted(_)) => {
                let place = admitted.entry(*graph).and_modify(|place| *place += 1).or_insert(0_usize);
                let info = index.graphs.get(graph);
                if let Some((item, range)) = info.and_then(|info| info.items.get(*place)) {
                    let is_free = item.dependencies.is_empty()
                        && item.spec.claims.is_none()
                        && info.is_some_and(|info| info.head.budget.is_unlimited());
                    if is_free && item.array.is_none_or(|array| array.parallel_limit.is_none()) {
                        let spec = &item.spec;
                        let tenant = spec.tenant.to_string().into();
                        let kind = (
                            served.of(range.first),
                            spec.requests().cloned().collect(),
                            tenant,
                            spec.constraints.clone(),
                            spec.is_preemptible,
                            spec.kind.clone(),
                        );
                        pass.admit(kind, *range);
                    }
                }
            }
            Event::Graph(graph, GraphEvent::CancelAsked) => {
                let items = index.graphs.get(graph).map_or(&[][..], |info| info.items.as_slice());
                items.iter().flat_map(|(_, range)| range.iter()).for_each(|task| pass.leave(task));
            }
            Event::Task { task, event: TaskEvent::Granted { .. }, .. } => {
                pass.granted(*task, record.at, served.of(*task), findings);
                pass.leave(*task);
            }
            Event::Task { task, .. } => pass.leave(*task),
            Event::Scheduler(SchedulerEvent::Started { .. }) => pass.new_reign(),
            _ => {}
        }
    }
}

/// When each task was first granted.
fn moments(history: &History) -> BTreeMap<TaskId, Timestamp> {
    let mut moments = BTreeMap::new();
    for (_, record) in &history.records {
        if let Event::Task { task, event: TaskEvent::Granted { .. }, .. } = &record.event {
            moments.entry(*task).or_insert(record.at);
        }
    }
    moments
}

impl Pass {
    fn admit(&mut self, kind: Kind, tasks: TaskRange) {
        let known = self.kinds.iter().position(|(known, _)| *known == kind);
        let place = known.unwrap_or(self.kinds.len());
        if known.is_none() {
            self.kinds.push((kind, BTreeSet::new()));
        }
        for task in tasks.iter() {
            self.kinds[place].1.insert(task);
            self.kind_of.insert(task, place);
        }
    }

    /// Tasks are served as another priority: among those that came as these did where their graph comes in, else behind
    /// others of whom it is not known which.
    fn served_anew(&mut self, change: &Change, served: &Served<'_>) {
        let Some(place) = self.kind_of.get(&change.tasks.first).copied() else {
            return change.tasks.iter().for_each(|task| self.leave(task));
        };
        let mut kind = self.kinds[place].0.clone();
        kind.0 = served.of(change.tasks.first);
        change.tasks.iter().for_each(|task| self.leave(task));
        if change.is_coming {
            self.admit(kind, change.tasks);
        }
    }

    fn leave(&mut self, task: TaskId) {
        if let Some(place) = self.kind_of.remove(&task) {
            self.kinds[place].1.remove(&task);
            self.overtaken.remove(&task);
        }
    }

    fn new_reign(&mut self) {
        self.overtaken.clear();
        (self.started, self.starting) = ([0; 4], [0; 4]);
    }

    fn granted(&mut self, task: TaskId, at: Timestamp, priority: Priority, findings: &mut Findings) {
        if let Some(place) = self.kind_of.get(&task) {
            let moment = self.moments.get(&task);
            let later = |elder: &&TaskId| self.moments.get(elder) != moment;
            for elder in self.kinds[*place].1.range(..task).filter(later) {
                let overtaken = self.overtaken.entry(*elder).or_default();
                if at > overtaken.at {
                    overtaken.before += std::mem::take(&mut overtaken.at_once);
                    overtaken.at = at;
                }
                overtaken.at_once += 1;
                findings.expect("I8", overtaken.before <= OVERTAKEN_LIMIT, || {
                    format!("{elder} was overtaken by {} that came later, then by {task}", overtaken.before)
                });
            }
        }
        if at > self.now {
            self.next_moment(at, findings);
        }
        if !self.are_gated && self.all_wait() {
            self.starting[priority as usize] += 1;
        } else {
            (self.started, self.starting) = ([0; 4], [0; 4]);
        }
    }

    /// Looks at what has started until now.
    fn next_moment(&mut self, at: Timestamp, findings: &mut Findings) {
        self.now = at;
        let starting = std::mem::take(&mut self.starting);
        self.started.iter_mut().zip(starting).for_each(|(sum, more)| *sum += more);
        let all: u64 = self.started.iter().sum();
        for (started, share) in self.started.iter().zip(SHARES) {
            findings.expect("I8", started.abs_diff(all * share / 100) <= SLICE_SLACK, || {
                format!("of {all} starts by priority {:?}, while all wait", self.started)
            });
        }
    }

    /// Whether there is a need of which tasks of all priorities wait.
    fn all_wait(&self) -> bool {
        let waiting = |priority: Priority| {
            self.kinds.iter().filter(move |(kind, tasks)| kind.0 == priority && !tasks.is_empty())
        };
        waiting(Priority::Low).any(|(low, _)| {
            let same =
                |priority| waiting(priority).any(|(other, _)| (&other.1, &other.3) == (&low.1, &low.3));
            [Priority::Normal, Priority::High, Priority::Critical].into_iter().all(same)
        })
    }
}

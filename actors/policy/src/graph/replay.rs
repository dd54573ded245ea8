//! Makes the table again from the records of the log.
//!
//! Records win over what was worked out: a task whose grant stands behind the cancellation of its graph is
//! active and to be told, a skipped one that was cancelled first is cancelled. So it does not matter that
//! records of different actors can be in another order in the log than the one in which the table heard of
//! them; the end is the same.

mod recovered;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::blame::Blame;
use crate::claims::Claims;
use crate::demand::Demand;
use crate::event::{Event, GraphEvent, GraphPart, LogPosition, Next, Record, SchedulerEvent, TaskEvent};
use crate::graph::Graphs;
use crate::graph::ages::Ages;
use crate::graph::build::{Builder, ItemShape, Malformed, Opening};
use crate::graph::effects::{Effects, Mark};
use crate::graph::state::TaskState;
use crate::graph::stranded::{Stranded, Told};
use crate::graph::table::Graph;
use crate::id::{GraphId, NodeId, TaskId, TaskRange};
use crate::placement::Shapes;
use crate::preempt::Evicted;
use crate::task::TaskOutcome;
use crate::time::Timestamp;

pub use crate::graph::replay::recovered::{BackingOff, LiveGrant, Recovered};

/// The table while it is made from records, given in the order of the log.
#[derive(Debug)]
pub struct Replay {
    graphs: Graphs,
    shapes: Shapes,
    building: BTreeMap<GraphId, Building>,
    live: FxHashMap<TaskId, LiveGrant>,
    backing_off: FxHashMap<TaskId, BackingOff>,
    failed_on: BTreeMap<TaskId, NodeId>,
    /// For whom attempts that have not ended are to make room.
    leaving: FxHashMap<TaskId, TaskId>,
    evicted: BTreeMap<TaskId, Evicted>,
    blame: Blame,
    stranded: Stranded,
    ages: Ages,
    /// Back from a recorded end, without a record of that so far.
    revived: BTreeSet<TaskId>,
    effects: Effects,
    unknown: u64,
}

/// What is made of the records that come: a graph, or what is added to one.
#[derive(Debug)]
enum Building {
    Graph(Box<Graph>, Builder),
    Part(GraphPart, Timestamp, Builder),
}

impl Building {
    fn builder(&mut self) -> &mut Builder {
        match self {
            Self::Graph(_, builder) | Self::Part(.., builder) => builder,
        }
    }
}

impl Replay {
    /// Starts with nothing but the shapes that are to have their ids.
    #[must_use]
    pub fn new(shapes: Shapes) -> Self {
        Self {
            graphs: Graphs::new(),
            shapes,
            building: BTreeMap::new(),
            live: FxHashMap::default(),
            backing_off: FxHashMap::default(),
            failed_on: BTreeMap::new(),
            leaving: FxHashMap::default(),
            evicted: BTreeMap::new(),
            blame: Blame::default(),
            ages: Ages::default(),
            stranded: Stranded::default(),
            revived: BTreeSet::new(),
            effects: Effects::default(),
            unknown: 0,
        }
    }

    /// Takes in the next record, which starts at `position`.
    ///
    /// # Errors
    ///
    /// When the record of a graph contradicts the records before it.
    pub fn apply(&mut self, position: LogPosition, record: &Record) -> Result<(), Malformed> {
        match &record.event {
            Event::Graph(graph, event) => self.graph_event(*graph, event, (position, record.at))?,
            Event::Task { task, sequence, event, .. } => {
                self.task_event(*task, event, Mark { position, sequence: *sequence, at: record.at });
            }
            // Whoever was writing a graph then has never acknowledged it.
            Event::Scheduler(SchedulerEvent::Started { .. }) => self.building.clear(),
            Event::Node(..)
            | Event::Scheduler(
                SchedulerEvent::Stopped
                | SchedulerEvent::Operated { .. }
                | SchedulerEvent::Pressure(_)
                | SchedulerEvent::AgedBoost { .. }
                | SchedulerEvent::Directed { .. }
                | SchedulerEvent::TenantBudgetReached(_)
                | SchedulerEvent::TenantResumed { .. }
                | SchedulerEvent::TenantSpent(_)
                | SchedulerEvent::RatesUsed(_)
                | SchedulerEvent::PriorityInverted { .. }
                | SchedulerEvent::PriorityLent { .. }
                | SchedulerEvent::Audited { .. },
            ) => {}
        }
        for ready in &self.effects.ready {
            self.ages.became_ready(ready.tasks, record.at);
        }
        self.revived.extend(self.effects.revived.iter().flat_map(|tasks| tasks.iter()));
        self.effects.clear();
        Ok(())
    }

    /// The table, as far as the records go.
    #[must_use]
    pub fn graphs(&self) -> &Graphs {
        &self.graphs
    }

    /// The graph of a task, as far as the records go.
    #[must_use]
    pub fn graph_of(&self, task: TaskId) -> Option<GraphId> {
        self.graphs.find(task).map(|(graph, _)| graph.id)
    }

    /// The tenant of a task, as far as the records go.
    #[must_use]
    pub fn tenant_of(&self, task: TaskId) -> Option<Arc<str>> {
        let demand = self.shapes.demand(self.graphs.entry(task)?.shape)?;
        Some(Arc::clone(&demand.tenant))
    }

    /// What a task claims, as far as the records go; `None` where that is nothing.
    #[must_use]
    pub fn claims_of(&self, task: TaskId) -> Option<Arc<Claims>> {
        self.shapes.demand(self.graphs.entry(task)?.shape)?.claims.clone()
    }

    /// The node on which a task's attempt runs, and what sort of work it is, as far as the records go.
    #[must_use]
    pub fn where_it_runs(&self, task: TaskId) -> Option<(&NodeId, Option<&Arc<str>>)> {
        let grant = self.live.get(&task)?;
        let demand = self.shapes.demand(self.graphs.entry(task)?.shape);
        Some((&grant.node, demand.and_then(|demand| demand.kind.as_ref())))
    }

    /// All records have been given.
    #[must_use]
    pub fn finish(mut self) -> Recovered {
        self.stranded.retain(|tasks| self.graphs.any_ready(tasks));
        let mut live: Vec<_> = self.live.into_values().collect();
        live.sort_unstable_by_key(|grant| grant.task);
        for grant in &mut live {
            if let Some(entry) = self.graphs.entry(grant.task) {
                grant.position = entry.position;
                grant.cancel_asked = entry.cancel_asked;
            }
        }
        let mut backing_off: Vec<_> = self.backing_off.into_values().collect();
        backing_off.retain(|one| {
            self.graphs.entry(one.task).is_some_and(|entry| entry.state == TaskState::BackingOff)
        });
        backing_off.sort_unstable_by_key(|one| one.task);
        let is_open = |task: &TaskId| self.graphs.entry(*task).is_some_and(|entry| !entry.state.is_ended());
        self.failed_on.retain(|task, _| is_open(task));
        self.evicted.retain(|task, _| is_open(task));
        self.blame.retain(is_open);
        self.revived.retain(|task| self.graphs.entry(*task).is_some());
        Recovered {
            ready: self.graphs.ready(),
            closed: self.graphs.unrecorded(),
            revived: self.revived.into_iter().map(TaskRange::from).collect(),
            graphs: self.graphs,
            shapes: self.shapes,
            live,
            backing_off,
            failed_on: self.failed_on,
            evicted: self.evicted,
            blame: self.blame,
            ages: self.ages,
            stranded: self.stranded,
            unknown: self.unknown,
        }
    }

    fn graph_event(
        &mut self,
        graph: GraphId,
        event: &GraphEvent,
        (position, at): (LogPosition, Timestamp),
    ) -> Result<(), Malformed> {
        match event {
            GraphEvent::Admitted(head) => {
                self.graphs.next = self.graphs.next.max(graph.0.saturating_add(head.tasks));
                let blank = Graph::blank(&Opening { graph, position, at, head });
                self.building.insert(graph, Building::Graph(Box::new(blank), Builder::new(graph, head)));
            }
            GraphEvent::Extended(part) => {
                self.graphs.next = self.graphs.next.max(part.first.0.saturating_add(part.tasks));
                match self.graphs.graph(graph) {
                    Some(known) => {
                        let part = Building::Part(part.clone(), at, Builder::adding(known, part));
                        self.building.insert(graph, part);
                    }
                    None => self.unknown += 1,
                }
            }
            GraphEvent::ItemAdmitted(item) => {
                if let Some(building) = self.building.get_mut(&graph) {
                    let shape = self.shapes.adopt(&Demand::of(&item.spec));
                    building.builder().push(&ItemShape::of(item, shape, position));
                } else {
                    self.unknown += 1;
                }
            }
            GraphEvent::CancelAsked => {
                self.graphs.cancel_graph(graph, at, &mut self.effects);
            }
            GraphEvent::BudgetReached { .. } | GraphEvent::Resumed { .. } => {}
            GraphEvent::Unschedulable { tasks, reason } => {
                let reason = Arc::clone(reason);
                self.stranded.tell(Told { graph, tasks: *tasks, reason, position });
            }
            GraphEvent::Schedulable { tasks } => self.stranded.take_back(*tasks),
            GraphEvent::Prioritised { tasks, priority } => {
                self.graphs.prioritise((graph, *tasks), *priority, &mut self.effects);
            }
        }
        if self.building.get_mut(&graph).is_some_and(|building| building.builder().is_full()) {
            self.built(graph)?;
        }
        Ok(())
    }

    fn built(&mut self, graph: GraphId) -> Result<(), Malformed> {
        match self.building.remove(&graph) {
            Some(Building::Graph(blank, builder)) => self.graphs.insert(*blank, builder, &mut self.effects),
            Some(Building::Part(part, at, builder)) => {
                self.graphs.join(graph, (&part, at), builder, &mut self.effects)
            }
            None => Ok(()),
        }
    }

    fn task_event(&mut self, task: TaskId, event: &TaskEvent, mark: Mark) {
        let (graphs, effects) = (&mut self.graphs, &mut self.effects);
        if graphs.find(task).is_none() {
            graphs.next = graphs.next.max(task.0.saturating_add(1));
            self.unknown += 1;
            return;
        }
        match event {
            TaskEvent::Granted { token, attempt, node, session, request, indices, .. } => {
                graphs.granted(task, *attempt, mark, effects);
                if let Some(entry) = graphs.entry(task) {
                    self.ages.granted(task, (entry.priority, entry.shape), mark.at);
                }
                let (node, position, cancel_asked) = (node.clone(), mark.position, false);
                let grant = LiveGrant {
                    task,
                    token: *token,
                    attempt: *attempt,
                    node,
                    session: *session,
                    request: *request,
                    position,
                    cancel_asked,
                    started: false,
                    indices: indices.clone(),
                    at: mark.at,
                };
                self.live.insert(task, grant);
                self.backing_off.remove(&task);
            }
            TaskEvent::ReportIgnored { .. } | TaskEvent::StepBegan { .. } => graphs.noted(task, mark),
            TaskEvent::EvictAsked { by, .. } => {
                graphs.noted(task, mark);
                self.leaving.insert(task, *by);
            }
            TaskEvent::Started { .. } => {
                graphs.noted(task, mark);
                self.live.entry(task).and_modify(|grant| grant.started = true);
            }
            TaskEvent::CancelAsked => {
                graphs.noted(task, mark);
                graphs.cancel_task(task, mark.at, effects);
            }
            TaskEvent::AttemptEnded { outcome, next, .. } => {
                let grant = self.live.remove(&task);
                let leaving = self.leaving.remove(&task).filter(|_| outcome.is_preempted());
                if let Some(by) = leaving {
                    self.evicted.insert(task, Evicted::again(self.evicted.get(&task), by));
                }
                let died = grant.as_ref().filter(|grant| grant.started && outcome.is_death());
                note_death(&mut self.blame, task, (died, &self.live));
                match next {
                    Next::Finish(outcome) => graphs.ended(task, outcome.into(), mark, effects),
                    Next::RetryAfter(wait) => {
                        graphs.backs_off(task, mark, effects);
                        let (due, since) = (mark.at + *wait, mark.position);
                        self.backing_off.insert(task, BackingOff { task, due, since });
                        let failed = grant.filter(|_| !outcome.is_put_off());
                        self.failed_on.extend(failed.map(|grant| (task, grant.node)));
                    }
                }
            }
            TaskEvent::Finished(outcome) => graphs.ended(task, outcome.into(), mark, effects),
            TaskEvent::RetryAsked => {
                self.revived.remove(&task);
                self.blame.forgive(task);
                graphs.retry(task, mark, effects);
            }
        }
    }
}

/// An attempt is over; with its machine, where it was granted like this.
fn note_death(
    blame: &mut Blame,
    task: TaskId,
    (died, live): (Option<&LiveGrant>, &FxHashMap<TaskId, LiveGrant>),
) {
    let Some(grant) = died else { return blame.left(task) };
    let there = live.values().filter(|other| other.node == grant.node);
    blame.died(task, there.map(|other| other.task));
}

impl From<&TaskOutcome> for TaskState {
    fn from(outcome: &TaskOutcome) -> Self {
        match outcome {
            TaskOutcome::Succeeded => Self::Succeeded,
            TaskOutcome::Failed(_) | TaskOutcome::Poisoned(_) | TaskOutcome::OutOfRetries { .. } => {
                Self::Failed
            }
            TaskOutcome::Cancelled => Self::Cancelled,
            TaskOutcome::Skipped(_) => Self::Skipped,
        }
    }
}

#[cfg(test)]
mod tests;

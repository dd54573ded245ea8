//! What graphs may use up: asked before an attempt is sent out, charged when it is over.
//!
//! A graph that is paused keeps its ready tasks out of the queues; the table says which they are.

use policy::budget::{Charge, OnReached, Raise, Reached, Start};
use policy::event::{Event, GraphEvent};
use policy::graph::{Closed, ClosedBy, Effects, TaskState};
use policy::id::{GraphId, TaskId};
use supervision::Reply;

use crate::scheduler::SchedulerActor;
use crate::task::{Acknowledge, Purpose};
use crate::wire::client::{BudgetRow, Response, Target};

impl SchedulerActor {
    pub(super) fn graph_of(&self, task: TaskId) -> Option<GraphId> {
        self.graphs.entry(task).map(|entry| entry.graph)
    }

    /// Whether an attempt at a task may be sent out as far as its graph's budget goes. What follows where it may not
    /// is done with [`Self::settle_budgets`], at the end of the round.
    pub(super) fn budget_covers(&mut self, task: TaskId) -> bool {
        if self.guard.ledger.is_empty() {
            return true;
        }
        let Some(graph) = self.graph_of(task) else { return true };
        match self.guard.ledger.reserve(graph) {
            Start::Yes => true,
            // Somebody has asked for another try of what had ended with the budget.
            Start::Held => {
                self.guard.to_hold.push(graph);
                false
            }
            Start::Reached(reached, follows) => {
                self.guard.due.push((graph, reached, follows));
                false
            }
        }
    }

    /// What was sent out came back before it was granted.
    pub(super) fn budget_release(&mut self, task: TaskId) {
        if let Some(graph) = self.graph_of(task).filter(|_| !self.guard.ledger.is_empty()) {
            self.guard.ledger.release(graph);
        }
    }

    pub(super) fn budget_granted(&mut self, task: TaskId) {
        if let Some(graph) = self.graph_of(task).filter(|_| !self.guard.ledger.is_empty()) {
            self.guard.ledger.granted(graph, task);
        }
    }

    /// An attempt is over.
    pub(super) fn budget_charge(&mut self, task: TaskId, charge: &Charge) {
        if let Some(graph) = self.graph_of(task).filter(|_| !self.guard.ledger.is_empty())
            && let Some((reached, follows)) = self.guard.ledger.charge(graph, charge)
        {
            self.guard.due.push((graph, reached, follows));
        }
    }

    /// A task has ended: it does not wait for its retry any more.
    pub(super) fn budget_ended(&mut self, task: TaskId) {
        if let Some(graph) = self.graph_of(task).filter(|_| !self.guard.ledger.is_empty()) {
            self.guard.ledger.ended(graph, task);
        }
    }

    /// Whether a task that failed may be tried again; where its graph has no retry left it is ended.
    pub(super) fn budget_retry(&mut self, task: TaskId) -> bool {
        let Some(graph) = self.graph_of(task).filter(|_| !self.guard.ledger.is_empty()) else { return true };
        match self.guard.ledger.retry(graph, task) {
            Ok(()) => true,
            Err(reached) => {
                self.wake(task, Purpose::GiveUp { budget: reached.limit });
                false
            }
        }
    }

    /// Does what follows for graphs whose budget was found to be used up.
    pub(super) fn settle_budgets(&mut self) {
        for graph in std::mem::take(&mut self.guard.to_hold) {
            if !self.guard.held.contains(&graph) {
                self.hold(graph);
            }
        }
        for (graph, reached, follows) in std::mem::take(&mut self.guard.due) {
            tracing::info!(%graph, %reached, %follows, "a budget is used up");
            let event = GraphEvent::BudgetReached { reached, follows };
            self.side.log.append(&Event::Graph(graph, event), 0, graph.0);
            self.follow_budget(graph, follows);
        }
    }

    pub(super) fn follow_budget(&mut self, graph: GraphId, follows: OnReached) {
        match follows {
            OnReached::Pause => self.hold(graph),
            OnReached::Cancel => self.end_graph(graph, Acknowledge::nobody),
        }
    }

    /// Takes what is ready of a graph out of the queues.
    fn hold(&mut self, graph: GraphId) {
        self.guard.held.insert(graph);
        for ready in self.graphs.ready_of(graph) {
            let (by, was) = (ClosedBy::Cancel, TaskState::Ready);
            let (tasks, priority, shape) = (ready.tasks, ready.priority, ready.shape);
            self.leave_queue(Closed { tasks, by, was, priority, shape });
        }
    }

    /// Whether a task's graph is paused: then it is in no queue.
    pub(super) fn is_held(&self, task: TaskId) -> bool {
        !self.guard.held.is_empty()
            && self.graph_of(task).is_some_and(|graph| self.guard.held.contains(&graph))
    }

    /// Somebody says to go on, with a larger budget or as it is.
    pub(super) fn resume(&mut self, graph: GraphId, raise: &Raise, reply: Reply<Response>) {
        if self.graphs.view(graph).is_none() {
            return reply.send(Response::NotFound(Target::Graph(graph)));
        }
        let before = self.guard.ledger.account(graph).map(|account| *account.budget()).unwrap_or_default();
        let budget = raise.of(&before);
        if let Err(reached) = self.guard.ledger.resume(graph, budget) {
            return reply.send(Response::Refused(format!("{reached}: raise that to go on").into()));
        }
        self.side.log.append(&Event::Graph(graph, GraphEvent::Resumed { budget }), 0, graph.0);
        let mut tasks = 0;
        if self.guard.held.remove(&graph) {
            let ready = self.graphs.ready_of(graph);
            tasks = ready.iter().map(|ready| u64::from(ready.tasks.count)).sum();
            self.carry_out(Effects { ready, ..Effects::default() });
        }
        let answer = Response::Resumed { tasks };
        self.side.log.when_durable(self.side.log.last(), move || reply.send(answer));
    }

    pub(super) fn budget_row(&self, graph: GraphId) -> Option<Box<BudgetRow>> {
        let account = self.guard.ledger.account(graph)?;
        let reached: Option<Reached> = self.guard.ledger.reached(graph);
        Some(Box::new(BudgetRow { budget: *account.budget(), spent: *account.spent(), reached }))
    }
}

//! Gangs: one stands in its queue as the first of its members, is sent out whole, and is recalled where it is not whole any
//! more.
//!
//! Decides with `policy::gang` from how the members stand, whenever that has changed, so what brought it about makes no
//! difference: a node that took nothing, a machine that is lost, a member that failed, a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policy::constraint::AvoidFailed;
use policy::demand::Demand;
use policy::fleet::Asker;
use policy::gang::{self, Next};
use policy::graph::{Closed, Ready, TaskState};
use policy::hindrance::Hindrance;
use policy::id::{NodeId, TaskId, TaskRange};
use policy::placement::{Choice, ShapeId};
use policy::queue::Taken;
use policy::reserve::LineId;
use policy::task::Priority;

use crate::node::Terms;
use crate::queue::QueueMessage;
use crate::scheduler::dispatch::stops::Stop;
use crate::scheduler::{SchedulerActor, no_effects};

/// What is remembered of them.
#[derive(Debug, Default)]
pub(in crate::scheduler) struct Gangs {
    /// Members that stand otherwise than when their gang was last looked at.
    touched: BTreeSet<TaskId>,
    /// Those who stand in a queue for their gang.
    standing: BTreeSet<TaskId>,
}

impl Gangs {
    /// These stand otherwise than before.
    pub(in crate::scheduler) fn touch(&mut self, tasks: TaskRange) {
        self.touched.extend(tasks.iter());
    }

    /// Of these, those who stand in a queue: they do no more.
    pub(super) fn leave(&mut self, tasks: TaskRange) -> Vec<TaskId> {
        self.touch(tasks);
        let standing: Vec<_> = self.standing.range(tasks.first..tasks.end()).copied().collect();
        for task in &standing {
            self.standing.remove(task);
        }
        standing
    }

    /// Whether one stands in a queue.
    pub(in crate::scheduler) fn is_any_standing(&self) -> bool {
        !self.standing.is_empty()
    }
}

impl SchedulerActor {
    /// Whether tasks that need this are of gangs.
    pub(in crate::scheduler) fn is_gang(&self, shape: ShapeId) -> bool {
        self.shapes.demand(shape).is_some_and(|demand| demand.gang.is_some())
    }

    /// Whether a task is of a gang.
    pub(in crate::scheduler) fn is_in_gang(&self, task: TaskId) -> bool {
        self.graphs.entry(task).is_some_and(|entry| self.is_gang(entry.shape))
    }

    /// A task stands otherwise than before: its gang, if it is in one, is looked at.
    pub(in crate::scheduler) fn mind_gang(&mut self, task: TaskId) {
        if self.is_in_gang(task) {
            self.dispatch.gangs.touch(task.into());
        }
    }

    /// The task in the queue that stands for this one.
    pub(in crate::scheduler) fn stands_for(&self, task: TaskId) -> TaskId {
        let members = if self.is_in_gang(task) { self.graphs.gang(task) } else { Vec::new() };
        let standing = members.iter().find(|(one, _)| self.dispatch.gangs.standing.contains(one));
        standing.map_or(task, |(one, _)| *one)
    }

    /// Does what is to be done with the gangs that stand otherwise than before.
    pub(super) fn tend_gangs(&mut self) {
        while let Some(task) = self.dispatch.gangs.touched.pop_first() {
            let members = self.graphs.gang(task);
            for (member, _) in &members {
                self.dispatch.gangs.touched.remove(member);
            }
            match gang::next(&members) {
                Next::Nothing => {}
                Next::Queue(first) => self.stand(first),
                Next::Recall { members, missing } => {
                    members.into_iter().for_each(|member| self.recall(member, missing));
                }
            }
        }
    }

    /// Into the queue for its gang, unless it is there.
    fn stand(&mut self, first: TaskId) {
        let Some(entry) = self.graphs.entry(first) else { return };
        if !self.is_held(first) && self.dispatch.gangs.standing.insert(first) {
            self.push(Ready { tasks: first.into(), priority: entry.runs_as, shape: entry.shape });
        }
    }

    fn recall(&mut self, member: TaskId, missing: TaskId) {
        if !self.dispatch.stops.is_asked(member) {
            tracing::debug!(%member, %missing, "a gang is not whole");
            self.ask_to_stop(member, Stop::Recall(missing));
        }
    }

    /// A member has stopped for the sake of its gang; where it `waits`, it does for the others of it.
    pub(in crate::scheduler) fn recalled(&mut self, task: TaskId, waits: bool) {
        let mut due = no_effects();
        if let Some(entry) = self.graphs.entry(task).filter(|_| waits) {
            self.graphs.due(task, entry.position, &mut due);
        }
        self.let_go(task);
        self.carry_out(due);
    }

    /// Takes those who stand for gangs among these out of their queues.
    pub(super) fn gangs_leave_queue(&mut self, closed: Closed) {
        for first in self.dispatch.gangs.leave(closed.tasks) {
            self.take_out_of_queue(Closed { tasks: first.into(), ..closed });
        }
    }

    /// Whether a task, or another one of its gang, may have no room where others that ask alike have.
    pub(super) fn is_any_choosy(&self, task: TaskId) -> bool {
        match self.is_in_gang(task) {
            true => self.graphs.gang(task).iter().any(|(member, _)| self.is_choosy(*member)),
            false => self.is_choosy(task),
        }
    }

    /// What keeps a ready task from standing in its queue: whom its gang lacks.
    pub(in crate::scheduler) fn gang_in_the_way(&self, task: TaskId) -> Option<Hindrance> {
        if !self.is_in_gang(task) {
            return None;
        }
        let is_lacking = |state| !matches!(state, TaskState::Ready | TaskState::Succeeded);
        let members = self.graphs.gang(task);
        let member = members.into_iter().find(|(_, state)| is_lacking(*state))?.0;
        Some(Hindrance::GangLacks { member })
    }
}

/// Placing.
impl SchedulerActor {
    /// Sends a gang to as many nodes as it needs, as [`Self::place`] does with a task.
    pub(super) fn place_gang(&mut self, priority: Priority, taken: Taken, demand: &Arc<Demand>) -> bool {
        let members = self.graphs.gang(taken.task);
        let is_leaving = self.dispatch.leaving.iter().any(|closed| closed.tasks.contains(taken.task));
        if is_leaving {
            // Whoever stands there now has come after this one.
            return self.drop_gang(priority, &taken);
        }
        if gang::next(&members) != Next::Queue(taken.task) {
            self.dispatch.gangs.standing.remove(&taken.task);
            return self.drop_gang(priority, &taken);
        }
        let left = members.iter().filter(|(_, state)| *state == TaskState::Ready);
        let left: Vec<TaskId> = left.map(|(task, _)| *task).collect();
        let line = LineId { priority, shape: taken.shape };
        let Some(choices) = self.choose_gang(&left, (line, demand)) else { return false };
        self.dispatch.gangs.standing.remove(&taken.task);
        if !self.budget_covers_all(&left) {
            return self.drop_gang(priority, &taken);
        }
        let name = |task: &TaskId| {
            let choice = choices.get(task);
            choice.map_or_else(|| NodeId::from(""), |choice| self.dispatch.fleet.id(choice.place).clone())
        };
        let nodes: Vec<NodeId> = members.iter().map(|(task, _)| name(task)).collect();
        for (task, choice) in choices {
            self.send_member(priority, Taken { task, ..taken }, (demand, choice, &nodes));
            if task != taken.task {
                // Its queue knows of the one it has given alone.
                let (shape, demand) = (taken.shape, Arc::clone(demand));
                self.side.queue(priority).tell(QueueMessage::Holds { shape, demand });
            }
        }
        self.dispatch.is_stale = true;
        true
    }

    /// It was picked and does not stand in its queue any more, or not as a whole.
    fn drop_gang(&mut self, priority: Priority, taken: &Taken) -> bool {
        self.dispatch.gangs.touch(taken.task.into());
        self.dispatch.dropped.push(taken.task);
        self.dispatch.ordering.over(priority, taken.shape);
        // It was picked in somebody's place.
        self.dispatch.is_stale = true;
        true
    }

    /// Where these members start; those first who are to avoid a node.
    fn choose_gang(
        &mut self,
        left: &[TaskId],
        (line, demand): (LineId, &Demand),
    ) -> Option<BTreeMap<TaskId, Choice>> {
        let mut order: Vec<_> = left.iter().map(|task| (*task, self.kept_from(*task))).collect();
        let avoids = demand.constraints.avoid_failed != AvoidFailed::No;
        order.sort_by_key(|(task, _)| !(avoids && self.failed_on.contains_key(task)));
        let Self { dispatch, failed_on, .. } = self;
        let asker = |apart, task| Asker { line: Some(line), failed_on: failed_on.get(task), apart };
        let members: Vec<_> = order.iter().map(|(task, apart)| (*task, asker(&**apart, task))).collect();
        let choices = dispatch.fleet.choose_gang(demand, &members)?;
        Some(order.iter().map(|(task, _)| *task).zip(choices).collect())
    }

    /// Whether attempts at all of these may be sent out as far as their graph's budget goes.
    fn budget_covers_all(&mut self, tasks: &[TaskId]) -> bool {
        let covered = tasks.iter().take_while(|task| self.budget_covers(**task)).count();
        if covered < tasks.len() {
            tasks[..covered].iter().for_each(|task| self.budget_release(*task));
        }
        covered == tasks.len()
    }

    fn send_member(
        &mut self,
        priority: Priority,
        taken: Taken,
        (demand, choice, nodes): (&Arc<Demand>, Choice, &[NodeId]),
    ) {
        if !self.graphs.activate(taken.task, &mut no_effects()) {
            return self.budget_release(taken.task);
        }
        let terms = Terms { gang: nodes.to_vec(), ..Terms::default() };
        self.send(priority, taken, (demand, choice), terms);
    }
}

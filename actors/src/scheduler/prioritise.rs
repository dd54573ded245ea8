//! An operator says anew how urgent tasks are: what waits of them goes into another queue.
//!
//! Decided by `policy::graph`; it is on record, and found there again after a restart.

use policy::event::{Event, GraphEvent};
use policy::graph::{Urgency, UrgencyRefused};
use policy::id::TaskRange;
use policy::preempt;
use policy::task::Priority;
use supervision::Reply;

use crate::scheduler::{SchedulerActor, no_effects};
use crate::wire::client::{Response, Target};

impl SchedulerActor {
    pub(super) fn prioritise(&mut self, target: Target, priority: Priority, reply: Reply<Response>) {
        let urgency = match target {
            Target::Task(task) => self.graphs.urgency_of_task(task),
            Target::Graph(graph) => match self.graphs.urgency_of_graph(graph) {
                Some(urgency) => urgency,
                None => return reply.send(Response::NotFound(target)),
            },
        };
        match urgency {
            Ok(urgency) => {
                let tasks = self.urge(&urgency, priority);
                self.when_written(reply, Response::Prioritised { tasks });
            }
            Err(UrgencyRefused::Unknown(_)) => reply.send(Response::NotFound(target)),
            Err(refused) => reply.send(Response::Refused(refused.to_string().into())),
        }
    }

    /// How many tasks that are still to be started go by it; none where it was so already.
    fn urge(&mut self, Urgency { graph, parts, waiting }: &Urgency, priority: Priority) -> u64 {
        let mut is_new = false;
        for tasks in parts.iter().copied() {
            let mut effects = no_effects();
            if !self.graphs.prioritise((*graph, tasks), priority, &mut effects) {
                continue;
            }
            is_new = true;
            self.side.log.append(
                &Event::Graph(*graph, GraphEvent::Prioritised { tasks, priority }),
                0,
                graph.0,
            );
            self.carry_out(effects);
            self.may_yield_now(tasks);
        }
        if is_new { *waiting } else { 0 }
    }

    /// What runs of them may have to make room for others from now on: nothing is to wait on its node behind it.
    fn may_yield_now(&mut self, tasks: TaskRange) {
        let placed = self.placed.iter().filter(|(task, _)| tasks.contains(**task));
        let yields = placed.filter(|(task, placed)| {
            let own = self.own_priority(**task, placed.priority);
            let demand = self.shapes.demand(placed.taken.shape);
            demand.is_some_and(|demand| preempt::may_ever_yield(demand, own))
        });
        let yielding: Vec<_> = yields.map(|(task, placed)| (*task, placed.node.clone())).collect();
        for (task, node) in yielding {
            self.dispatch.evicting.came(task, &node);
            self.mind_staging(&node);
        }
    }
}

//! The beginning of a reign: the table made again from the log.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use policy::breaker::Replay as Breakers;
use policy::event::{Event, SchedulerEvent};
use policy::graph::{Effects, LiveGrant, Recovered, Unwritten};
use policy::history::History;
use policy::id::{Epoch, NodeId, TaskId};
use policy::planted;
use policy::queue::Arrival;
use rustc_hash::FxHashMap;
use supervision::{ActorError, Me};

use crate::node::{NodeMessage, Restored};
use crate::scheduler::claims::Claiming;
use crate::scheduler::dispatch::Dispatch;
use crate::scheduler::guard::Guard;
use crate::scheduler::late::Lateness;
use crate::scheduler::reading::Reading;
use crate::scheduler::survey::Survey;
use crate::scheduler::{SchedulerActor, SchedulerMessage};
use crate::side::Side;
use crate::task::Purpose;

impl SchedulerActor {
    /// Reads the log, begins a new epoch, fills the queues, and wakes what may still run.
    pub(super) fn recover(side: Arc<Side>, me: &Me<SchedulerMessage>) -> Result<Self, ActorError> {
        let Reading { graphs, last_epoch, breakers, ledger, tenants, directives, rates, waits, .. } =
            Reading::of(&side)?;
        side.set_directives(directives);
        let epoch = Epoch(last_epoch + 1);
        side.set_epoch(if planted!(TokensBeginAgain) { Epoch(1) } else { epoch });
        side.nodes.forget_all();
        let version = env!("CARGO_PKG_VERSION").into();
        side.log.append(&Event::Scheduler(SchedulerEvent::Started { epoch: epoch.0, version }), 0, 0);
        let Recovered {
            graphs,
            shapes,
            ready,
            live,
            backing_off,
            failed_on,
            evicted,
            blame,
            ages,
            closed,
            revived,
            stranded,
            unknown,
        } = graphs.finish();
        tracing::info!(
            epoch = epoch.0,
            graphs = graphs.len(),
            live = live.len(),
            unknown,
            "recovered from the log"
        );
        let waits = waits.finish(|task| graphs.entry(task).is_some());
        let mut scheduler = Self {
            graphs,
            shapes,
            names: BTreeMap::new(),
            dispatch: Dispatch::under(&side.directives(), evicted),
            claiming: Claiming::new(&side.limits().claims),
            guard: Guard::new(&side.limits(), ledger, tenants),
            history: History::default(),
            survey: Survey::after(stranded),
            next_arrival: Arrival(1),
            placed: FxHashMap::default(),
            failed_on,
            lateness: Lateness::after(waits),
            blame,
            backing_off: BinaryHeap::new(),
            backoff_armed: None,
            unwritten: Unwritten::default(),
            continuing: false,
            waiters: FxHashMap::default(),
            side,
        };
        let out_of_retries = scheduler.settle_retries();
        let (now, wall) = (scheduler.now(), scheduler.side.clock.wall());
        for waiting in backing_off {
            let wait = (now + waiting.due.since(wall), waiting.task, waiting.since);
            scheduler.backing_off.push(Reverse(wait));
        }
        scheduler.carry_out(Effects { closed, revived, ..Effects::default() });
        let ready = scheduler.lend_again(ready);
        scheduler.wait_again(&ages, &ready);
        scheduler.restore_breakers(breakers);
        scheduler.restore_rates(&rates);
        if !planted!(ForgetLeases) {
            scheduler.restore(live);
        }
        scheduler.restore_budgets(out_of_retries);
        scheduler.restore_spending();
        scheduler.after_message(me);
        Ok(scheduler)
    }

    /// Hands every grant that may still be held to its node's actor: the node will report, or its lease end.
    fn restore(&mut self, live: Vec<LiveGrant>) {
        let mut by_node: BTreeMap<NodeId, Vec<Restored>> = BTreeMap::new();
        let mut cancelled = Vec::new();
        for grant in live {
            let (Some(seat), Some(entry)) = (self.seat(grant.task), self.graphs.entry(grant.task)) else {
                continue;
            };
            let Some(demand) = self.shapes.demand(entry.shape).cloned() else { continue };
            self.take_hold_again(&grant, (entry.shape, entry.runs_as), &demand);
            self.restore_claims(&grant, entry.runs_as, &demand);
            let (need, kind) = (demand.request(grant.request).clone(), demand.kind.clone());
            if grant.cancel_asked {
                cancelled.push(grant.task);
            }
            let restored = Restored { seat, token: grant.token, need, kind, started: grant.started };
            by_node.entry(grant.node).or_default().push(restored);
        }
        for (node, restored) in by_node {
            if let Some(address) = self.node(&node) {
                address.tell(NodeMessage::Restore(restored));
            }
        }
        for task in cancelled {
            self.tell_cancel(task, crate::task::Acknowledge::nobody());
        }
    }
}

impl SchedulerActor {
    /// Takes the retries of those that wait for one. The tasks for which none is left.
    fn settle_retries(&mut self) -> Vec<(TaskId, u64)> {
        let graphs = &self.graphs;
        self.guard.ledger.settle(|task| graphs.entry(task).map(|entry| entry.graph))
    }

    /// Goes on where budgets were used up.
    fn restore_budgets(&mut self, out_of_retries: Vec<(TaskId, u64)>) {
        for (task, budget) in out_of_retries {
            self.wake(task, Purpose::GiveUp { budget });
        }
        for (graph, follows) in self.guard.ledger.all_reached() {
            self.follow_budget(graph, follows);
        }
    }

    /// Tells the nodes how their breakers stood; what time has done to them since they see themselves.
    fn restore_breakers(&mut self, breakers: Breakers) {
        for (node, key, recorded) in breakers.finish(self.side.clock.wall()) {
            if let Some(address) = self.node(&node) {
                address.tell(NodeMessage::RestoreBreaker { key, recorded });
            }
        }
    }
}

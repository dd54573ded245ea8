//! The beginning of a reign: the table made again from the log.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

use policy::event::{Event, Record, SchedulerEvent};
use policy::graph::{Effects, LiveGrant, Recovered, Replay};
use policy::id::{Epoch, NodeId};
use policy::placement::Shapes;
use policy::queue::Arrival;
use rustc_hash::FxHashMap;
use supervision::{ActorError, Me};

use crate::node::{NodeMessage, Restored};
use crate::scheduler::dispatch::Dispatch;
use crate::scheduler::{Placed, SchedulerActor, SchedulerMessage};
use crate::side::Side;

impl SchedulerActor {
    /// Reads the log, begins a new epoch, fills the queues, and wakes what may still run.
    pub(super) fn recover(side: Arc<Side>, me: &Me<SchedulerMessage>) -> Result<Self, ActorError> {
        let (recovered, last_epoch) = replay(&side)?;
        let epoch = Epoch(last_epoch + 1);
        side.set_epoch(epoch);
        side.nodes.forget_all();
        let version = env!("CARGO_PKG_VERSION").into();
        side.log.append(&Event::Scheduler(SchedulerEvent::Started { epoch: epoch.0, version }), 0, 0);
        let Recovered { graphs, shapes, ready, live, backing_off, closed, unknown } = recovered;
        tracing::info!(
            epoch = epoch.0,
            graphs = graphs.len(),
            live = live.len(),
            unknown,
            "recovered from the log"
        );
        let mut scheduler = Self {
            graphs,
            shapes,
            names: BTreeMap::new(),
            dispatch: Dispatch::default(),
            next_arrival: Arrival(1),
            placed: FxHashMap::default(),
            backing_off: BinaryHeap::new(),
            backoff_armed: None,
            closing: VecDeque::new(),
            reviving: VecDeque::new(),
            continuing: false,
            waiters: FxHashMap::default(),
            side,
        };
        let (now, wall) = (scheduler.now(), scheduler.side.clock.wall());
        for waiting in backing_off {
            scheduler.backing_off.push(Reverse((now + waiting.due.since(wall), waiting.task)));
        }
        scheduler.carry_out(Effects { ready, closed, ..Effects::default() });
        scheduler.restore(live);
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
            let need = self.shapes.need(entry.shape).cloned().unwrap_or_default();
            self.placed.insert(grant.task, Placed { node: grant.node.clone(), arrival: Arrival::default() });
            if grant.cancel_asked {
                cancelled.push(grant.task);
            }
            let restored = Restored { seat, token: grant.token, need, started: grant.started };
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

/// Everything the log says, and the last epoch.
fn replay(side: &Side) -> Result<(Recovered, u32), ActorError> {
    let (mut replay, mut last_epoch, mut failed) = (Replay::new(Shapes::new(side.limits().shapes)), 0, None);
    side.log.settle()?;
    let replayed = side.archive.replay(&mut |position, record: Record| {
        if let Event::Scheduler(SchedulerEvent::Started { epoch, .. }) = &record.event {
            last_epoch = *epoch;
        }
        if let Err(malformed) = replay.apply(position, &record) {
            failed.get_or_insert(malformed);
        }
    })?;
    tracing::debug!(kept = replayed.kept, rebuilt = replayed.rebuilt, "read snapshots and log");
    match failed {
        Some(malformed) => Err(Box::new(malformed)),
        None => Ok((replay.finish(), last_epoch)),
    }
}

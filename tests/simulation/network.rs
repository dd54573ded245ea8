//! The links: what is said arrives late, twice or never, but in order, and ends can be cut off.
//!
//! In order, because a connection is: what an old connection still carries is dropped when a new one takes
//! its place, as the real link does it.

use actors::head::{hear_worker, lose_worker};
use actors::outlet::Outlet;
use actors::side::Side;
use actors::wire::fleet::{FromWorker, ToWorker};
use actors::worker::WorkerMessage;

use super::world::{Core, Event, World};

/// After so many milliseconds without a word an end gives a connection up, as the real link does.
const IDLE_LIMIT: u64 = 8000;

/// The way between one worker and the scheduler side.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// The connection, as the worker's end knows it.
    pub(super) at_worker: Option<u64>,
    /// The connection, as the scheduler side's end knows it.
    pub(super) at_head: Option<(u64, Outlet<ToWorker>)>,
    /// Whether nothing arrives at the scheduler side, at the worker.
    pub(super) cut: (bool, bool),
    /// When the last message arrives that is on its way up, down.
    pub(super) busy_until: (u64, u64),
    dialling: bool,
    /// The node's actor panics at the next word for the worker.
    pub(super) panics: bool,
}

impl Core {
    pub(super) fn dial_later(&mut self, node: usize) {
        if !std::mem::replace(&mut self.nodes[node].link.dialling, true) {
            let pause = self.rng.u64(100..1000);
            self.plan(pause, Event::Dial(node));
        }
    }

    pub(super) fn send_up(&mut self, node: usize, message: FromWorker) -> bool {
        let Some(connection) = self.nodes[node].link.at_worker else { return false };
        if self.nodes[node].link.cut.0 || self.happens(self.nature.lost) {
            return true;
        }
        let at = self.arrival(self.nodes[node].link.busy_until.0);
        self.nodes[node].link.busy_until.0 = at;
        if self.happens(self.nature.doubled) {
            self.plan_at(at, Event::ToHead { node, connection, message: message.clone() });
        }
        self.plan_at(at, Event::ToHead { node, connection, message });
        true
    }

    fn send_down(&mut self, node: usize, connection: u64, message: ToWorker) -> bool {
        let link = &self.nodes[node].link;
        if link.at_head.as_ref().is_none_or(|(current, _)| *current != connection) {
            return false;
        }
        if link.cut.1 || self.happens(self.nature.lost) {
            return true;
        }
        let at = self.arrival(self.nodes[node].link.busy_until.1);
        self.nodes[node].link.busy_until.1 = at;
        if self.happens(self.nature.doubled) {
            self.plan_at(at, Event::ToWorker { node, connection, message: message.clone() });
        }
        self.plan_at(at, Event::ToWorker { node, connection, message });
        true
    }

    fn arrival(&mut self, behind: u64) -> u64 {
        let delay = self.rng.u64(0..=self.nature.delay);
        (self.now() + delay).max(behind)
    }

    /// Cuts a node off for a while, in either direction or both.
    pub(super) fn cut_link(&mut self, node: usize, cut: (bool, bool), length: u64) {
        let link = &mut self.nodes[node].link;
        link.cut = (link.cut.0 || cut.0, link.cut.1 || cut.1);
        let ends = [link.at_worker, link.at_head.as_ref().map(|(connection, _)| *connection)];
        for connection in ends.into_iter().flatten() {
            let slack = self.rng.u64(0..500);
            self.plan(IDLE_LIMIT + slack, Event::Starved { node, connection });
        }
        self.plan(length, Event::HealLink { node });
    }

    pub(super) fn heal_link(&mut self, node: usize) {
        self.nodes[node].link.cut = (false, false);
        self.note(format!("n{node} is not cut off any more"));
    }

    /// Ends a connection in a way that both ends notice soon.
    pub(super) fn break_link(&mut self, node: usize) {
        if let Some(connection) = self.nodes[node].link.at_worker {
            let notices = self.rng.u64(0..20);
            self.plan(notices, Event::WorkerLoses { node, connection });
        }
        if let Some(connection) = self.nodes[node].link.at_head.as_ref().map(|(connection, _)| *connection) {
            let notices = self.rng.u64(0..20);
            self.plan(notices, Event::HeadLoses { node, connection });
        }
    }

    /// Makes everything on the way up, down, late, as when a peer is stopped for a while.
    pub(super) fn stall_link(&mut self, node: usize, (up, down): (bool, bool), length: u64) {
        let until = |stalls: bool| if stalls { length } else { 0 } + self.now();
        let (up, down) = (until(up), until(down));
        let busy = &mut self.nodes[node].link.busy_until;
        *busy = (busy.0.max(up), busy.1.max(down));
    }
}

impl World {
    pub(super) fn dial(&self, node: usize) {
        let mut core = self.core();
        core.nodes[node].link.dialling = false;
        if core.nodes[node].link.at_worker.is_some() || core.nodes[node].daemon.is_none() {
            return;
        }
        let sleeps = core.nodes[node].agent.is_some() && core.sleeping(node).is_some();
        if core.head.is_none() || sleeps || core.nodes[node].link.cut != (false, false) {
            return core.dial_later(node);
        }
        core.next_connection += 1;
        let connection = core.next_connection;
        let outlet = self.outlet(node, connection);
        let old = core.nodes[node].link.at_head.replace((connection, outlet));
        core.nodes[node].link.at_worker = Some(connection);
        let now = core.now();
        core.nodes[node].link.busy_until = (now, now);
        core.tell_worker(node, WorkerMessage::LinkUp);
        drop(core);
        if let (Some((_, side)), Some((_, outlet))) = (self.side(), old) {
            self.lose(&side, node, &outlet);
        }
    }

    fn lose(&self, side: &Side, node: usize, outlet: &Outlet<ToWorker>) {
        let name = self.name(node);
        {
            let mut core = self.core();
            let at = core.clock.wall();
            core.disconnected.push((name.clone(), at));
        }
        lose_worker(side, &name, outlet);
    }

    fn outlet(&self, node: usize, connection: u64) -> Outlet<ToWorker> {
        let world = self.clone();
        Outlet::new(move |message| {
            let mut core = world.core();
            let heartbeat = matches!(message, ToWorker::HeartbeatHeard { .. });
            if heartbeat && std::mem::take(&mut core.nodes[node].link.panics) {
                drop(core);
                std::panic::resume_unwind(Box::new("planted"));
            }
            core.send_down(node, connection, message)
        })
    }

    pub(super) fn deliver_to_head(&self, node: usize, connection: u64, message: FromWorker) {
        let Some((_, side)) = self.side() else { return };
        let current = self.core().nodes[node].link.at_head.clone();
        if let Some((_, outlet)) = current.filter(|(current, _)| *current == connection) {
            hear_worker(&side, &self.name(node), message, &outlet);
        }
    }

    pub(super) fn deliver_to_worker(&self, node: usize, connection: u64, message: ToWorker) {
        let core = self.core();
        if core.nodes[node].link.at_worker == Some(connection) {
            core.tell_worker(node, WorkerMessage::Scheduler(message));
        }
    }

    pub(super) fn worker_loses(&self, node: usize, connection: u64) {
        let mut core = self.core();
        if core.nodes[node].link.at_worker == Some(connection) {
            core.nodes[node].link.at_worker = None;
            core.tell_worker(node, WorkerMessage::LinkDown);
            core.dial_later(node);
        }
    }

    pub(super) fn head_loses(&self, node: usize, connection: u64) {
        let lost = self.core().nodes[node].link.at_head.take_if(|(current, _)| *current == connection);
        if let (Some((_, side)), Some((_, outlet))) = (self.side(), lost) {
            self.lose(&side, node, &outlet);
        }
    }

    pub(super) fn starved(&self, node: usize, connection: u64) {
        if self.core().nodes[node].link.cut != (false, false) {
            self.worker_loses(node, connection);
            self.head_loses(node, connection);
        }
    }
}

//! What operators have said of this node, and what follows on its machine.
//!
//! The scheduler keeps what was said (`policy::directive`) and sends nothing to a node that is closed; here what is
//! there already is given back, and the machine told whether to start anything.

use policy::event::NodeEvent;
use supervision::Me;

use crate::meters::NodeNews;
use crate::node::{NodeActor, NodeMessage};
use crate::scheduler::SchedulerMessage;
use crate::wire::client::Directed;
use crate::wire::fleet::{HaltState, ToWorker};

/// What the node remembers of it.
#[derive(Debug, Default)]
pub(super) struct Heeding {
    /// What the worker has said last.
    halt: HaltState,
    /// Whether it was told that the node is empty, since it is drained.
    is_drained: bool,
}

impl NodeActor {
    /// Something became of the node: recorded and counted.
    pub(super) fn news(&self, event: NodeEvent, news: NodeNews) {
        self.args.side.meters.node(news);
        self.log(event);
    }

    /// Something was said.
    pub(super) fn hear(&mut self) {
        self.label();
        self.heed();
    }

    /// Something was said, or time has passed.
    pub(super) fn heed(&mut self) {
        let side = &self.args.side;
        let directives = side.directives();
        if directives.is_halted(&self.args.node) != self.heeding.halt.told {
            self.tell_halt();
        }
        let Some(deadline) = directives.drain(&self.args.node) else {
            self.heeding.is_drained = false;
            return;
        };
        let is_due = deadline.is_some_and(|deadline| side.clock.wall() >= deadline);
        self.attempts.hand_back(is_due);
        let is_empty = self.attempts.is_empty();
        if is_empty && !std::mem::replace(&mut self.heeding.is_drained, true) {
            tracing::info!(node = %self.args.node, "drained");
            self.log(NodeEvent::Drained);
        }
    }

    /// Tells the machine whether to start anything; said again until its heartbeats say the same.
    fn tell_halt(&self) {
        let halted = self.args.side.directives().is_halted(&self.args.node);
        if let (Some(outlet), Some(session)) = (&self.outlet, self.session()) {
            outlet.send(ToWorker::Halt { session, halted });
        }
    }

    /// The worker has said whether it starts anything.
    pub(super) fn halt_heard(&mut self, halt: HaltState) {
        self.room_changed |= self.heeding.halt.here != halt.here;
        self.heeding.halt = halt;
        if halt.told != self.args.side.directives().is_halted(&self.args.node) {
            self.tell_halt();
        }
    }

    /// Whether the node takes work as far as operators go.
    pub(super) fn takes_work(&self) -> bool {
        !self.heeding.halt.here && self.args.side.directives().closed(&self.args.node).is_none()
    }

    /// Whether somebody has halted the machine on the machine itself.
    pub(super) fn is_halted_here(&self) -> bool {
        self.heeding.halt.here
    }

    /// For people.
    pub(super) fn directed(&self) -> Directed {
        let directives = self.args.side.directives();
        let drain = directives.drain(&self.args.node);
        Directed {
            cordoned: directives.is_cordoned(&self.args.node),
            draining: drain.is_some(),
            drain_deadline: drain.flatten(),
            drained: drain.is_some() && self.heeding.is_drained,
            halted: directives.is_halted(&self.args.node),
            halted_here: self.heeding.halt.here,
            said: directives.said_of(&self.args.node).cloned(),
            labels: directives.put_on(&self.args.node),
        }
    }

    /// The node is to be forgotten: it goes where nobody speaks for it and nothing is held there. One that has come
    /// back meanwhile stays.
    pub(super) fn retire(&self, me: &Me<NodeMessage>) {
        if self.session().is_none() && self.attempts.is_empty() {
            let node = self.args.node.clone();
            // Told before the name is free, so that it cannot be taken for the end of one that has it next.
            self.args.side.scheduler.tell(SchedulerMessage::NodeGone { node });
            self.args.side.nodes.forget(&self.args.node);
            me.stop();
        }
    }
}

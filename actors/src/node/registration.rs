//! A worker registers: a new session, and what it holds compared with what it was granted.

use std::sync::Arc;

use policy::constraint::{Labels, VERSION};
use policy::event::{Event, NodeEvent};
use policy::fleet::Said;
use policy::id::NodeSession;
use policy::lease::Standing;
use policy::resources::Resources;
use policy::strain::Strain;
use policy::task::LossReason;

use crate::meters::NodeNews;
use crate::node::NodeActor;
use crate::outlet::Outlet;
use crate::wire::fleet::{Registration, ToWorker};

/// What is known of the machine behind a node.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    /// Its present session; `None` while it is given up.
    pub(super) session: Option<NodeSession>,
    /// The number of its last heartbeat in this session.
    pub(super) heartbeat: u64,
    /// The life of its operating system.
    boot: Box<str>,
    /// What it has.
    pub(super) capacity: Resources,
    /// What it says of itself.
    own: Labels,
    /// The same, and over it what operators have put there.
    pub(super) labels: Arc<Labels>,
    /// The version of its program.
    pub(super) version: Box<str>,
}

impl NodeActor {
    /// Ends every earlier session of this node and begins a new one. What the worker holds under a current
    /// grant goes on; what it should hold and does not is sent again if it cannot have run, and lost if it
    /// has.
    pub(super) fn register(&mut self, registration: Registration, outlet: Outlet<ToWorker>) {
        let Registration { node: _, incarnation, boot, capacity, labels, version, inventory } = registration;
        let appended = self.args.side.log.append_numbered((0, 0), |number| {
            let (session, capacity) = (NodeSession(number), capacity.clone());
            Event::Node(self.args.node.clone(), NodeEvent::Joined { session, incarnation, capacity })
        });
        self.args.side.meters.node(NodeNews::Joined);
        let session = NodeSession(appended.number);
        let rebooted = self.machine.as_ref().is_some_and(|machine| machine.boot != boot);
        self.attempts.set_capacity(&capacity);
        let told = labels.iter().map(|(name, value)| (&**name, &**value));
        let own = Labels::of(&self.args.node.0, [(VERSION, &*version)].into_iter().chain(told));
        let labels = Arc::new(self.labelled(&own));
        self.machine =
            Some(Machine { session: Some(session), heartbeat: 0, boot, capacity, own, labels, version });
        self.outlet = Some(outlet.clone());
        // Told anew by its first heartbeat.
        self.strain = Strain::default();
        let expired = self.lease.standing(self.args.side.clock.now()) == Standing::Expired;
        self.renew();
        self.welcome(session, appended.number, outlet);
        // Before anything is sent again: what their tasks write down must not begin behind it.
        let reason = [(rebooted, LossReason::Rebooted), (expired, LossReason::LeaseExpired)];
        if let Some((_, reason)) = reason.into_iter().find(|(is_so, _)| *is_so) {
            let held = inventory.iter().map(|held| held.token).collect();
            self.attempts.lose_all_but(&held, reason);
        }
        self.reconcile(inventory);
        self.room_changed = true;
    }

    fn labelled(&self, own: &Labels) -> Labels {
        let directives = self.args.side.directives();
        let put = directives.put_on(&self.args.node);
        own.over(put.iter().map(|(name, value)| (&**name, &**value)))
    }

    /// What operators have put there may be something else now.
    pub(super) fn label(&mut self) {
        let labels = self.machine.as_ref().map(|machine| self.labelled(&machine.own));
        if let (Some(machine), Some(labels)) = (&mut self.machine, labels)
            && *machine.labels != labels
        {
            machine.labels = Arc::new(labels);
            self.room_changed = true;
        }
    }

    fn welcome(&self, session: NodeSession, number: u64, outlet: Outlet<ToWorker>) {
        let (epoch, terms) = (self.args.side.epoch(), self.args.side.terms);
        let halted = self.args.side.directives().is_halted(&self.args.node);
        self.args.side.log.when_durable(number, move || {
            outlet.send(ToWorker::Welcome { session, epoch, terms });
            if halted {
                // Before any grant.
                outlet.send(ToWorker::Halt { session, halted });
            }
        });
    }

    /// What the scheduler hears beside the room.
    pub(super) fn said(&self) -> Said {
        Said {
            labels: self.machine.as_ref().map(|machine| Arc::clone(&machine.labels)).unwrap_or_default(),
            tripped: self.tripped(),
            halted_here: self.is_halted_here(),
            strain: self.strain,
        }
    }
}

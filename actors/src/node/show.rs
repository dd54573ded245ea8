//! What a node is and holds, for who looks.

use policy::lease::Standing;
use supervision::Fact;

use crate::node::NodeActor;
use crate::wire::client::{NodeHealth, NodeRow};

impl NodeActor {
    /// The node as it stands in lists; `None` before it has registered.
    pub(super) fn describe(&self) -> Option<NodeRow> {
        let machine = self.machine.as_ref()?;
        let health = match (machine.session, self.standing) {
            (None, _) | (_, Standing::Expired) => NodeHealth::Lost,
            (_, Standing::Suspect) => NodeHealth::Suspect,
            (_, Standing::Good) => NodeHealth::Up,
        };
        let silent = self.args.side.clock.now().since(self.lease.last_heard());
        Some(NodeRow {
            node: self.args.node.clone(),
            health,
            capacity: machine.capacity.clone(),
            allocated: self.attempts.allocated(),
            running: self.attempts.running(),
            staged: self.attempts.staged(),
            heard: self.args.side.clock.wall() - silent,
            labels: machine.labels.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            version: machine.version.clone(),
            breakers: self.breakers.seen(self.args.side.clock.now()),
            directed: self.directed(),
            strain: self.strain,
        })
    }

    pub(super) fn facts(&self) -> Vec<Fact> {
        let now = self.args.side.clock.now();
        let mut facts = vec![
            Fact::new("standing", format!("{:?}", self.standing)),
            Fact::new("lease ends in", crate::say::length(self.lease.expires().since(now))),
            Fact::new("connected", self.outlet.is_some()),
            Fact::new("running", self.attempts.running()),
            Fact::new("staged", self.attempts.staged()),
            Fact::new("allocated", crate::say::resources(&self.attempts.allocated())),
            Fact::new("reservations", self.reservations),
            Fact::new("strain", self.strain),
        ];
        if let Some(machine) = &self.machine {
            let session = machine.session.map_or_else(|| "none".to_owned(), |session| session.0.to_string());
            facts.push(Fact::new("session", session));
            facts.push(Fact::new("heartbeat", machine.heartbeat));
            facts.push(Fact::new("capacity", crate::say::resources(&machine.capacity)));
        }
        for (kind, seen) in self.breakers.seen(now) {
            let which = kind.map_or_else(|| "breaker".to_owned(), |kind| format!("breaker for {kind}"));
            facts.push(Fact::new(which, seen));
        }
        facts
    }
}

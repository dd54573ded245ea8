//! What a node holds, for an operator who looks.

use supervision::Fact;

use crate::node::NodeActor;

impl NodeActor {
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

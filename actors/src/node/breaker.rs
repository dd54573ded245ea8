//! The breakers of the node: what the ends of its attempts say of it, and who may still be sent here.

use std::sync::Arc;
use std::time::Duration;

use policy::breaker::{BreakerRules, Change, End, Key, Recorded, Seen, Verdict};
use policy::event::NodeEvent;
use policy::id::{NodeSession, TaskId, Token};

use crate::node::NodeActor;

/// The end of an attempt, once it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// What it says of the node.
    pub verdict: Verdict,
    /// Its place among the grants: those granted later have larger tokens.
    pub at: Token,
    /// What sort of work it was.
    pub kind: Option<Arc<str>>,
}

impl NodeActor {
    pub(super) fn judge(&mut self, token: Token, closing: &Closing) {
        let end = End { token, at: closing.at, verdict: closing.verdict };
        let (now, rules) = (self.args.side.clock.now(), self.breaker_rules());
        let changes = self.breakers.ended(closing.kind.as_ref(), end, now, &rules);
        self.log_breakers(changes);
    }

    /// Brings a breaker to where it stood before a restart.
    pub(super) fn restore_breaker(&mut self, key: &Key, recorded: &Recorded) {
        let (now, rules) = (self.args.side.clock.now(), self.breaker_rules());
        self.breakers.apply(key, recorded, now);
        let changes = self.breakers.overdue(now, &rules);
        self.log_breakers(changes);
    }

    fn breaker_rules(&self) -> BreakerRules {
        let limits = self.args.side.limits();
        if self.args.side.is_abroad(&self.args.node) { limits.breaker_abroad } else { limits.breaker }
    }

    /// Closes a breaker because somebody says so; `false` where it is closed.
    pub(super) fn reset_breaker(&mut self, key: &Key) -> bool {
        let now = self.args.side.clock.now();
        if !self.breakers.seen(now).iter().any(|(tripped, _)| tripped == key) {
            return false;
        }
        let recorded = Recorded { change: Change::Closed, at: Token(0), left: Duration::ZERO, failures: 0 };
        self.breakers.apply(key, &recorded, now);
        self.log_breakers(vec![(key.clone(), Change::Closed)]);
        true
    }

    /// Time has passed.
    pub(super) fn tick_breakers(&mut self) {
        let changes = self.breakers.tick(self.args.side.clock.now());
        self.log_breakers(changes);
    }

    fn log_breakers(&mut self, changes: Vec<(Key, Change)>) {
        for (kind, change) in changes {
            if matches!(change, Change::Opened { .. }) {
                self.args.side.meters.tripped();
            }
            tracing::warn!(node = %self.args.node, kind = kind.as_deref(), ?change, "breaker");
            self.log(NodeEvent::Breaker { kind, change });
            self.room_changed = true;
        }
    }

    /// The session in which an attempt may be granted, if there is one and neither an operator nor a breaker is in
    /// the way.
    pub(super) fn session_for(&mut self, task: TaskId, kind: Option<&str>) -> Option<NodeSession> {
        self.session().filter(|_| self.takes_work() && self.breakers.reserve(task, kind))
    }

    /// Every breaker that lets nothing through at the moment.
    pub(super) fn tripped(&self) -> Vec<(Key, Seen)> {
        if self.breakers.is_closed() {
            return Vec::new();
        }
        let mut seen = self.breakers.seen(self.args.side.clock.now());
        seen.retain(|(_, seen)| *seen != Seen::HalfOpen { free: true });
        seen
    }
}

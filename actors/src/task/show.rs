//! What a task's actor is awake for and holds.

use supervision::{Address, Fact};

use crate::node::NodeMessage;
use crate::task::{Purpose, TaskActor};

impl TaskActor {
    /// The node for which it is awake, if it is for one.
    pub(super) fn node(&self) -> Option<&Address<NodeMessage>> {
        match &self.args.purpose {
            Purpose::Grant { node, .. } | Purpose::Resume { node } => Some(node),
            Purpose::Cancel
            | Purpose::Skip(_)
            | Purpose::Late(_)
            | Purpose::Retry
            | Purpose::GiveUp { .. } => None,
        }
    }

    pub(super) fn facts(&self) -> Vec<Fact> {
        let life = &self.story.life;
        let holder = life.holder().map_or_else(
            || "nobody".to_owned(),
            |holder| format!("{} under token {}", holder.node, holder.token),
        );
        vec![
            Fact::new("graph", self.args.seat.graph),
            Fact::new("name", &self.item.item.spec.name),
            Fact::new("held by", holder),
            Fact::new("attempts", life.attempts()),
            Fact::new("to be cancelled", life.cancel_asked()),
            Fact::new(
                "makes room for",
                life.evicted_for().map_or_else(|| "nobody".to_owned(), |by| by.to_string()),
            ),
            Fact::new("events", self.story.sequence),
            Fact::new("last record", self.story.number),
        ]
    }
}

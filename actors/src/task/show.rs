//! What a task's actor holds, for an operator who looks.

use supervision::Fact;

use crate::task::TaskActor;

impl TaskActor {
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
            Fact::new("events", self.story.sequence),
            Fact::new("last record", self.story.number),
        ]
    }
}

//! What follows from how strained the machine is: what is sent there is the scheduler's matter, what is there ours.

use policy::event::NodeEvent;
use policy::id::TaskId;
use policy::strain::{Level, Strain};

use crate::node::NodeActor;

impl NodeActor {
    /// The worker has said how strained its machine is.
    pub(super) fn strain_heard(&mut self, strain: Strain) {
        let before = std::mem::replace(&mut self.strain, strain);
        if before.level != strain.level {
            tracing::warn!(node = %self.args.node, %strain, "strained otherwise than before");
            self.log(NodeEvent::Strained(strain));
            self.room_changed = true;
        }
        if strain.level == Level::Critical {
            self.attempts.hand_back(false);
            // The scheduler looks each time whom to take off.
            self.room_changed = true;
        }
    }

    /// One attempt leaves the machine so that the system need not kill any.
    pub(super) fn relieve(&mut self, task: TaskId) {
        let Some(token) = self.attempts.token_of(task) else { return };
        if self.strain.level == Level::Critical && self.attempts.hand_back_one(token) {
            self.log(NodeEvent::Relieved { task, token, strain: self.strain });
        }
    }
}

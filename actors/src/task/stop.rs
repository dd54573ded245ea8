//! How an attempt is stopped, whatever for: the one way on which an order to stop leaves a task.

use policy::id::{TaskId, Token};

use crate::node::NodeMessage;
use crate::task::{Step, TaskActor};
use crate::wire::fleet::StopCause;

impl TaskActor {
    /// The attempt makes room for `by`, or (`is_recall`) its gang lacks that. Asked again it stops the attempt again: the order may have been lost with an
    /// earlier life of this actor.
    pub(super) fn evict(&mut self, by: TaskId, is_recall: bool) {
        if let Ok(event) = self.story.life.evict(by, is_recall) {
            let appended = self.append(|_| event.clone());
            self.tell_scheduler(Step::Noted, appended);
        }
        let life = &self.story.life;
        if let Some(token) = life.holder().map(|holder| holder.token).filter(|_| life.evicted_for().is_some())
        {
            self.stop_attempt(token, StopCause::Preempt);
        }
    }

    /// Goes the way the grant went, so that it cannot overtake it.
    pub(super) fn stop_attempt(&self, token: Token, cause: StopCause) {
        if let Some(node) = self.node().cloned() {
            let stop = NodeMessage::StopAttempt { token, cause };
            self.args.side.log.when_durable(self.story.number, move || node.tell(stop));
        }
    }
}

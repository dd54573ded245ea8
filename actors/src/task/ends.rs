//! What happens to a task between its attempts: it ends without one, or is to be tried again.

use policy::bounds::Overrun;
use policy::event::{Next, TaskEvent};
use policy::id::TaskId;
use policy::lifecycle::Refusal;
use supervision::Me;

use super::{Step, TaskActor, TaskMessage};

impl TaskActor {
    pub(super) fn skip(&mut self, because: TaskId, me: &Me<TaskMessage>) {
        self.finish(self.story.life.skip(because), me);
    }

    pub(super) fn late(&mut self, overrun: Overrun, me: &Me<TaskMessage>) {
        self.finish(self.story.life.late(overrun), me);
    }

    pub(super) fn give_up(&mut self, budget: u64, me: &Me<TaskMessage>) {
        self.finish(self.story.life.out_of_retries(budget), me);
    }

    /// It ends without an attempt, unless it cannot in its present state.
    fn finish(&mut self, event: Result<TaskEvent, Refusal>, me: &Me<TaskMessage>) {
        if let Ok(event) = event {
            let appended = self.append(|_| event.clone());
            if let TaskEvent::Finished(outcome) = event {
                self.tell_scheduler(Step::over(Next::Finish(outcome)), appended);
            }
        }
        me.stop();
    }

    pub(super) fn retry(&mut self, me: &Me<TaskMessage>) {
        if let Ok(event) = self.story.life.retry() {
            let appended = self.append(|_| event.clone());
            self.tell_scheduler(Step::RetryAsked, appended);
        }
        me.stop();
    }
}

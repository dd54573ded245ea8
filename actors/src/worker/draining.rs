//! A machine that is taken out of service: it takes nothing new, and goes when nothing is held any more.

use std::time::Duration;

use policy::task::{AttemptOutcome, LossReason};
use supervision::{Me, Reply};

use super::held::HeldAttempt;
use super::{Worker, WorkerMessage};
use crate::process::protocol::{Command, StopReason};
use crate::wire::fleet::FromWorker;

impl Worker {
    pub(super) fn drain(&mut self, within: Option<Duration>, done: Reply<()>, me: &Me<WorkerMessage>) {
        self.drain.get_or_insert_default().push(done);
        for token in self.tokens(HeldAttempt::waits_here) {
            self.ended(token, AttemptOutcome::Lost(LossReason::Evicted), me);
        }
        let hosted = self.tokens(HeldAttempt::waits_in_host);
        if !hosted.is_empty() {
            self.args.port.command(Command::Recall(hosted));
        }
        if let Some(within) = within {
            me.after(within, WorkerMessage::DrainOverdue);
        }
        self.finish_drain();
    }

    pub(super) fn stop_all(&mut self, why: StopReason, me: &Me<WorkerMessage>) {
        for token in self.tokens(|held| held.attempt.is_some() || held.waits_in_host()) {
            self.stop(token, why, me);
        }
    }

    /// Nothing is held any more: says good-bye, and the host may go.
    pub(super) fn finish_drain(&mut self) {
        if self.held.is_empty()
            && let Some(waiting) = &mut self.drain
        {
            waiting.drain(..).for_each(|done| done.send(()));
            self.args.port.command(Command::Retire);
            if let Some(session) = self.session {
                self.tell(FromWorker::Goodbye { session });
            }
        }
    }
}

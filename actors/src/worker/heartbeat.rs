//! Signs of life, with all that is held and what it uses.

use policy::id::{TaskId, Token};
use policy::sample::Sample;

use super::Worker;
use super::held::HeldAttempt;
use crate::wire::fleet::{FromWorker, HaltState, Held, Phase, SAMPLES_LIMIT};

impl Worker {
    pub(super) fn heartbeat(&mut self) {
        let Some(session) = self.session else { return };
        self.sequence += 1;
        let (sequence, sent, inventory) = (self.sequence, self.args.clock.now(), self.held());
        let halt =
            HaltState { told: self.is_halted == Some(true), here: self.args.directory.halt().exists() };
        let samples = self.samples();
        self.tell(FromWorker::Heartbeat { session, sequence, sent, inventory, halt, samples });
    }

    pub(super) fn held(&self) -> Vec<Held> {
        let told = |(token, held): (&Token, &HeldAttempt)| Held {
            token: *token,
            task: held.task,
            phase: held.phase.clone(),
        };
        self.held.iter().map(told).collect()
    }

    pub(super) fn sampled(&mut self, samples: Vec<(Token, Sample)>) {
        for (token, sample) in samples {
            if let Some(held) = self.held.get_mut(&token) {
                held.sample = Some(Box::new(sample));
            }
        }
    }

    /// Of all that runs and was looked at.
    pub(super) fn samples(&self) -> Vec<(TaskId, Sample)> {
        let running = self.held.values().filter(|held| matches!(held.phase, Phase::Running { .. }));
        running.filter_map(|held| Some((held.task, **held.sample.as_ref()?))).take(SAMPLES_LIMIT).collect()
    }
}

//! Signs of life, with all that is held and what it uses.

use policy::id::{TaskId, Token};
use policy::sample::Sample;
use policy::task::Progress;
use supervision::Me;

use super::held::HeldAttempt;
use super::{Worker, WorkerMessage, report};
use crate::wire::fleet::{FromWorker, HaltState, Held, Phase, SAMPLES_LIMIT};

impl Worker {
    pub(super) fn heartbeat(&mut self) {
        let Some(session) = self.session else { return };
        self.sequence += 1;
        let (sequence, sent, inventory) = (self.sequence, self.args.clock.now(), self.held());
        let halt =
            HaltState { told: self.is_halted == Some(true), here: self.args.directory.halt().exists() };
        let (samples, progress) = (self.samples(), self.progress());
        let strain = self.watch.strain();
        self.tell(FromWorker::Heartbeat {
            session,
            sequence,
            sent,
            inventory,
            halt,
            samples,
            progress,
            strain,
        });
    }

    pub(super) fn held(&self) -> Vec<Held> {
        let told = |(token, held): (&Token, &HeldAttempt)| Held {
            token: *token,
            task: held.task,
            phase: held.phase.clone(),
        };
        self.held.iter().map(told).collect()
    }

    /// What lasts long enough to be looked at may also say how far it is.
    pub(super) fn sampled(&mut self, samples: Vec<(Token, Sample)>, me: &Me<WorkerMessage>) {
        let mut lasting = Vec::new();
        for (token, sample) in samples {
            if let Some(held) = self.held.get_mut(&token) {
                held.sample = Some(Box::new(sample));
                lasting.push(token);
            }
        }
        if !self.is_reading_progress && !lasting.is_empty() {
            self.is_reading_progress = true;
            let directory = self.args.directory.clone();
            me.run_blocking(move || WorkerMessage::ProgressRead(report::progress(&directory, lasting)));
        }
    }

    pub(super) fn progress_read(&mut self, progress: Vec<(Token, Progress)>) {
        self.is_reading_progress = false;
        for (token, progress) in progress {
            if let Some(held) = self.held.get_mut(&token) {
                held.progress = Some(Box::new(progress));
            }
        }
    }

    fn running(&self) -> impl Iterator<Item = &HeldAttempt> {
        self.held.values().filter(|held| matches!(held.phase, Phase::Running { .. }))
    }

    /// Of all that runs and was looked at.
    fn samples(&self) -> Vec<(TaskId, Sample)> {
        let of = |held: &HeldAttempt| Some((held.task, **held.sample.as_ref()?));
        self.running().filter_map(of).take(SAMPLES_LIMIT).collect()
    }

    /// Of all that runs and says so.
    fn progress(&self) -> Vec<(TaskId, Progress)> {
        let of = |held: &HeldAttempt| Some((held.task, held.progress.as_deref()?.clone()));
        self.running().filter_map(of).take(SAMPLES_LIMIT).collect()
    }
}

//! Looks at what runs: where the system needs that, where it is limited, and now and then at all that lasts.

use std::time::Duration;

use policy::id::Token;
use policy::sample::Sample;
use policy::time::Moment;

use super::Machine;
use crate::process::host::attempt::Attempt;
use crate::process::os as system;
use crate::process::protocol::{HostReport, SAMPLES_PART};

/// Between two looks at the trees of running attempts, where the system needs them.
const WATCH_EVERY: Duration = Duration::from_secs(1);

impl Machine {
    /// Looks at the trees of those that need it.
    pub(super) fn observe(&mut self, now: Moment) {
        let (sampling, weighing) = (self.sampling.is_due(now), self.weighing.is_due(now));
        let watching = system::watches_trees() && now.since(self.observed) >= WATCH_EVERY;
        if !(sampling || weighing || watching) {
            return;
        }
        let weighs = |attempt: &Attempt| weighing && attempt.is_limited();
        let sees = |attempt: &Attempt| {
            watching || weighs(attempt) && attempt.is_scattered() || sampling && attempt.is_lasting(now)
        };
        if self.attempts.values().any(sees) {
            let roots = self.roots();
            let sight = self.sight(&roots, self.orphans.list().unwrap_or_default());
            for attempt in self.attempts.values_mut().filter(|attempt| sees(attempt)) {
                attempt.observe(&sight, &roots);
            }
            self.observed = now;
        }
        if self.attempts.values().any(weighs) {
            self.attempts
                .values_mut()
                .filter(|attempt| weighs(attempt))
                .for_each(|attempt| attempt.weigh(now));
            self.weighing.looked((now, self.clock.now()));
        }
        if sampling && self.attempts.values().any(|attempt| attempt.is_lasting(now)) {
            self.sample(now);
        }
    }

    /// Tells what all that lasts uses; its processes have just been looked at.
    fn sample(&mut self, now: Moment) {
        let at = self.clock.wall();
        let lasting = self.attempts.iter_mut().filter(|(_, attempt)| attempt.is_lasting(now));
        let samples: Vec<(Token, Sample)> =
            lasting.map(|(token, attempt)| (*token, attempt.sample(at))).collect();
        let parts = samples.chunks(SAMPLES_PART);
        self.reports.extend(parts.map(|part| HostReport::Sampled(part.to_vec())));
        self.sampling.looked((now, self.clock.now()));
    }
}

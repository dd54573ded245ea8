//! Looks at what runs: where the system needs that, where it is limited, and now and then at all that lasts.

use policy::id::Token;
use policy::sample::Sample;
use policy::time::Moment;

use super::Machine;
use crate::process::host::attempt::Attempt;
use crate::process::os as system;
use crate::process::protocol::{HostReport, SAMPLES_PART};

impl Machine {
    /// Looks at the trees of those that need it.
    pub(super) fn observe(&mut self, now: Moment) {
        let sampling = self.pace.is_due(now);
        let needs = |attempt: &Attempt| {
            system::watches_trees() || attempt.is_limited() || sampling && attempt.is_lasting(now)
        };
        if !self.attempts.values().any(needs) {
            return;
        }
        let roots = self.roots();
        let sight = self.sight(&roots, self.orphans.list().unwrap_or_default());
        for attempt in self.attempts.values_mut().filter(|attempt| needs(attempt)) {
            attempt.observe(&sight, &roots);
            attempt.weigh(now);
        }
        if sampling {
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
        self.pace.looked((now, self.clock.now()));
    }
}

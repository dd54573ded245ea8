//! What an attempt uses while it runs, as it was seen last, and how often that is looked at.
//!
//! Must not know how it is measured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::{Moment, Timestamp};

/// Between two looks at everything that runs, 2 s: what is shorter is not looked at, and a person does not see more.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(2);
/// How many times as long as a look takes must pass before the next: looking takes a fiftieth of a core at the most.
const SAMPLE_REST: u32 = 50;
/// Between two looks at what is limited, 100 ms: what grows as fast as memory can be filled has a few hundred MB by then.
const WEIGH_EVERY: Duration = Duration::from_millis(100);
/// As [`SAMPLE_REST`]: a tenth of a core, because what is not seen in time takes the machine with it.
const WEIGH_REST: u32 = 10;

/// What all processes of an attempt use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sample {
    /// When it was seen.
    pub at: Timestamp,
    /// Processor time so far, of those that live and those that they have waited for.
    pub cpu: Duration,
    /// Bytes of memory; what several share counts for each.
    pub memory_bytes: u64,
    /// The most of that which was seen.
    pub peak_memory_bytes: u64,
    /// How many there are.
    pub processes: u64,
    /// Bytes written to both outputs so far, kept or not.
    pub output_bytes: u64,
}

/// When something is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    next: Moment,
    every: Duration,
    rest: u32,
}

impl Pace {
    /// Of looks at everything, from `now` on.
    #[must_use]
    pub fn of_samples(now: Moment) -> Self {
        Self { next: now + SAMPLE_EVERY, every: SAMPLE_EVERY, rest: SAMPLE_REST }
    }

    /// Of looks at what is limited, from `now` on.
    #[must_use]
    pub fn of_weighing(now: Moment) -> Self {
        Self { next: now, every: WEIGH_EVERY, rest: WEIGH_REST }
    }

    /// Whether it is time.
    #[must_use]
    pub fn is_due(&self, now: Moment) -> bool {
        now >= self.next
    }

    /// When it is time.
    #[must_use]
    pub fn next(&self) -> Moment {
        self.next
    }

    /// A look has taken from `begun` to `ended`.
    pub fn looked(&mut self, (begun, ended): (Moment, Moment)) {
        self.next = (begun + self.every).max(ended + ended.since(begun) * self.rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_done_seldom() {
        let at = |millis: u64| Moment(0) + Duration::from_millis(millis);
        let mut pace = Pace::of_samples(at(0));
        assert!(!pace.is_due(at(1999)) && pace.is_due(at(2000)));
        pace.looked((at(2000), at(2010)));
        assert!(!pace.is_due(at(3999)) && pace.is_due(at(4000)));
        pace.looked((at(4000), at(4200)));
        assert!(!pace.is_due(at(14_199)) && pace.is_due(at(14_200)));
    }
}

//! How many restarts are too many: OTP's restart intensity, a sliding window.
//!
//! Follows `supervisor.erl`'s `add_restart`: a restart at `now` counts together with those not older
//! than the period; more than allowed means the supervisor gives up. Must not read a clock: time is an
//! argument, measured from any fixed start.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// At most this many restarts within the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intensity {
    /// Allowed restarts; 0 escalates at the first failure.
    pub restarts: u32,
    /// The time within which they are counted.
    pub period: Duration,
}

impl Intensity {
    /// Every failure escalates.
    pub const NONE: Self = Self { restarts: 0, period: Duration::from_secs(1) };

    /// Allows `restarts` within `period`.
    #[must_use]
    pub const fn new(restarts: u32, period: Duration) -> Self {
        Self { restarts, period }
    }
}

/// OTP's default: one restart in five seconds.
impl Default for Intensity {
    fn default() -> Self {
        Self::new(1, Duration::from_secs(5))
    }
}

/// What follows from one more restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Restart.
    Restart,
    /// Too many: end and escalate.
    GiveUp,
}

/// The restarts that still count. Holds at most one time more than are allowed.
#[derive(Debug, Clone)]
pub struct Window {
    intensity: Intensity,
    times: VecDeque<Duration>,
}

impl Window {
    /// A window without restarts.
    #[must_use]
    pub fn new(intensity: Intensity) -> Self {
        Self { intensity, times: VecDeque::new() }
    }

    /// The bound it keeps.
    #[must_use]
    pub fn intensity(&self) -> Intensity {
        self.intensity
    }

    /// Counts a restart at `now` (since any fixed start, never running backwards).
    pub fn record(&mut self, now: Duration) -> Verdict {
        let oldest = now.saturating_sub(self.intensity.period);
        while self.times.front().is_some_and(|time| *time < oldest) {
            self.times.pop_front();
        }
        self.times.push_back(now);
        let allowed = usize::try_from(self.intensity.restarts).unwrap_or(usize::MAX);
        if self.times.len() <= allowed {
            return Verdict::Restart;
        }
        self.times.pop_front();
        Verdict::GiveUp
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_more_than_allowed_within_the_period_gives_up() {
        let mut window = Window::new(Intensity::new(2, 5 * SECOND));
        assert_eq!(window.record(SECOND), Verdict::Restart);
        assert_eq!(window.record(2 * SECOND), Verdict::Restart);
        assert_eq!(window.record(6 * SECOND), Verdict::GiveUp);
    }

    #[test]
    fn a_restart_older_than_the_period_is_forgotten() {
        let mut window = Window::new(Intensity::new(1, 5 * SECOND));
        assert_eq!(window.record(Duration::ZERO), Verdict::Restart);
        assert_eq!(window.record(5 * SECOND + Duration::from_nanos(1)), Verdict::Restart);
    }

    #[test]
    fn without_intensity_the_first_failure_escalates() {
        assert_eq!(Window::new(Intensity::NONE).record(Duration::ZERO), Verdict::GiveUp);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// The model is `add_restart` itself: a list of all times, those within the period counted.
        #[test]
        fn the_window_agrees_with_add_restart(allowed in 0_u32..5, period in 0_u64..20, gaps in prop::collection::vec(0_u64..10, 0..60)) {
            let mut window = Window::new(Intensity::new(allowed, Duration::from_secs(period)));
            let mut all: Vec<u64> = Vec::new();
            let mut now = 0;
            for gap in gaps {
                now += gap;
                all.push(now);
                let counted = all.iter().filter(|time| **time >= now.saturating_sub(period)).count();
                let verdict = window.record(Duration::from_secs(now));
                prop_assert_eq!(verdict == Verdict::GiveUp, counted > allowed as usize);
                prop_assert!(window.times.len() <= allowed as usize + 1);
            }
        }
    }
}

//! How often a connection that failed is made again, and after which pause. Must not know what it is for.

use std::time::Duration;

/// Before the first new connection; doubled from one to the next.
const PAUSE: Duration = Duration::from_millis(500);

/// Failures in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Again {
    longest: Duration,
    failures_limit: u32,
    failures: u32,
    pause: Duration,
}

impl Again {
    /// It is given up at so many failures in a row (from 1); the pauses before are no longer than `longest`.
    pub(super) fn new(longest: Duration, failures_limit: u32) -> Self {
        Self { longest, failures_limit, failures: 0, pause: PAUSE }
    }

    /// A connection has brought something: what failed before counts no more.
    pub(super) fn brought(&mut self) {
        (self.failures, self.pause) = (0, PAUSE);
    }

    /// One has failed: the pause before the next; `None` where there is to be none.
    pub(super) fn failed(&mut self) -> Option<Duration> {
        self.failures += 1;
        let next = (self.pause * 2).min(self.longest);
        let pause = std::mem::replace(&mut self.pause, next);
        (self.failures < self.failures_limit).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_it_is_given_up_and_what_has_come_begins_them_again() {
        let mut again = Again::new(Duration::from_secs(3), 5);
        let pauses = |again: &mut Again| -> Vec<_> {
            std::iter::from_fn(|| again.failed()).map(|pause| pause.as_millis()).collect()
        };
        assert_eq!(pauses(&mut again), [500, 1000, 2000, 3000]);
        assert_eq!(again.failed(), None);
        again.brought();
        assert_eq!(pauses(&mut again), [500, 1000, 2000, 3000]);
    }
}

//! How fast what waits comes to its end: when to come back is worked out from that.

use std::time::Duration;

use crate::time::Moment;

/// Over how long a rate is measured: long enough for tasks of seconds, short enough to follow a day's work.
const WINDOW: Duration = Duration::from_secs(30);
/// The rate while nothing is known: slow enough for a small machine, since asking too early costs more than
/// asking late.
const USUAL_PER_SECOND: u64 = 1000;
/// The shortest wait that is asked for: a shorter one is within the noise.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest wait that is asked for: by then much can have changed.
const LONGEST: Duration = Duration::from_secs(60);

/// Counts ends, in two windows: what is measured is never older than twice a window is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drain {
    /// When the present window began.
    since: Option<Moment>,
    ended: u64,
    /// Ends of the window before it.
    before: Option<u64>,
}

impl Drain {
    /// So many have ended by now.
    pub fn ended(&mut self, count: u64, now: Moment) {
        self.turn(now);
        self.ended = self.ended.saturating_add(count);
    }

    fn turn(&mut self, now: Moment) {
        let since = *self.since.get_or_insert(now);
        let length = now.since(since);
        if length >= WINDOW {
            // A window in which nobody looked had no ends.
            self.before = Some(if length >= WINDOW * 2 { 0 } else { self.ended });
            (self.since, self.ended) = (Some(now), 0);
        }
    }

    /// How many end in a minute; `None` while too little is known.
    #[must_use]
    pub fn per_minute(&self, now: Moment) -> Option<u64> {
        let length = now.since(self.since?);
        let (count, over) = match self.before {
            Some(before) => (before.saturating_add(self.ended), WINDOW + length),
            None if length < SHORTEST => return None,
            None => (self.ended, length),
        };
        let per_minute = u128::from(count) * 60_000 / over.as_millis().max(1);
        Some(u64::try_from(per_minute).unwrap_or(u64::MAX))
    }

    /// When so many will have ended, as far as can be told: between one second and one minute.
    #[must_use]
    pub fn retry_after(&self, count: u64, now: Moment) -> Duration {
        let per_minute = self.per_minute(now).unwrap_or(USUAL_PER_SECOND * 60);
        let millis = u128::from(count) * 60_000;
        match millis.checked_div(u128::from(per_minute)) {
            Some(millis) => {
                Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)).clamp(SHORTEST, LONGEST)
            }
            None => LONGEST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(1_000_000) + Duration::from_secs(seconds)
    }

    #[test]
    fn who_is_refused_is_told_to_come_back_when_enough_has_ended() {
        let mut drain = Drain::default();
        drain.ended(0, at(0));
        for second in 1..=40 {
            drain.ended(10, at(second));
        }
        assert_eq!(drain.per_minute(at(40)), Some(600));
        assert_eq!(drain.retry_after(100, at(40)), Duration::from_secs(10));
        assert_eq!(drain.retry_after(1, at(40)), SHORTEST);
        assert_eq!(drain.retry_after(u64::MAX, at(40)), LONGEST);
    }

    #[test]
    fn while_nothing_ends_the_wait_is_the_longest_and_nothing_is_divided_by_zero() {
        let mut drain = Drain::default();
        assert_eq!(drain.retry_after(5000, at(0)), Duration::from_secs(5), "nothing is known");
        drain.ended(0, at(0));
        assert_eq!(drain.retry_after(1, at(20)), LONGEST);
        drain.ended(1000, at(21));
        drain.ended(0, at(200));
        assert_eq!(drain.per_minute(at(200)), Some(0), "what is long past says nothing");
    }
}

//! When places in the order of arrival were given out: so what waits needs no time of its own to tell how long it
//! has waited.

use std::collections::VecDeque;
use std::time::Duration;

use crate::queue::Arrival;
use crate::time::Moment;

/// Marks that are kept: some 64 KB. Of the older half every second goes when there are more, so that what has
/// waited long is told less exactly.
const MARKS_LIMIT: usize = 4096;
/// The least time between two marks: how exactly a wait is told.
const RESOLUTION: Duration = Duration::from_millis(1);

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Arrivals {
    /// The first place that was given out at a time, both growing.
    marks: VecDeque<(Arrival, Moment)>,
}

impl Arrivals {
    /// From now on places from `next` on are given out.
    pub fn mark(&mut self, next: Arrival, now: Moment) {
        if self.marks.back().is_some_and(|(first, at)| *first == next || now.since(*at) < RESOLUTION) {
            return;
        }
        self.marks.push_back((next, now));
        if self.marks.len() > MARKS_LIMIT {
            let mut place = 0;
            self.marks.retain(|_| {
                place += 1;
                place > MARKS_LIMIT / 2 || place % 2 == 1
            });
        }
    }

    /// How long ago a place was given out; nothing is known of places before the first mark.
    #[must_use]
    pub fn waited(&self, arrival: Arrival, now: Moment) -> Option<Duration> {
        let after = self.marks.partition_point(|(first, _)| *first <= arrival);
        let (_, at) = self.marks.get(after.checked_sub(1)?)?;
        Some(now.since(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::default() + Duration::from_millis(millis)
    }

    #[test]
    fn a_place_has_waited_since_it_was_given_out() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.waited(Arrival(1), at(5)), None);
        arrivals.mark(Arrival(1), at(10));
        arrivals.mark(Arrival(4), at(20));
        for (place, waited) in [(1, 20), (3, 20), (4, 10), (9, 10)] {
            assert_eq!(arrivals.waited(Arrival(place), at(30)), Some(Duration::from_millis(waited)));
        }
        assert_eq!(arrivals.waited(Arrival(0), at(30)), None);
    }

    #[test]
    fn many_marks_are_thinned_and_only_the_old_ones() {
        let mut arrivals = Arrivals::default();
        for place in 0..100_000 {
            arrivals.mark(Arrival(place), at(place));
            assert!(arrivals.marks.len() <= MARKS_LIMIT);
        }
        let recent = arrivals.waited(Arrival(99_000), at(100_000));
        assert_eq!(recent, Some(Duration::from_millis(1000)));
        let old = arrivals.waited(Arrival(50_000), at(100_000)).expect("the first mark stays");
        assert!(old >= Duration::from_millis(50_000), "never less than it is: {old:?}");
    }
}

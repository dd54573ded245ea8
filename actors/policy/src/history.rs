//! How long tasks of a demand took, and how many of each priority were started lately: what an estimate of a
//! start goes by. It decides nothing.

use std::time::Duration;

use rustc_hash::FxHashMap;
use strum::VariantArray;

use crate::placement::ShapeId;
use crate::task::Priority;
use crate::time::Moment;

/// Weight of the newest duration in the moving average, as a divisor: the last ten or so count.
const AVERAGE_WEIGHT: u32 = 8;
/// Buckets of the window in which starts are counted.
const BUCKETS: usize = 12;
/// The length of one: the whole window is a minute, in which a change of pace is noticed.
const BUCKET: Duration = Duration::from_secs(5);

/// See the module. It holds one entry for each demand that is in use.
#[derive(Debug, Default)]
pub struct History {
    usual: FxHashMap<ShapeId, Duration>,
    starts: [[u64; 4]; BUCKETS],
    /// The number of the newest bucket since the clock's beginning.
    newest: u64,
}

impl History {
    /// An attempt of a demand took this long.
    pub fn took(&mut self, shape: ShapeId, length: Duration) {
        let usual = self.usual.entry(shape).or_insert(length);
        *usual = *usual - *usual / AVERAGE_WEIGHT + length / AVERAGE_WEIGHT;
    }

    /// Nobody uses the demand's number any more.
    pub fn forget(&mut self, shape: ShapeId) {
        self.usual.remove(&shape);
    }

    /// How long an attempt of a demand takes as a rule; `None` where none has ended yet.
    #[must_use]
    pub fn usual(&self, shape: ShapeId) -> Option<Duration> {
        self.usual.get(&shape).copied()
    }

    /// A task was sent to a node.
    pub fn started(&mut self, now: Moment, priority: Priority) {
        self.turn(now);
        self.starts[slot(self.newest)][priority as usize] += 1;
    }

    /// Starts of a priority within the last minute.
    #[must_use]
    pub fn starts(&self, now: Moment, priority: Priority) -> u64 {
        let bucket = number(now);
        let oldest = (bucket + 1).saturating_sub(BUCKETS as u64);
        let counted = (oldest..=self.newest.min(bucket)).rev().take(BUCKETS);
        counted
            .filter(|one| *one + (BUCKETS as u64) > self.newest)
            .map(|one| self.starts[slot(one)][priority as usize])
            .sum()
    }

    /// What lay between two starts within the last minute, whatever their priority; `None` where nothing was started.
    #[must_use]
    pub fn between_starts(&self, now: Moment) -> Option<Duration> {
        let starts: u64 = Priority::VARIANTS.iter().map(|priority| self.starts(now, *priority)).sum();
        let window = BUCKET * u32::try_from(BUCKETS).ok()?;
        (starts > 0).then(|| window / u32::try_from(starts).unwrap_or(u32::MAX))
    }

    fn turn(&mut self, now: Moment) {
        let bucket = number(now);
        let passed = bucket.saturating_sub(self.newest).min(BUCKETS as u64);
        for back in 0..passed {
            self.starts[slot(bucket - back)] = [0; 4];
        }
        self.newest = self.newest.max(bucket);
    }
}

fn number(now: Moment) -> u64 {
    now.since(Moment::default()).as_secs() / BUCKET.as_secs()
}

fn slot(bucket: u64) -> usize {
    usize::try_from(bucket % BUCKETS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn the_usual_length_follows_what_was_seen_and_is_forgotten_with_its_demand() {
        let (mut history, shape) = (History::default(), ShapeId(3));
        assert_eq!(history.usual(shape), None);
        history.took(shape, Duration::from_secs(8));
        assert_eq!(history.usual(shape), Some(Duration::from_secs(8)));
        history.took(shape, Duration::from_secs(16));
        assert_eq!(history.usual(shape), Some(Duration::from_secs(9)));
        history.forget(shape);
        assert_eq!(history.usual(shape), None);
    }

    #[test]
    fn a_start_counts_for_a_minute_and_an_estimate_needs_some() {
        let mut history = History::default();
        assert_eq!(history.between_starts(at(100)), None);
        (0..30).for_each(|_| history.started(at(100), Priority::Low));
        assert_eq!(history.starts(at(100), Priority::Low), 30);
        assert_eq!(history.starts(at(100), Priority::High), 0);
        assert_eq!(history.between_starts(at(101)), Some(Duration::from_secs(2)));
        assert_eq!(history.starts(at(154), Priority::Low), 30);
        assert_eq!(history.starts(at(161), Priority::Low), 0);
    }

    proptest! {
        #[test]
        fn as_many_starts_are_counted_as_there_were_in_the_window(steps in prop::collection::vec(0_u64..20, 1..200)) {
            let (mut history, mut now, mut all) = (History::default(), 1000, Vec::new());
            for step in steps {
                now += step;
                history.started(at(now), Priority::High);
                all.push(now / 5);
                let counted = all.iter().filter(|bucket| **bucket + 12 > now / 5).count();
                prop_assert_eq!(history.starts(at(now), Priority::High), counted as u64);
            }
        }
    }
}

//! What is counted since the daemon was started, outside of any actor, so that it can be read while one is stuck.
//!
//! Told by whoever sees it happen; never by task, so that what is kept does not grow with what is run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use policy::task::{AttemptOutcome, Priority, TaskOutcome};

use crate::wire::client::{EndsRow, MetersRow, NodeNewsRow, WAIT_BOUNDS, WaitsRow};

/// Weight of the newest wait in the moving average, as a divisor: the last hundred or so count.
const AVERAGE_WEIGHT: u64 = 64;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Meters {
    ends: [AtomicU64; 7],
    retried: AtomicU64,
    aged: AtomicU64,
    evicted: AtomicU64,
    trips: AtomicU64,
    news: [AtomicU64; 4],
    waits: [Waits; 4],
    usual_wait_micros: AtomicU64,
    spans: [AtomicU64; 2],
}

/// What can become of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeNews {
    /// It registered.
    Joined,
    /// Nothing was heard of it.
    Suspected,
    /// It was heard of again in time.
    Recovered,
    /// It was given up.
    Lost,
}

/// How long tasks of one priority have waited.
#[derive(Debug, Default)]
struct Waits {
    /// Below each of the bounds and not below the one before, and the rest.
    buckets: [AtomicU64; WAIT_BOUNDS.len() + 1],
    sum_micros: AtomicU64,
}

impl Meters {
    /// A task was sent to a node, so long after it could have been.
    pub fn started(&self, priority: Priority, waited: Duration) {
        let waits = &self.waits[priority as usize];
        let bucket = WAIT_BOUNDS.partition_point(|bound| *bound < waited);
        add(&waits.buckets[bucket], 1);
        let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        add(&waits.sum_micros, micros);
        // The scheduler alone writes it.
        let usual = get(&self.usual_wait_micros);
        let moved = usual - usual / AVERAGE_WEIGHT + micros / AVERAGE_WEIGHT;
        let usual = if usual == 0 { micros } else { moved };
        self.usual_wait_micros.store(usual, Ordering::Relaxed);
    }

    /// A task has ended.
    pub fn ended(&self, outcome: &TaskOutcome) {
        add(
            &self.ends[match outcome {
                TaskOutcome::Succeeded => 0,
                TaskOutcome::Failed(AttemptOutcome::Lost(_)) => 2,
                TaskOutcome::Failed(_) => 1,
                TaskOutcome::Cancelled => 3,
                TaskOutcome::Skipped(_) => 4,
                TaskOutcome::Poisoned(_) => 5,
                TaskOutcome::OutOfRetries { .. } => 6,
            }],
            1,
        );
    }

    /// An attempt is over and another follows.
    pub fn retried(&self) {
        add(&self.retried, 1);
    }

    /// Tasks are served as more urgent, since they have waited long.
    pub fn aged(&self, tasks: u64) {
        add(&self.aged, tasks);
    }

    /// An attempt has made room for a more urgent task.
    pub fn evicted(&self) {
        add(&self.evicted, 1);
    }

    /// A breaker has opened.
    pub fn tripped(&self) {
        add(&self.trips, 1);
    }

    /// Spans were taken by who takes traces.
    pub fn spans_sent(&self, spans: u64) {
        add(&self.spans[0], spans);
    }

    /// Spans found no room or no taker.
    pub fn spans_dropped(&self, spans: u64) {
        add(&self.spans[1], spans);
    }

    /// Something became of a node.
    pub fn node(&self, news: NodeNews) {
        add(&self.news[news as usize], 1);
    }

    /// Everything.
    #[must_use]
    pub fn read(&self) -> MetersRow {
        let [succeeded, failed, lost, cancelled, skipped, poisoned, out_of_retries] =
            self.ends.each_ref().map(get);
        let ends = EndsRow { succeeded, failed, lost, cancelled, skipped, poisoned, out_of_retries };
        let [joined, suspected, recovered, gone] = self.news.each_ref().map(get);
        MetersRow {
            ends,
            retried: get(&self.retried),
            aged: get(&self.aged),
            evicted: get(&self.evicted),
            trips: get(&self.trips),
            nodes: NodeNewsRow { joined, suspected, recovered, lost: gone },
            waits: self.waits.each_ref().map(|waits| WaitsRow {
                buckets: waits.buckets.iter().map(get).collect(),
                sum: Duration::from_micros(get(&waits.sum_micros)),
            }),
            usual_wait: Duration::from_micros(get(&self.usual_wait_micros)),
            spans_sent: get(&self.spans[0]),
            spans_dropped: get(&self.spans[1]),
        }
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_falls_below_the_first_bound_that_it_does_not_exceed() {
        let meters = Meters::default();
        for millis in [0, 1, 2, 10_000_000] {
            meters.started(Priority::High, Duration::from_millis(millis));
        }
        let row = meters.read();
        let waits = &row.waits[Priority::High as usize];
        assert_eq!((waits.buckets[0], waits.buckets[1], waits.buckets.last()), (2, 1, Some(&1)));
        assert_eq!(waits.count(), 4);
        assert_eq!(row.waits[Priority::Low as usize].count(), 0);
    }

    #[test]
    fn the_usual_wait_moves_towards_what_is_seen() {
        let meters = Meters::default();
        (0..2000).for_each(|_| meters.started(Priority::Low, Duration::from_secs(1)));
        let usual = meters.read().usual_wait;
        assert!(usual > Duration::from_millis(990) && usual <= Duration::from_secs(1), "{usual:?}");
    }
}

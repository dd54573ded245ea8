//! What is counted of an actor, outside of it, so that it can be asked while the actor is stuck.
//!
//! A probe is a handful of relaxed atomics: told at enqueue, at the start and at the end of each
//! handling. It outlives restarts of its actor. Must not know any message type.
//!
//! With the feature `unprobed` messages are not counted, and no time is read for them: for the one figure of what that costs
//! (benches/README.md), and nothing else.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::trace::Tap;

/// Buckets of a duration histogram: powers of two of microseconds, the last one open (about 35 minutes).
pub const BUCKETS: usize = 32;

/// Whether messages are counted.
const IS_COUNTING: bool = cfg!(not(feature = "unprobed"));

/// Restarts whose times are kept: enough to tell a storm from bad luck, and it costs nothing until there is one.
pub const RESTARTS_LIMIT: usize = 8;

/// Now, for the mark of a message that is told; always the same time where nobody counts.
pub(crate) fn moment() -> Instant {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    if IS_COUNTING { Instant::now() } else { *FIRST.get_or_init(Instant::now) }
}

/// Names a probe for the life of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProbeId(pub u64);

/// The counters of one address.
#[derive(Debug)]
pub struct Probe {
    id: ProbeId,
    kind: &'static str,
    name: Box<str>,
    enqueued: AtomicU64,
    handled: AtomicU64,
    undelivered: AtomicU64,
    dropped: AtomicU64,
    depth_high_water: AtomicU64,
    restarts: AtomicU32,
    waits: Histogram,
    handlings: Histogram,
    current: Mutex<Option<Current>>,
    tap: Tap,
    /// When it was started again, the last times.
    restarted: Mutex<VecDeque<Instant>>,
}

/// The message being handled.
#[derive(Debug, Clone, Copy)]
pub struct Current {
    /// Its kind.
    pub kind: &'static str,
    /// Since when.
    pub since: Instant,
}

/// What a probe showed at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The probe.
    pub id: ProbeId,
    /// The kind of actor, such as `lease`.
    pub kind: String,
    /// The actor's own name, such as a task's id; empty for the only one of its kind.
    pub name: String,
    /// Messages ever put into the mailbox.
    pub enqueued: u64,
    /// Messages ever handled.
    pub handled: u64,
    /// Messages told while no actor stood behind the address.
    pub undelivered: u64,
    /// Messages that still waited in a mailbox when its actor ended.
    pub dropped: u64,
    /// The deepest the mailbox has been.
    pub depth_high_water: u64,
    /// How often the actor was started again.
    pub restarts: u32,
    /// How long ago it was started again, the last [`RESTARTS_LIMIT`] times, the latest last.
    pub restarted: Vec<Duration>,
    /// Waiting in the mailbox, per power of two of microseconds.
    pub waits: Vec<u64>,
    /// Being handled, per power of two of microseconds.
    pub handlings: Vec<u64>,
    /// What it handles now and for how long.
    pub current: Option<(String, Duration)>,
}

impl Reading {
    /// Messages waiting now.
    #[must_use]
    pub fn depth(&self) -> u64 {
        self.enqueued.saturating_sub(self.handled + self.dropped)
    }
}

/// The length of time that so many per mille of what a histogram counts did not exceed, as the upper end of
/// its bucket; zero where nothing was counted.
#[must_use]
pub fn quantile(buckets: &[u64], per_mille: u64) -> Duration {
    let total: u64 = buckets.iter().sum();
    let wanted = total.saturating_mul(per_mille).div_ceil(1000);
    let mut seen = 0;
    for (bucket, count) in buckets.iter().enumerate() {
        seen += count;
        if wanted > 0 && seen >= wanted {
            return Duration::from_micros(1 << bucket.min(63));
        }
    }
    Duration::ZERO
}

impl Probe {
    /// Makes a probe for an actor of `kind` with its own `name`.
    #[must_use]
    pub fn new(kind: &'static str, name: impl Into<Box<str>>) -> Arc<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: ProbeId(NEXT_ID.fetch_add(1, Ordering::Relaxed)),
            kind,
            name: name.into(),
            enqueued: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            undelivered: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            depth_high_water: AtomicU64::new(0),
            restarts: AtomicU32::new(0),
            waits: Histogram::default(),
            handlings: Histogram::default(),
            current: Mutex::new(None),
            tap: Tap::default(),
            restarted: Mutex::default(),
        })
    }

    /// The probe's id.
    #[must_use]
    pub fn id(&self) -> ProbeId {
        self.id
    }

    /// The kind of actor it watches.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The actor's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads every counter.
    #[must_use]
    pub fn read(&self) -> Reading {
        let current = *self.current.lock().unwrap_or_else(PoisonError::into_inner);
        Reading {
            id: self.id,
            kind: self.kind.to_owned(),
            name: self.name.to_string(),
            enqueued: self.enqueued.load(Ordering::Relaxed),
            handled: self.handled.load(Ordering::Relaxed),
            undelivered: self.undelivered.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            depth_high_water: self.depth_high_water.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
            restarted: self.restart_times().iter().map(Instant::elapsed).collect(),
            waits: self.waits.read(),
            handlings: self.handlings.read(),
            current: current.map(|now| (now.kind.to_owned(), now.since.elapsed())),
        }
    }

    /// Counts a message put into the mailbox.
    pub(crate) fn enqueued(&self) {
        if !IS_COUNTING {
            return;
        }
        let enqueued = self.enqueued.fetch_add(1, Ordering::Relaxed) + 1;
        let gone = self.handled.load(Ordering::Relaxed) + self.dropped.load(Ordering::Relaxed);
        let depth = enqueued.saturating_sub(gone);
        if depth > self.depth_high_water.load(Ordering::Relaxed) {
            self.depth_high_water.store(depth, Ordering::Relaxed);
        }
    }

    /// Counts a message that found nobody.
    pub(crate) fn undelivered(&self) {
        self.undelivered.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes back a message counted as put into a mailbox that refused it.
    pub(crate) fn refused(&self) {
        if !IS_COUNTING {
            return;
        }
        self.enqueued.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a start after the first.
    pub fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        let mut times = self.restart_times();
        if times.len() == RESTARTS_LIMIT {
            times.pop_front();
        }
        times.push_back(Instant::now());
    }

    fn restart_times(&self) -> MutexGuard<'_, VecDeque<Instant>> {
        self.restarted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a trace hangs, if there is one.
    pub(crate) fn tap(&self) -> &Tap {
        &self.tap
    }

    /// Messages waiting now.
    #[must_use]
    pub fn depth(&self) -> u64 {
        let gone = self.handled.load(Ordering::Relaxed) + self.dropped.load(Ordering::Relaxed);
        self.enqueued.load(Ordering::Relaxed).saturating_sub(gone)
    }

    /// How often the actor was started again.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// A mailbox died with its actor: what waited in it will never be handled. Sets the count rather
    /// than adding to it, so that what was told in that very moment cannot shift the depth for ever.
    pub(crate) fn mailbox_gone(&self) {
        let waiting =
            self.enqueued.load(Ordering::Relaxed).saturating_sub(self.handled.load(Ordering::Relaxed));
        self.dropped.store(waiting, Ordering::Relaxed);
        self.set_current(None);
    }

    /// A message begins to be handled.
    pub(crate) fn handling(&self, kind: &'static str, enqueued: Instant) -> Instant {
        if !IS_COUNTING {
            return enqueued;
        }
        let now = Instant::now();
        self.waits.record(now.saturating_duration_since(enqueued));
        self.set_current(Some(Current { kind, since: now }));
        now
    }

    /// A message that began to be handled `since` has been.
    pub(crate) fn handled(&self, since: Instant) {
        if !IS_COUNTING {
            return;
        }
        self.handlings.record(since.elapsed());
        self.handled.fetch_add(1, Ordering::Relaxed);
        self.set_current(None);
    }

    fn set_current(&self, current: Option<Current>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = current;
    }
}

/// Counts of durations per power of two of microseconds.
#[derive(Debug, Default)]
struct Histogram([AtomicU32; BUCKETS]);

impl Histogram {
    fn record(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = usize::try_from(64 - micros.leading_zeros()).unwrap_or(0).min(BUCKETS - 1);
        self.0[bucket].fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> Vec<u64> {
        self.0.iter().map(|count| u64::from(count.load(Ordering::Relaxed))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_depth_is_what_waits_in_the_living_mailbox() {
        let probe = Probe::new("lease", "1");
        for _ in 0..3 {
            probe.enqueued();
        }
        probe.handled(probe.handling("Renew", Instant::now()));
        assert_eq!((probe.read().depth(), probe.read().depth_high_water), (2, 3));
        probe.mailbox_gone();
        assert_eq!((probe.read().depth(), probe.read().dropped, probe.read().handled), (0, 2, 1));
        probe.enqueued();
        assert_eq!(probe.read().depth(), 1);
    }

    #[test]
    fn what_is_handled_now_shows() {
        let probe = Probe::new("lease", "1");
        let since = probe.handling("Renew", Instant::now());
        assert_eq!(probe.read().current.map(|(kind, _)| kind).as_deref(), Some("Renew"));
        probe.handled(since);
        assert_eq!(probe.read().current, None);
    }

    #[test]
    fn a_quantile_is_the_end_of_its_bucket() {
        assert_eq!(quantile(&[0; BUCKETS], 990), Duration::ZERO);
        let mut buckets = [0; BUCKETS];
        (buckets[1], buckets[10]) = (99, 1);
        assert_eq!(quantile(&buckets, 990), Duration::from_micros(2));
        assert_eq!(quantile(&buckets, 1000), Duration::from_micros(1024));
    }

    #[test]
    fn the_last_restarts_have_their_times() {
        let probe = Probe::new("lease", "1");
        for _ in 0..RESTARTS_LIMIT + 3 {
            probe.restarted();
        }
        let read = probe.read();
        assert_eq!((read.restarts as usize, read.restarted.len()), (RESTARTS_LIMIT + 3, RESTARTS_LIMIT));
    }

    #[test]
    fn durations_fall_into_powers_of_two() {
        let histogram = Histogram::default();
        for micros in [0, 1, 2, 3, 1024] {
            histogram.record(Duration::from_micros(micros));
        }
        histogram.record(Duration::MAX);
        let read = histogram.read();
        assert_eq!((read[0], read[1], read[2], read[11], read[BUCKETS - 1]), (1, 1, 2, 1, 1));
    }
}

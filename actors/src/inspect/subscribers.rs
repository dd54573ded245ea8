//! Who looks at the actors again and again. What was told is remembered for each, for as long as they ask on.
//!
//! An answer tells what is otherwise than in the one before. Whoever is slow asks later and is told of all that has changed
//! since, so nothing waits here for anybody; whoever has not got the last answer is told everything anew, and how many it were.
//! While nobody looks there is nothing here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::inspect::changes::Told;
use crate::wire::inspect::{ActorRow, Changes, FORGOTTEN_AFTER, PACE_LEAST, SUBSCRIBERS_LIMIT};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Subscribers(Mutex<FxHashMap<u64, Subscriber>>);

#[derive(Debug)]
struct Subscriber {
    told: Told,
    /// When it was answered last.
    at: Instant,
}

impl Subscribers {
    fn all(&self) -> MutexGuard<'_, FxHashMap<u64, Subscriber>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.all().len()
    }

    /// How long one has to wait for its next answer; `None` where there are too many.
    pub(super) fn pause(&self, subscriber: u64) -> Option<Duration> {
        let all = self.all();
        match all.get(&subscriber) {
            Some(known) => Some(PACE_LEAST.saturating_sub(known.at.elapsed())),
            None => (all.len() < SUBSCRIBERS_LIMIT).then_some(Duration::ZERO),
        }
    }

    /// The next answer to one who has the answer `after`.
    pub(super) fn next(
        self: &Arc<Self>,
        (subscriber, after): (u64, u64),
        rows: (Vec<ActorRow>, u64),
    ) -> Changes {
        let mut all = self.all();
        let at = Instant::now();
        let known = all.entry(subscriber).or_insert_with(|| Subscriber { told: Told::default(), at });
        known.at = at;
        let changes = known.told.next(after, rows);
        drop(all);
        self.forget_later((subscriber, changes.number));
        changes
    }

    /// Forgets one who does not ask on.
    fn forget_later(self: &Arc<Self>, (subscriber, number): (u64, u64)) {
        let this = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(FORGOTTEN_AFTER).await;
            let Some(this) = this.upgrade() else { return };
            let mut all = this.all();
            if all.get(&subscriber).is_some_and(|known| known.told.number() == number) {
                all.remove(&subscriber);
            }
        });
    }
}

//! What a node can still be given, and how many attempts may wait on it for their turn.
//!
//! An attempt holds resources only while it runs. Where a node's attempts are very short, a few more are
//! granted ahead and wait there (*staged*), so that a slot does not idle while the scheduler's answer is on
//! its way; where they are long, none is, because a staged attempt is bound to its node.

use std::time::Duration;

use crate::resources::Resources;

/// Attempts longer than this are never staged: the turnaround that staging hides is about a thousandth.
pub const STAGING_LIMIT_DURATION: Duration = Duration::from_millis(100);
/// What is staged should keep a slot busy for so long: ends are told together, some 8 ms of them, and from there it
/// is two syncs of a busy disk to the next grant, and again. It is also how long an urgent task may wait behind them.
pub const STAGED_DURATION: Duration = Duration::from_millis(25);
/// Staged attempts per slot at the most, however short they are.
pub const STAGED_PER_SLOT: u32 = 64;
/// Staged attempts on one node at the most: what a lost node may delay.
pub const STAGED_LIMIT: u32 = 256;
/// Weight of the newest duration in the moving average, as a divisor.
const AVERAGE_WEIGHT: u32 = 8;

/// What a node can still be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// All it has.
    pub capacity: Resources,
    /// What nobody holds.
    pub free: Resources,
    /// Attempts that wait there already.
    pub staged: u32,
    /// How many may wait there.
    pub staged_limit: u32,
}

impl Room {
    /// Takes room for an attempt that needs `need`: free resources, or else a place among the staged.
    /// `false`, and nothing taken, where there is neither. While others are staged it must queue behind.
    pub fn take(&mut self, need: &Resources) -> bool {
        if self.staged == 0
            && let Some(left) = self.free.checked_sub(need)
        {
            self.free = left;
            return true;
        }
        let may_stage = self.staged < self.staged_limit && self.capacity.covers(need);
        self.staged += u32::from(may_stage);
        may_stage
    }

    /// As [`Self::fits`] where `kept` is held for somebody else: only what leaves that alone, or takes of nothing that it
    /// needs, and never to wait here before it.
    #[must_use]
    pub fn spares(&self, need: &Resources, kept: &Resources) -> bool {
        let left = |resource: &str| self.free.amount(resource).saturating_sub(kept.amount(resource));
        self.starts(need)
            && need.dimensions().all(|(resource, needed)| needed == 0 || needed <= left(resource))
    }

    /// As [`Self::times`] where `kept` is held for somebody else.
    #[must_use]
    pub fn times_beside(&self, need: &Resources, kept: &Resources, limit: u32) -> u32 {
        if !self.spares(need, kept) {
            return 0;
        }
        let left = |resource: &str| self.free.amount(resource).saturating_sub(kept.amount(resource));
        let of = |(resource, needed): (&str, u64)| left(resource).checked_div(needed);
        let times = need.dimensions().filter_map(of).min().unwrap_or_else(|| u64::from(limit));
        u32::try_from(times).unwrap_or(u32::MAX).min(limit)
    }

    /// How many attempts that need `need` each can be taken, up to `limit`.
    #[must_use]
    pub fn times(&self, need: &Resources, limit: u32) -> u32 {
        if !self.capacity.covers(need) {
            return 0;
        }
        let free = if self.staged > 0 {
            0
        } else {
            let of = |(resource, needed): (&str, u64)| self.free.amount(resource).checked_div(needed);
            need.dimensions().filter_map(of).min().unwrap_or_else(|| u64::from(limit))
        };
        let staging = self.staged_limit.saturating_sub(self.staged);
        u32::try_from(free).unwrap_or(u32::MAX).saturating_add(staging).min(limit)
    }

    /// Whether one that needs this would not have to wait here.
    #[must_use]
    pub fn starts(&self, need: &Resources) -> bool {
        self.staged == 0 && self.free.covers(need)
    }

    /// Whether [`Self::take`] would succeed.
    #[must_use]
    pub fn fits(&self, need: &Resources) -> bool {
        self.starts(need) || (self.staged < self.staged_limit && self.capacity.covers(need))
    }
}

/// How long a node's attempts take, as a moving average; nothing known is taken for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace(Option<Duration>);

impl Pace {
    /// Another attempt took this long.
    pub fn observe(&mut self, duration: Duration) {
        self.0 = Some(match self.0 {
            None => duration,
            Some(average) => average - average / AVERAGE_WEIGHT + duration / AVERAGE_WEIGHT,
        });
    }

    /// How many attempts may be staged on a node that runs `slots` at once. What runs at this very moment
    /// says little of that: the shortest have ended before anybody looks.
    #[must_use]
    pub fn staged_limit(&self, slots: u32) -> u32 {
        let Some(average) = self.0.filter(|average| *average <= STAGING_LIMIT_DURATION) else { return 0 };
        let lasting = STAGED_DURATION.as_nanos().checked_div(average.as_nanos());
        let per_slot = lasting.and_then(|lasting| u32::try_from(lasting).ok()).unwrap_or(STAGED_PER_SLOT);
        slots.max(1).saturating_mul(per_slot.clamp(1, STAGED_PER_SLOT)).min(STAGED_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(free: u64, staged_limit: u32) -> Room {
        Room { capacity: Resources::cpus(2000), free: Resources::cpus(free), staged: 0, staged_limit }
    }

    #[test]
    fn one_that_fits_still_queues_behind_the_staged() {
        let mut room = room(1000, 2);
        assert!(room.take(&Resources::cpus(2000)));
        assert_eq!((room.staged, room.free.cpu_millis), (1, 1000));
        assert!(room.take(&Resources::cpus(500)));
        assert_eq!((room.staged, room.free.cpu_millis), (2, 1000));
        assert!(!room.fits(&Resources::cpus(500)));
        assert!(!room.take(&Resources::cpus(500)));
    }

    #[test]
    fn as_many_are_taken_as_were_counted() {
        for (free, staged_limit, need) in [(2000, 3, 700), (1500, 0, 500), (0, 2, 2000), (2000, 9, 2001)] {
            let (mut room, need) = (room(free, staged_limit), Resources::cpus(need));
            let counted = room.times(&need, 100);
            let taken = (0..100).take_while(|_| room.take(&need)).count();
            assert_eq!(usize::try_from(counted), Ok(taken), "{free} {staged_limit} {need:?}");
        }
    }

    #[test]
    fn beside_what_is_kept_only_what_does_not_delay_it_is_taken() {
        let with_gpu = |cpu_millis, gpu_slots| Resources { gpu_slots, ..Resources::cpus(cpu_millis) };
        let room = Room { capacity: with_gpu(8000, 2), free: with_gpu(5000, 2), staged: 0, staged_limit: 9 };
        let kept = Resources::cpus(4000);
        for (need, times) in [
            (Resources::cpus(500), 2),
            (Resources::cpus(1001), 0),
            (with_gpu(0, 1), 2),
            (with_gpu(100, 1), 2),
            (with_gpu(0, 3), 0),
        ] {
            assert_eq!(room.times_beside(&need, &kept, 9), times, "{need:?}");
            assert_eq!(room.spares(&need, &kept), times > 0, "{need:?}");
        }
        let all = Resources::cpus(8000);
        assert!(!room.spares(&Resources::cpus(1), &all), "what is freed is not given away");
        assert!(room.spares(&with_gpu(0, 1), &all), "it does not need that");
        assert!(!Room { staged: 1, ..room }.spares(&with_gpu(0, 1), &all), "nobody waits there before it");
    }

    #[test]
    fn one_larger_than_the_node_is_never_staged() {
        assert!(!room(2000, 9).take(&Resources::cpus(2001)));
    }

    #[test]
    fn nothing_is_staged_on_a_node_of_long_or_unknown_tasks() {
        let mut pace = Pace::default();
        assert_eq!(pace.staged_limit(2), 0);
        pace.observe(Duration::from_millis(1));
        assert_eq!(pace.staged_limit(2), 2 * 25);
        for _ in 0..3 {
            pace.observe(Duration::from_secs(1));
        }
        assert_eq!(pace.staged_limit(2), 0);
    }

    #[test]
    fn the_shorter_the_tasks_the_more_are_staged_within_limits() {
        let staged = |average: Duration, slots| {
            let mut pace = Pace::default();
            pace.observe(average);
            pace.staged_limit(slots)
        };
        assert_eq!(staged(Duration::ZERO, 0), STAGED_PER_SLOT, "none runs at this moment");
        assert_eq!(staged(Duration::from_millis(5), 3), 15);
        assert_eq!(staged(STAGING_LIMIT_DURATION, 3), 3, "one each hides the turnaround");
        assert_eq!(staged(Duration::ZERO, 1000), STAGED_LIMIT);
    }
}

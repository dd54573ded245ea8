//! Who of those sent to a node runs, and who waits there for resources.
//!
//! Both the process host and the node's actor hold one of these and feed it the same facts in the same
//! order: the host's decides, the other one mirrors it. An attempt holds resources only while it runs; the staged
//! ones wait in order of arrival, and one that does not fit holds back those behind it, so that a large one
//! is not overtaken for ever.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::id::Token;
use crate::planted;
use crate::resources::Resources;

/// The resources of one node and who holds them.
#[derive(Debug, Clone)]
pub struct Slots {
    capacity: Resources,
    free: Resources,
    running: FxHashMap<Token, Resources>,
    staged: VecDeque<(Token, Resources)>,
}

impl Slots {
    /// All free.
    #[must_use]
    pub fn new(capacity: Resources) -> Self {
        Self { free: capacity.clone(), capacity, running: FxHashMap::default(), staged: VecDeque::new() }
    }

    /// Queues an attempt behind the staged ones. One that is here already changes nothing.
    pub fn stage(&mut self, token: Token, need: Resources) {
        if !self.holds(token) {
            self.staged.push_back((token, need));
        }
    }

    /// There is this much from now on. What runs goes on running; the staged ones that can never fit any more
    /// are given back, in order.
    pub fn set_capacity(&mut self, capacity: Resources) -> Vec<Token> {
        self.capacity = capacity;
        self.free = self.recount();
        let fits = |(_, need): &(Token, Resources)| self.capacity.covers(need);
        let (kept, evicted) = std::mem::take(&mut self.staged).into_iter().partition(fits);
        self.staged = kept;
        Vec::from(evicted).into_iter().map(|(token, _)| token).collect()
    }

    /// Whether [`Self::start_next`] would start one.
    #[must_use]
    pub fn next_fits(&self) -> bool {
        self.staged.front().is_some_and(|(_, need)| self.free.covers(need))
    }

    /// Takes resources for the staged attempt that is next, if they are free.
    pub fn start_next(&mut self) -> Option<Token> {
        let (_, need) = self.staged.front()?;
        let left = if planted!(OverCommit) { self.free.clone() } else { self.free.checked_sub(need)? };
        let (token, need) = self.staged.pop_front()?;
        self.free = left;
        self.running.insert(token, need);
        Some(token)
    }

    /// Takes note of an attempt that runs already, whatever is free: an adopted one is a fact. Gives back
    /// `false` where it does not fit, which makes the node over-committed until something ends.
    pub fn adopt(&mut self, token: Token, need: Resources) -> bool {
        if self.running.contains_key(&token) {
            return true;
        }
        self.staged.retain(|(staged, _)| *staged != token);
        let left = self.free.checked_sub(&need);
        self.running.insert(token, need);
        let fits = left.is_some();
        self.free = left.unwrap_or_else(|| self.recount());
        fits
    }

    /// Gives back what an attempt held; `false` where it is not here.
    pub fn end(&mut self, token: Token) -> bool {
        if self.running.remove(&token).is_some() {
            if !planted!(CapacityLeaks) {
                self.free = self.recount();
            }
            return true;
        }
        let before = self.staged.len();
        self.staged.retain(|(staged, _)| *staged != token);
        self.staged.len() < before
    }

    /// Whether an attempt is here, staged or running.
    #[must_use]
    pub fn holds(&self, token: Token) -> bool {
        self.running.contains_key(&token) || self.staged.iter().any(|(staged, _)| *staged == token)
    }

    /// What there is in all.
    #[must_use]
    pub fn capacity(&self) -> &Resources {
        &self.capacity
    }

    /// What nobody holds.
    #[must_use]
    pub fn free(&self) -> &Resources {
        &self.free
    }

    /// What is held.
    #[must_use]
    pub fn allocated(&self) -> Resources {
        self.running.values().fold(Resources::default(), |sum, need| sum.checked_add(need).unwrap_or(sum))
    }

    /// How many run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// How many wait here.
    #[must_use]
    pub fn staged(&self) -> usize {
        self.staged.len()
    }

    /// Capacity less all that runs; a dimension that is over-committed has nothing free.
    fn recount(&self) -> Resources {
        let allocated = self.allocated();
        let left = |resource: &str| self.capacity.amount(resource).saturating_sub(allocated.amount(resource));
        Resources {
            cpu_millis: self.capacity.cpu_millis.saturating_sub(allocated.cpu_millis),
            memory_bytes: self.capacity.memory_bytes.saturating_sub(allocated.memory_bytes),
            gpu_slots: self.capacity.gpu_slots.saturating_sub(allocated.gpu_slots),
            disk_bytes: self.capacity.disk_bytes.saturating_sub(allocated.disk_bytes),
            named: self
                .capacity
                .named
                .keys()
                .map(|name| (name.clone(), left(name)))
                .filter(|(_, n)| *n > 0)
                .collect(),
        }
    }

    /// Asserts what must always hold.
    ///
    /// # Panics
    /// When it does not.
    pub fn check(&self) {
        assert_eq!(self.free, self.recount(), "free = capacity - running");
        assert!(
            self.staged.iter().all(|(token, _)| !self.running.contains_key(token)),
            "staged or running, not both"
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slots(cores: u64) -> Slots {
        Slots::new(Resources::cpus(cores * 1000))
    }

    #[test]
    fn a_large_one_is_not_overtaken_by_small_ones_behind_it() {
        let mut slots = slots(2);
        for (token, cores) in [(1, 1), (2, 2), (3, 1)] {
            slots.stage(Token(token), Resources::cpus(cores * 1000));
        }
        assert_eq!(slots.start_next(), Some(Token(1)));
        assert_eq!(slots.start_next(), None);
        assert!(slots.end(Token(1)));
        assert_eq!(slots.start_next(), Some(Token(2)));
    }

    #[test]
    fn ending_twice_gives_back_once() {
        let mut slots = slots(1);
        slots.stage(Token(1), Resources::cpus(1000));
        assert_eq!(slots.start_next(), Some(Token(1)));
        assert!(slots.end(Token(1)));
        assert!(!slots.end(Token(1)));
        assert_eq!(slots.free(), slots.capacity());
    }

    #[test]
    fn an_adopted_one_that_does_not_fit_leaves_nothing_free() {
        let mut slots = slots(1);
        assert!(slots.adopt(Token(1), Resources::cpus(600)));
        assert!(!slots.adopt(Token(2), Resources::cpus(600)));
        assert_eq!(slots.free().cpu_millis, 0);
        assert!(slots.end(Token(1)));
        assert_eq!(slots.free().cpu_millis, 400);
    }

    #[test]
    fn a_smaller_capacity_keeps_what_runs_and_gives_back_what_can_never_run() {
        let mut slots = slots(4);
        for (token, cores) in [(1, 3), (2, 4), (3, 1)] {
            slots.stage(Token(token), Resources::cpus(cores * 1000));
        }
        assert_eq!(slots.start_next(), Some(Token(1)));
        assert!(!slots.next_fits());
        assert_eq!(slots.set_capacity(Resources::cpus(2000)), [Token(2)]);
        assert!(!slots.next_fits(), "what runs takes more than there is");
        assert!(slots.end(Token(1)));
        assert!(slots.next_fits());
        assert_eq!(slots.start_next(), Some(Token(3)));
        slots.check();
    }

    proptest! {
        #[test]
        fn nothing_is_ever_over_committed(steps in prop::collection::vec((0u8..3, 0u64..20, 1u64..3000), 0..200)) {
            let mut slots = slots(4);
            for (step, token, need) in steps {
                match step {
                    0 => slots.stage(Token(token), Resources::cpus(need)),
                    1 => {
                        let fits = slots.next_fits();
                        prop_assert_eq!(slots.start_next().is_some(), fits);
                    }
                    _ => { slots.end(Token(token)); }
                }
                slots.check();
                prop_assert!(slots.capacity().covers(&slots.allocated()));
            }
        }
    }
}

//! One pool of indices: each is held by one at a time.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use crate::planted;

/// Indices, of which the one that has been free for longest is given first: a port that was just closed may
/// not be usable at once.
#[derive(Debug, Clone)]
pub struct Pool<H> {
    members: Vec<Box<str>>,
    free: VecDeque<Box<str>>,
    held: BTreeMap<Box<str>, H>,
}

impl<H: Copy + Eq + fmt::Debug> Pool<H> {
    /// All free.
    #[must_use]
    pub fn new(members: &[Box<str>]) -> Self {
        Self { members: members.to_vec(), free: members.iter().cloned().collect(), held: BTreeMap::new() }
    }

    /// Other indices from now on. One that is held and is no longer among them goes when it is given back.
    pub fn set_members(&mut self, members: &[Box<str>]) {
        self.members = members.to_vec();
        self.free.retain(|index| members.contains(index));
        let new =
            members.iter().filter(|index| !self.held.contains_key(*index) && !self.free.contains(*index));
        let new: Vec<_> = new.cloned().collect();
        self.free.extend(new);
    }

    /// How many are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Who holds what.
    pub fn held(&self) -> impl Iterator<Item = (&str, H)> {
        self.held.iter().map(|(index, holder)| (&**index, *holder))
    }

    /// Who holds what comes back to the pool: each of them once for each index.
    pub(super) fn held_members(&self) -> impl Iterator<Item = H> {
        self.held.iter().filter(|(index, _)| self.members.contains(index)).map(|(_, holder)| *holder)
    }

    /// Takes `count` indices, all or none.
    pub fn take(&mut self, holder: H, count: usize) -> Option<Vec<Box<str>>> {
        if self.free.len() < count {
            return None;
        }
        let taken: Vec<Box<str>> = self.free.drain(..count).collect();
        if planted!(IndexTwice) {
            taken.iter().rev().for_each(|index| self.free.push_front(index.clone()));
        }
        self.held.extend(taken.iter().map(|index| (index.clone(), holder)));
        Some(taken)
    }

    /// Takes note that somebody holds these already.
    pub fn restore(&mut self, holder: H, indices: &[Box<str>]) {
        self.free.retain(|index| !indices.contains(index));
        self.held.extend(indices.iter().map(|index| (index.clone(), holder)));
    }

    /// Gives back all that a holder has; `false` where that is nothing.
    pub fn release(&mut self, holder: H) -> bool {
        let of_holder = self.held.iter().filter(|(_, of)| **of == holder);
        let mut back: Vec<Box<str>> = of_holder.map(|(index, _)| index.clone()).collect();
        for index in &back {
            self.held.remove(index);
        }
        let any = !back.is_empty();
        back.retain(|index| self.members.contains(index));
        self.free.extend(back);
        any
    }

    /// Asserts what must always hold.
    ///
    /// # Panics
    /// When it does not.
    pub fn check(&self) {
        for index in &self.free {
            assert!(!self.held.contains_key(index), "{index} is free or held, not both");
            assert!(self.members.contains(index), "{index} is one of the pool's");
        }
        let unique: std::collections::BTreeSet<_> = self.free.iter().collect();
        assert_eq!(unique.len(), self.free.len(), "no index is free twice");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(names: &[&str]) -> Vec<Box<str>> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn the_one_that_has_been_free_for_longest_is_given_first() {
        let mut pool = Pool::new(&members(&["a", "b", "c"]));
        assert_eq!(pool.take(1, 1), Some(members(&["a"])));
        assert!(pool.release(1) && !pool.release(1));
        assert_eq!(pool.take(2, 3), Some(members(&["b", "c", "a"])));
        assert_eq!(pool.take(3, 1), None);
        pool.check();
    }

    #[test]
    fn an_index_that_is_taken_out_goes_when_it_is_given_back() {
        let mut pool = Pool::new(&members(&["a", "b"]));
        pool.restore(1, &members(&["a"]));
        pool.set_members(&members(&["b", "c"]));
        assert_eq!((pool.free(), pool.len()), (2, 2));
        pool.release(1);
        assert_eq!(pool.free(), 2);
        pool.set_members(&members(&["a", "b", "c"]));
        assert_eq!(pool.free(), 3);
        pool.check();
    }
}

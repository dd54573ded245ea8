//! Which priority is served next: each gets its share of the starts, and what one does not use the others
//! have at once.
//!
//! # Why
//!
//! Smooth weighted round robin: at every start each priority that has something to start earns its share,
//! and the richest pays for all. Credit stays within one whole round, whatever comes and goes (a test walks
//! through every history there is), so that over any hundred starts a priority that always has something is at most one away from its
//! share, and no history can make it wait for more than a round. It earns nothing while it has nothing:
//! silence is not saved up for a flood.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::planted;
use crate::task::Priority;

/// A round: what all shares add up to.
const ROUND: i32 = 100;

/// The part of all starts that each priority has when all of them have something to start, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// Of `Critical`.
    pub critical: u8,
    /// Of `High`.
    pub high: u8,
    /// Of `Normal`.
    pub normal: u8,
    /// Of `Low`.
    pub low: u8,
}

/// By what rule the next priority is chosen.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Fairness {
    /// Each has its share.
    #[default]
    TimeSlice,
    /// The most urgent that has something to start, always; what is less urgent comes first by its age alone.
    Strict,
}

/// Why shares cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SharesRefused {
    /// With no share at all it would starve.
    #[error("the share of {0} priority is 0: must be at least 1 percent")]
    Zero(Priority),
    /// They are percentages of one whole.
    #[error("the shares add up to {0}: must be 100 percent")]
    NotWhole(u32),
}

/// The priorities that have something to start now, by `Priority as usize`.
pub type Backlog = [bool; 4];

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeSlice {
    fairness: Fairness,
    shares: [i32; 4],
    credit: [i32; 4],
}

impl Default for Shares {
    fn default() -> Self {
        Self { critical: 50, high: 30, normal: 15, low: 5 }
    }
}

impl Default for TimeSlice {
    fn default() -> Self {
        Self::of(Shares::default())
    }
}

impl TimeSlice {
    /// A fair start under these shares.
    ///
    /// # Errors
    ///
    /// When a share is 0, or they do not add up to 100.
    pub fn new(shares: Shares) -> Result<Self, SharesRefused> {
        let slice = Self::of(shares);
        let sum: i32 = slice.shares.iter().sum();
        match Priority::VARIANTS.iter().find(|priority| slice.shares[**priority as usize] == 0) {
            Some(priority) => Err(SharesRefused::Zero(*priority)),
            None if sum != ROUND => Err(SharesRefused::NotWhole(sum.unsigned_abs())),
            None => Ok(slice),
        }
    }

    /// The same under another rule.
    #[must_use]
    pub fn ruled(self, fairness: Fairness) -> Self {
        Self { fairness, ..self }
    }

    /// The rule it goes by.
    #[must_use]
    pub fn fairness(&self) -> Fairness {
        self.fairness
    }

    /// The shares it goes by.
    #[must_use]
    pub fn shares(&self) -> Shares {
        let [low, normal, high, critical] = self.shares.map(|share| u8::try_from(share).unwrap_or(u8::MAX));
        Shares { critical, high, normal, low }
    }

    fn of(shares: Shares) -> Self {
        Self {
            fairness: Fairness::default(),
            shares: [shares.low, shares.normal, shares.high, shares.critical].map(i32::from),
            credit: [0; 4],
        }
    }

    /// Whose turn it is; of equals the more urgent. `None` where nobody has anything to start. Nothing is
    /// counted yet: where it turns out that nothing of that priority fits, ask again without it.
    #[must_use]
    pub fn choose(&self, backlog: &Backlog) -> Option<Priority> {
        let waiting = Priority::VARIANTS.iter().copied().filter(|priority| backlog[*priority as usize]);
        if self.fairness == Fairness::Strict || planted!(StrictPriority) {
            return waiting.max();
        }
        if planted!(PriorityInverted) {
            return waiting
                .min_by_key(|priority| self.credit[*priority as usize] + self.shares[*priority as usize]);
        }
        waiting.max_by_key(|priority| self.credit[*priority as usize] + self.shares[*priority as usize])
    }

    /// One task of this priority was started, while these had something to start, itself among them.
    pub fn charge(&mut self, started: Priority, backlog: &Backlog) {
        let waiting =
            Priority::VARIANTS.iter().map(|priority| *priority as usize).filter(|one| backlog[*one]);
        for one in waiting {
            self.credit[one] += self.shares[one];
            self.credit[started as usize] -= self.shares[one];
        }
        // Chosen by `choose` they never come so far; what was chosen and not started must not be saved up either.
        self.credit = self.credit.map(|credit| credit.clamp(-ROUND, ROUND));
    }

    /// Chooses and charges.
    pub fn pick(&mut self, backlog: &Backlog) -> Option<Priority> {
        let chosen = self.choose(backlog)?;
        self.charge(chosen, backlog);
        Some(chosen)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const ALL: Backlog = [true; 4];

    fn counts(slice: &mut TimeSlice, picks: usize) -> [i32; 4] {
        let mut counts = [0; 4];
        (0..picks).filter_map(|_| slice.pick(&ALL)).for_each(|one| counts[one as usize] += 1);
        counts
    }

    #[test]
    fn under_the_strict_rule_the_most_urgent_is_always_next() {
        let mut slice = TimeSlice::default().ruled(Fairness::Strict);
        assert_eq!(counts(&mut slice, 100), [0, 0, 0, 100]);
        let (low, some) = ([true, false, false, false], [true, false, true, false]);
        assert_eq!((slice.pick(&low), slice.pick(&some)), (Some(Priority::Low), Some(Priority::High)));
        assert_eq!(slice.pick(&[false; 4]), None);
    }

    #[test]
    fn a_hundred_starts_are_shared_exactly_and_the_most_urgent_is_first() {
        let mut slice = TimeSlice::default();
        assert_eq!(slice.choose(&ALL), Some(Priority::Critical));
        assert_eq!(counts(&mut slice, 100), [5, 15, 30, 50]);
    }

    #[test]
    fn what_one_does_not_use_the_others_have_at_once() {
        let mut slice = TimeSlice::default();
        let low_only = [true, false, false, false];
        assert!((0..1000).all(|_| slice.pick(&low_only) == Some(Priority::Low)));
        assert_eq!(slice.pick(&[false; 4]), None);
        assert_eq!(counts(&mut slice, 100), [5, 15, 30, 50], "and having had it is not held against anybody");
    }

    #[test]
    fn shares_that_starve_somebody_are_refused() {
        let refused = |shares| TimeSlice::new(shares).map(|_| ()).unwrap_err().to_string();
        let shares = Shares::default();
        assert_eq!(
            refused(Shares { low: 0, ..shares }),
            "the share of low priority is 0: must be at least 1 percent"
        );
        assert_eq!(refused(Shares { low: 6, ..shares }), "the shares add up to 101: must be 100 percent");
        assert!(TimeSlice::new(shares).is_ok());
    }

    /// Every history there is, not only those that a random test would find.
    #[test]
    fn no_history_brings_a_credit_beyond_one_round_or_a_hundred_starts_off_by_more_than_one() {
        let backlogs: Vec<Backlog> =
            (1..16).map(|bits| [0, 1, 2, 3].map(|one| bits & (1 << one) != 0)).collect();
        let mut seen = BTreeSet::from([[0; 4]]);
        let mut visit = vec![TimeSlice::default()];
        while let Some(slice) = visit.pop() {
            assert!(slice.credit.iter().all(|credit| credit.abs() <= ROUND), "{:?}", slice.credit);
            let counts = counts(&mut slice.clone(), 100);
            assert!(
                counts.iter().zip(slice.shares).all(|(count, share)| (count - share).abs() <= 1),
                "{counts:?}"
            );
            for backlog in &backlogs {
                let mut next = slice.clone();
                next.pick(backlog);
                if seen.insert(next.credit) {
                    visit.push(next);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn over_any_hundred_starts_each_is_within_one_of_its_share(
            before in prop::collection::vec(1_u8..16, 0..100),
            low in 1_u8..30, normal in 1_u8..30, high in 1_u8..30,
        ) {
            let shares = Shares { low, normal, high, critical: 100 - low - normal - high };
            let mut slice = TimeSlice::new(shares).unwrap();
            for bits in before {
                slice.pick(&[0, 1, 2, 3].map(|one| bits & (1 << one) != 0));
            }
            for (count, share) in counts(&mut slice, 100).into_iter().zip(slice.shares) {
                prop_assert!((count - share).abs() <= 1, "{count} of {share}");
            }
        }
    }
}

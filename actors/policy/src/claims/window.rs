//! How much may be used within a length of time: a sliding window over slices.
//!
//! The window is cut into [`SLICES`] slices. What is taken in a slice is free again one whole window after the
//! *end* of that slice, so `used(t) = Σ taken in slices that end after t - length`. A take is therefore
//! counted for at least the window's length and at most a sixtieth longer: the limit holds in every
//! window, wherever it begins, and a full window costs a sixtieth of the rate. A fixed window (counting anew
//! at every full minute) would let twice the limit through around the turn.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Moment;

/// Slices of a window: memory for it, and the part of a rate that is lost to rounding.
const SLICES: u64 = 60;

/// Added to every moment, so that what was taken before the machine's last boot has its place: 400 days.
const BEFORE_BOOT_MICROS: u64 = 400 * 24 * 3600 * 1_000_000;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Window {
    limit: u64,
    slice_micros: u64,
    /// By number, the oldest first, none of them empty.
    slices: VecDeque<(u64, u64)>,
    used: u64,
}

impl Window {
    pub(super) fn new(limit: u64, length: Duration) -> Self {
        let micros = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        Self { limit, slice_micros: (micros / SLICES).max(1), slices: VecDeque::new(), used: 0 }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// As it was, with another limit or length from now on. What has left the old window is not known any more.
    pub(super) fn changed(&self, limit: u64, length: Duration) -> Self {
        let mut window = Self::new(limit, length);
        for (number, amount) in &self.slices {
            window.add_in((number + 1) * self.slice_micros / window.slice_micros, *amount);
        }
        window
    }

    /// Forgets what has left the window.
    pub(super) fn pass(&mut self, now: Moment) {
        while let Some((number, amount)) = self.slices.front().copied()
            && self.leaves(number) <= micros(now)
        {
            self.slices.pop_front();
            self.used -= amount;
        }
    }

    /// What is used in the window that ends now, as of the last [`Self::pass`].
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// What may still be taken, as of the last [`Self::pass`].
    pub(super) fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// Counts `amount` as used `age` ago, whether it fits or not.
    pub(super) fn add_aged(&mut self, amount: u64, age: Duration, now: Moment) {
        self.add_in(self.slice_of(age, now), amount);
    }

    /// The slice of what was `age` ago.
    fn slice_of(&self, age: Duration, now: Moment) -> u64 {
        micros(now).saturating_sub(u64::try_from(age.as_micros()).unwrap_or(u64::MAX)) / self.slice_micros
    }

    /// Takes back at most `amount` of what was counted `age` ago, unless that has left the window.
    pub(super) fn give_back(&mut self, amount: u64, age: Duration, now: Moment) {
        let number = self.slice_of(age, now);
        let Ok(place) = self.slices.binary_search_by_key(&number, |(number, _)| *number) else { return };
        let slice = &mut self.slices[place].1;
        let back = amount.min(*slice);
        *slice -= back;
        self.used -= back;
        if *slice == 0 {
            self.slices.remove(place);
        }
    }

    /// How long ago what was used, at the latest; the oldest first.
    pub(super) fn ages(&self, now: Moment) -> impl Iterator<Item = (Duration, u64)> {
        let ago = move |number: u64| micros(now).saturating_sub((number + 1) * self.slice_micros - 1);
        self.slices.iter().map(move |(number, amount)| (Duration::from_micros(ago(*number)), *amount))
    }

    /// How long until `amount` fits, if nothing else is taken; `None` where it never does.
    pub(super) fn fits_in(&self, amount: u64, now: Moment) -> Option<Duration> {
        let mut left = self.left();
        let mut slices = self.slices.iter();
        let mut at = micros(now);
        // What was reported beyond the limit has to leave before anything is free.
        let mut excess = self.used.saturating_sub(self.limit);
        while left < amount {
            let (number, freed) = slices.next()?;
            let counted = freed.saturating_sub(excess);
            excess = excess.saturating_sub(*freed);
            left = left.saturating_add(counted);
            at = self.leaves(*number);
        }
        Some(Duration::from_micros(at.saturating_sub(micros(now))))
    }

    fn add_in(&mut self, number: u64, amount: u64) {
        if amount == 0 {
            return;
        }
        self.used = self.used.saturating_add(amount);
        match self.slices.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(place) => self.slices[place].1 = self.slices[place].1.saturating_add(amount),
            Err(place) => self.slices.insert(place, (number, amount)),
        }
    }

    /// When a slice has left the window, in microseconds.
    fn leaves(&self, number: u64) -> u64 {
        (number + 1 + SLICES) * self.slice_micros
    }

    pub(super) fn check(&self) {
        assert_eq!(
            self.used,
            self.slices.iter().map(|(_, amount)| amount).sum::<u64>(),
            "used is what slices say"
        );
        assert!(self.slices.iter().is_sorted_by(|one, other| one.0 < other.0), "slices are in order");
        assert!(self.slices.iter().all(|(_, amount)| *amount > 0), "no slice is empty");
    }
}

fn micros(moment: Moment) -> u64 {
    moment.0.saturating_add(BEFORE_BOOT_MICROS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const NOW: Duration = Duration::ZERO;

    fn at(seconds: u64) -> Moment {
        Moment(seconds * 1_000_000)
    }

    #[test]
    fn what_was_taken_is_free_again_one_window_after_its_slice() {
        let mut window = Window::new(10, MINUTE);
        window.add_aged(10, NOW, at(100));
        assert_eq!(window.fits_in(1, at(100)), Some(Duration::from_secs(61)));
        window.pass(at(160));
        assert_eq!(window.left(), 0);
        window.pass(at(161));
        assert_eq!(window.left(), 10);
        assert_eq!(window.fits_in(11, at(161)), None);
    }

    #[test]
    fn what_is_given_back_is_free_at_once_but_only_once() {
        let mut window = Window::new(10, MINUTE);
        window.add_aged(8, NOW, at(5));
        window.give_back(3, NOW, at(5));
        assert_eq!(window.left(), 5);
        window.give_back(100, NOW, at(5));
        window.give_back(1, NOW, at(5));
        assert_eq!(window.left(), 10);
        window.check();
    }

    #[test]
    fn what_was_used_before_the_boot_counts_too() {
        let mut window = Window::new(10, Duration::from_hours(24));
        window.add_aged(4, Duration::from_hours(23), at(60));
        window.add_aged(4, Duration::from_hours(26), at(60));
        window.pass(at(60));
        assert_eq!(window.left(), 6);
        let longer = window.changed(20, Duration::from_hours(48));
        assert_eq!(longer.left(), 16);
    }

    #[test]
    fn what_was_reported_beyond_the_limit_has_to_leave_first() {
        let mut window = Window::new(10, MINUTE);
        window.add_aged(10, NOW, at(0));
        window.add_aged(10, NOW, at(30));
        assert_eq!(window.fits_in(1, at(30)), Some(Duration::from_secs(61)));
        window.check();
    }

    proptest! {
        #[test]
        fn no_window_wherever_it_begins_has_more_than_its_limit(
            steps in prop::collection::vec((0_u64..9_000_000, 1_u64..6), 1..120),
        ) {
            let (mut window, mut now, mut takes) = (Window::new(10, MINUTE), Moment(17), Vec::new());
            for (later, amount) in steps {
                now = Moment(now.0 + later);
                window.pass(now);
                window.check();
                let wait = window.fits_in(amount, now).expect("it is below the limit");
                prop_assert_eq!(wait.is_zero(), window.left() >= amount);
                if wait.is_zero() {
                    window.add_aged(amount, NOW, now);
                    takes.push((now, amount));
                }
                let within: u64 = takes
                    .iter()
                    .filter(|(then, _)| now.since(*then) < MINUTE)
                    .map(|(_, amount)| amount)
                    .sum();
                prop_assert!(within <= 10, "{within} within a minute");
                if !wait.is_zero() {
                    window.pass(now + wait);
                    prop_assert!(window.left() >= amount, "told to wait {wait:?}, which is too short");
                    now = now + wait;
                }
            }
        }
    }
}

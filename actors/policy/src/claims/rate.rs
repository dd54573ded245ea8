//! One rate: several windows that hold together, and a time until which nobody is let in.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::claims::Blocked;
use crate::claims::rules::{RateRule, needed};
use crate::claims::window::Window;
use crate::planted;
use crate::time::Moment;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Rate {
    pub(super) rule: RateRule,
    pub(super) windows: Vec<Window>,
    /// Nobody is let in before.
    parked: Option<Moment>,
}

/// What of a rate is taken, by unit.
pub(super) type Needs = BTreeMap<Box<str>, u64>;

impl Rate {
    pub(super) fn new(rule: &RateRule) -> Self {
        let windows = rule.windows.iter().map(|window| Window::new(window.limit, window.length)).collect();
        Self { rule: rule.clone(), windows, parked: None }
    }

    /// Other windows from now on. A new one begins with what the longest known one of its unit has.
    pub(super) fn set_rule(&mut self, rule: &RateRule) {
        if self.rule == *rule {
            return;
        }
        let known = || self.rule.windows.iter().zip(&self.windows);
        let windows = rule.windows.iter().map(|new| {
            let same = known().filter(|(old, _)| old.unit == new.unit);
            let exact = same.clone().find(|(old, _)| old.length == new.length);
            match exact.or_else(|| same.max_by_key(|(old, _)| old.length)) {
                Some((_, window)) => window.changed(new.limit, new.length),
                None => Window::new(new.limit, new.length),
            }
        });
        self.windows = windows.collect();
        self.rule = rule.clone();
    }

    pub(super) fn pass(&mut self, now: Moment) {
        self.windows.iter_mut().for_each(|window| window.pass(now));
        self.parked = self.parked.filter(|until| *until > now);
    }

    /// How many with these needs it lets in now.
    pub(super) fn room(&self, name: &str, needs: &Needs, now: Moment) -> Result<u32, Blocked> {
        if let Some(until) = self.parked {
            return Err(Blocked::Parked { rate: name.into(), wait: until.since(now) });
        }
        if planted!(WindowIgnored) {
            return Ok(u32::MAX);
        }
        let mut room = u32::MAX;
        for (rule, window) in self.rule.windows.iter().zip(&self.windows) {
            let need = needed(needs, &rule.unit);
            let Some(times) = window.left().checked_div(need) else { continue };
            if times == 0 {
                let (limit, used, wait) = (window.limit(), window.used(), window.fits_in(need, now));
                let (rate, unit) = (name.into(), rule.unit.clone());
                return Err(Blocked::Rate { rate, unit, needed: need, used, limit, wait });
            }
            room = room.min(u32::try_from(times).unwrap_or(u32::MAX));
        }
        Ok(room)
    }

    /// Takes what is needed from all windows, whether it fits or not.
    pub(super) fn take(&mut self, needs: &Needs, age: Duration, now: Moment) {
        for (rule, window) in self.rule.windows.iter().zip(&mut self.windows) {
            window.add_aged(needed(needs, &rule.unit), age, now);
        }
    }

    /// Gives back what was taken `age` ago.
    pub(super) fn give_back(&mut self, needs: &Needs, age: Duration, now: Moment) {
        for (rule, window) in self.rule.windows.iter().zip(&mut self.windows) {
            window.give_back(needed(needs, &rule.unit), age, now);
        }
    }

    /// An attempt that is over, `age` ago, has used so much of a unit, where `taken` had been taken: the rest is
    /// given back, or what is more is counted at its end.
    pub(super) fn settle(
        &mut self,
        unit: &str,
        (taken, taken_ago): (u64, Duration),
        (used, age): (u64, Duration),
        now: Moment,
    ) {
        let of_unit = self.rule.windows.iter().zip(&mut self.windows).filter(|(rule, _)| *rule.unit == *unit);
        for (_, window) in of_unit {
            window.give_back(taken.saturating_sub(used), taken_ago, now);
            window.add_aged(used.saturating_sub(taken), age, now);
        }
    }

    pub(super) fn park(&mut self, until: Moment) {
        self.parked = self.parked.max(Some(until));
    }

    pub(super) fn parked(&self) -> Option<Moment> {
        self.parked
    }

    pub(super) fn windows(&self) -> &[Window] {
        &self.windows
    }
}

//! `[breaker]`: when a machine on which attempts break is left alone, and a task that takes machines down set
//! aside.

use policy::breaker::BreakerRules;
use policy::retry::POISON_AFTER;

use crate::config::amount::Length;
use crate::config::section::{Any, section};

section! {
    /// `[breaker]`
    BreakerConfig {
        /// Failures of a machine in a row after which nothing is started on it.
        failures: u32 = BreakerRules::default().failures, 1..;
        /// How long nothing is started.
        open: Length = Length(BreakerRules::default().open), Any("a length of time");
        /// Attempts that are then tried, one after the other.
        trials: u32 = BreakerRules::default().trials, 1..=100;
        /// The part of them that has to go well, in percent.
        success_percent: u8 = BreakerRules::default().success_percent, 1..=100;
        /// Whether a kind of task that fails again and again on a machine, by its own fault, is kept from it.
        kinds_count_failures: bool = BreakerRules::default().kinds_count_failures, Any("true or false");
        /// Machines that may die while a task runs before it is set aside; 0 for any number.
        poison_after: u32 = POISON_AFTER, 0..;
    }
}

impl BreakerConfig {
    /// When breakers trip and close.
    #[must_use]
    pub fn rules(&self) -> BreakerRules {
        BreakerRules {
            failures: self.failures(),
            open: self.open().0,
            trials: self.trials(),
            success_percent: self.success_percent(),
            kinds_count_failures: self.kinds_count_failures(),
        }
    }
}

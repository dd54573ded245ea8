//! What an attempt says of itself, beside its exit status: what it used, who refused it, what it cost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Rates that one report may name: more than anything uses at once.
const REPORTED_RATES_LIMIT: usize = 16;
/// The longest a report may ask to be left alone for: a day. What is refused longer than that is closed.
pub const PARKED_LIMIT: Duration = Duration::from_hours(24);

/// What one attempt has reported.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaskReport {
    /// What it has used of rates in all, in place of what it took at its start.
    pub used: Vec<RateUse>,
    /// The rates by which it was refused.
    pub parked: Vec<Parked>,
    /// What it cost, in units of the site's own.
    pub cost: u64,
    /// What could not be understood, as a person should read it. It changes nothing else.
    pub faults: Vec<Box<str>>,
}

/// What was used of one unit of a rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateUse {
    /// The rate, such as `llm:org-1`.
    pub rate: Box<str>,
    /// What is counted, such as `tokens`.
    pub unit: Box<str>,
    /// How many.
    pub amount: u64,
}

/// A rate that lets nobody in for a while: what HTTP calls 429.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The rate.
    pub rate: Box<str>,
    /// For how long, from the attempt's end.
    pub wait: Duration,
}

impl TaskReport {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds to what was used of a rate. `false` where there are too many already.
    pub fn add_use(&mut self, rate: &str, unit: &str, amount: u64) -> bool {
        if let Some(known) = self.used.iter_mut().find(|used| *used.rate == *rate && *used.unit == *unit) {
            known.amount = known.amount.saturating_add(amount);
            return true;
        }
        let has_room = self.used.len() < REPORTED_RATES_LIMIT;
        if has_room {
            self.used.push(RateUse { rate: rate.into(), unit: unit.into(), amount });
        }
        has_room
    }

    /// A rate has refused it for `wait`; of several the longest counts. `false` where there are too many.
    pub fn park(&mut self, rate: &str, wait: Duration) -> bool {
        let wait = wait.min(PARKED_LIMIT);
        if let Some(known) = self.parked.iter_mut().find(|parked| *parked.rate == *rate) {
            known.wait = known.wait.max(wait);
            return true;
        }
        let has_room = self.parked.len() < REPORTED_RATES_LIMIT;
        if has_room {
            self.parked.push(Parked { rate: rate.into(), wait });
        }
        has_room
    }

    /// How long all that refused it ask to be left alone; `None` where nobody did.
    #[must_use]
    pub fn parked_for(&self) -> Option<Duration> {
        self.parked.iter().map(|parked| parked.wait).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reported_twice_is_added_up_and_the_longest_wait_counts() {
        let mut report = TaskReport::default();
        assert!(report.is_empty());
        assert!(report.add_use("llm", "tokens", 5) && report.add_use("llm", "tokens", 7));
        assert!(report.park("llm", Duration::from_secs(3)) && report.park("llm", Duration::from_secs(1)));
        assert_eq!(report.used[0].amount, 12);
        assert_eq!(report.parked_for(), Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_report_has_an_end() {
        let mut report = TaskReport::default();
        let taken = (0..100).take_while(|rate| report.add_use(&rate.to_string(), "calls", 1)).count();
        assert_eq!(taken, REPORTED_RATES_LIMIT);
        assert!(report.park("llm", Duration::MAX));
        assert_eq!(report.parked_for(), Some(PARKED_LIMIT));
    }
}

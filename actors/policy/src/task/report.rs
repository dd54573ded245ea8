//! What is said of an attempt beside its exit status: by itself what it used, who refused it, what it cost, what came of
//! it and how far it is; by its machine what became of its workspace, and what was kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::artifact::Summary;
use crate::layout::{before, since};
use crate::stages::StepEnd;
use crate::workspace::WorkspaceEnd;

/// Rates that one report may name: more than anything uses at once.
const REPORTED_RATES_LIMIT: usize = 16;
/// The longest a report may ask to be left alone for: a day. What is refused longer than that is closed.
pub const PARKED_LIMIT: Duration = Duration::from_hours(24);
/// Results that one report may name: what a person or a program reads at once.
pub const RESULTS_LIMIT: usize = 32;
/// Characters of what an attempt says it is doing: a line of a terminal.
pub const DOING_LIMIT_CHARS: usize = 80;

/// What an attempt used, as far as the operating system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// From start to end.
    pub wall: Duration,
    /// Processor time of the process and its waited-for children.
    pub cpu: Duration,
    /// The largest resident memory, in bytes.
    pub peak_memory_bytes: u64,
    /// Bytes written to standard output, kept or not.
    pub stdout_bytes: u64,
    /// Bytes written to standard error, kept or not.
    pub stderr_bytes: u64,
}

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
    /// What came of it, by name.
    #[serde(deserialize_with = "since::<3, _, _>", skip_serializing_if = "before::<3, _>")]
    pub results: Vec<ResultField>,
    /// How far it was when it said so last.
    #[serde(deserialize_with = "since::<3, _, _>", skip_serializing_if = "before::<3, _>")]
    pub progress: Option<Progress>,
    /// What became of its workspace, as its machine says; `None` where it had none.
    #[serde(deserialize_with = "since::<6, _, _>", skip_serializing_if = "before::<6, _>")]
    pub workspace: Option<Box<WorkspaceEnd>>,
    /// How its stages went, as its machine says; empty where it had none but its command.
    #[serde(deserialize_with = "since::<17, _, _>", skip_serializing_if = "before::<17, _>")]
    pub steps: Vec<StepEnd>,
    /// What was kept of what it left behind, as its machine says; `None` where nothing was to be.
    #[serde(deserialize_with = "since::<20, _, _>", skip_serializing_if = "before::<20, _>")]
    pub artifacts: Option<Box<Summary>>,
}

/// Something that came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultField {
    /// What it is called.
    pub name: Box<str>,
    /// What it is, as JSON.
    pub json: Box<str>,
}

/// How far an attempt is, as it says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Thousandths of the way, from 0 to 1,000; `None` where it cannot say.
    pub permille: Option<u16>,
    /// What it does now, at most [`DOING_LIMIT_CHARS`]; empty where it does not say.
    pub doing: Box<str>,
}

/// `40% compiling`.
impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let space = if self.permille.is_some() && !self.doing.is_empty() { " " } else { "" };
        match self.permille {
            Some(permille) => write!(f, "{}%{space}{}", permille / 10, self.doing),
            None => f.write_str(&self.doing),
        }
    }
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

    /// Says what came of it; what was said before under the name is replaced. `false` where there are too many.
    pub fn add_result(&mut self, name: &str, json: &str) -> bool {
        if let Some(known) = self.results.iter_mut().find(|known| *known.name == *name) {
            known.json = json.into();
            return true;
        }
        let has_room = self.results.len() < RESULTS_LIMIT;
        if has_room {
            self.results.push(ResultField { name: name.into(), json: json.into() });
        }
        has_room
    }

    /// Says how far it is, as a part of 1, and what it does; what is not said stays. `false` where it is no part of 1.
    pub fn advance(&mut self, part: Option<f64>, doing: Option<&str>) -> bool {
        let mut progress = self.progress.take().unwrap_or_default();
        let is_part = part.is_none_or(|part| (0.0..=1.0).contains(&part));
        if let Some(part) = part.filter(|_| is_part) {
            progress.permille = Some(permille(part));
        }
        if let Some(doing) = doing {
            let plain = doing.chars().filter(|c| !c.is_control());
            progress.doing = plain.take(DOING_LIMIT_CHARS).collect::<String>().into();
        }
        self.progress = (progress != Progress::default()).then_some(progress);
        is_part
    }

    /// How long all that refused it ask to be left alone; `None` where nobody did.
    #[must_use]
    pub fn parked_for(&self) -> Option<Duration> {
        self.parked.iter().map(|parked| parked.wait).max()
    }
}

/// In thousandths, downwards: only what is done is whole.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 1,000")]
fn permille(part: f64) -> u16 {
    (part * 1000.0) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_last_of_progress_and_results_holds() {
        let mut report = TaskReport::default();
        assert!(report.advance(Some(0.25), Some("reading")) && report.advance(Some(0.4999), None));
        assert_eq!(report.progress.as_ref().map(ToString::to_string).as_deref(), Some("49% reading"));
        assert!(!report.advance(Some(40.0), Some(&"x".repeat(1000))));
        let progress = report.progress.as_ref().unwrap();
        assert_eq!((progress.permille, progress.doing.len()), (Some(499), DOING_LIMIT_CHARS));
        assert!(report.add_result("branch", "1") && report.add_result("branch", "2"));
        assert_eq!(report.results, [ResultField { name: "branch".into(), json: "2".into() }]);
        assert!((0..RESULTS_LIMIT - 1).all(|nth| report.add_result(&nth.to_string(), "0")));
        assert!(!report.add_result("one more", "0") && report.add_result("0", "1"));
    }

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

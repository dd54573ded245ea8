//! What a task says of itself to people and to other programs: labels, a goal, and by what its run is judged.
//!
//! Nothing here asks for room. What follows from the phase of an agent and from a promotion gate is a condition on the
//! machine, as if the task had said it: early phases never touch production, and a gate runs nowhere else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::constraint::{Condition, Test};

/// Labels of one task that are kept: more than a table shows.
pub const TASK_LABELS_LIMIT: usize = 16;
/// Bytes of the value of a label of a task.
pub const LABEL_LIMIT_BYTES: usize = 200;
/// Characters of a goal: a sentence or two.
pub const GOAL_LIMIT_CHARS: usize = 500;
/// Bytes of the name of a run and of the path of a rubric.
pub const EVALUATION_LIMIT_BYTES: usize = 1000;
/// The phases of an agent, of which the first two are before anything is released.
pub const PHASES: std::ops::RangeInclusive<u8> = 1..=4;
/// The last phase that stays away from production.
const LAST_EARLY_PHASE: u8 = 2;
/// The label of a machine by which it says that it is one of production, with the value `yes`.
pub const PRODUCTION: &str = "production";
const YES: &str = "yes";

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Texts by name, for whoever looks for tasks.
    pub labels: BTreeMap<Box<str>, Box<str>>,
    /// What it is done for, in words.
    pub goal: Option<Box<str>>,
    /// By what its run is judged; `None` where it is not.
    pub evaluation: Option<Evaluation>,
}

/// By what the run of a task is judged, and how far its agent is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The run that it belongs to, as whoever evaluates calls it.
    pub run: Option<Box<str>>,
    /// Where the rubric is.
    pub rubric: Option<Box<str>>,
    /// Whether it decides on a promotion: it runs on machines of production alone.
    pub is_gate: bool,
    /// The phase of the agent, one of [`PHASES`]; in the first two it runs on no machine of production, unless it is a gate.
    pub phase: Option<u8>,
}

impl About {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What must hold of a machine that may run it.
    #[must_use]
    pub fn condition(&self) -> Option<Condition> {
        self.evaluation.as_ref().and_then(Evaluation::condition)
    }

    /// How its processes find it: variables and their values.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        let Self { labels, goal, evaluation } = self;
        let plain = |one: char| if one.is_ascii_alphanumeric() { one.to_ascii_uppercase() } else { '_' };
        let labels = labels.iter().map(|(name, value)| {
            (format!("CRAB_LABEL_{}", name.chars().map(plain).collect::<String>()), value.to_string())
        });
        let goal = goal.iter().map(|goal| ("CRAB_GOAL".to_owned(), goal.to_string()));
        labels.chain(goal).chain(evaluation.iter().flat_map(Evaluation::variables)).collect()
    }

    /// Bytes of what varies in length.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let labels: usize = self.labels.iter().map(|(name, value)| name.len() + value.len() + 16).sum();
        let texts = |evaluation: &Evaluation| {
            [&evaluation.run, &evaluation.rubric].into_iter().flatten().map(|text| text.len()).sum::<usize>()
        };
        labels + self.goal.as_ref().map_or(0, |goal| goal.len()) + self.evaluation.as_ref().map_or(0, texts)
    }
}

impl Evaluation {
    fn condition(&self) -> Option<Condition> {
        let is_early = self.phase.is_some_and(|phase| phase <= LAST_EARLY_PHASE);
        let test = match (self.is_gate, is_early) {
            (true, _) => Test::Is(YES.into()),
            (false, true) => Test::IsNot(YES.into()),
            (false, false) => return None,
        };
        Some(Condition { label: PRODUCTION.into(), test })
    }

    fn variables(&self) -> impl Iterator<Item = (String, String)> {
        let said = [
            ("CRAB_EVALUATION_RUN", self.run.as_ref().map(ToString::to_string)),
            ("CRAB_RUBRIC", self.rubric.as_ref().map(ToString::to_string)),
            ("CRAB_PROMOTION_GATE", self.is_gate.then(|| YES.to_owned())),
            ("CRAB_PHASE", self.phase.map(|phase| phase.to_string())),
        ];
        said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(is_gate: bool, phase: Option<u8>) -> Option<String> {
        let evaluation = Some(Evaluation { is_gate, phase, ..Evaluation::default() });
        About { evaluation, ..About::default() }.condition().map(|one| one.to_string())
    }

    /// The gatekeeper's rules, in the order in which they are promised.
    #[test]
    fn a_gate_runs_on_production_alone_early_phases_never_there_late_ones_anywhere() {
        for phase in [None, Some(1), Some(2), Some(3), Some(4)] {
            assert_eq!(condition(true, phase).as_deref(), Some("production=yes"), "{phase:?}");
        }
        assert_eq!(condition(false, Some(1)).as_deref(), Some("production!=yes"));
        assert_eq!(condition(false, Some(2)).as_deref(), Some("production!=yes"));
        assert_eq!(
            [condition(false, Some(3)), condition(false, Some(4)), condition(false, None)],
            [None, None, None]
        );
        assert_eq!(About::default().condition(), None);
    }

    #[test]
    fn its_processes_find_all_of_it_in_variables() {
        let about = About {
            labels: [("team".into(), "red".into()), ("ci.run-7".into(), "x y".into())].into(),
            goal: Some("make it green".into()),
            evaluation: Some(Evaluation {
                run: Some("r7".into()),
                rubric: Some("eval/rubric.md".into()),
                is_gate: true,
                phase: Some(3),
            }),
        };
        let variables: Vec<String> =
            about.variables().iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            variables,
            [
                "CRAB_LABEL_CI_RUN_7=x y",
                "CRAB_LABEL_TEAM=red",
                "CRAB_GOAL=make it green",
                "CRAB_EVALUATION_RUN=r7",
                "CRAB_RUBRIC=eval/rubric.md",
                "CRAB_PROMOTION_GATE=yes",
                "CRAB_PHASE=3"
            ]
        );
        assert!(About::default().variables().is_empty() && About::default().is_empty() && !about.is_empty());
    }
}

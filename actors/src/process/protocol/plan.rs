//! What is done around the command of an attempt, as the worker hands it to the host.

use std::time::Duration;

use policy::stages::{Plan, Stage, Step};
use policy::text::OsText;
use serde::{Deserialize, Serialize};

/// All commands of an attempt but its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagePlan {
    /// Of the machine, before.
    pub machine_before: Vec<Vec<OsText>>,
    /// Of the task, before.
    pub before: Vec<Vec<OsText>>,
    /// What must succeed after the command.
    pub gate: Option<Vec<OsText>>,
    /// Of the task, after.
    pub after: Vec<Vec<OsText>>,
    /// Of the machine, after.
    pub machine_after: Vec<Vec<OsText>>,
    /// The whole environment of the machine's commands: nothing in it is the task's.
    pub machine_environment: Vec<(OsText, OsText)>,
    /// The longest that the machine's commands before may take together.
    pub before_timeout: Duration,
    /// The longest that all commands after may take together.
    pub after_timeout: Duration,
}

impl StagePlan {
    /// How many there are of each sort.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let count = |commands: &[Vec<OsText>]| u16::try_from(commands.len()).unwrap_or(u16::MAX);
        Plan {
            machine_before: count(&self.machine_before),
            before: count(&self.before),
            gate: self.gate.is_some(),
            after: count(&self.after),
            machine_after: count(&self.machine_after),
        }
    }

    /// What is run for a step; `None` where that is the task's command.
    #[must_use]
    pub fn argv(&self, step: Step) -> Option<&[OsText]> {
        let commands = match (step.stage, step.of_machine) {
            (Stage::Command, _) => return None,
            (Stage::Gate, _) => return self.gate.as_deref(),
            (Stage::Before, true) => &self.machine_before,
            (Stage::Before, false) => &self.before,
            (Stage::After, true) => &self.machine_after,
            (Stage::After, false) => &self.after,
        };
        commands.get(usize::from(step.place)).map(Vec::as_slice)
    }
}

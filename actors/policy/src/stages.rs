//! The stages of an attempt: commands before, the task's command, its gate, commands after; one after the other in one place.
//!
//! [`Course`] says what follows the end of each: **in order**, the gate only behind a command that succeeded, nothing behind a
//! stop but the commands after, and these always once something was begun, unless the right to run is over. Must not know of
//! processes.

mod course;
mod outcome;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};

use crate::text::OsText;
use crate::time::Timestamp;

pub use crate::stages::course::{Course, Plan, Turn};
pub use crate::stages::outcome::{StepFailure, StepOutcome, said_of, word};

/// Commands of one sort that a task or a machine may have: each is a process that is begun, watched and told of.
pub const HOOKS_LIMIT: usize = 8;

/// What a task has done around its command; one that has nothing done has none of this.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stages {
    /// Commands before its own, in order: where one fails its own is not run.
    pub before: Vec<Vec<OsText>>,
    /// What must succeed after its command before that counts as succeeded.
    pub gate: Option<Vec<OsText>>,
    /// Commands after all that, however it went.
    pub after: Vec<Vec<OsText>>,
}

/// A part of an attempt.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    Display,
    IntoStaticStr,
)]
#[strum(serialize_all = "lowercase")]
pub enum Stage {
    /// What is done before the command.
    Before,
    /// The task's own command.
    #[default]
    Command,
    /// What must succeed then.
    Gate,
    /// What is done in any case.
    After,
}

/// One command of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Step {
    /// The part it belongs to.
    pub stage: Stage,
    /// Whether the machine has it done, and not the task.
    pub of_machine: bool,
    /// Its place among those of its sort, from 0.
    pub place: u16,
}

/// How one command of an attempt went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEnd {
    /// Which.
    pub step: Step,
    /// When it was begun, by its machine's clock.
    pub at: Timestamp,
    /// How long it took, what it had started included.
    pub took: Duration,
    /// How it ended.
    pub end: StepOutcome,
    /// Of one that failed: what it was and the last that it wrote to its standard error, as a person should read it.
    pub said: Box<str>,
}

impl Stages {
    /// Whether nothing is done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.gate.is_none() && self.after.is_empty()
    }

    /// All commands, each with the field that names it.
    pub fn commands(&self) -> impl Iterator<Item = (&'static str, &[OsText])> {
        let before = self.before.iter().map(|argv| ("hooks.before", argv.as_slice()));
        let gate = self.gate.iter().map(|argv| ("gate", argv.as_slice()));
        let after = self.after.iter().map(|argv| ("hooks.after", argv.as_slice()));
        before.chain(gate).chain(after)
    }

    /// Bytes of what varies in length.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.commands().flat_map(|(_, argv)| argv).map(|word| word.len() + 1).sum()
    }
}

impl Step {
    /// The task's command.
    pub const COMMAND: Self = Self { stage: Stage::Command, of_machine: false, place: 0 };
    /// The gate.
    pub const GATE: Self = Self { stage: Stage::Gate, of_machine: false, place: 0 };

    /// A command before or after.
    #[must_use]
    pub const fn hook(stage: Stage, of_machine: bool, place: u16) -> Self {
        Self { stage, of_machine, place }
    }
}

/// `command`, `gate`, `before hook 2`, `machine's after hook 1`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.of_machine { "machine's " } else { "" };
        match self.stage {
            Stage::Command | Stage::Gate => self.stage.fmt(f),
            Stage::Before | Stage::After => write!(f, "{whose}{} hook {}", self.stage, self.place + 1),
        }
    }
}

/// `gate exited with 1`, and what it said.
impl fmt::Display for StepEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        outcome::tell(f, self.step, &self.end, &self.said)
    }
}

#[cfg(test)]
mod tests;

//! What is done around a command, and how that went.

use policy::stages::{Stages, Step, StepEnd, StepOutcome};
use policy::text::OsText;
use serde::Serialize;

use crate::cli::text::rfc3339;

/// Within the specification of a task: each command as its program and its arguments.
#[derive(Debug, Default, Serialize)]
pub(super) struct Hooks {
    before: Vec<Vec<String>>,
    after: Vec<Vec<String>>,
}

/// One command of an attempt.
#[derive(Debug, Serialize)]
pub(super) struct Which {
    /// `before`, `command`, `gate` or `after`.
    stage: &'static str,
    /// `task` or `machine`: who has it done.
    of: &'static str,
    /// Its place among those, from 1.
    number: u16,
}

/// How one went.
#[derive(Debug, Serialize)]
pub(super) struct Went {
    #[serde(flatten)]
    which: Which,
    at: String,
    took_s: f64,
    exit_code: Option<i32>,
    signal: Option<i32>,
    /// Why it was not started, or was stopped.
    reason: Option<String>,
    /// The last that it wrote to its standard error, where it failed.
    said: String,
}

fn words(argv: &[OsText]) -> Vec<String> {
    argv.iter().map(ToString::to_string).collect()
}

/// The gate of a task, and its hooks.
pub(super) fn around(stages: Option<&Stages>) -> (Option<Vec<String>>, Hooks) {
    let Some(stages) = stages else { return (None, Hooks::default()) };
    let all = |commands: &[Vec<OsText>]| commands.iter().map(|argv| words(argv)).collect();
    (stages.gate.as_deref().map(words), Hooks { before: all(&stages.before), after: all(&stages.after) })
}

impl From<Step> for Which {
    fn from(step: Step) -> Self {
        let of = if step.of_machine { "machine" } else { "task" };
        Self { stage: step.stage.into(), of, number: step.place + 1 }
    }
}

impl From<&StepEnd> for Went {
    fn from(end: &StepEnd) -> Self {
        let (exit_code, signal, reason) = match &end.end {
            StepOutcome::Exited(code) => (Some(*code), None, None),
            StepOutcome::Signalled(signal) => (None, Some(*signal), None),
            StepOutcome::NotStarted(reason) | StepOutcome::Stopped(reason) => {
                (None, None, Some(reason.to_string()))
            }
        };
        let (which, at, took_s) = (end.step.into(), rfc3339(end.at), end.took.as_secs_f64());
        Self { which, at, took_s, exit_code, signal, reason, said: end.said.to_string() }
    }
}

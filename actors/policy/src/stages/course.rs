//! What follows the end of each command of an attempt.

use crate::planted;
use crate::stages::outcome::{StepFailure, StepOutcome};
use crate::stages::{Stage, Step};
use crate::task::{AttemptOutcome, LossReason};

/// How many commands there are of each sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plan {
    /// Of the machine, before.
    pub machine_before: u16,
    /// Of the task, before.
    pub before: u16,
    /// Whether there is a gate.
    pub gate: bool,
    /// Of the task, after.
    pub after: u16,
    /// Of the machine, after.
    pub machine_after: u16,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Begin this.
    Begin(Step),
    /// Nothing more: the attempt ended like this.
    Over(AttemptOutcome),
}

/// How far an attempt is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    plan: Plan,
    at: Step,
    /// How it ended, once nothing but commands after is left to do.
    outcome: Option<AttemptOutcome>,
}

impl Plan {
    fn first(self) -> Step {
        match self {
            Self { machine_before: 1.., .. } => Step::hook(Stage::Before, true, 0),
            Self { before: 1.., .. } => Step::hook(Stage::Before, false, 0),
            _ => Step::COMMAND,
        }
    }

    /// What follows a success, up to the gate.
    fn behind(self, step: Step) -> Option<Step> {
        let next = step.place + 1;
        match (step.stage, step.of_machine) {
            (Stage::Before, true) if next < self.machine_before => Some(Step { place: next, ..step }),
            (Stage::Before, true) if self.before > 0 => Some(Step::hook(Stage::Before, false, 0)),
            (Stage::Before, false) if next < self.before => Some(Step { place: next, ..step }),
            (Stage::Before, _) => Some(Step::COMMAND),
            (Stage::Command, _) if self.gate => Some(Step::GATE),
            (Stage::Command | Stage::Gate | Stage::After, _) => None,
        }
    }

    /// The commands after: those of the task first, so that what was begun first is put away last.
    fn after(self, step: Step) -> Option<Step> {
        let own = |place| (place < self.after).then(|| Step::hook(Stage::After, false, place));
        let machines = |place| (place < self.machine_after).then(|| Step::hook(Stage::After, true, place));
        match (step.stage, step.of_machine) {
            (Stage::After, true) => machines(step.place + 1),
            (Stage::After, false) => own(step.place + 1).or_else(|| machines(0)),
            (Stage::Before | Stage::Command | Stage::Gate, _) => own(0).or_else(|| machines(0)),
        }
    }
}

impl Course {
    /// At its first command.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self { plan, at: plan.first(), outcome: None }
    }

    /// What is done now.
    #[must_use]
    pub fn at(&self) -> Step {
        self.at
    }

    /// Whether nothing but commands after is done any more.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.at.stage == Stage::After
    }

    /// How the attempt ended, as far as that is known: while commands after are done.
    #[must_use]
    pub fn outcome(&self) -> Option<&AttemptOutcome> {
        self.outcome.as_ref()
    }

    /// The present command ended like an attempt would that does nothing else, and `said` is what it wrote last. `asked` is
    /// the outcome of one that somebody has asked to be stopped: what was to come is not begun.
    pub fn ended(&mut self, how: &AttemptOutcome, said: &str, asked: Option<&AttemptOutcome>) -> Turn {
        let is_lost = is_lost(how) || asked.is_some_and(is_lost);
        if self.is_closing() {
            return self.close(is_lost);
        }
        let next = self.plan.behind(self.at).filter(|_| how.is_success());
        match (next, asked) {
            (Some(next), None) => {
                self.at = next;
                return Turn::Begin(next);
            }
            (Some(_), Some(asked)) => self.outcome = Some(asked.clone()),
            (None, _) => self.outcome = Some(self.verdict(how, said)),
        }
        self.close(is_lost)
    }

    /// The present command is not begun after all, for it was asked to stop: `asked` is the outcome of that.
    pub fn stopped(&mut self, asked: &AttemptOutcome) -> Turn {
        let is_lost = is_lost(asked);
        if self.is_closing() && !is_lost {
            return Turn::Begin(self.at);
        }
        self.outcome.get_or_insert_with(|| asked.clone());
        self.close(is_lost)
    }

    /// There is no time left for commands after.
    pub fn give_up(&mut self) -> Turn {
        self.close(true)
    }

    /// What is left are commands after, if any: none where the right to run is over.
    fn close(&mut self, is_lost: bool) -> Turn {
        let is_left_out =
            planted!(AfterForgotten) && self.outcome.as_ref().is_some_and(|outcome| !outcome.is_success());
        let next = self.plan.after(self.at).filter(|_| !is_lost && !is_left_out);
        match next {
            Some(next) => {
                self.at = next;
                Turn::Begin(next)
            }
            // It has one before it closes.
            None => Turn::Over(self.outcome.clone().unwrap_or(AttemptOutcome::Cancelled)),
        }
    }

    /// What the end of the present command is for the attempt.
    fn verdict(&self, how: &AttemptOutcome, said: &str) -> AttemptOutcome {
        let step = self.at;
        let nodes_fault = matches!(how, AttemptOutcome::SpawnFailed(failure) if failure.nodes_fault);
        match how {
            _ if step.stage == Stage::Command => how.clone(),
            AttemptOutcome::Exited(_) if step.stage == Stage::Gate && planted!(GateIgnored) => {
                AttemptOutcome::Exited(0)
            }
            AttemptOutcome::Exited(0) => AttemptOutcome::Exited(0),
            AttemptOutcome::Exited(_) | AttemptOutcome::Signalled(_) | AttemptOutcome::SpawnFailed(_) => {
                let (end, said) = (StepOutcome::of(how), said.into());
                StepFailure { step, end, said }.outcome(nodes_fault)
            }
            // A machine's own command that took too long, or too much, says nothing of the task.
            AttemptOutcome::TimedOut(_) | AttemptOutcome::OverLimit(_) if step.of_machine => {
                let (end, said) = (StepOutcome::of(how), said.into());
                StepFailure { step, end, said }.outcome(true)
            }
            AttemptOutcome::TimedOut(_)
            | AttemptOutcome::OverLimit(_)
            | AttemptOutcome::Cancelled
            | AttemptOutcome::Lost(_)
            | AttemptOutcome::StepFailed(_) => how.clone(),
        }
    }
}

/// Whether another machine may run the task from now on: nothing more is done here.
fn is_lost(outcome: &AttemptOutcome) -> bool {
    matches!(outcome, AttemptOutcome::Lost(LossReason::LeaseLost))
}

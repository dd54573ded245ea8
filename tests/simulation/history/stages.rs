//! Attempts with hooks and gates (I22): what truly ran of each, in which order, and that its outcome follows from that.
//!
//! Commands before, the task's, its gate, commands after: each once at most, each when the one before is gone, none once the
//! attempt is over, on record or in truth. The command runs only behind all before it, the gate only behind a command that
//! succeeded; who has succeeded has gone all this way; and what is after ran for whoever had begun, unless its machine or the
//! right to it were gone or its time was up.

use std::collections::BTreeMap;
use std::time::Duration;

use actors::worker::stages::AFTER_TIMEOUT;
use policy::event::{Event, TaskEvent};
use policy::id::{TaskId, Token};
use policy::stages::{Stage, Stages, Step, StepOutcome};
use policy::task::{AttemptOutcome, LossReason, TaskReport};
use policy::time::Timestamp;

use super::index::Index;
use super::{Findings, History, Ran};

/// By how much clocks may differ while commands after have their time.
const CLOCK_ERROR: Duration = Duration::from_millis(50);

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let mut of_token: BTreeMap<Token, Vec<&Ran>> = BTreeMap::new();
    for ran in &history.steps {
        of_token.entry(ran.token).or_default().push(ran);
    }
    for (token, steps) in &of_token {
        let Some(stages) = stages_of(index, steps[0].task) else { continue };
        course((*token, stages), steps, findings);
    }
    for process in &history.processes {
        let over = |ran: &&&Ran| process.ended.is_some_and(|ended| ran.started > ended);
        let late = of_token.get(&process.token).and_then(|steps| steps.iter().find(over));
        findings.expect("I22", late.is_none(), || {
            format!("begun after the end of its attempt: {late:?} {process:?}")
        });
    }
    records(history, index, (&of_token, findings));
}

fn stages_of<'a>(index: &Index<'a>, task: TaskId) -> Option<&'a Stages> {
    index.item_of(task)?.spec.stages.as_deref()
}

/// Where a command stands among all of an attempt.
fn rank(step: Step) -> (Stage, u16) {
    (step.stage, step.place)
}

/// What one attempt did, in order.
fn course((token, stages): (Token, &Stages), steps: &[&Ran], findings: &mut Findings) {
    for two in steps.windows(2) {
        findings.expect("I22", rank(two[0].step) < rank(two[1].step), || {
            format!("{token}: {} runs behind {}", two[1].step, two[0].step)
        });
        findings.expect("I22", two[0].ended.is_some_and(|ended| ended <= two[1].started), || {
            format!("{token}: {} runs beside {}", two[1].step, two[0].step)
        });
    }
    for ran in steps {
        let (is_lawful, why) = match ran.step.stage {
            Stage::Before | Stage::After => (true, ""),
            Stage::Command => (all_before(stages, steps), "not all before it have succeeded"),
            Stage::Gate => (has_succeeded(steps, Step::COMMAND), "the command has not succeeded"),
        };
        findings.expect("I22", is_lawful, || format!("{token}: {} runs, and {why}: {steps:?}", ran.step));
    }
}

fn has_succeeded(steps: &[&Ran], step: Step) -> bool {
    steps.iter().any(|ran| ran.step == step && ran.end == Some(StepOutcome::Exited(0)))
}

fn all_before(stages: &Stages, steps: &[&Ran]) -> bool {
    (0..).zip(&stages.before).all(|(place, _)| has_succeeded(steps, Step::hook(Stage::Before, false, place)))
}

/// What is on record against what truly ran.
fn records(
    history: &History,
    index: &Index<'_>,
    (of_token, findings): (&BTreeMap<Token, Vec<&Ran>>, &mut Findings),
) {
    let mut told: BTreeMap<Token, Step> = BTreeMap::new();
    for (_, record) in &history.records {
        let Event::Task { task, event, .. } = &record.event else { continue };
        match event {
            TaskEvent::StepBegan { token, step, .. } => {
                let before = told.insert(*token, *step);
                findings.expect("I22", before.is_none_or(|before| rank(before) < rank(*step)), || {
                    format!("record {}: {step} of {task} is told behind {before:?}", record.number)
                });
                let truly = |ran: &&&Ran| ran.step == *step && ran.started <= record.at;
                let has_begun = of_token.get(token).is_some_and(|steps| steps.iter().any(|ran| truly(&ran)));
                findings.expect("I22", has_begun, || {
                    format!("record {}: {step} of {task} has not begun", record.number)
                });
            }
            TaskEvent::AttemptEnded { token, outcome, report, .. } => {
                let (Some(stages), Some(steps)) = (stages_of(index, *task), of_token.get(token)) else {
                    continue;
                };
                let (at, report, is_lost) = (record.at, report.as_deref(), history.lost.contains(token));
                let end = End { task: *task, at, outcome, report, is_lost };
                end.check(stages, steps, findings);
            }
            _ => {}
        }
    }
}

/// The recorded end of an attempt that had begun.
#[derive(Debug)]
struct End<'a> {
    task: TaskId,
    at: Timestamp,
    outcome: &'a AttemptOutcome,
    report: Option<&'a TaskReport>,
    /// Whether it was told that its right to run was over: from then on nothing is begun.
    is_lost: bool,
}

impl End<'_> {
    fn check(&self, stages: &Stages, steps: &[&Ran], findings: &mut Findings) {
        let late = steps.iter().find(|ran| ran.started > self.at);
        findings.expect("I22", late.is_none(), || {
            format!("{}: begun after its end was told: {late:?}, {self:?}", self.task)
        });
        let command = has_succeeded(steps, Step::COMMAND) && all_before(stages, steps);
        let gate = stages.gate.is_none() || has_succeeded(steps, Step::GATE);
        let is_earned = *self.outcome != AttemptOutcome::Exited(0) || command && gate;
        findings.expect("I22", is_earned, || format!("{self:?}, but {steps:?}"));
        if let AttemptOutcome::StepFailed(failure) = self.outcome {
            let last = steps.iter().rfind(|ran| ran.step.stage != Stage::After);
            let is_it =
                last.is_some_and(|ran| ran.step == failure.step && ran.end.as_ref() == Some(&failure.end));
            findings.expect("I22", is_it && !failure.end.is_success(), || format!("{self:?}, but {steps:?}"));
        }
        if self.is_told_by_host() {
            findings.expect("I22", self.is_lost || has_closed(stages, steps), || {
                format!("not all after: {self:?} {steps:?}")
            });
            let told = self.report.map(|report| report.steps.iter().map(|end| (end.step, Some(&end.end))));
            let told: Vec<_> = told.into_iter().flatten().collect();
            let truth: Vec<_> = steps.iter().map(|ran| (ran.step, ran.end.as_ref())).collect();
            findings.expect("I22", told == truth, || format!("{self:?} tells {told:?}, not {truth:?}"));
        }
    }

    /// Whether its host saw it to its end, with the right to do so.
    fn is_told_by_host(&self) -> bool {
        match self.outcome {
            AttemptOutcome::Lost(reason) => {
                matches!(reason, LossReason::Evicted | LossReason::Drained | LossReason::Preempted)
            }
            _ => true,
        }
    }
}

/// Whether all commands after ran, or had no time left.
fn has_closed(stages: &Stages, steps: &[&Ran]) -> bool {
    let after: Vec<_> = steps.iter().filter(|ran| ran.step.stage == Stage::After).collect();
    let first = after.first().map(|ran| ran.started);
    let last = after.last().and_then(|ran| ran.ended);
    let took = first.zip(last).map_or(Duration::ZERO, |(first, last)| last.since(first));
    after.len() == stages.after.len() || took + CLOCK_ERROR >= AFTER_TIMEOUT
}

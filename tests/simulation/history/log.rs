//! What the records alone must satisfy: I3, I4, I7, I10, I11, I13, I14, I17.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use policy::bounds::TimeLimit;
use policy::dependency::Need;
use policy::event::{Event, LogPosition, Next, Record, SchedulerEvent, TaskEvent};
use policy::id::{Epoch, NodeId, TaskId, Token};
use policy::stages::StepOutcome;
use policy::task::{AttemptOutcome, LossReason, RetryPolicy, TaskOutcome};
use policy::time::Timestamp;

use super::index::Index;
use super::{Findings, History};

/// By one part of so many a clock may be fast.
const CLOCK_ERROR_DIVISOR: u32 = 1000;

/// What the records so far say of one task.
#[derive(Debug, Default)]
struct Track {
    sequence: u32,
    position: LogPosition,
    live: Option<Token>,
    /// Where the present attempt was granted.
    node: Option<NodeId>,
    outcome: Option<TaskOutcome>,
    is_cancelled: bool,
    /// Whether it ever came to an end, and to one of its own.
    has_ended: bool,
    has_run: bool,
    failures: u32,
    losses: u32,
    is_running: bool,
    deaths: u32,
    /// Who died on the machine where it still counted as being.
    gone_before: BTreeSet<TaskId>,
    /// Of its own deaths the number of the record, and who was there.
    own_deaths: Vec<(u64, BTreeSet<TaskId>)>,
    /// The same, those before another try as well.
    all_deaths: Vec<(u64, BTreeSet<TaskId>)>,
    not_before: Timestamp,
}

struct Pass<'a> {
    index: &'a Index<'a>,
    /// Machines that die while a task runs before it is set aside; 0 for never.
    poison_after: u32,
    tracks: BTreeMap<TaskId, Track>,
    epoch: u32,
    last_token: Token,
}

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let poison_after = history.limits.poison_after;
    let mut pass = Pass { index, poison_after, tracks: BTreeMap::new(), epoch: 0, last_token: Token(0) };
    for (expected, (position, record)) in (1..).zip(&history.records) {
        findings.expect("I11", record.number == expected, || {
            format!("record {} stands where {expected} should", record.number)
        });
        match &record.event {
            Event::Scheduler(SchedulerEvent::Started { epoch, .. }) => {
                findings.expect("I17", *epoch > pass.epoch, || format!("epoch {epoch} after {}", pass.epoch));
                pass.epoch = *epoch;
            }
            Event::Task { task, sequence, previous, event } => {
                pass.order((*position, record.number), (*task, *sequence, *previous), findings);
                pass.task(*task, event, record, findings);
            }
            _ => {}
        }
    }
    for task in index.tasks().filter(|_| history.has_ended) {
        let ended = pass.tracks.get(&task).is_some_and(|track| track.outcome.is_some());
        findings.expect("I7", ended, || format!("{task} has not ended: {:?}", pass.tracks.get(&task)));
    }
}

impl Pass<'_> {
    fn order(
        &mut self,
        (position, number): (LogPosition, u64),
        (task, sequence, previous): (TaskId, u32, LogPosition),
        findings: &mut Findings,
    ) {
        let track = self.tracks.entry(task).or_default();
        findings.expect("I11", sequence == track.sequence + 1, || {
            format!("record {number}: event {sequence} of {task} follows its event {}", track.sequence)
        });
        findings.expect("I11", previous == track.position, || {
            format!("record {number} of {task} names {previous} as the one before, not {}", track.position)
        });
        (track.sequence, track.position) = (sequence, position);
    }

    fn task(&mut self, task: TaskId, event: &TaskEvent, record: &Record, findings: &mut Findings) {
        let number = record.number;
        match event {
            TaskEvent::Granted { token, node, .. } => {
                self.granted(task, *token, record, findings);
                self.apart(task, node, record.number, findings);
            }
            TaskEvent::Started { token, .. }
            | TaskEvent::ReportIgnored { token, .. }
            | TaskEvent::StepBegan { token, .. } => {
                let live = self.tracks[&task].live;
                findings.expect("I4", live == Some(*token), || {
                    format!("record {number}: {task} started or reported under {token}, live is {live:?}")
                });
                self.track(task).is_running = true;
            }
            TaskEvent::EvictAsked { token, .. } => {
                let live = self.tracks[&task].live;
                findings.expect("I4", live == Some(*token), || {
                    format!("record {number}: {task} is to make room under {token}, live is {live:?}")
                });
            }
            TaskEvent::CancelAsked => {
                let track = self.track(task);
                findings
                    .expect("I4", track.outcome.is_none(), || format!("record {number}: {task} had ended"));
                track.is_cancelled = true;
            }
            TaskEvent::AttemptEnded { token, outcome, next, .. } => {
                self.attempt_ended(task, (*token, outcome, next), record, findings);
            }
            TaskEvent::Finished(outcome) => self.finished(task, outcome, number, findings),
            TaskEvent::RetryAsked => {
                let track = self.track(task);
                let bad = track.outcome.as_ref().is_some_and(|outcome| !outcome.is_success());
                findings.expect("I4", bad, || {
                    format!("record {number}: another try of {task}, which has not failed")
                });
                let Track { sequence, position, has_ended, has_run, .. } = *track;
                let all_deaths = std::mem::take(&mut track.all_deaths);
                *track = Track { sequence, position, has_ended, has_run, all_deaths, ..Track::default() };
            }
        }
    }

    fn track(&mut self, task: TaskId) -> &mut Track {
        self.tracks.entry(task).or_default()
    }

    fn granted(&mut self, task: TaskId, token: Token, record: &Record, findings: &mut Findings) {
        let number = record.number;
        let right = token > self.last_token && token == Token::numbered(Epoch(self.epoch), number);
        findings.expect("I3", right, || format!("record {number}: token {token} after {}", self.last_token));
        self.last_token = token;
        self.dependencies(task, number, findings);
        let track = self.track(task);
        findings.expect("I3", track.live.is_none(), || {
            format!("record {number}: {task} was granted {token} beside {:?}", track.live)
        });
        findings.expect("I4", track.outcome.is_none(), || {
            format!("record {number}: {task} was granted after its end")
        });
        findings.expect("I13", !track.is_cancelled, || {
            format!("record {number}: {task} was granted after its cancellation")
        });
        findings.expect("I14", record.at >= track.not_before, || {
            format!("record {number}: {task} was granted before its wait was over")
        });
        track.live = Some(token);
        track.gone_before.clear();
    }

    /// No two tasks are on one node while which machines have died: one of them may do it again.
    fn apart(&mut self, task: TaskId, node: &NodeId, number: u64, findings: &mut Findings) {
        let is_suspect = |track: &Track| track.deaths > 0 && track.outcome.is_none();
        self.track(task).node = Some(node.clone());
        if self.poison_after == 0 || !is_suspect(self.track(task)) {
            return;
        }
        let others = self.tracks.iter().filter(|(other, track)| **other != task && track.live.is_some());
        let beside = others.filter(|(_, track)| track.node.as_ref() == Some(node) && is_suspect(track));
        for (other, _) in beside {
            findings.expect("I14", false, || {
                format!("record {number}: {task} and {other} are on {node}, and may both take it down")
            });
        }
    }

    /// What is on its way or has begun goes on, also where something whose end it waited for is tried again.
    fn dependencies(&self, task: TaskId, number: u64, findings: &mut Findings) {
        for (dependency, needs) in self.index.dependencies(task) {
            let track = self.tracks.get(&dependency);
            let outcome = track.and_then(|track| track.outcome.as_ref());
            let as_needed = match needs {
                Need::Success => outcome == Some(&TaskOutcome::Succeeded),
                Need::End => track.is_some_and(|track| track.has_run),
                Need::Always => track.is_some_and(|track| track.has_ended),
            };
            findings.expect("I10", as_needed, || {
                format!("record {number}: {task} was granted and needs {needs} of {dependency}: {outcome:?}")
            });
        }
    }

    fn attempt_ended(
        &mut self,
        task: TaskId,
        (token, outcome, next): (Token, &AttemptOutcome, &Next),
        record: &Record,
        findings: &mut Findings,
    ) {
        let number = record.number;
        let policy = self.index.item_of(task).map(|item| item.spec.retry.clone()).unwrap_or_default();
        let poison_after = self.poison_after;
        let has_died = self.track(task).is_running && outcome.is_death();
        if has_died {
            self.died(task, number);
        }
        let excused = self.excused(task);
        let track = self.track(task);
        findings.expect("I4", track.live == Some(token), || {
            format!("record {number}: {task} ended under {token}, live is {:?}", track.live)
        });
        (track.live, track.is_running) = (None, false);
        track.deaths += u32::from(has_died);
        match outcome {
            AttemptOutcome::Lost(LossReason::Drained | LossReason::Preempted | LossReason::Recalled) => {}
            outcome if outcome.is_loss() => track.losses += 1,
            AttemptOutcome::Exited(0) => {}
            _ => track.failures += 1,
        }
        let lawful = follows_law((track, excused), &policy, (outcome, next), poison_after);
        findings.expect("I14", lawful, || {
            format!(
                "record {number}: {task} {outcome}, {} failures, {} losses: {next:?}",
                track.failures, track.losses
            )
        });
        match next {
            Next::Finish(outcome) => track.end(outcome),
            // By a clock that may run fast.
            Next::RetryAfter(wait) => track.not_before = record.at + *wait - *wait / CLOCK_ERROR_DIVISOR,
        }
    }

    /// A machine has died while this one ran, beside those that are on record as being there, or as having died there.
    fn died(&mut self, task: TaskId, number: u64) {
        let node = self.track(task).node.clone();
        let is_there = |(other, track): &(&TaskId, &Track)| {
            **other != task && track.live.is_some() && track.node == node
        };
        let there: Vec<_> = self.tracks.iter().filter(is_there).map(|(other, _)| *other).collect();
        for other in &there {
            self.track(*other).gone_before.insert(task);
        }
        let track = self.track(task);
        let beside = std::mem::take(&mut track.gone_before).into_iter().chain(there).collect();
        track.own_deaths.push((number, beside));
        let last = track.own_deaths.last().cloned();
        track.all_deaths.extend(last);
    }

    /// Of how many of its deaths it is not to blame: somebody who was there has died again where it was not.
    fn excused(&self, task: TaskId) -> u32 {
        let Some(track) = self.tracks.get(&task) else { return 0 };
        let again = |other: &TaskId, from: u64| {
            let deaths = self.tracks.get(other).into_iter().flat_map(|track| track.all_deaths.iter());
            deaths.into_iter().any(|(number, beside)| *number > from && !beside.contains(&task))
        };
        let is_excused =
            |(number, beside): &&(u64, BTreeSet<TaskId>)| beside.iter().any(|other| again(other, *number));
        u32::try_from(track.own_deaths.iter().filter(is_excused).count()).unwrap_or(u32::MAX)
    }

    fn finished(&mut self, task: TaskId, outcome: &TaskOutcome, number: u64, findings: &mut Findings) {
        if let TaskOutcome::Skipped(because) = outcome {
            let bad = self.tracks.get(because).and_then(|track| track.outcome.as_ref());
            findings.expect("I10", bad.is_some_and(|outcome| !outcome.is_success()), || {
                format!("record {number}: {task} was skipped for {because}, which is {bad:?}")
            });
        }
        let track = self.track(task);
        findings.expect("I4", track.outcome.is_none() && track.live.is_none(), || {
            format!("record {number}: {task} finished, but {track:?}")
        });
        track.end(outcome);
    }
}

impl Track {
    fn end(&mut self, outcome: &TaskOutcome) {
        self.outcome = Some(outcome.clone());
        self.has_ended = true;
        self.has_run |= matches!(
            outcome,
            TaskOutcome::Succeeded
                | TaskOutcome::Failed(_)
                | TaskOutcome::OutOfRetries { .. }
                | TaskOutcome::Poisoned(_)
        );
    }
}

/// Whether `next` is what the retry policy says, worked out here once more.
fn follows_law(
    (track, excused): (&Track, u32),
    policy: &RetryPolicy,
    (outcome, next): (&AttemptOutcome, &Next),
    poison_after: u32,
) -> bool {
    let failed = || *next == Next::Finish(TaskOutcome::Failed(outcome.clone()));
    if track.is_cancelled {
        return *next == Next::Finish(TaskOutcome::Cancelled);
    }
    let is_poisoned = poison_after > 0
        && matches!(next, Next::Finish(TaskOutcome::Poisoned(deaths))
            if deaths.len() == track.deaths as usize && track.deaths >= poison_after && outcome.is_death());
    match outcome {
        AttemptOutcome::Exited(0) => *next == Next::Finish(TaskOutcome::Succeeded),
        AttemptOutcome::Cancelled => *next == Next::Finish(TaskOutcome::Cancelled),
        // What it was excused of after it was placed, or before a restart, may count.
        AttemptOutcome::Lost(_) if is_poisoned => true,
        AttemptOutcome::Lost(_)
            if poison_after > 0 && track.deaths.saturating_sub(excused) >= poison_after =>
        {
            false
        }
        AttemptOutcome::Lost(LossReason::Drained | LossReason::Preempted | LossReason::Recalled) => {
            *next == Next::RetryAfter(Duration::ZERO)
        }
        loss if loss.is_loss() && track.losses > policy.losses => failed(),
        loss if loss.is_loss() => is_wait(policy, track.losses, next),
        other if !is_worth_another(policy, other) => failed(),
        _ if track.failures >= policy.max_attempts => failed(),
        _ => is_wait(policy, track.failures, next),
    }
}

/// Whether a failure is of a kind that another attempt may mend; of a hook or gate by the rules for the command's own end.
fn is_worth_another(policy: &RetryPolicy, outcome: &AttemptOutcome) -> bool {
    let codes = &policy.retryable_exit_codes;
    let is_worth = |code: &i32| codes.is_empty() || codes.contains(code);
    match outcome {
        AttemptOutcome::SpawnFailed(_) => policy.spawn_failures,
        AttemptOutcome::TimedOut(overrun) => overrun.limit != TimeLimit::Deadline && policy.timeouts,
        AttemptOutcome::Signalled(signal) => policy.signals.contains(*signal),
        AttemptOutcome::Exited(code) => is_worth(code),
        AttemptOutcome::StepFailed(step) => match &step.end {
            StepOutcome::NotStarted(_) => policy.spawn_failures,
            StepOutcome::Signalled(signal) => policy.signals.contains(*signal),
            StepOutcome::Exited(code) => is_worth(code),
            StepOutcome::Stopped(_) => true,
        },
        AttemptOutcome::OverLimit(_) | AttemptOutcome::Cancelled | AttemptOutcome::Lost(_) => true,
    }
}

fn is_wait(policy: &RetryPolicy, nth: u32, next: &Next) -> bool {
    let Next::RetryAfter(wait) = next else { return false };
    let mut nominal = policy.backoff.min(policy.backoff_limit);
    for _ in 1..nth {
        nominal = (nominal * policy.factor_percent / 100).min(policy.backoff_limit);
    }
    let slack = Duration::from_micros(1);
    nominal * 9 / 10 <= *wait + slack && *wait <= nominal * 11 / 10 + slack
}

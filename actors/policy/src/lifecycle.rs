//! The life of one task: which events may follow which, and what is refused.
//!
//! The task actor owns one of these, asks it what an input leads to, logs the events and applies them with
//! the same [`Life::apply`] that recovery and every reader of the log use. States only move forward; a
//! retry is a new attempt under a larger token.

mod refusal;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounds::Overrun;
use crate::claims::Indices;
use crate::event::{Next, TaskEvent};
use crate::id::{AttemptNumber, NodeId, NodeSession, TaskId, Token};
use crate::layout::{before, since};
use crate::planted;
use crate::retry::{self, Tally};
use crate::stages::Step;
use crate::task::{AttemptOutcome, Death, LossReason, RequestNumber, TaskOutcome, TaskReport, Usage};

pub use crate::lifecycle::refusal::Refusal;
pub use crate::retry::EndRules;

/// Attempts refused by a rate that cost a task nothing. One that goes on to be refused more often than this
/// fails of itself from then on.
const THROTTLED_LIMIT: u32 = 1000;

/// A task's life so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Life {
    state: State,
    /// Attempts granted so far.
    attempts: u32,
    /// Attempts that failed by the task's own fault.
    failures: u32,
    /// Attempts that were lost.
    losses: u32,
    /// Attempts that a rate had refused.
    throttled: u32,
    cancel_asked: bool,
    /// For whom the present attempt is to make room, or whom its gang lacks.
    evicted_for: Option<TaskId>,
    /// Whether it is its gang that lacks somebody.
    #[serde(deserialize_with = "since::<10, _, _>", skip_serializing_if = "before::<10, _>")]
    is_recalled: bool,
    last_token: Option<Token>,
    /// Machines that died while it ran.
    deaths: Vec<Death>,
    /// How its last attempt ended.
    last_end: Option<AttemptOutcome>,
    /// What its present attempt does, where it was said to do anything but its command.
    #[serde(deserialize_with = "since::<17, _, _>", skip_serializing_if = "before::<17, _>")]
    step: Option<Step>,
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum State {
    /// Between attempts or before the first: waiting, ready or backing off.
    #[default]
    Idle,
    /// A node may run an attempt.
    Granted(Holder),
    /// The attempt's process runs.
    Running(Holder, u32),
    /// Over.
    Ended(TaskOutcome),
}

/// Who holds the right to run the present attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The fencing token.
    pub token: Token,
    /// The node.
    pub node: NodeId,
    /// Its session at the time of the grant.
    pub session: NodeSession,
    /// Which of the task's requests it holds.
    pub request: RequestNumber,
    /// The indices of pools that the attempt holds.
    pub indices: Indices,
    /// The nodes of its gang.
    #[serde(deserialize_with = "since::<10, _, _>", skip_serializing_if = "before::<10, _>")]
    pub gang: Vec<NodeId>,
}

impl Life {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Attempts granted so far.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether a machine has died while it ran.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        !self.deaths.is_empty()
    }

    /// Whether its machine died while its last attempt ran.
    #[must_use]
    pub fn has_just_died(&self) -> bool {
        self.deaths.last().is_some_and(|death| death.attempt.0 == self.attempts)
    }

    /// Whether somebody asked to cancel it.
    #[must_use]
    pub fn cancel_asked(&self) -> bool {
        self.cancel_asked
    }

    /// For whom the present attempt is to make room, if it is.
    #[must_use]
    pub fn evicted_for(&self) -> Option<TaskId> {
        self.evicted_for
    }

    /// The present attempt's holder.
    #[must_use]
    pub fn holder(&self) -> Option<&Holder> {
        match &self.state {
            State::Granted(holder) | State::Running(holder, _) => Some(holder),
            State::Idle | State::Ended(_) => None,
        }
    }

    /// Whether a node may be granted an attempt now.
    ///
    /// # Errors
    /// Where one is granted already, or the task has ended or is being cancelled.
    pub fn may_grant(&self) -> Result<AttemptNumber, Refusal> {
        match &self.state {
            State::Idle if self.cancel_asked => Err(Refusal::Ended(TaskOutcome::Cancelled)),
            State::Idle => Ok(AttemptNumber(self.attempts + 1)),
            State::Granted(holder) | State::Running(holder, _) => Err(Refusal::Held(holder.token)),
            State::Ended(outcome) => Err(Refusal::Ended(outcome.clone())),
        }
    }

    /// The attempt's process runs.
    ///
    /// # Errors
    /// Where the token is not the current one, or this is known.
    pub fn started(&self, token: Token, pid: u32, order: u64) -> Result<TaskEvent, Refusal> {
        self.current(token)?;
        match self.state {
            State::Granted(_) => Ok(TaskEvent::Started { token, pid, order }),
            State::Idle | State::Running(..) | State::Ended(_) => Err(Refusal::Repeated),
        }
    }

    /// One of the commands of the attempt has begun.
    ///
    /// # Errors
    /// Where the token is not the current one, or this is known.
    pub fn step_began(&self, token: Token, step: Step, pid: u32) -> Result<TaskEvent, Refusal> {
        self.current(token)?;
        let is_known = self.step.unwrap_or(Step::COMMAND) == step;
        if is_known { Err(Refusal::Repeated) } else { Ok(TaskEvent::StepBegan { token, step, pid }) }
    }

    /// The attempt is over.
    ///
    /// # Errors
    /// Where the token is not the current one.
    pub fn attempt_ended(&self, ended: AttemptEnd, rules: EndRules<'_>) -> Result<TaskEvent, Refusal> {
        self.current(ended.token)?;
        let AttemptEnd { token, outcome, usage, order, report } = ended;
        // Who stops it there knows of one reason alone.
        let outcome = match outcome {
            AttemptOutcome::Lost(LossReason::Preempted) if self.is_recalled => {
                AttemptOutcome::Lost(LossReason::Recalled)
            }
            outcome => outcome,
        };
        let next = if self.cancel_asked && !planted!(CancelIsRetried) {
            Next::Finish(TaskOutcome::Cancelled)
        } else if let Some(wait) = self.refused_for(&outcome, report.as_deref()) {
            Next::RetryAfter(retry::waking(wait, rules.jitter_per_mille))
        } else if let Some(deaths) = self.poisoned(&outcome, rules) {
            Next::Finish(TaskOutcome::Poisoned(deaths))
        } else {
            let loss = outcome.is_loss() && !planted!(LossIsFailure);
            let (failures, losses) = (self.failures + u32::from(!loss), self.losses + u32::from(loss));
            retry::next(rules.retry, &outcome, Tally { failures, losses }, rules.jitter_per_mille)
        };
        Ok(TaskEvent::AttemptEnded { token, outcome, usage, order, next, report })
    }

    /// How long a rate wants to be left alone by which an attempt that failed was refused: that is nobody's
    /// fault, so it costs none of the task's attempts.
    fn refused_for(&self, outcome: &AttemptOutcome, report: Option<&TaskReport>) -> Option<Duration> {
        let failed = matches!(
            outcome,
            AttemptOutcome::Exited(1..) | AttemptOutcome::Signalled(_) | AttemptOutcome::StepFailed(_)
        );
        report.filter(|_| failed && self.throttled < THROTTLED_LIMIT)?.parked_for()
    }

    /// Parts of the present attempt's report could not be understood.
    ///
    /// # Errors
    /// Where the token is not the current one.
    pub fn report_ignored(&self, token: Token, faults: Vec<Box<str>>) -> Result<TaskEvent, Refusal> {
        self.current(token)?;
        Ok(TaskEvent::ReportIgnored { token, faults })
    }

    /// The deaths for which it is to be set aside, if this end is the last one too many.
    fn poisoned(&self, outcome: &AttemptOutcome, rules: EndRules<'_>) -> Option<Box<[Death]>> {
        let death = self.death(outcome)?;
        let deaths: Vec<_> = self.deaths.iter().cloned().chain([death]).collect();
        let (after, counted) =
            (rules.poison_after as usize, deaths.len().saturating_sub(rules.excused as usize));
        let enough = after > 0 && counted >= after && !planted!(PoisonIgnored);
        enough.then(|| deaths.into())
    }

    /// What the end of the present attempt is where its machine died while it ran. Before it ran it cannot have
    /// been the cause.
    fn death(&self, outcome: &AttemptOutcome) -> Option<Death> {
        match (&self.state, outcome) {
            (State::Running(holder, _), AttemptOutcome::Lost(reason)) if reason.is_death() => Some(Death {
                attempt: AttemptNumber(self.attempts),
                node: holder.node.clone(),
                reason: *reason,
            }),
            _ => None,
        }
    }

    /// Its graph has no retry left for it.
    ///
    /// # Errors
    /// Where it does not wait for another attempt.
    pub fn out_of_retries(&self, budget: u64) -> Result<TaskEvent, Refusal> {
        self.may_grant()?;
        let last = self.last_end.clone().ok_or(Refusal::Repeated)?;
        Ok(TaskEvent::Finished(TaskOutcome::OutOfRetries { last, budget }))
    }

    /// Somebody asks to cancel it: the events, in order. An active attempt is to be stopped as well.
    ///
    /// # Errors
    /// Where it has ended, or was asked before.
    pub fn cancel(&self) -> Result<Vec<TaskEvent>, Refusal> {
        match &self.state {
            State::Ended(outcome) => Err(Refusal::Ended(outcome.clone())),
            State::Idle if self.cancel_asked => Ok(vec![TaskEvent::Finished(TaskOutcome::Cancelled)]),
            State::Idle => Ok(vec![TaskEvent::CancelAsked, TaskEvent::Finished(TaskOutcome::Cancelled)]),
            State::Granted(_) | State::Running(..) if self.cancel_asked => Err(Refusal::Repeated),
            State::Granted(_) | State::Running(..) => Ok(vec![TaskEvent::CancelAsked]),
        }
    }

    /// Its attempt is to make room for a more urgent task, or (`is_recall`) lacks another one of its gang; it is to be stopped
    /// as well.
    ///
    /// # Errors
    /// Where it holds none, or that was asked of this attempt before, or it is to end anyway.
    pub fn evict(&self, by: TaskId, is_recall: bool) -> Result<TaskEvent, Refusal> {
        let token = self.holder().ok_or(Refusal::NotHeld)?.token;
        let is_leaving = self.evicted_for.is_some() || self.cancel_asked;
        if is_leaving { Err(Refusal::Repeated) } else { Ok(TaskEvent::EvictAsked { token, by, is_recall }) }
    }

    /// A task it depends on did not succeed.
    ///
    /// # Errors
    /// Where it has ended or runs.
    pub fn skip(&self, because: TaskId) -> Result<TaskEvent, Refusal> {
        self.may_grant().map(|_| TaskEvent::Finished(TaskOutcome::Skipped(because)))
    }

    /// It has waited beyond a limit of time.
    ///
    /// # Errors
    /// Where it has ended or runs.
    pub fn late(&self, overrun: Overrun) -> Result<TaskEvent, Refusal> {
        let outcome = TaskOutcome::Failed(AttemptOutcome::TimedOut(overrun.into()));
        self.may_grant().map(|_| TaskEvent::Finished(outcome))
    }

    /// Somebody asks for another try.
    ///
    /// # Errors
    /// Where it has not ended, or succeeded.
    pub fn retry(&self) -> Result<TaskEvent, Refusal> {
        match &self.state {
            State::Ended(TaskOutcome::Succeeded) => Err(Refusal::Succeeded),
            State::Ended(_) => Ok(TaskEvent::RetryAsked),
            State::Idle | State::Granted(_) | State::Running(..) => Err(Refusal::NotEnded),
        }
    }

    /// Takes note of what has happened.
    pub fn apply(&mut self, event: &TaskEvent) {
        match event {
            TaskEvent::Granted { token, attempt, node, session, request, indices, gang, waited: _ } => {
                self.attempts = attempt.0;
                self.last_token = Some(*token);
                (self.evicted_for, self.is_recalled, self.step) = (None, false, None);
                self.state = State::Granted(Holder {
                    token: *token,
                    node: node.clone(),
                    session: *session,
                    request: *request,
                    indices: indices.clone(),
                    gang: gang.clone(),
                });
            }
            TaskEvent::Started { pid, .. } => {
                if let State::Granted(holder) = &self.state {
                    self.state = State::Running(holder.clone(), *pid);
                }
            }
            TaskEvent::CancelAsked => self.cancel_asked = true,
            TaskEvent::EvictAsked { by, is_recall, .. } => {
                (self.evicted_for, self.is_recalled) = (Some(*by), *is_recall);
            }
            TaskEvent::AttemptEnded { outcome, next, report, .. } => {
                self.apply_end(outcome, report.as_deref(), next);
            }
            TaskEvent::Finished(outcome) => self.state = State::Ended(outcome.clone()),
            TaskEvent::RetryAsked => {
                // The attempts go on counting; what is forgiven are the failures.
                let (attempts, last_token) = (self.attempts, self.last_token);
                *self = Self { attempts, last_token, ..Self::default() };
            }
            TaskEvent::StepBegan { step, .. } => self.step = Some(*step),
            TaskEvent::ReportIgnored { .. } => {}
        }
    }

    fn apply_end(&mut self, outcome: &AttemptOutcome, report: Option<&TaskReport>, next: &Next) {
        self.deaths.extend(self.death(outcome));
        match outcome {
            _ if self.refused_for(outcome, report).is_some() => self.throttled += 1,
            AttemptOutcome::Lost(reason) if reason.is_nobodys_fault() => {}
            outcome if outcome.is_loss() => self.losses += 1,
            outcome if outcome.is_success() => {}
            _ => self.failures += 1 + u32::from(planted!(FailuresCountTwice)),
        }
        self.last_end = Some(outcome.clone());
        self.state = match next {
            Next::Finish(outcome) => State::Ended(outcome.clone()),
            Next::RetryAfter(_) => State::Idle,
        };
    }

    fn current(&self, token: Token) -> Result<(), Refusal> {
        match self.holder() {
            Some(holder) if holder.token == token => Ok(()),
            _ => Err(Refusal::Stale { reported: token }),
        }
    }
}

/// The end of an attempt, as reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptEnd {
    /// The grant it ran under.
    pub token: Token,
    /// How.
    pub outcome: AttemptOutcome,
    /// What it used.
    pub usage: Usage,
    /// Its place among the reports of the node's session; 0 where the node did not report it.
    pub order: u64,
    /// What it said of itself, if it did.
    pub report: Option<Box<TaskReport>>,
}

#[cfg(test)]
mod tests;

//! The life of one task: which events may follow which, and what is refused.
//!
//! The task actor owns one of these, asks it what an input leads to, logs the events and applies them with
//! the same [`Life::apply`] that recovery and every reader of the log use. States only move forward; a
//! retry is a new attempt under a larger token.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{Next, TaskEvent};
use crate::id::{AttemptNumber, NodeId, NodeSession, TaskId, Token};
use crate::retry::{self, Tally};
use crate::task::{AttemptOutcome, RetryPolicy, TaskOutcome, TaskReport, Usage};

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
    last_token: Option<Token>,
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
}

/// Why an input changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The report's token is not that of the present attempt.
    #[error("token {reported} is not the current one")]
    Stale {
        /// The token that was named.
        reported: Token,
    },
    /// It is held already.
    #[error("an attempt is granted already, under token {0}")]
    Held(Token),
    /// It has ended.
    #[error("it has ended: {0}")]
    Ended(TaskOutcome),
    /// It has not ended.
    #[error("it has not ended")]
    NotEnded,
    /// It has succeeded: there is nothing to try again.
    #[error("it has succeeded")]
    Succeeded,
    /// Known already.
    #[error("nothing new")]
    Repeated,
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

    /// Whether somebody asked to cancel it.
    #[must_use]
    pub fn cancel_asked(&self) -> bool {
        self.cancel_asked
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

    /// The attempt is over; `jitter_per_mille` (0 to 1000) spreads the wait before the next one.
    ///
    /// # Errors
    /// Where the token is not the current one.
    pub fn attempt_ended(
        &self,
        ended: AttemptEnd,
        policy: &RetryPolicy,
        jitter_per_mille: u32,
    ) -> Result<TaskEvent, Refusal> {
        self.current(ended.token)?;
        let AttemptEnd { token, outcome, usage, order, report } = ended;
        let next = if self.cancel_asked {
            Next::Finish(TaskOutcome::Cancelled)
        } else if let Some(wait) = self.refused_for(&outcome, report.as_deref()) {
            Next::RetryAfter(wait)
        } else {
            let lost = matches!(outcome, AttemptOutcome::Lost(_));
            let (failures, losses) = (self.failures + u32::from(!lost), self.losses + u32::from(lost));
            retry::next(policy, &outcome, Tally { failures, losses }, jitter_per_mille)
        };
        Ok(TaskEvent::AttemptEnded { token, outcome, usage, order, next, report })
    }

    /// How long a rate wants to be left alone by which an attempt that failed was refused: that is nobody's
    /// fault, so it costs none of the task's attempts.
    fn refused_for(&self, outcome: &AttemptOutcome, report: Option<&TaskReport>) -> Option<Duration> {
        let failed = matches!(outcome, AttemptOutcome::Exited(1..) | AttemptOutcome::Signalled(_));
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

    /// A task it depends on did not succeed.
    ///
    /// # Errors
    /// Where it has ended or runs.
    pub fn skip(&self, because: TaskId) -> Result<TaskEvent, Refusal> {
        self.may_grant().map(|_| TaskEvent::Finished(TaskOutcome::Skipped(because)))
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
            TaskEvent::Granted { token, attempt, node, session } => {
                self.attempts = attempt.0;
                self.last_token = Some(*token);
                self.state = State::Granted(Holder { token: *token, node: node.clone(), session: *session });
            }
            TaskEvent::Started { pid, .. } => {
                if let State::Granted(holder) = &self.state {
                    self.state = State::Running(holder.clone(), *pid);
                }
            }
            TaskEvent::CancelAsked => self.cancel_asked = true,
            TaskEvent::AttemptEnded { outcome, next, report, .. } => {
                self.apply_end(outcome, report.as_deref(), next);
            }
            TaskEvent::Finished(outcome) => self.state = State::Ended(outcome.clone()),
            TaskEvent::RetryAsked => {
                // The attempts go on counting; what is forgiven are the failures.
                let (attempts, last_token) = (self.attempts, self.last_token);
                *self = Self { attempts, last_token, ..Self::default() };
            }
            TaskEvent::ReportIgnored { .. } => {}
        }
    }

    fn apply_end(&mut self, outcome: &AttemptOutcome, report: Option<&TaskReport>, next: &Next) {
        match outcome {
            _ if self.refused_for(outcome, report).is_some() => self.throttled += 1,
            AttemptOutcome::Lost(_) => self.losses += 1,
            outcome if outcome.is_success() => {}
            _ => self.failures += 1,
        }
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::task::LossReason;

    fn granted(token: u64, attempt: u32) -> TaskEvent {
        TaskEvent::Granted {
            token: Token(token),
            attempt: AttemptNumber(attempt),
            node: "a".into(),
            session: NodeSession(1),
        }
    }

    fn end(token: u64, outcome: AttemptOutcome) -> AttemptEnd {
        AttemptEnd { token: Token(token), outcome, usage: Usage::default(), order: 0, report: None }
    }

    fn life(events: &[TaskEvent]) -> Life {
        let mut life = Life::default();
        for event in events {
            life.apply(event);
        }
        life
    }

    #[test]
    fn a_report_with_an_older_token_changes_nothing() {
        let life = life(&[granted(5, 1)]);
        assert_eq!(life.started(Token(4), 1, 1), Err(Refusal::Stale { reported: Token(4) }));
        let policy = RetryPolicy::default();
        assert!(life.attempt_ended(end(4, AttemptOutcome::Exited(0)), &policy, 0).is_err());
        assert!(life.attempt_ended(end(5, AttemptOutcome::Exited(0)), &policy, 0).is_ok());
    }

    #[test]
    fn a_cancelled_task_is_never_tried_again_whatever_its_attempt_says() {
        let policy = RetryPolicy { max_attempts: 9, ..RetryPolicy::default() };
        let life = life(&[granted(5, 1), TaskEvent::CancelAsked]);
        for outcome in [
            AttemptOutcome::Exited(0),
            AttemptOutcome::Exited(1),
            AttemptOutcome::Lost(LossReason::LeaseExpired),
            AttemptOutcome::Cancelled,
        ] {
            let event = life.attempt_ended(end(5, outcome), &policy, 0);
            assert!(
                matches!(
                    event,
                    Ok(TaskEvent::AttemptEnded { next: Next::Finish(TaskOutcome::Cancelled), .. })
                ),
                "{event:?}"
            );
        }
    }

    #[test]
    fn an_attempt_that_a_rate_refused_is_repeated_after_its_wait_at_nobodys_cost() {
        let (policy, mut life) = (RetryPolicy::default(), Life::default());
        let mut report = TaskReport::default();
        report.park("llm", Duration::from_secs(7));
        for attempt in 1..=3 {
            life.apply(&granted(u64::from(attempt), attempt));
            let refused = AttemptEnd {
                report: Some(Box::new(report.clone())),
                ..end(attempt.into(), AttemptOutcome::Exited(1))
            };
            let event = life.attempt_ended(refused, &policy, 0).expect("the token is current");
            assert!(
                matches!(event, TaskEvent::AttemptEnded { next: Next::RetryAfter(wait), .. } if wait.as_secs() == 7)
            );
            life.apply(&event);
        }
        life.apply(&granted(4, 4));
        let failed = life.attempt_ended(end(4, AttemptOutcome::Exited(1)), &policy, 0);
        assert!(matches!(
            failed,
            Ok(TaskEvent::AttemptEnded { next: Next::Finish(TaskOutcome::Failed(_)), .. })
        ));
    }

    #[test]
    fn cancelling_twice_says_nothing_new() {
        assert_eq!(life(&[granted(5, 1), TaskEvent::CancelAsked]).cancel(), Err(Refusal::Repeated));
    }

    #[test]
    fn an_operators_retry_forgives_failures_and_goes_on_counting_attempts() {
        let policy = RetryPolicy::default();
        let mut life = life(&[granted(5, 1)]);
        let event = life.attempt_ended(end(5, AttemptOutcome::Exited(3)), &policy, 0);
        life.apply(&event.expect("the token is current"));
        life.apply(&life.retry().expect("it has failed"));
        assert_eq!(life.may_grant(), Ok(AttemptNumber(2)));
    }

    /// What an actor could be told.
    fn inputs() -> impl Strategy<Value = Vec<(u8, u64)>> {
        prop::collection::vec((0u8..7, 0u64..4), 0..60)
    }

    proptest! {
        #[test]
        fn at_most_one_attempt_is_live_and_tokens_grow(inputs in inputs()) {
            let policy = RetryPolicy { max_attempts: 3, ..RetryPolicy::default() };
            let mut life = Life::default();
            let (mut counter, mut last) = (0u64, Token(0));
            let mut own_failures = 0;
            for (input, back) in inputs {
                let token = Token(counter.saturating_sub(back));
                let events = match input {
                    0 | 1 => match life.may_grant() {
                        Ok(attempt) => { counter += 1; vec![granted(counter, attempt.0)] }
                        Err(_) => vec![],
                    },
                    2 => life.started(token, 1, 1).into_iter().collect(),
                    3 => life.attempt_ended(end(token.0, AttemptOutcome::Exited(1)), &policy, 0).into_iter().collect(),
                    4 => life.attempt_ended(end(token.0, AttemptOutcome::Lost(LossReason::Unknown)), &policy, 0).into_iter().collect(),
                    5 => life.cancel().unwrap_or_default(),
                    _ => life.attempt_ended(end(token.0, AttemptOutcome::Exited(0)), &policy, 0).into_iter().collect(),
                };
                for event in events {
                    prop_assert!(!matches!(life.state(), State::Ended(_)), "{event:?} after the end");
                    if let TaskEvent::Granted { token, .. } = &event {
                        prop_assert!(life.holder().is_none() && *token > last);
                        last = *token;
                    }
                    if let TaskEvent::AttemptEnded { outcome: AttemptOutcome::Exited(1), .. } = &event {
                        own_failures += 1;
                    }
                    life.apply(&event);
                }
            }
            prop_assert!(own_failures <= 3);
        }
    }
}

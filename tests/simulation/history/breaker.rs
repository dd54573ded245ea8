//! What breakers let through and why they change, worked out here once more from the ends of attempts: I16.
//!
//! What happens at one moment is one: a grant that its node had promised before is recorded at the moment in which the
//! breaker opens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use policy::breaker::{BreakerRules, Change};
use policy::event::{Event, NodeEvent, Record, SchedulerEvent, TaskEvent};
use policy::id::{Epoch, NodeId, TaskId, Token};
use policy::task::{AttemptOutcome, LossReason};
use policy::time::Timestamp;

use super::index::Index;
use super::{Findings, History};

/// How long it may take until a breaker has opened that must: what its node hears is on disk before, and a disk may
/// be full for a while.
const OPENS_WITHIN: Duration = Duration::from_secs(15);

/// By one part of so many a clock may be fast.
const CLOCK_ERROR_DIVISOR: u32 = 1000;

/// That of a node, or of a node for a kind of task.
type Key = (NodeId, Option<Arc<str>>);

/// What an attempt's end says of its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Good,
    /// It failed by its own fault.
    TaskFailed,
    Bad,
    Nothing,
}

/// Of one that is closed.
#[derive(Debug, Clone, Copy)]
struct Row {
    failures: u32,
    /// So many of them stand in the records before the change that closed it: who reads them later does not count these.
    early: u32,
    /// What was granted before this belongs to the last failure.
    since: Token,
    /// When there were enough failures for it to open.
    due: Option<Timestamp>,
}

/// A breaker as the records say.
#[derive(Debug)]
enum Phase {
    Closed(Row),
    Open {
        at: Timestamp,
        wait: Duration,
    },
    HalfOpen {
        in_flight: BTreeSet<Token>,
        succeeded: u32,
        /// A trial has failed.
        has_failed: bool,
        /// What has ended since its trials went well: to its node it was closed by then, a moment before that was recorded.
        then: Row,
    },
}

impl Default for Phase {
    fn default() -> Self {
        Self::Closed(Row::default())
    }
}

impl Default for Row {
    fn default() -> Self {
        Self { failures: 0, early: 0, since: Token(0), due: None }
    }
}

impl Row {
    /// The end of an attempt that was granted under `token`, recorded at the place `end`.
    fn ended(&mut self, token: Token, says: Says, (end, at): (Token, Timestamp), rules: &BreakerRules) {
        match says {
            Says::Bad if token >= self.since => {
                (self.failures, self.since) = (self.failures + 1, end);
                if self.failures >= rules.failures.max(1) {
                    self.due.get_or_insert(at);
                }
            }
            Says::Good => (self.failures, self.early, self.since) = (0, 0, Token(0)),
            _ => {}
        }
    }

    /// A reign begins, and reads the records.
    fn read(&mut self, at: Timestamp, rules: &BreakerRules) {
        self.failures -= std::mem::take(&mut self.early);
        // Nobody could have opened it before.
        self.due = (self.failures >= rules.failures.max(1)).then_some(at);
        if self.failures == 0 {
            self.since = Token(0);
        }
    }
}

struct Pass<'a> {
    index: &'a Index<'a>,
    rules: BreakerRules,
    breakers: BTreeMap<Key, Phase>,
    granted: BTreeMap<Token, (NodeId, TaskId)>,
    epoch: u32,
}

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let rules = history.limits.breaker;
    let mut pass = Pass { index, rules, breakers: BTreeMap::new(), granted: BTreeMap::new(), epoch: 0 };
    for (_, record) in &history.records {
        match &record.event {
            Event::Scheduler(SchedulerEvent::Started { epoch, .. }) => {
                pass.epoch = *epoch;
                for phase in pass.breakers.values_mut() {
                    if let Phase::Closed(row) = phase {
                        row.read(record.at, &rules);
                    }
                }
            }
            Event::Task { task, event: TaskEvent::Granted { token, node, .. }, .. } => {
                pass.granted.insert(*token, (node.clone(), *task));
                pass.grant(*token, record, findings);
            }
            Event::Task { event: TaskEvent::AttemptEnded { token, outcome, .. }, .. } => {
                pass.ended(*token, outcome, record);
            }
            Event::Node(node, NodeEvent::Breaker { kind, change }) => {
                pass.changed(&(node.clone(), kind.clone()), *change, record, findings);
            }
            _ => {}
        }
    }
    pass.expect_opened(history.until, findings);
}

fn says(outcome: &AttemptOutcome) -> Says {
    match outcome {
        AttemptOutcome::Exited(0) => Says::Good,
        AttemptOutcome::Cancelled
        | AttemptOutcome::Lost(
            LossReason::Evicted | LossReason::Drained | LossReason::Preempted | LossReason::Recalled,
        ) => Says::Nothing,
        AttemptOutcome::Lost(_) => Says::Bad,
        AttemptOutcome::SpawnFailed(failure) if failure.nodes_fault => Says::Bad,
        AttemptOutcome::Exited(_)
        | AttemptOutcome::Signalled(_)
        | AttemptOutcome::TimedOut(_)
        | AttemptOutcome::OverLimit(_)
        | AttemptOutcome::SpawnFailed(_)
        | AttemptOutcome::StepFailed(_) => Says::TaskFailed,
    }
}

impl Pass<'_> {
    fn keys(&self, token: Token) -> Vec<Key> {
        let Some((node, task)) = self.granted.get(&token) else { return Vec::new() };
        let kind = self.index.item_of(*task).and_then(|item| item.spec.kind.clone());
        let of_kind = kind.map(|kind| (node.clone(), Some(kind)));
        [Some((node.clone(), None)), of_kind].into_iter().flatten().collect()
    }

    fn grant(&mut self, token: Token, record: &Record, findings: &mut Findings) {
        for key in self.keys(token) {
            match self.breakers.entry(key.clone()).or_default() {
                Phase::Open { at, wait } => findings.expect("I16", record.at <= *at, || {
                    format!("record {}: granted under {key:?}, open since {at:?} for {wait:?}", record.number)
                }),
                Phase::HalfOpen { in_flight, then, .. } => {
                    // To its node it is not closed: one that began anew counts its trials from there.
                    *then = Row::default();
                    in_flight.insert(token);
                    findings.expect("I16", in_flight.len() == 1, || {
                        format!("record {}: {in_flight:?} are on trial under {key:?}", record.number)
                    });
                }
                Phase::Closed(_) => {}
            }
        }
        self.expect_opened(record.at, findings);
    }

    fn ended(&mut self, token: Token, outcome: &AttemptOutcome, record: &Record) {
        let end = Token::numbered(Epoch(self.epoch), record.number);
        for key in self.keys(token) {
            let counts = key.1.is_some() && self.rules.kinds_count_failures;
            let says = match says(outcome) {
                Says::TaskFailed if counts => Says::Bad,
                Says::TaskFailed => Says::Good,
                says => says,
            };
            match self.breakers.entry(key).or_default() {
                Phase::Closed(row) => row.ended(token, says, (end, record.at), &self.rules),
                Phase::HalfOpen { in_flight, succeeded, has_failed, then } => {
                    if in_flight.remove(&token) {
                        *succeeded += u32::from(says == Says::Good);
                        *has_failed |= says == Says::Bad;
                    } else if !*has_failed && *succeeded >= needed(&self.rules) {
                        then.ended(token, says, (end, record.at), &self.rules);
                    }
                }
                Phase::Open { .. } => {}
            }
        }
    }

    fn changed(&mut self, key: &Key, change: Change, record: &Record, findings: &mut Findings) {
        let number = record.number;
        let phase = self.breakers.entry(key.clone()).or_default();
        let lawful = match (&*phase, change) {
            (Phase::Closed(row), Change::Opened { .. }) => row.due.is_some(),
            (Phase::HalfOpen { has_failed, .. }, Change::Opened { .. }) => *has_failed,
            (Phase::Open { at, wait }, Change::HalfOpened) => {
                record.at.since(*at) >= *wait - *wait / CLOCK_ERROR_DIVISOR
            }
            (Phase::HalfOpen { succeeded, .. }, Change::Closed) => *succeeded >= needed(&self.rules),
            _ => false,
        };
        findings.expect("I16", lawful, || format!("record {number}: {key:?} {change:?}, it was {phase:?}"));
        *phase = match change {
            Change::Opened { wait, .. } => Phase::Open { at: record.at, wait },
            Change::HalfOpened => {
                let then = Row::default();
                Phase::HalfOpen { in_flight: BTreeSet::new(), succeeded: 0, has_failed: false, then }
            }
            Change::Closed => Phase::Closed(match phase {
                Phase::HalfOpen { then, .. } => Row { early: then.failures, ..*then },
                _ => Row::default(),
            }),
        };
    }

    /// After enough failures a breaker opens, and soon.
    fn expect_opened(&self, now: Timestamp, findings: &mut Findings) {
        for (key, phase) in &self.breakers {
            if let Phase::Closed(Row { failures, due: Some(due), .. }) = phase {
                findings.expect("I16", now.since(*due) <= OPENS_WITHIN, || {
                    format!("{key:?} is closed since {due:?} after {failures} failures in a row")
                });
            }
        }
    }
}

/// Trials that must go well.
fn needed(rules: &BreakerRules) -> u32 {
    (rules.trials.max(1) * u32::from(rules.success_percent)).div_ceil(100).max(1)
}

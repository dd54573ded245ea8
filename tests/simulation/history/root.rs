//! The promises as checks over a history: the log's records, what clients were told, and what truly ran.
//!
//! One linear pass per promise, named as in the design (I1, I2, …). Knows neither the simulation nor the
//! programs that made the history: whoever can fill in a [`History`] can have it checked.

mod bounds;
mod breaker;
mod budget;
mod claims;
mod clients;
mod company;
mod evictions;
mod gangs;
mod index;
mod lending;
mod log;
mod order;
mod patience;
mod placing;
mod pressure;
mod reserve;
mod share;
mod stages;
mod strain;
mod table;
mod truth;
mod unschedulable;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use actors::config::Limits;
use actors::scheduler::RawRow;
use actors::wire::client::Target;
use policy::claims::ClaimRules;
use policy::constraint::Labels;
use policy::event::{LogPosition, Record, SubmissionKey};
use policy::id::{GraphId, NodeId, TaskId, Token};
use policy::resources::Resources;
use policy::stages::{Step, StepOutcome};
use policy::task::Priority;
use policy::time::Timestamp;

use index::Index;

/// Everything there is to know about one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// The log, whole, with positions.
    pub(crate) records: Vec<(LogPosition, Record)>,
    /// What clients asked and were told.
    pub(crate) operations: Vec<Operation>,
    /// What truly ran.
    pub(crate) processes: Vec<Process>,
    /// Of attempts with more than their command, what truly ran, in order.
    pub(crate) steps: Vec<Ran>,
    /// Attempts of these that were told, at any time, that their right to run was over.
    pub(crate) lost: BTreeSet<Token>,
    /// What each node truly has.
    pub(crate) nodes: BTreeMap<NodeId, Resources>,
    /// What is said of each.
    pub(crate) labels: BTreeMap<NodeId, Labels>,
    /// What the scheduler said of every task at the very end; `None` where nobody could ask it from within.
    pub(crate) rows: Option<Vec<RawRow>>,
    /// Whether it has come to rest: faults are over, and there was time for everything to end.
    pub(crate) has_ended: bool,
    /// What the fleet had for tasks to claim.
    pub(crate) claims: ClaimRules,
    /// How many tasks might wait.
    pub(crate) bound: u64,
    /// Whether tasks made room for urgent ones.
    pub(crate) preempts: bool,
    /// What the operator has said.
    pub(crate) limits: Limits,
    /// Whether what is waited for is served as what waits for it.
    pub(crate) lends: bool,
    /// When the scheduler side noticed that the connection to a node was over: the log says so only where it stays away.
    pub(crate) disconnected: Vec<(NodeId, Timestamp)>,
    /// How long killing may have taken.
    pub(crate) kill_takes: Duration,
    /// The last moment of it.
    pub(crate) until: Timestamp,
}

/// A request of a client.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) asked: Asked,
    pub(crate) invoked: Timestamp,
    pub(crate) answer: Answer,
    /// The last record that was written when the answer came, where anybody could look: many are of one moment.
    pub(crate) written: Option<u64>,
}

/// What a client asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Submit {
        key: SubmissionKey,
        digest: [u8; 16],
    },
    Cancel(Target),
    Retry(Target),
    /// That what waits of it is as urgent as that.
    Prioritise(Target, Priority),
    /// That a graph goes on that has used up its budget.
    Resume(GraphId),
}

/// What a client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing: it may have been done or not.
    Unknown,
    /// It was refused, for certain.
    Refused,
    /// It was sent away, to come back after so long.
    Busy { retry_after: Duration },
    /// The submission is safe.
    Submitted { graph: GraphId, at: Timestamp },
    /// The request is safe.
    Done { at: Timestamp },
}

/// One process of a task, in true time.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) task: TaskId,
    pub(crate) token: Token,
    pub(crate) node: NodeId,
    pub(crate) need: Resources,
    pub(crate) started: Timestamp,
    /// `None` while it runs.
    pub(crate) ended: Option<Timestamp>,
    /// While it stood still with its machine.
    pub(crate) frozen: Vec<(Timestamp, Timestamp)>,
}

/// One command of an attempt that has several, in true time.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    pub(crate) task: TaskId,
    pub(crate) token: Token,
    pub(crate) step: Step,
    pub(crate) started: Timestamp,
    /// `None` while it runs.
    pub(crate) ended: Option<Timestamp>,
    /// `None` where it was gone with its host.
    pub(crate) end: Option<StepOutcome>,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Which.
    pub(crate) promise: &'static str,
    /// How.
    pub(crate) text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.text)
    }
}

/// What has been found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Violation>);

impl Findings {
    /// Notes a violation unless `holds`.
    fn expect(&mut self, promise: &'static str, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.0.push(Violation { promise, text: text() });
        }
    }
}

impl History {
    /// Every promise that this history breaks; empty where all are kept.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        let index = Index::new(self);
        let mut findings = Findings::default();
        log::check(self, &index, &mut findings);
        truth::check(self, &index, &mut findings);
        claims::check(self, &index, &mut findings);
        clients::check(self, &index, &mut findings);
        order::check(self, &index, &mut findings);
        share::check(self, &index, &mut findings);
        patience::check(self, &index, &mut findings);
        reserve::check(self, &index, &mut findings);
        placing::check(self, &index, &mut findings);
        company::check(self, &index, &mut findings);
        bounds::check(self, &index, &mut findings);
        evictions::check(self, &index, &mut findings);
        gangs::check(self, &index, &mut findings);
        pressure::check(self, &index, &mut findings);
        budget::check(self, &index, &mut findings);
        breaker::check(self, &index, &mut findings);
        lending::check(self, &index, &mut findings);
        strain::check(self, &index, &mut findings);
        stages::check(self, &index, &mut findings);
        if self.has_ended {
            table::check(self, &index, &mut findings);
        }
        unschedulable::check(self, &index, &mut findings);
        findings.0
    }
}

//! What is measured, as one sample.

use std::time::Duration;

use policy::layout::{before, since};
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::client::{ServerInfo, Status};

/// How everything is at one moment, and what has been counted up to then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "MetricSample")]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Who answers.
    pub server: ServerInfo,
    /// What the scheduler says; `None` where it did not answer in time.
    pub status: Option<Box<Status>>,
    /// What was counted since the daemon was started.
    pub meters: MetersRow,
    /// The actors that everything goes through.
    pub actors: Vec<ActorRow>,
    /// Why nothing can be written to the log, if nothing can.
    pub log_trouble: Option<Box<str>>,
}

/// What was counted since the daemon was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetersRow {
    /// Tasks that have ended.
    pub ends: EndsRow,
    /// Attempts that were over and are followed by another.
    pub retried: u64,
    /// Tasks served as more urgent, since they had waited long.
    pub aged: u64,
    /// Attempts that made room for more urgent tasks.
    pub evicted: u64,
    /// Breakers that opened.
    pub trips: u64,
    /// What became of nodes.
    pub nodes: NodeNewsRow,
    /// How long tasks waited that could run: low, normal, high, critical. From the scheduler's start, where they
    /// could run before.
    pub waits: [WaitsRow; 4],
    /// The moving average of that over the last hundred or so.
    pub usual_wait: Duration,
    /// Spans of traces that were taken by their receiver.
    #[serde(deserialize_with = "since::<4, _, _>", skip_serializing_if = "before::<4, _>")]
    pub spans_sent: u64,
    /// Spans that found no room or no taker.
    #[serde(deserialize_with = "since::<4, _, _>", skip_serializing_if = "before::<4, _>")]
    pub spans_dropped: u64,
}

/// How tasks ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EndsRow {
    /// Well.
    pub succeeded: u64,
    /// By their own fault, with no attempt left.
    pub failed: u64,
    /// Lost with their machines more often than they may be.
    pub lost: u64,
    /// Somebody asked for it.
    pub cancelled: u64,
    /// A task they depend on did not end as they need it.
    pub skipped: u64,
    /// Machines died while they ran.
    pub poisoned: u64,
    /// Their graph had no retry left.
    pub out_of_retries: u64,
}

/// What became of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeNewsRow {
    /// They registered.
    pub joined: u64,
    /// Nothing was heard of them.
    pub suspected: u64,
    /// They were heard of again in time.
    pub recovered: u64,
    /// They were given up.
    pub lost: u64,
}

/// The bounds of the buckets of waits, each the longest wait that falls in its bucket: from what a round of the
/// scheduler takes to what nobody accepts.
pub const WAIT_BOUNDS: [Duration; 12] = [
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(1800),
];

/// How long tasks of one priority waited.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WaitsRow {
    /// How many in each bucket of [`WAIT_BOUNDS`], and above the last.
    pub buckets: Vec<u64>,
    /// All waits together.
    pub sum: Duration,
}

impl WaitsRow {
    /// How many waited.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// An actor that everything goes through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "ActorMetrics")]
pub struct ActorRow {
    /// Such as `scheduler`, `queue-low`.
    pub name: Box<str>,
    /// Messages that wait.
    pub depth: u64,
    /// Messages ever handled.
    pub handled: u64,
    /// How long it has been handling one message; `None` while it handles none.
    pub busy: Option<Duration>,
    /// How often it was started again.
    pub restarts: u32,
}

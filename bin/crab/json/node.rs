//! Machines.

use std::collections::BTreeMap;

use actors::wire::client::NodeRow;
use policy::breaker::{Key, Seen};
use serde::Serialize;

use super::{Amounts, Author, VERSION};
use crate::cli::text::rfc3339;

/// Of `nodes`, and within `status`.
#[derive(Debug, Serialize)]
pub(crate) struct Node {
    v: u32,
    node: String,
    health: &'static str,
    capacity: Amounts,
    allocated: Amounts,
    running: u32,
    staged: u32,
    heard: String,
    labels: BTreeMap<String, String>,
    /// Those of them that operators have put there, over its own.
    labels_put: BTreeMap<String, String>,
    version: String,
    /// Those that are not closed.
    breakers: Vec<Breaker>,
    /// It takes no new work.
    cordoned: bool,
    /// It takes no new work and gives back what it has.
    draining: bool,
    /// When it gives back what runs, if it is to.
    drain_deadline: Option<String>,
    /// It is drained, and nothing is left.
    drained: bool,
    /// It starts nothing.
    halted: bool,
    /// It starts nothing, as somebody has said on the machine itself.
    halted_here: bool,
    /// Who has said the gravest of that of this machine alone.
    said: Option<Author>,
    /// How strained it is: `normal`, `warn` (it takes nothing heavy), `critical` (it takes nothing).
    strain: &'static str,
    /// What shows that.
    strain_reason: Option<String>,
}

/// A breaker of a node that is not closed.
#[derive(Debug, Serialize)]
struct Breaker {
    /// The kind of task; the node's own where there is none.
    kind: Option<String>,
    /// `open` or `half-open`.
    state: &'static str,
    /// How long it stays open.
    wait_s: Option<f64>,
}

impl From<&(Key, Seen)> for Breaker {
    fn from((kind, seen): &(Key, Seen)) -> Self {
        let (state, wait_s) = match seen {
            Seen::Open(wait) => ("open", Some(wait.as_secs_f64())),
            Seen::HalfOpen { .. } => ("half-open", None),
        };
        Self { kind: kind.as_deref().map(ToOwned::to_owned), state, wait_s }
    }
}

impl From<&NodeRow> for Node {
    fn from(row: &NodeRow) -> Self {
        let directed = &row.directed;
        Self {
            v: VERSION,
            node: row.node.to_string(),
            health: row.health.into(),
            capacity: Amounts::from(&row.capacity),
            allocated: Amounts::from(&row.allocated),
            running: row.running,
            staged: row.staged,
            heard: rfc3339(row.heard),
            labels: row.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            labels_put: directed
                .labels
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            version: row.version.to_string(),
            breakers: row.breakers.iter().map(Breaker::from).collect(),
            cordoned: directed.cordoned,
            draining: directed.draining,
            drain_deadline: directed.drain_deadline.map(rfc3339),
            drained: directed.drained,
            halted: directed.halted,
            halted_here: directed.halted_here,
            said: directed.said.as_ref().map(Author::from),
            strain: row.strain.level.into(),
            strain_reason: row.strain.seen.map(|seen| seen.to_string()),
        }
    }
}

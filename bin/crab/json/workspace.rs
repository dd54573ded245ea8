//! Workspaces that are kept.

use actors::wire::inspect::WorkspaceRow;
use policy::id::NodeId;
use serde::Serialize;

use super::VERSION;
use crate::cli::text::rfc3339;

/// Of `workspaces`.
#[derive(Debug, Serialize)]
pub(crate) struct Workspace {
    v: u32,
    task: String,
    name: String,
    token: String,
    node: String,
    /// What was in it at first.
    source: String,
    path: String,
    since: String,
    bytes: u64,
    why: String,
    /// Whether work is lost when it goes, as far as anybody can tell.
    unsaved: bool,
}

impl Workspace {
    pub(crate) fn of(node: &NodeId, row: &WorkspaceRow) -> Self {
        Self {
            v: VERSION,
            task: row.task.to_string(),
            name: row.name.to_string(),
            token: row.token.to_string(),
            node: node.to_string(),
            source: row.source.to_string(),
            path: row.path.to_string(),
            since: rfc3339(row.since),
            bytes: row.bytes,
            why: row.why.to_string(),
            unsaved: row.why.is_unsaved(),
        }
    }
}

//! Ended graphs are kept for those who ask, and not for ever.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::graph::Graphs;
use crate::id::GraphId;
use crate::placement::ShapeId;
use crate::time::Timestamp;

/// How many ended graphs are kept, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Graphs. A graph takes some 500 bytes beside its tasks: 10,000 are 5 MB.
    pub graphs: usize,
    /// Tasks of ended graphs. A task that ran takes up to 100 bytes: 2,000,000 are 200 MB.
    pub tasks: u64,
    /// Since the end: a week, the time after which nobody comes back to a result.
    pub age: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { graphs: 10_000, tasks: 2_000_000, age: Duration::from_hours(7 * 24) }
    }
}

impl Graphs {
    /// The graph to forget next, if any is kept beyond the limits: the one that ended the longest ago.
    #[must_use]
    pub fn overdue(&self, retention: &Retention, now: Timestamp) -> Option<GraphId> {
        let (finished_at, graph) = self.ended.first()?;
        let beyond = self.ended.len() > retention.graphs
            || self.ended_tasks > retention.tasks
            || now.since(*finished_at) > retention.age;
        beyond.then_some(*graph)
    }

    /// Forgets an ended graph. The shapes of its items, to be released; `None` where it is not known or has
    /// not ended.
    pub fn forget(&mut self, graph: GraphId) -> Option<Vec<ShapeId>> {
        let finished_at = self.graph(graph)?.finished_at?;
        let gone = self.graphs.remove(&graph)?;
        self.ended.remove(&(finished_at, graph));
        self.ended_tasks -= u64::from(gone.tasks);
        for key in gone.parts.iter().map(|part| part.key).chain([gone.key]) {
            if self.keys.get(&key) == Some(&graph) {
                self.keys.remove(&key);
            }
        }
        for part in &gone.parts {
            self.added.remove(&part.first);
        }
        for item in &gone.items {
            let totals = &mut self.totals[item.priority as usize];
            let mut offset = item.first;
            while offset < item.first + item.count {
                let stretch = gone.pages.stretch(offset, item.first + item.count - offset);
                totals.take(stretch.state.unwrap_or_else(|| item.rest_state(offset)), stretch.count);
                offset += stretch.count;
            }
        }
        Some(gone.items.iter().map(|item| item.shape).collect())
    }
}

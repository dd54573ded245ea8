//! What a submitter hands in: tasks together with their dependencies, as a graph or to be added to one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::event::{GraphHead, GraphPart, Item, SubmissionKey};
use crate::id::{GraphId, TaskId};
use crate::task::TaskSpec;

/// A graph as handed in, before admission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The same key again is the same submission.
    pub key: SubmissionKey,
    /// The graph's name. What is added to a graph goes by that of the graph.
    pub name: Arc<str>,
    /// Its tasks and arrays.
    pub items: Vec<Item>,
    /// What it may use up.
    pub budget: Budget,
    /// The graph they are added to; `None` where they are one.
    pub into: Option<GraphId>,
}

impl Submission {
    /// A graph of these items.
    #[must_use]
    pub fn new(key: SubmissionKey, name: impl Into<Arc<str>>, items: Vec<Item>) -> Self {
        Self { key, name: name.into(), items, budget: Budget::default(), into: None }
    }

    /// How many tasks it makes; the largest number where they are more than can be counted.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.items.iter().fold(0, |sum, item| sum.saturating_add(item.tasks()))
    }

    /// The head under which it is recorded. The digest is worked out by whoever encodes it.
    #[must_use]
    pub fn head(&self, digest: [u8; 16]) -> GraphHead {
        GraphHead {
            name: Arc::clone(&self.name),
            key: self.key,
            items: u32::try_from(self.items.len()).unwrap_or(u32::MAX),
            tasks: self.tasks(),
            digest,
            budget: self.budget,
        }
    }

    /// The head under which it is recorded where it is added to a graph, its tasks from `first` on.
    #[must_use]
    pub fn part(&self, first: TaskId, digest: [u8; 16]) -> GraphPart {
        let GraphHead { key, items, tasks, .. } = self.head(digest);
        GraphPart { first, key, items, tasks, digest }
    }
}

impl Item {
    /// One task that depends on nothing.
    #[must_use]
    pub fn new(spec: impl Into<Arc<TaskSpec>>) -> Self {
        Self { spec: spec.into(), dependencies: Vec::new(), array: None }
    }

    /// How many tasks it makes.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.array.map_or(1, |array| array.count)
    }
}

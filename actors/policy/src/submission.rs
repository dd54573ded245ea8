//! What a submitter hands in: tasks together with their dependencies.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::event::{GraphHead, Item, SubmissionKey};

/// A graph as handed in, before admission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The same key again is the same submission.
    pub key: SubmissionKey,
    /// The graph's name.
    pub name: Arc<str>,
    /// Its tasks and arrays.
    pub items: Vec<Item>,
    /// What it may use up.
    pub budget: Budget,
}

impl Submission {
    /// A graph of these items.
    #[must_use]
    pub fn new(key: SubmissionKey, name: impl Into<Arc<str>>, items: Vec<Item>) -> Self {
        Self { key, name: name.into(), items, budget: Budget::default() }
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
}

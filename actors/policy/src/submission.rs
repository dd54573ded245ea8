//! What a submitter hands in: tasks together with their dependencies.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{Item, SubmissionKey};

/// A graph as handed in, before admission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The same key again is the same submission.
    pub key: SubmissionKey,
    /// The graph's name.
    pub name: Arc<str>,
    /// Its tasks and arrays.
    pub items: Vec<Item>,
}

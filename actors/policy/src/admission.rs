//! Types only, for now.

use serde::{Deserialize, Serialize};

/// Why a submission is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub more: u64,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The item, by its place in the submission.
    pub item: Option<usize>,
    /// The field.
    pub field: Box<str>,
    /// Its value.
    pub value: Box<str>,
    /// What it must be.
    pub expected: Box<str>,
}

//! Names for things. Ids are never reused; what they name is known from their type.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A task. The tasks of one graph have consecutive ids, in the order of their submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskId(pub u64);

/// Tasks with consecutive ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskRange {
    /// The first.
    pub first: TaskId,
    /// How many.
    pub count: u32,
}

/// A graph: the id of its first task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GraphId(pub u64);

/// A try at a task, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttemptNumber(pub u32);

/// A scheduler's reign. A later scheduler has a larger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Epoch(pub u32);

/// The fencing token of a grant: larger than that of every earlier grant, whatever the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Token(pub u64);

/// One registration of a node with the scheduler: the number of its record. Grows with every registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeSession(pub u64);

/// One life of a node's daemon. Grows with every start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

/// A machine of the fleet, by the name its operator gave it. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub Arc<str>);

/// Bits of a token that hold the number of the grant's record: a trillion records.
const TOKEN_COUNTER_BITS: u32 = 40;

impl Token {
    /// The token of a grant by the number of its record, which grows with every record: so tokens grow in
    /// the order of the log, over all tasks and reigns.
    #[must_use]
    pub fn numbered(epoch: Epoch, record: u64) -> Self {
        Self((u64::from(epoch.0) << TOKEN_COUNTER_BITS) + record)
    }

    /// The number of the record that granted it: the later of two grants by itself, where the epoch of one is not known.
    #[must_use]
    pub fn record(self) -> u64 {
        self.0 & ((1 << TOKEN_COUNTER_BITS) - 1)
    }

    /// Whether it was granted after this registration, which bears the number of its record as well.
    #[must_use]
    pub fn is_since(self, session: NodeSession) -> bool {
        self.record() > session.0
    }

    /// The epoch it was granted in.
    #[must_use]
    pub fn epoch(self) -> Epoch {
        Epoch(u32::try_from(self.0 >> TOKEN_COUNTER_BITS).unwrap_or(u32::MAX))
    }
}

impl GraphId {
    /// The graph's first task.
    #[must_use]
    pub fn first_task(self) -> TaskId {
        TaskId(self.0)
    }
}

impl TaskRange {
    /// The id behind the last.
    #[must_use]
    pub fn end(self) -> TaskId {
        TaskId(self.first.0 + u64::from(self.count))
    }

    /// Whether the task is one of them.
    #[must_use]
    pub fn contains(self, task: TaskId) -> bool {
        self.first <= task && task < self.end()
    }

    /// The first of them, at most so many; the others stay.
    #[must_use]
    pub fn take(&mut self, most: u32) -> Self {
        let taken = Self { first: self.first, count: self.count.min(most) };
        *self = Self { first: taken.end(), count: self.count - taken.count };
        taken
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = TaskId> {
        (self.first.0..self.end().0).map(TaskId)
    }
}

impl From<TaskId> for TaskRange {
    fn from(task: TaskId) -> Self {
        Self { first: task, count: 1 }
    }
}

impl From<&str> for NodeId {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

impl fmt::Display for GraphId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}", self.0)
    }
}

impl fmt::Display for AttemptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Shown as `epoch.counter`.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch().0, self.0 & ((1 << TOKEN_COUNTER_BITS) - 1))
    }
}

impl FromStr for TaskId {
    type Err = ParseIntError;

    /// Reads `t12` or `12`.
    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.strip_prefix('t').unwrap_or(text).parse().map(Self)
    }
}

impl FromStr for GraphId {
    type Err = ParseIntError;

    /// Reads `g12` or `12`.
    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.strip_prefix('g').unwrap_or(text).parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_epoch_has_only_larger_tokens() {
        let last_of_first = Token::numbered(Epoch(1), (1 << TOKEN_COUNTER_BITS) - 1);
        assert_eq!(last_of_first.epoch(), Epoch(1));
        assert!(last_of_first < Token::numbered(Epoch(2), 0));
    }

    #[test]
    fn a_grant_is_since_a_registration_whose_record_came_before() {
        let session = NodeSession(7);
        let is_since = |record| Token::numbered(Epoch(3), record).is_since(session);
        assert_eq!([6, 7, 8].map(is_since), [false, false, true]);
    }

    #[test]
    fn ids_are_read_back_from_what_is_shown() {
        assert_eq!(TaskId(12).to_string().parse(), Ok(TaskId(12)));
        assert_eq!("12".parse(), Ok(GraphId(12)));
    }
}

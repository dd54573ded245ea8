//! Whose a session on a machine behind SSH is: the daemon knows its tasks, and the session's name which of them it was for.

use policy::id::TaskId;

use super::node::task_of;
use crate::client::{Client, ClientError};

/// Whose a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Of a task that has not ended.
    Task(TaskId),
    /// A ghost's: its task has ended, or is not known any more.
    Ghost(TaskId),
    /// Of a person, or of another scheduler.
    Other,
}

impl Owner {
    /// Whose the session for this work is; `tag` is the scheduler's in the names of its sessions.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn of(client: &Client, work: &str, tag: &str) -> Result<Self, ClientError> {
        let Some(task) = task_of(work, tag) else { return Ok(Self::Other) };
        match client.task(task).await {
            Ok(detail) if !detail.row.state.has_ended() => Ok(Self::Task(task)),
            Ok(_) | Err(ClientError::NotFound(_)) => Ok(Self::Ghost(task)),
            Err(error) => Err(error),
        }
    }
}

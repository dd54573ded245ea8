//! Waiting for ends, by asking again for as long as it takes.

use std::time::Duration;

use policy::event::{Event, Next, TaskEvent};
use policy::id::{GraphId, TaskId};
use tokio::time::Instant;

use super::{Client, ClientError, Seen};
use crate::wire::client::{EventFilter, GraphRow, TaskDetail, WAIT_LIMIT};

/// How long a scheduler that does not answer is waited for: a restart takes seconds.
pub(super) const RECONNECT_PATIENCE: Duration = Duration::from_secs(60);
/// The first wait between two attempts to reach it; doubled each time.
const RECONNECT_FIRST: Duration = Duration::from_millis(50);
/// The longest.
const RECONNECT_LAST: Duration = Duration::from_secs(2);

/// How long to go on after failures that may pass.
#[derive(Debug)]
pub(super) struct Patience {
    failing_since: Option<Instant>,
    next_wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { failing_since: None, next_wait: RECONNECT_FIRST }
    }
}

impl Patience {
    /// An answer came.
    pub(super) fn renew(&mut self) {
        *self = Self::default();
    }

    /// Waits a little after a failure that may pass; gives back one that has lasted, or will not pass.
    /// A scheduler that has never answered is not waited for: the place is probably wrong.
    pub(super) async fn endure(&mut self, client: &Client, error: ClientError) -> Result<(), ClientError> {
        if !client.has_been_answered() {
            return Err(error);
        }
        self.endure_cut(error).await
    }

    /// Whether something has failed since the last answer.
    pub(super) fn has_begun(&self) -> bool {
        self.failing_since.is_some()
    }

    /// As [`Self::endure`] for a scheduler that is known to be there, or to have been.
    pub(super) async fn endure_cut(&mut self, error: ClientError) -> Result<(), ClientError> {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if !error.is_passing() || since.elapsed() >= RECONNECT_PATIENCE {
            return Err(error);
        }
        let wait = match error {
            ClientError::Busy { retry_after, .. } => retry_after,
            _ => self.next_wait,
        };
        self.next_wait = (self.next_wait * 2).min(RECONNECT_LAST);
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

impl Client {
    /// Waits for the end of a graph, also through restarts of the scheduler; with a `limit`, returns after
    /// that with how the graph is then. Cancel safe.
    ///
    /// # Errors
    /// Among others [`ClientError::NotFound`].
    pub async fn wait(&self, graph: GraphId, limit: Option<Duration>) -> Result<GraphRow, ClientError> {
        let started = Instant::now();
        let mut patience = Patience::default();
        loop {
            let left = limit.map_or(WAIT_LIMIT, |limit| limit.saturating_sub(started.elapsed()));
            match self.graph_within(graph, left.min(WAIT_LIMIT)).await {
                Ok(row) if row.ended.is_some() => return Ok(row),
                Ok(row) if limit.is_some_and(|limit| started.elapsed() >= limit) => return Ok(row),
                Ok(_) => patience.renew(),
                Err(error) => patience.endure(self, error).await?,
            }
        }
    }

    /// Waits for the end of one task, as [`Client::wait`] does for a graph. Cancel safe.
    ///
    /// # Errors
    /// Among others [`ClientError::NotFound`].
    pub async fn wait_task(&self, task: TaskId, limit: Option<Duration>) -> Result<TaskDetail, ClientError> {
        let detail = self.task(task).await?;
        if detail.row.state.has_ended() {
            return Ok(detail);
        }
        let known = detail.events.last().map_or(0, |(_, record)| record.number);
        let mut watch = self.events(known, EventFilter::Task(task));
        let ended = async {
            loop {
                match watch.next().await? {
                    Seen::Record(record) if !is_end(&record.event) => {}
                    Seen::Record(_) | Seen::Gap { .. } => return Ok::<(), ClientError>(()),
                }
            }
        };
        match limit {
            None => ended.await?,
            Some(limit) => tokio::time::timeout(limit, ended).await.unwrap_or(Ok(()))?,
        }
        self.task(task).await
    }
}

fn is_end(event: &Event) -> bool {
    let Event::Task { event, .. } = event else { return false };
    matches!(event, TaskEvent::Finished(_) | TaskEvent::AttemptEnded { next: Next::Finish(_), .. })
}

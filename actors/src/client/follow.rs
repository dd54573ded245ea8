//! Follows what one attempt writes, piece by piece, to its end.

use std::time::Duration;

use policy::id::{AttemptNumber, TaskId};

use super::wait::Patience;
use super::{Client, ClientError};
use crate::wire::client::WAIT_LIMIT;
use crate::wire::fleet::{OUTPUT_PIECE_LIMIT_BYTES, OutputFrom, OutputPiece, OutputRead};

/// The output of one attempt, from where it was left.
#[derive(Debug)]
pub struct Follow {
    client: Client,
    task: TaskId,
    attempt: AttemptNumber,
    from: OutputFrom,
    complete: bool,
    patience: Patience,
}

impl Follow {
    pub(super) fn new(client: Client, task: TaskId, attempt: AttemptNumber) -> Self {
        let (from, patience) = (OutputFrom::Cursor(0), Patience::default());
        Self { client, task, attempt, from, complete: false, patience }
    }

    /// Begins elsewhere than at the beginning.
    #[must_use]
    pub fn from(mut self, from: OutputFrom) -> Self {
        self.from = from;
        self
    }

    /// The next piece; waits until there is one. `None` after the last. A scheduler or a node that does
    /// not answer is tried again for a minute. Cancel safe.
    ///
    /// # Errors
    /// [`ClientError::NoOutput`] where the node has none, and when nobody answers for too long.
    pub async fn next(&mut self) -> Result<Option<OutputPiece>, ClientError> {
        loop {
            if self.complete {
                return Ok(None);
            }
            if let Some(piece) = self.fetch(WAIT_LIMIT).await? {
                return Ok(Some(piece));
            }
        }
    }

    /// The next piece of what is there already; `None` where there is no more at present.
    ///
    /// # Errors
    /// As [`Follow::next`].
    pub async fn next_past(&mut self) -> Result<Option<OutputPiece>, ClientError> {
        if self.complete { Ok(None) } else { self.fetch(Duration::ZERO).await }
    }

    async fn fetch(&mut self, wait: Duration) -> Result<Option<OutputPiece>, ClientError> {
        let read = OutputRead { from: self.from, max_bytes: OUTPUT_PIECE_LIMIT_BYTES, wait };
        loop {
            match self.client.output_piece(self.task, Some(self.attempt), read).await {
                Ok(piece) => {
                    self.patience.renew();
                    self.from = OutputFrom::Cursor(piece.next);
                    self.complete = piece.complete;
                    return Ok(if piece.parts.is_empty() { None } else { Some(piece) });
                }
                // Who only wants what is there is told at once that it is not.
                Err(error @ ClientError::NoOutput(_)) if wait.is_zero() => return Err(error),
                Err(error) => self.patience.endure(&self.client, error).await?,
            }
        }
    }
}

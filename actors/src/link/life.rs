//! How long a connection lives and why it ended. The first reason given is the one that stays.
//!
//! Whoever notices the end (the stream, the other side, an owner) ends the life; whoever waits for it
//! learns the reason. Must not know what carries the connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// The other side closed it.
    #[error("the other side closed the connection")]
    PeerClosed,
    /// Nothing came for too long.
    #[error("nothing was received for {0:?}")]
    Idle(Duration),
    /// The system reported an error on the stream.
    #[error("the stream broke: {0}")]
    Broken(io::ErrorKind),
    /// The same peer has connected again.
    #[error("the same peer connected again")]
    Displaced,
    /// This side let go of it.
    #[error("the connection was closed on this side")]
    Stopped,
    /// The other side broke the protocol.
    #[error("the other side broke the protocol: {0}")]
    Protocol(&'static str),
    /// The certificate of the other side was taken back.
    #[error("the certificate of the other side was taken back")]
    Revoked,
    /// The other side asks more than it reads.
    #[error("the other side does not read its answers")]
    TooSlow,
}

/// The life of one connection. Clones share it.
#[derive(Debug, Clone)]
pub struct Life(Arc<watch::Sender<Option<EndReason>>>);

impl Default for Life {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Life {
    /// Ends it, unless it has ended.
    pub fn end(&self, reason: EndReason) {
        self.0.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(reason);
            }
            first
        });
    }

    /// Why it ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<EndReason> {
        *self.0.borrow()
    }

    /// Waits for the end. Cancel safe.
    pub async fn wait(&self) -> EndReason {
        let mut changes = self.0.subscribe();
        match changes.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(EndReason::Stopped),
            Err(_) => EndReason::Stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays() {
        let life = Life::default();
        assert_eq!(life.ended(), None);
        life.end(EndReason::Displaced);
        life.end(EndReason::Stopped);
        assert_eq!(life.wait().await, EndReason::Displaced);
    }
}

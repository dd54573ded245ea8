//! What carries a client's frames: something that answers one frame with one.
//!
//! Knows nothing of what the frames mean.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use policy::layout::Layout;

/// A future behind a pointer, so that traits with one can be objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A connection. Calls may overlap; each is answered on its own.
pub trait Transport: Send + Sync + fmt::Debug {
    /// The layout of what is said.
    fn layout(&self) -> Layout;

    /// Sends a frame and waits for the answer to it, up to `deadline`.
    fn call(&self, frame: Vec<u8>, deadline: Duration) -> BoxFuture<'_, Result<Vec<u8>, TransportError>>;
}

/// Makes connections, first and again after each that was lost.
pub trait Dial: Send + Sync + fmt::Debug {
    /// Connects, up to `deadline`.
    fn dial(&self, deadline: Duration) -> BoxFuture<'_, Result<Arc<dyn Transport>, TransportError>>;

    /// Where to, as a person should read it.
    fn place(&self) -> String;
}

/// Why a frame was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Nobody is there.
    #[error("{why}")]
    NotThere {
        /// What the system said.
        why: String,
    },
    /// Somebody is there who does not want us, or speaks another protocol.
    #[error("{why}")]
    TurnedAway {
        /// What was said.
        why: String,
    },
    /// The connection ended before the answer.
    #[error("the connection ended: {why}")]
    Closed {
        /// What the system said.
        why: String,
    },
    /// No answer in time.
    #[error("no answer within {after:?}")]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
}

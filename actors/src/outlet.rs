//! A way out: messages of one type towards one peer, whatever carries them.
//!
//! The link, a channel within the process and the simulation all fit behind it; who sends does not know
//! which. Sending never waits; `false` says that the peer is gone or cannot take more now, and protocols
//! that send again make that harmless.

use std::fmt;
use std::sync::Arc;

/// A way out for messages of type `T`. Cheap to clone.
pub struct Outlet<T>(Arc<dyn Fn(T) -> bool + Send + Sync>);

impl<T> Outlet<T> {
    /// Sends through `send`.
    #[must_use]
    pub fn new(send: impl Fn(T) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(send))
    }

    /// Sends one message; `false` where it was not taken.
    pub fn send(&self, message: T) -> bool {
        (self.0)(message)
    }

    /// Whether both are the same way out.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Clone for Outlet<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Outlet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outlet")
    }
}

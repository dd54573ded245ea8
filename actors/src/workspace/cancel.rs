//! Telling somebody who works on a workspace to stop.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Tells somebody who works on a workspace to stop.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<(Mutex<bool>, Condvar)>);

impl Cancel {
    /// From now on nobody wants it.
    pub fn cancel(&self) {
        *self.lock() = true;
        self.0.1.notify_all();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        *self.lock()
    }

    /// Waits so long, or until it is cancelled; tells whether it is.
    pub(crate) fn wait(&self, length: Duration) -> bool {
        let waited = self.0.1.wait_timeout_while(self.lock(), length, |cancelled| !*cancelled);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What waits for records to become durable, run in the order of their numbers.
//!
//! One thread at a time runs what is ready, outside the lock; whoever finds another at it leaves the work
//! to that one, which looks again before it stops. So the order is total, and a continuation may itself
//! wait for a record. Must not know the disk.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What runs once a record is durable. It must be cheap: others wait behind it.
pub(super) type Continuation = Box<dyn FnOnce() + Send>;

/// See the module docs.
#[derive(Default)]
pub(super) struct Waiting(Mutex<State>);

#[derive(Default)]
struct State {
    /// Sorted by number; equal numbers in the order of their registration.
    queue: VecDeque<(u64, Continuation)>,
    is_running: bool,
    /// Nothing will become durable any more.
    is_over: bool,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("queued", &self.state().queue.len()).finish()
    }
}

impl Waiting {
    /// Queues `then` for the record with `number`. Where nothing becomes durable any more and this
    /// record isn't, `then` is dropped.
    pub(super) fn push(&self, number: u64, durable: u64, then: Continuation) {
        let mut state = self.state();
        if state.is_over && number > durable {
            drop(state);
            drop(then);
            return;
        }
        let mut at = state.queue.len();
        while at > 0 && state.queue[at - 1].0 > number {
            at -= 1;
        }
        state.queue.insert(at, (number, then));
    }

    /// Whether something waits for a record that is durable.
    pub(super) fn is_ready(&self, durable: u64) -> bool {
        self.state().queue.front().is_some_and(|(number, _)| *number <= durable)
    }

    /// Runs what waits for records that are durable now, unless another thread is at it.
    ///
    /// # Panics
    /// As a continuation does; the others stay.
    pub(super) fn run(&self, durable: impl Fn() -> u64) {
        if std::mem::replace(&mut self.state().is_running, true) {
            return;
        }
        let running = Running(self);
        loop {
            let mut state = self.state();
            let ready = state.queue.partition_point(|(number, _)| *number <= durable());
            if ready == 0 {
                state.is_running = false;
                drop(state);
                std::mem::forget(running);
                return;
            }
            let batch: Vec<_> = state.queue.drain(..ready).collect();
            drop(state);
            for (_, then) in batch {
                then();
            }
        }
    }

    /// Nothing will become durable any more: what waits is dropped.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.is_over = true;
        let dropped = std::mem::take(&mut state.queue);
        drop(state);
        drop(dropped);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets others run when a continuation panicked.
struct Running<'a>(&'a Waiting);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().is_running = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn continuations_run_in_the_order_of_their_numbers() {
        let waiting = Waiting::default();
        let ran = Arc::new(Mutex::new(Vec::new()));
        for number in [3, 1, 2, 4] {
            let ran = Arc::clone(&ran);
            waiting.push(number, 0, Box::new(move || ran.lock().unwrap().push(number)));
        }
        waiting.run(|| 3);
        assert_eq!(*ran.lock().unwrap(), [1, 2, 3]);
        waiting.run(|| 4);
        assert_eq!(*ran.lock().unwrap(), [1, 2, 3, 4]);
    }

    #[test]
    fn after_the_end_only_the_durable_ones_run() {
        let waiting = Waiting::default();
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        waiting.push(2, 1, Box::new(move || drop(held)));
        waiting.end();
        assert_eq!(Arc::strong_count(&alive), 1, "what waited is dropped");
        let ran = Arc::new(Mutex::new(false));
        let mark = Arc::clone(&ran);
        waiting.push(1, 1, Box::new(move || *mark.lock().unwrap() = true));
        waiting.run(|| 1);
        assert!(*ran.lock().unwrap());
    }
}

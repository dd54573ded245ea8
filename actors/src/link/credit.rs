//! How much may be on its way: the sender counts what it sent, the receiver acknowledges what it has
//! handled, and the difference has a limit.
//!
//! The receiver acknowledges each eighth of the window, so a sender whose frames have all been handled
//! still sees up to an eighth as unacknowledged, and no timer is needed. Pure but for the atomics.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a frame costs beyond its bytes, so that many small ones are bounded too.
const FRAME_COST: u64 = 64;
/// The receiver acknowledges each such part of the window.
const ACKNOWLEDGED_PARTS: u64 = 8;

/// What a frame of so many bytes takes from the window.
fn cost(bytes: usize) -> u64 {
    FRAME_COST + u64::try_from(bytes).unwrap_or(u64::MAX >> 1)
}

/// The sender's count.
#[derive(Debug)]
pub(crate) struct Window {
    limit: u64,
    sent: AtomicU64,
    acknowledged: AtomicU64,
}

impl Window {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, sent: AtomicU64::new(0), acknowledged: AtomicU64::new(0) }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn unacknowledged(&self) -> u64 {
        self.sent.load(Ordering::Acquire).saturating_sub(self.acknowledged.load(Ordering::Acquire))
    }

    /// Takes room for a frame, or tells how much is unacknowledged.
    pub(crate) fn take(&self, bytes: usize) -> Result<(), u64> {
        let cost = cost(bytes);
        let before = self.sent.fetch_add(cost, Ordering::AcqRel);
        let outstanding = before.saturating_sub(self.acknowledged.load(Ordering::Acquire));
        if outstanding + cost > self.limit {
            self.sent.fetch_sub(cost, Ordering::AcqRel);
            return Err(outstanding);
        }
        Ok(())
    }

    /// Counts a frame that is owed and goes out whatever the window says; tells what is unacknowledged.
    pub(crate) fn exceed(&self, bytes: usize) -> u64 {
        self.sent.fetch_add(cost(bytes), Ordering::AcqRel);
        self.unacknowledged()
    }

    /// The receiver has handled so much since the start. `false` where that is more than was sent.
    pub(crate) fn acknowledge(&self, total: u64) -> bool {
        if total > self.sent.load(Ordering::Acquire) {
            return false;
        }
        self.acknowledged.fetch_max(total, Ordering::AcqRel);
        true
    }
}

/// The receiver's count.
#[derive(Debug)]
pub(crate) struct Intake {
    part: u64,
    handled: AtomicU64,
    told: AtomicU64,
}

impl Intake {
    /// For a sender with this window.
    pub(crate) fn new(window: u64) -> Self {
        Self { part: window / ACKNOWLEDGED_PARTS, handled: AtomicU64::new(0), told: AtomicU64::new(0) }
    }

    /// Counts a handled frame; gives the total when it is time to tell the sender.
    pub(crate) fn handled(&self, bytes: usize) -> Option<u64> {
        let cost = cost(bytes);
        let total = self.handled.fetch_add(cost, Ordering::AcqRel) + cost;
        let told = self.told.load(Ordering::Acquire);
        let due = total.saturating_sub(told) >= self.part;
        let mine =
            due && self.told.compare_exchange(told, total, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        mine.then_some(total)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_window_opens_when_the_receiver_has_handled_a_part() {
        let (window, intake) = (Window::new(1_000), Intake::new(1_000));
        let mut sent = 0;
        while window.take(36).is_ok() {
            sent += 1;
        }
        assert_eq!(sent, 10);
        let told = (0..sent).find_map(|_| intake.handled(36)).expect("an eighth was handled");
        assert!(window.acknowledge(told));
        assert_eq!(window.take(36), Ok(()));
    }

    #[test]
    fn an_acknowledgement_of_more_than_was_sent_is_noticed() {
        let window = Window::new(1_000);
        assert!(!window.acknowledge(1));
    }

    proptest! {
        #[test]
        fn a_sender_never_stalls_behind_a_receiver_that_handles(sizes in prop::collection::vec(0_usize..60_000, 1..200)) {
            let (window, intake) = (Window::new(1 << 19), Intake::new(1 << 19));
            for bytes in sizes {
                prop_assert!(window.take(bytes).is_ok());
                prop_assert!(window.unacknowledged() <= window.limit());
                if let Some(total) = intake.handled(bytes) {
                    prop_assert!(window.acknowledge(total));
                }
            }
        }
    }
}

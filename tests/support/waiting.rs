//! Waiting for what another process does, with a deadline and no blind pause.

use std::time::{Duration, Instant};

/// The deadline of what takes milliseconds on an idle machine: generous, since it only matters to a test
/// that fails.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Between two looks at a condition that nobody announces.
const LOOK: Duration = Duration::from_millis(10);

/// Looks until there is something, and panics at the deadline with what was waited for.
pub(crate) fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < within, "waited {within:?} in vain: {what}");
        std::thread::park_timeout(LOOK);
    }
}

/// As [`until`], for a condition.
pub(crate) fn until_true(what: &str, within: Duration, mut look: impl FnMut() -> bool) {
    until(what, within, || look().then_some(()));
}

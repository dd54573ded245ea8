//! When to look again for what an ended process has left.

use std::time::Duration;

use policy::time::Moment;

/// Looks at all processes that must find nothing more before an attempt is over: between two, whatever was
/// being started during the first has come to be.
const CLEAN_LOOKS: u8 = 2;
/// Between two looks, at first; doubled up to [`LOOK_PAUSE_LIMIT`].
const LOOK_PAUSE: Duration = Duration::from_millis(2);
/// The longest pause between two looks.
const LOOK_PAUSE_LIMIT: Duration = Duration::from_millis(250);
/// From the first look to saying that something cannot be killed.
const UNKILLABLE_AFTER: Duration = Duration::from_secs(10);

/// The looks at what is left of one attempt.
#[derive(Debug)]
pub(super) struct Burial {
    since: Moment,
    clean: u8,
    pause: Duration,
    pub(super) next_look: Moment,
    reported: bool,
}

impl Burial {
    pub(super) fn new(now: Moment) -> Self {
        Self { since: now, clean: 0, pause: LOOK_PAUSE, next_look: now, reported: false }
    }

    pub(super) fn again(&mut self, now: Moment) {
        self.clean = 0;
        self.next_look = now + self.pause;
        self.pause = (self.pause * 2).min(LOOK_PAUSE_LIMIT);
    }

    /// A look has found nothing; gives back whether that was enough of them.
    pub(super) fn found_nothing(&mut self, now: Moment) -> bool {
        self.clean += 1;
        self.next_look = now;
        self.clean >= CLEAN_LOOKS
    }

    /// Whether it is time to say that something cannot be killed. Says yes once.
    pub(super) fn takes_too_long(&mut self, now: Moment) -> bool {
        now.since(self.since) >= UNKILLABLE_AFTER && !std::mem::replace(&mut self.reported, true)
    }
}

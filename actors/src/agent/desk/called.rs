//! One attempt at a desk whose function was called: told to end, held to its time, dropped.

use std::sync::Arc;
use std::time::Duration;

use policy::bounds;
use policy::time::Moment;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::agent::call::Paper;
use crate::process::protocol::{Start, StopReason};

/// How long a function that was dropped may go on before it is told of: what awaits is gone within microseconds.
pub(super) const GOING_ON: Duration = Duration::from_secs(2);

/// An attempt whose function was called. Dropped with it, the function ends where it awaits.
pub(super) struct Called {
    pub(super) start: Arc<Start>,
    pub(super) since: Moment,
    pub(super) paper: Arc<Paper>,
    tell: watch::Sender<Option<StopReason>>,
    function: AbortHandle,
    stop: Option<Stopping>,
}

struct Stopping {
    why: StopReason,
    drop_at: Moment,
    /// Whether it was said that it goes on though it was dropped.
    is_told: bool,
}

impl Called {
    pub(super) fn new(
        start: Arc<Start>,
        (since, paper): (Moment, Arc<Paper>),
        tell: watch::Sender<Option<StopReason>>,
        function: AbortHandle,
    ) -> Self {
        Self { start, since, paper, tell, function, stop: None }
    }

    /// Why it is to end, if it is.
    pub(super) fn stopped(&self) -> Option<StopReason> {
        self.stop.as_ref().map(|stop| stop.why)
    }

    /// Says that it is to end, or hastens the end; why it was said first counts.
    pub(super) fn stop(&mut self, why: StopReason, now: Moment) {
        let Start { bounds, grace, .. } = &*self.start;
        let drop_at = match why {
            StopReason::LeaseLost | StopReason::OverLimit(_) => now,
            StopReason::Timeout(overrun) => bounds.kill_at(overrun.limit, *grace, self.running(), now),
            _ => now + *grace,
        };
        match &mut self.stop {
            Some(stop) => stop.drop_at = stop.drop_at.min(drop_at),
            None => {
                self.stop = Some(Stopping { why, drop_at, is_told: false });
                self.tell.send_replace(Some(why));
            }
        }
    }

    /// Stops it when its time is over, drops it when its grace is; gives back `true` once if it goes on nevertheless.
    pub(super) fn enforce(&mut self, now: Moment) -> bool {
        let overrun = self.start.bounds.exceeded(self.running(), now).filter(|_| self.stop.is_none());
        if let Some(overrun) = overrun {
            self.stop(StopReason::Timeout(overrun), now);
        }
        let Some(stop) = self.stop.as_mut().filter(|stop| now >= stop.drop_at) else { return false };
        self.function.abort();
        now >= stop.drop_at + GOING_ON && !std::mem::replace(&mut stop.is_told, true)
    }

    fn running(&self) -> bounds::Running {
        bounds::Running { since: self.since, heard: self.paper.heard() }
    }
}

impl Drop for Called {
    fn drop(&mut self) {
        self.function.abort();
    }
}

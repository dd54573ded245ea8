//! What is written down of those who ask: what was done by whom, and what was refused to whom and why.
//!
//! Refusals are told within a budget, since strangers cause them; what is over it is counted and told with the next.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use policy::event::{Event, SchedulerEvent};
use policy::time::Moment;

use crate::clock::Clock;
use crate::log::Log;

/// Refusals that are told in each [`PERIOD`]: enough to see who tries what, some kilobytes of the log.
pub const REFUSALS_LIMIT: u32 = 60;
/// See [`REFUSALS_LIMIT`].
pub const PERIOD: Duration = Duration::from_secs(60);
/// Characters of each text that is written down.
const TEXT_LIMIT: usize = 200;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Audit(Mutex<Budget>);

#[derive(Debug, Default)]
struct Budget {
    since: Moment,
    told: u32,
    untold: u64,
}

impl Budget {
    /// Whether one more may be told, and how many were not.
    fn take(&mut self, now: Moment) -> Option<u64> {
        if now.since(self.since) >= PERIOD {
            (self.since, self.told) = (now, 0);
        }
        if self.told >= REFUSALS_LIMIT {
            self.untold += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

impl Audit {
    /// Somebody was refused something.
    pub fn refused(&self, (log, clock): (&Log, Clock), who: &str, what: &str, why: &str) {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner).take(clock.now());
        if let Some(untold) = told {
            let refused = Some(short(why));
            let event = SchedulerEvent::Audited { who: short(who), what: short(what), refused, untold };
            log.append(&Event::Scheduler(event), 0, 0);
        }
    }

    /// Somebody has had something done.
    pub fn done(&self, log: &Log, who: &str, what: &str) {
        let event = SchedulerEvent::Audited { who: short(who), what: short(what), refused: None, untold: 0 };
        log.append(&Event::Scheduler(event), 0, 0);
    }
}

/// One line of it.
fn short(text: &str) -> Arc<str> {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_LIMIT).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_again_and_again_is_counted_and_told_later() {
        let mut budget = Budget::default();
        let now = Moment(1) + PERIOD;
        let told = (0..1000).filter_map(|_| budget.take(now)).count();
        assert_eq!(told, REFUSALS_LIMIT as usize);
        assert_eq!(budget.take(now + PERIOD), Some(1000 - u64::from(REFUSALS_LIMIT)));
        assert_eq!(budget.take(now + PERIOD), Some(0));
    }
}

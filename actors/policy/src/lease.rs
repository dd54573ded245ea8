//! Leases on real clocks: who may believe what about time, so that two nodes never run one task at once.
//!
//! The node counts its right to run from the moment it *sent* the heartbeat that was heard; the scheduler
//! side counts from the later moment at which it *received* it, and waits a grace on top. Message delay can
//! therefore only shorten the node's right, never overlap with the scheduler's next grant (Gray and
//! Cheriton, "Leases", 1989). Both sides use their own machine's lease clock; the grace covers the
//! difference in rate.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::planted;
use crate::time::Moment;

/// How much faster or slower one machine's clock may run than another's: one in a thousand.
const CLOCK_RATE_ERROR_PER_MILLE: u32 = 1;

/// What killing and noticing may take on a node.
const KILL_ALLOWANCE: Duration = Duration::from_secs(1);

/// How leases are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseTerms {
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// From the sending of the last heard heartbeat to the end of the node's right to run anything.
    pub ttl: Duration,
    /// What the scheduler side waits on top of that.
    pub grace: Duration,
    /// How long before the end the node begins to kill.
    pub kill_margin: Duration,
}

impl Default for LeaseTerms {
    /// 3 s, 15 s, 2 s, 1 s: a dead node's tasks are granted anew 17 s after its last heartbeat.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(3),
            ttl: Duration::from_secs(15),
            grace: Duration::from_secs(2),
            kill_margin: Duration::from_secs(1),
        }
    }
}

/// An inequality that the terms break.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTerms {
    /// One lost heartbeat would cost the lease.
    #[error("lease.ttl = {ttl:?} must be at least three heartbeats of {heartbeat:?}")]
    TtlTooShort {
        /// The value.
        ttl: Duration,
        /// What it is measured against.
        heartbeat: Duration,
    },
    /// Two nodes could run one task at once.
    #[error(
        "lease.grace = {grace:?} must be at least {least:?} (1 s for killing, and the clocks' difference over two ttl)"
    )]
    GraceTooShort {
        /// The value.
        grace: Duration,
        /// The least allowed.
        least: Duration,
    },
    /// The node could never start anything, or never kill in time.
    #[error("lease.kill_margin = {kill_margin:?} must be between 250ms and a quarter of lease.ttl = {ttl:?}")]
    KillMargin {
        /// The value.
        kill_margin: Duration,
        /// What it is measured against.
        ttl: Duration,
    },
}

impl LeaseTerms {
    /// Whether the inequalities hold that make leases safe.
    ///
    /// # Errors
    /// The first one that does not.
    pub fn check(&self) -> Result<(), BadTerms> {
        if self.heartbeat.is_zero() || self.ttl < self.heartbeat * 3 {
            return Err(BadTerms::TtlTooShort { ttl: self.ttl, heartbeat: self.heartbeat });
        }
        let least = KILL_ALLOWANCE + self.ttl * 2 * CLOCK_RATE_ERROR_PER_MILLE / 1000;
        if self.grace < least {
            return Err(BadTerms::GraceTooShort { grace: self.grace, least });
        }
        if self.kill_margin < Duration::from_millis(250) || self.kill_margin > self.ttl / 4 {
            return Err(BadTerms::KillMargin { kill_margin: self.kill_margin, ttl: self.ttl });
        }
        Ok(())
    }
}

/// A node's own view of its right to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerLease {
    terms: LeaseTerms,
    deadline: Option<Moment>,
}

impl WorkerLease {
    /// No right yet.
    #[must_use]
    pub fn new(terms: LeaseTerms) -> Self {
        Self { terms, deadline: None }
    }

    /// The scheduler side heard what was sent at `sent`. A late answer never shortens the lease.
    pub fn heard(&mut self, sent: Moment) {
        self.deadline = self.deadline.max(Some(sent + self.terms.ttl));
    }

    /// When the right ends; `None` while there is none.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        self.deadline
    }

    /// When killing begins; `None` while there is nothing to lose.
    #[must_use]
    pub fn kill_at(&self) -> Option<Moment> {
        self.deadline.map(|deadline| deadline - self.terms.kill_margin)
    }

    /// Until when attempts may be started: enough is left then to kill them in time. `None` while none may.
    #[must_use]
    pub fn start_until(&self) -> Option<Moment> {
        self.deadline.map(|deadline| deadline - self.terms.kill_margin * 2)
    }

    /// Whether an attempt may be started now.
    #[must_use]
    pub fn may_start(&self, now: Moment) -> bool {
        self.start_until().is_some_and(|until| now < until)
    }

    /// Whether everything must be killed now.
    #[must_use]
    pub fn must_kill(&self, now: Moment) -> bool {
        self.kill_at().is_some_and(|kill_at| now >= kill_at)
    }
}

/// The scheduler side's view of a node's right to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLease {
    terms: LeaseTerms,
    heard: Moment,
}

/// How a node's lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Heard of in time.
    Good,
    /// Two heartbeats are missing.
    Suspect,
    /// Its right has ended for certain: what it ran may be granted anew.
    Expired,
}

impl NodeLease {
    /// Heard of for the first time at `now`.
    #[must_use]
    pub fn new(terms: LeaseTerms, now: Moment) -> Self {
        Self { terms, heard: now }
    }

    /// Heard of at `now`.
    pub fn heard(&mut self, now: Moment) {
        self.heard = self.heard.max(now);
    }

    /// When the node was last heard of.
    #[must_use]
    pub fn last_heard(&self) -> Moment {
        self.heard
    }

    /// From when on the node's right has ended for certain.
    #[must_use]
    pub fn expires(&self) -> Moment {
        if planted!(NoSchedulerGrace) {
            return self.heard + self.terms.ttl;
        }
        if planted!(LeaseEndsEarly) {
            return self.heard + self.terms.heartbeat * 3;
        }
        self.heard + self.terms.ttl + self.terms.grace
    }

    /// How it stands at `now`.
    #[must_use]
    pub fn standing(&self, now: Moment) -> Standing {
        if now >= self.expires() {
            Standing::Expired
        } else if now.since(self.heard) >= self.terms.heartbeat * 2 + self.terms.heartbeat / 2 {
            Standing::Suspect
        } else {
            Standing::Good
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terms_that_break_an_inequality_are_refused() {
        let good = LeaseTerms::default();
        assert_eq!(good.check(), Ok(()));
        let second = Duration::from_secs(1);
        assert!(matches!(LeaseTerms { ttl: second * 8, ..good }.check(), Err(BadTerms::TtlTooShort { .. })));
        assert!(matches!(LeaseTerms { grace: second, ..good }.check(), Err(BadTerms::GraceTooShort { .. })));
        assert!(matches!(
            LeaseTerms { kill_margin: second * 4, ..good }.check(),
            Err(BadTerms::KillMargin { .. })
        ));
    }

    #[test]
    fn nothing_may_start_before_the_first_heartbeat_is_heard() {
        let lease = WorkerLease::new(LeaseTerms::default());
        assert!(!lease.may_start(Moment(0)));
        assert!(!lease.must_kill(Moment(u64::MAX)));
    }

    #[test]
    fn a_late_answer_does_not_shorten_the_lease() {
        let mut lease = WorkerLease::new(LeaseTerms::default());
        lease.heard(Moment(9_000_000));
        lease.heard(Moment(3_000_000));
        assert_eq!(lease.deadline(), Some(Moment(24_000_000)));
    }

    proptest! {
        /// Both clocks run at rates within the assumed error, the heartbeat travels for any time: when the
        /// scheduler side believes the lease expired, the node has been killing for at least its margin.
        #[test]
        fn the_node_has_stopped_before_the_scheduler_grants_anew(
            sent in 0u64..1_000_000_000,
            travel in 0u64..60_000_000,
            node_rate in 999_000u64..=1_000_000,
            head_rate in 1_000_000u64..=1_001_000,
        ) {
            let terms = LeaseTerms::default();
            // True time is in microseconds; each clock is true time scaled by its rate.
            let node_clock = |t: u64| Moment(t * node_rate / 1_000_000);
            let head_clock = |t: u64| Moment(t * head_rate / 1_000_000);
            let mut worker = WorkerLease::new(terms);
            worker.heard(node_clock(sent));
            let head = NodeLease::new(terms, head_clock(sent + travel));
            let mut t = sent + travel;
            while head.standing(head_clock(t)) != Standing::Expired {
                t += 10_000;
            }
            prop_assert!(worker.must_kill(node_clock(t)));
            prop_assert!(node_clock(t) >= worker.deadline().unwrap_or_default());
        }
    }
}

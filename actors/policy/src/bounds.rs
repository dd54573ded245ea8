//! How long an attempt may run, and when that is over.
//!
//! What a task says ([`TimeBounds`]) becomes what one attempt is held to ([`AttemptBounds`]); of several limits the one
//! that is reached first counts. Must not know of processes: it is told when something was last heard.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};

use crate::time::{Moment, Timestamp};

/// What a task says of time beside its `timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TimeBounds {
    /// The time after which an attempt is asked to finish; it then has until its `timeout`, or its grace.
    pub soft_timeout: Option<Duration>,
    /// The longest an attempt may write nothing.
    pub idle_timeout: Option<Duration>,
    /// The longest it may wait, ready to start, for a machine.
    pub queue_timeout: Option<Duration>,
    /// From when on it is of no use any more, whatever it does.
    pub deadline: Option<Deadline>,
}

/// A point in time, or how long after the submission it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deadline {
    /// So long after the submission.
    After(Duration),
    /// Then.
    At(Timestamp),
}

impl Deadline {
    /// When it is for what was submitted then.
    #[must_use]
    pub fn of(self, submitted: Timestamp) -> Timestamp {
        match self {
            Self::After(length) => submitted + length,
            Self::At(at) => at,
        }
    }
}

impl TimeBounds {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The lengths that are said, by name.
    pub fn lengths(&self) -> impl Iterator<Item = (TimeLimit, Duration)> {
        let deadline = match self.deadline {
            Some(Deadline::After(length)) => Some(length),
            Some(Deadline::At(_)) | None => None,
        };
        let all = [
            (TimeLimit::SoftTimeout, self.soft_timeout),
            (TimeLimit::IdleTimeout, self.idle_timeout),
            (TimeLimit::QueueTimeout, self.queue_timeout),
            (TimeLimit::Deadline, deadline),
        ];
        all.into_iter().filter_map(|(limit, length)| Some((limit, length?)))
    }
}

/// A limit of time, called as in a task file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum TimeLimit {
    /// The longest an attempt may run.
    Timeout,
    /// After which an attempt is asked to finish.
    SoftTimeout,
    /// The longest an attempt may write nothing.
    IdleTimeout,
    /// The longest a task may wait, ready to start.
    QueueTimeout,
    /// From when on a task is of no use any more.
    Deadline,
}

/// A limit of time was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Overrun {
    /// Which.
    pub limit: TimeLimit,
    /// What it allowed, stretched where much ran late.
    pub allowed: Duration,
    /// What was used when that was seen.
    pub used: Duration,
}

/// `ran for 5.1s, soft_timeout is 5s`.
impl std::fmt::Display for Overrun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { limit, allowed, used } = self;
        let did = match limit {
            TimeLimit::Timeout | TimeLimit::SoftTimeout => "ran for",
            TimeLimit::IdleTimeout => "wrote nothing for",
            TimeLimit::QueueTimeout => "waited for",
            TimeLimit::Deadline => "not over after",
        };
        let after = if *limit == TimeLimit::Deadline { " after its submission" } else { "" };
        write!(f, "{did} {}, {limit} is {}{after}", seconds(*used), seconds(*allowed))
    }
}

/// In seconds, as far as that matters.
fn seconds(length: Duration) -> String {
    let tenths = (length.as_millis() + 50) / 100;
    match length.as_millis() {
        millis @ 0..1000 => format!("{millis}ms"),
        _ if tenths.is_multiple_of(10) => format!("{}s", tenths / 10),
        _ => format!("{}.{}s", tenths / 10, tenths % 10),
    }
}

/// What one attempt is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AttemptBounds {
    /// The longest it may run.
    pub timeout: Option<Duration>,
    /// After which it is asked to finish.
    pub soft_timeout: Option<Duration>,
    /// The longest it may write nothing.
    pub idle_timeout: Option<Duration>,
    /// When it is of no use any more.
    pub deadline: Option<DeadlineHere>,
}

/// A deadline on the clock of the machine where it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadlineHere {
    /// When.
    pub at: Moment,
    /// How long after the submission that is.
    pub after: Duration,
}

impl DeadlineHere {
    /// What a task has exceeded that is not over now.
    #[must_use]
    pub fn exceeded(self, now: Moment) -> Option<Overrun> {
        let (limit, allowed) = (TimeLimit::Deadline, self.after);
        (now >= self.at).then(|| Overrun { limit, allowed, used: allowed + now.since(self.at) })
    }
}

/// What is known of an attempt that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// Since when.
    pub since: Moment,
    /// When it was last seen to have written something; its start where it has not.
    pub heard: Moment,
}

impl AttemptBounds {
    /// When the next limit is reached, unless something is heard before.
    #[must_use]
    pub fn due(&self, running: Running) -> Option<Moment> {
        let lengths = self.all(running).map(|(_, allowed, since)| since + allowed);
        lengths.chain(self.deadline.map(|deadline| deadline.at)).min()
    }

    /// The limit that is reached: of several the one that was reached first.
    #[must_use]
    pub fn exceeded(&self, running: Running, now: Moment) -> Option<Overrun> {
        let reached = self.all(running).filter(|(_, allowed, since)| now >= *since + *allowed);
        let first = reached.min_by_key(|(_, allowed, since)| *since + *allowed);
        let first = first.map(|(limit, allowed, since)| {
            (since + allowed, Overrun { limit, allowed, used: now.since(since) })
        });
        let deadline = self.deadline.and_then(|deadline| Some((deadline.at, deadline.exceeded(now)?)));
        first.into_iter().chain(deadline).min_by_key(|(at, _)| *at).map(|(_, overrun)| overrun)
    }

    /// When it is to be killed that is asked to stop now: one that is only asked to finish has until its
    /// `timeout`, where it has one.
    #[must_use]
    pub fn kill_at(&self, limit: TimeLimit, grace: Duration, running: Running, now: Moment) -> Moment {
        match (limit, self.timeout) {
            (TimeLimit::SoftTimeout, Some(timeout)) => now.max(running.since + timeout),
            _ => now + grace,
        }
    }

    fn all(&self, running: Running) -> impl Iterator<Item = (TimeLimit, Duration, Moment)> {
        let all = [
            (TimeLimit::Timeout, self.timeout, running.since),
            (TimeLimit::SoftTimeout, self.soft_timeout, running.since),
            (TimeLimit::IdleTimeout, self.idle_timeout, running.heard),
        ];
        all.into_iter().filter_map(|(limit, allowed, since)| Some((limit, allowed?, since)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: AttemptBounds = AttemptBounds {
        timeout: Some(Duration::from_secs(60)),
        soft_timeout: Some(Duration::from_secs(50)),
        idle_timeout: Some(Duration::from_secs(10)),
        deadline: None,
    };

    fn at(seconds: u64) -> Moment {
        Moment(seconds * 1_000_000)
    }

    fn running(heard: u64) -> Running {
        Running { since: at(0), heard: at(heard) }
    }

    #[test]
    fn the_limit_that_is_reached_first_counts_and_says_what_was_used() {
        assert_eq!(BOUNDS.exceeded(running(0), at(9)), None);
        let overrun = BOUNDS.exceeded(running(0), at(11)).unwrap();
        assert_eq!(overrun.to_string(), "wrote nothing for 11s, idle_timeout is 10s");
        assert_eq!(BOUNDS.due(running(35)), Some(at(45)));
        assert_eq!(BOUNDS.due(running(45)), Some(at(50)));
        assert_eq!(BOUNDS.exceeded(running(45), at(52)).unwrap().limit, TimeLimit::SoftTimeout);
        // After a long sleep of the machine all are reached.
        assert_eq!(BOUNDS.exceeded(running(55), at(500)).unwrap().limit, TimeLimit::SoftTimeout);
    }

    #[test]
    fn one_that_is_asked_to_finish_has_until_its_timeout_or_its_grace() {
        let grace = Duration::from_secs(5);
        let kill_at = |bounds: AttemptBounds, limit| bounds.kill_at(limit, grace, running(0), at(50));
        assert_eq!(kill_at(BOUNDS, TimeLimit::SoftTimeout), at(60));
        assert_eq!(kill_at(BOUNDS, TimeLimit::IdleTimeout), at(55));
        assert_eq!(kill_at(AttemptBounds { timeout: None, ..BOUNDS }, TimeLimit::SoftTimeout), at(55));
        let asleep = BOUNDS.kill_at(TimeLimit::SoftTimeout, grace, running(0), at(900));
        assert_eq!(asleep, at(900), "its time is over already");
    }

    #[test]
    fn a_deadline_counts_from_the_submission_and_is_none_that_is_stretched() {
        let deadline = Some(DeadlineHere { at: at(30), after: Duration::from_secs(3600) });
        let bounds = AttemptBounds { deadline, idle_timeout: None, ..BOUNDS };
        assert_eq!((bounds.due(running(0)), bounds.exceeded(running(0), at(29))), (Some(at(30)), None));
        let overrun = bounds.exceeded(running(0), at(31)).unwrap();
        assert_eq!(overrun.to_string(), "not over after 3601s, deadline is 3600s after its submission");
        let submitted = Timestamp(5);
        assert_eq!(Deadline::At(Timestamp(9)).of(submitted), Timestamp(9));
        assert_eq!(Deadline::After(Duration::from_micros(3)).of(submitted), Timestamp(8));
    }

    #[test]
    fn lengths_are_said_in_seconds() {
        let told = [40, 1000, 5049, 5050, 300_000].map(|millis| seconds(Duration::from_millis(millis)));
        assert_eq!(told, ["40ms", "1s", "5s", "5.1s", "300s"]);
    }

    proptest! {
        #[test]
        fn a_limit_is_exceeded_exactly_from_when_it_is_due(
            timeout in prop::option::of(0..100_u64), soft in prop::option::of(0..100_u64), idle in prop::option::of(0..100_u64),
            heard in 0..50_u64, now in 50..300_u64,
        ) {
            let length = |seconds: Option<u64>| seconds.map(Duration::from_secs);
            let bounds = AttemptBounds {
                timeout: length(timeout), soft_timeout: length(soft), idle_timeout: length(idle), deadline: None,
            };
            let due = bounds.due(running(heard));
            let exceeded = bounds.exceeded(running(heard), at(now));
            prop_assert_eq!(exceeded.is_some(), due.is_some_and(|due| at(now) >= due));
            if let Some(overrun) = exceeded {
                prop_assert!(overrun.used >= overrun.allowed);
            }
        }
    }
}

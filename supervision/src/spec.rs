//! A child as data: what it is called, when it comes back, how it is stopped.
//!
//! Follows OTP's child specifications, with one addition: a restart may be delayed, longer after each
//! failure. Validation stands in one place, [`validate`]. Must not know how an actor is started.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::intensity::Intensity;

/// Fixed children of one supervisor; a list in source code is never near this, and a generated one
/// belongs to [`crate::dynamic`], whose events cost the same however many there are.
pub const CHILDREN_LIMIT: usize = 256;

/// How long a worker may take to stop when asked, unless its spec says otherwise; OTP's default.
pub const DEFAULT_SHUTDOWN: Duration = Duration::from_secs(5);

/// When a child is started again after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restart {
    /// Always.
    Permanent,
    /// After an abnormal end.
    Transient,
    /// Never.
    Temporary,
}

impl Restart {
    /// Whether a child that ended so is started again.
    #[must_use]
    pub fn follows(self, exit: &Exit) -> bool {
        match self {
            Self::Permanent => true,
            Self::Transient => !exit.is_orderly(),
            Self::Temporary => false,
        }
    }
}

/// How a child is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shutdown {
    /// Killed at once; OTP's `brutal_kill`.
    Kill,
    /// Asked, and killed when it has not ended by then.
    Deadline(Duration),
    /// Asked and waited for, however long it takes: for supervisors, whose children have deadlines.
    Infinity,
}

/// What a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Does the work.
    Worker,
    /// Has children of its own.
    Supervisor,
}

/// How long to wait before a restart: `first`, doubled at each further failure, at most `most`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Before the first restart.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
    /// A child that ran this long is taken as healthy: its next failure counts as the first.
    pub healthy_after: Duration,
}

impl Backoff {
    /// The wait before the restart after `failures` failures in a row (counted from 1). Without jitter:
    /// children of one process do not compete for anything that jitter would spread.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.most)
    }

    /// The failures in a row, given those before and how long the child ran this time.
    #[must_use]
    pub fn failures(&self, before: u32, ran: Duration) -> u32 {
        if ran < self.healthy_after { before.saturating_add(1) } else { 1 }
    }
}

/// A child as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildSpec {
    /// Its name, unique among its siblings.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// When it comes back.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// The wait before a restart; `None` restarts at once, as OTP does.
    pub backoff: Option<Backoff>,
}

impl ChildSpec {
    /// A permanent worker with the default deadline.
    #[must_use]
    pub fn worker(name: impl Into<String>) -> Self {
        let shutdown = Shutdown::Deadline(DEFAULT_SHUTDOWN);
        Self { name: name.into(), kind: Kind::Worker, restart: Restart::Permanent, shutdown, backoff: None }
    }

    /// A permanent supervisor, which is waited for.
    #[must_use]
    pub fn supervisor(name: impl Into<String>) -> Self {
        let shutdown = Shutdown::Infinity;
        Self {
            name: name.into(),
            kind: Kind::Supervisor,
            restart: Restart::Permanent,
            shutdown,
            backoff: None,
        }
    }
}

/// Why a list of children cannot be supervised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A child without a name.
    #[error("name of child {0} is empty")]
    NoName(usize),
    /// Two children with one name.
    #[error("name {0:?} is used by two children")]
    DuplicateName(String),
    /// Too many children.
    #[error("{children} children, limit {CHILDREN_LIMIT}")]
    TooMany {
        /// How many there are.
        children: usize,
    },
    /// A deadline of zero.
    #[error("shutdown of {0:?} has a deadline of 0 s: kill it instead")]
    NoDeadline(String),
    /// A supervisor to be killed at once.
    #[error("shutdown of {0:?} kills a supervisor: its children would end in no order")]
    KilledSupervisor(String),
    /// A back-off that does not wait, or whose longest wait is its shortest.
    #[error("backoff of {name:?} starts at {first:?}, limit {most:?}")]
    Backoff {
        /// The child.
        name: String,
        /// Its first wait.
        first: Duration,
        /// Its longest wait.
        most: Duration,
    },
    /// Restarts allowed within no time.
    #[error("intensity allows {0} restarts within 0 s")]
    NoPeriod(u32),
}

/// Checks what a supervisor is given, the whole of it, before anything is started.
///
/// # Errors
/// The first thing found wrong.
pub fn validate<'a>(
    children: impl ExactSizeIterator<Item = &'a ChildSpec>,
    intensity: Intensity,
) -> Result<(), SpecError> {
    if children.len() > CHILDREN_LIMIT {
        return Err(SpecError::TooMany { children: children.len() });
    }
    if intensity.restarts > 0 && intensity.period.is_zero() {
        return Err(SpecError::NoPeriod(intensity.restarts));
    }
    let mut names = BTreeSet::new();
    for (index, child) in children.enumerate() {
        if child.name.is_empty() {
            return Err(SpecError::NoName(index));
        }
        if !names.insert(child.name.as_str()) {
            return Err(SpecError::DuplicateName(child.name.clone()));
        }
        validate_child(child)?;
    }
    Ok(())
}

fn validate_child(child: &ChildSpec) -> Result<(), SpecError> {
    if child.shutdown == Shutdown::Deadline(Duration::ZERO) {
        return Err(SpecError::NoDeadline(child.name.clone()));
    }
    if child.kind == Kind::Supervisor && child.shutdown == Shutdown::Kill {
        return Err(SpecError::KilledSupervisor(child.name.clone()));
    }
    match child.backoff {
        Some(Backoff { first, most, .. }) if first.is_zero() || most < first => {
            Err(SpecError::Backoff { name: child.name.clone(), first, most })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn check(children: &[ChildSpec]) -> Result<(), SpecError> {
        validate(children.iter(), Intensity::default())
    }

    #[test]
    fn restarts_follow_the_table_of_otp() {
        let failed = || "x".to_owned();
        let abnormal =
            [Exit::Killed, Exit::Failed(failed()), Exit::Panicked(failed()), Exit::StartFailed(failed())];
        for exit in [Exit::Normal, Exit::Stopped] {
            assert!(Restart::Permanent.follows(&exit));
            assert!(!Restart::Transient.follows(&exit));
            assert!(!Restart::Temporary.follows(&exit));
        }
        for exit in &abnormal {
            assert!(Restart::Permanent.follows(exit));
            assert!(Restart::Transient.follows(exit));
            assert!(!Restart::Temporary.follows(exit));
        }
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_starts_anew_after_health() {
        let backoff = Backoff { first: SECOND, most: 10 * SECOND, healthy_after: 60 * SECOND };
        let delays: Vec<_> = (1..=6).map(|failures| backoff.delay(failures).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 10, 10]);
        assert_eq!(backoff.delay(u32::MAX), 10 * SECOND);
        assert_eq!(backoff.failures(5, 59 * SECOND), 6);
        assert_eq!(backoff.failures(5, 60 * SECOND), 1);
    }

    #[test]
    fn a_sound_list_passes() {
        assert_eq!(check(&[ChildSpec::worker("log"), ChildSpec::supervisor("tasks")]), Ok(()));
    }

    #[test]
    fn names_must_exist_and_differ() {
        assert_eq!(check(&[ChildSpec::worker("")]), Err(SpecError::NoName(0)));
        let twice = [ChildSpec::worker("log"), ChildSpec::worker("log")];
        assert_eq!(check(&twice), Err(SpecError::DuplicateName("log".to_owned())));
    }

    #[test]
    fn ways_to_stop_must_make_sense() {
        let hurried = ChildSpec { shutdown: Shutdown::Deadline(Duration::ZERO), ..ChildSpec::worker("log") };
        assert_eq!(check(&[hurried]), Err(SpecError::NoDeadline("log".to_owned())));
        let killed = ChildSpec { shutdown: Shutdown::Kill, ..ChildSpec::supervisor("tasks") };
        assert_eq!(check(&[killed]), Err(SpecError::KilledSupervisor("tasks".to_owned())));
    }

    #[test]
    fn waits_and_periods_must_be_positive() {
        let backoff = Some(Backoff { first: Duration::ZERO, most: SECOND, healthy_after: SECOND });
        assert!(matches!(
            check(&[ChildSpec { backoff, ..ChildSpec::worker("log") }]),
            Err(SpecError::Backoff { .. })
        ));
        let never = Intensity::new(3, Duration::ZERO);
        assert_eq!(validate([].iter(), never), Err(SpecError::NoPeriod(3)));
    }

    #[test]
    fn a_list_has_a_limit() {
        let many: Vec<_> = (0..=CHILDREN_LIMIT).map(|n| ChildSpec::worker(n.to_string())).collect();
        assert_eq!(check(&many), Err(SpecError::TooMany { children: CHILDREN_LIMIT + 1 }));
        assert_eq!(check(&many[1..]), Ok(()));
    }
}

//! How a child ended, as its supervisor sees it.
//!
//! Follows OTP's exit reasons: `normal` and `shutdown` are orderly, everything else is abnormal. Must not
//! know what follows from an end: that is [`crate::spec`] and [`crate::strategy`].

use std::any::Any;

use ractor::{ActorCell, SpawnErr, SupervisionEvent};
use serde::{Deserialize, Serialize};

use crate::actor::ActorError;

/// The reason a supervisor gives when it stops a child; OTP's `shutdown`.
pub(crate) const SHUTDOWN: &str = "shutdown";

/// The reason ractor gives when an actor was killed.
const KILLED: &str = "killed";

/// The reason ractor gives when the runtime dropped the actor's task.
const CANCELLED: &str = "actor_task_cancelled";

/// How an actor ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Exit {
    /// It ended by itself, its work done.
    #[error("ended normally")]
    Normal,
    /// Its supervisor stopped it in order.
    #[error("stopped by its supervisor")]
    Stopped,
    /// It was killed: no last words.
    #[error("killed")]
    Killed,
    /// It returned an error: an invariant was broken.
    #[error("failed: {0}")]
    Failed(String),
    /// It panicked.
    #[error("panicked: {0}")]
    Panicked(String),
    /// It could not be started.
    #[error("failed to start: {0}")]
    StartFailed(String),
    /// It is a supervisor that gave up on a child which neither stops nor can be killed: a second life
    /// must not be started beside the first, so nobody restarts it.
    #[error("has a child that cannot be killed: {0}")]
    Stuck(String),
}

impl Exit {
    /// Whether this end is no failure: it ended by itself or was stopped in order.
    #[must_use]
    pub fn is_orderly(&self) -> bool {
        matches!(self, Self::Normal | Self::Stopped)
    }

    /// Reads a supervision event: who ended and how; `None` where nobody ended.
    #[must_use]
    pub fn of_event(event: SupervisionEvent) -> Option<(ActorCell, Self)> {
        match event {
            SupervisionEvent::ActorTerminated(cell, state, reason) => {
                drop(state);
                Some((cell, Self::of_reason(reason.as_deref())))
            }
            SupervisionEvent::ActorFailed(cell, error) => Some((cell, Self::of_error(&error))),
            SupervisionEvent::ActorStarted(_)
            | SupervisionEvent::ProcessGroupChanged(_)
            | SupervisionEvent::PidLifecycleEvent(_) => None,
        }
    }

    /// Reads why an actor could not be spawned.
    #[must_use]
    pub fn of_spawn_error(error: &SpawnErr) -> Self {
        match error {
            SpawnErr::StartupFailed(error) => Self::StartFailed(error.to_string()),
            SpawnErr::ActorAlreadyStarted | SpawnErr::ActorAlreadyRegistered(_) => {
                Self::StartFailed(error.to_string())
            }
        }
    }

    fn of_reason(reason: Option<&str>) -> Self {
        match reason {
            Some(KILLED | CANCELLED) => Self::Killed,
            Some(SHUTDOWN) => Self::Stopped,
            Some(_) | None => Self::Normal,
        }
    }

    fn of_error(error: &ActorError) -> Self {
        if let Some(Panicked(message)) = error.downcast_ref() {
            return Self::Panicked(message.clone());
        }
        match error.downcast_ref() {
            Some(Ending::Stuck { child }) => Self::Stuck(child.clone()),
            Some(Ending::StartFailed { .. }) => Self::StartFailed(error.to_string()),
            Some(Ending::Stopped | Ending::GaveUp { .. } | Ending::Killed) | None => {
                Self::Failed(error.to_string())
            }
        }
    }
}

/// How a supervisor ended. All but [`Ending::Stopped`] escalate: its parent sees a failed child.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Ending {
    /// It was asked to stop, and every child stopped before it.
    #[error("stopped in order")]
    Stopped,
    /// Its children needed more restarts than allowed.
    #[error("gave up after {restarts} restarts within {period:?}: {child} {exit}")]
    GaveUp {
        /// The child that ended last.
        child: String,
        /// How that child ended.
        exit: Exit,
        /// The allowed restarts.
        restarts: u32,
        /// Within this time.
        period: std::time::Duration,
    },
    /// A child could not be started at the supervisor's own start.
    #[error("{child} {exit}")]
    StartFailed {
        /// The child.
        child: String,
        /// Why.
        exit: Exit,
    },
    /// A child neither stopped nor could be killed.
    #[error("{child} neither stops nor can be killed")]
    Stuck {
        /// The child.
        child: String,
    },
    /// It was killed, or its runtime is gone.
    #[error("the supervisor was killed")]
    Killed,
}

/// A panic of an actor, turned into an error that says so.
#[derive(Debug, thiserror::Error)]
#[error("panicked: {0}")]
pub(crate) struct Panicked(String);

impl Panicked {
    /// Reads what a panic left behind.
    pub(crate) fn new(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self(text.unwrap_or("no message").to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_by_themselves_and_by_the_supervisor_are_orderly() {
        assert_eq!(Exit::of_reason(None), Exit::Normal);
        assert_eq!(Exit::of_reason(Some("Drained")), Exit::Normal);
        assert_eq!(Exit::of_reason(Some(SHUTDOWN)), Exit::Stopped);
        assert!(Exit::Normal.is_orderly() && Exit::Stopped.is_orderly());
    }

    #[test]
    fn kills_errors_and_panics_are_failures() {
        let error: ActorError = "log is full".into();
        let panic: ActorError = Box::new(Panicked::new(&"index out of bounds"));
        let exits = [
            Exit::of_reason(Some(KILLED)),
            Exit::of_reason(Some(CANCELLED)),
            Exit::of_error(&error),
            Exit::of_error(&panic),
        ];
        let expected = [
            Exit::Killed,
            Exit::Killed,
            Exit::Failed("log is full".to_owned()),
            Exit::Panicked("index out of bounds".to_owned()),
        ];
        assert_eq!(exits, expected);
        assert!(exits.iter().all(|exit| !exit.is_orderly()));
    }

    #[test]
    fn a_supervisor_with_an_unkillable_child_is_told_apart() {
        let error: ActorError = Box::new(Ending::Stuck { child: "log".to_owned() });
        assert_eq!(Exit::of_error(&error), Exit::Stuck("log".to_owned()));
    }
}

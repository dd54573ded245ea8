//! Exit codes: what a script can tell from them.

use std::process::ExitCode;

use actors::client::ClientError;
use actors::taskfile::FileRefused;
use actors::wire::fleet::ArtifactRefusal;
use policy::stages::StepOutcome;
use policy::task::{AttemptOutcome, TaskOutcome};

use crate::cli::suite::NotListed;

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit(pub(crate) u8);

impl Exit {
    pub(crate) const SUCCESS: Self = Self(0);
    pub(crate) const FAILURE: Self = Self(1);
    pub(crate) const USAGE: Self = Self(2);
    pub(crate) const CONDITION: Self = Self(3);
    pub(crate) const NOT_FOUND: Self = Self(4);
    pub(crate) const CONFLICT: Self = Self(5);
    pub(crate) const UNREACHABLE: Self = Self(6);
    pub(crate) const REJECTED: Self = Self(7);
    /// As of `sysexits.h`: later it may work.
    pub(crate) const BUSY: Self = Self(75);
    pub(crate) const TIMED_OUT: Self = Self(124);
    /// Of `run`: not the tasks failed but what should have run them.
    pub(crate) const RUN_TROUBLE: Self = Self(125);
    const NOT_STARTED: Self = Self(126);
    const COMMAND_NOT_FOUND: Self = Self(127);
    pub(crate) const INTERRUPTED: Self = Self(130);

    /// Of an error; `otherwise` where it is of no special kind.
    pub(crate) fn of(error: &anyhow::Error, otherwise: Self) -> Self {
        if error.is::<FileRefused>() || error.is::<Usage>() {
            return Self::USAGE;
        }
        if error.is::<NotListed>() {
            return Self::FAILURE;
        }
        if error.is::<NotFound>() {
            return Self::NOT_FOUND;
        }
        let of_run = otherwise == Self::RUN_TROUBLE;
        match error.downcast_ref() {
            Some(ClientError::Rejected(_)) if of_run => Self::USAGE,
            Some(ClientError::Rejected(_)) => Self::REJECTED,
            Some(ClientError::NotFound(_)) if !of_run => Self::NOT_FOUND,
            Some(ClientError::Conflict { .. }) if !of_run => Self::CONFLICT,
            Some(ClientError::Busy { .. }) if !of_run => Self::BUSY,
            Some(ClientError::NoArtifact(why)) if !of_run => Self::of_artifact(why),
            Some(ClientError::Unreachable { .. } | ClientError::NoAnswer { .. }) if !of_run => {
                Self::UNREACHABLE
            }
            _ => otherwise,
        }
    }

    /// Of a single command that was run, as if it had been run by a shell.
    pub(crate) fn of_command(outcome: &TaskOutcome) -> Self {
        match outcome {
            TaskOutcome::Succeeded => Self::SUCCESS,
            TaskOutcome::Cancelled => Self::INTERRUPTED,
            TaskOutcome::Skipped(_) | TaskOutcome::Poisoned(_) => Self::RUN_TROUBLE,
            TaskOutcome::Failed(attempt) | TaskOutcome::OutOfRetries { last: attempt, .. } => match attempt {
                AttemptOutcome::Exited(code) => Self::of_code(*code),
                AttemptOutcome::Signalled(signal) => Self::of_signal(*signal),
                AttemptOutcome::TimedOut(_) => Self::TIMED_OUT,
                AttemptOutcome::OverLimit(_) => Self(137),
                AttemptOutcome::Cancelled => Self::INTERRUPTED,
                AttemptOutcome::SpawnFailed(failure) => Self::of_unstarted(&failure.reason),
                AttemptOutcome::Lost(_) => Self::RUN_TROUBLE,
                AttemptOutcome::StepFailed(failure) => Self::of_step(&failure.end),
            },
        }
    }
}

impl Exit {
    fn of_artifact(why: &ArtifactRefusal) -> Self {
        match why {
            ArtifactRefusal::None | ArtifactRefusal::Gone => Self::NOT_FOUND,
            ArtifactRefusal::NotYet | ArtifactRefusal::Busy { .. } => Self::BUSY,
            ArtifactRefusal::Away { .. } => Self::UNREACHABLE,
            ArtifactRefusal::Unreadable { .. } => Self::FAILURE,
        }
    }

    /// Of a hook or a gate, as of a command.
    fn of_step(end: &StepOutcome) -> Self {
        match end {
            StepOutcome::Exited(code) => Self::of_code(*code),
            StepOutcome::Signalled(signal) => Self::of_signal(*signal),
            StepOutcome::NotStarted(reason) => Self::of_unstarted(reason),
            StepOutcome::Stopped(_) => Self::INTERRUPTED,
        }
    }

    fn of_code(code: i32) -> Self {
        Self(u8::try_from(code & 0xff).unwrap_or(1))
    }

    fn of_signal(signal: i32) -> Self {
        Self(u8::try_from(128 + (signal & 0x7f)).unwrap_or(255))
    }

    fn of_unstarted(reason: &str) -> Self {
        if reason.contains("not found") { Self::COMMAND_NOT_FOUND } else { Self::NOT_STARTED }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

/// Arguments that make no sense together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// A name that nothing has, or too much.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotFound(pub(crate) String);

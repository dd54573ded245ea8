//! What the worker knows of one attempt.

use policy::id::TaskId;
use policy::sample::Sample;
use policy::task::Progress;
use policy::time::Moment;
use supervision::Address;

use super::attempt::AttemptMessage;
use super::space::HeldSpace;
use crate::process::protocol::StopReason;
use crate::wire::fleet::{Grant, Phase};

/// An attempt on this machine.
pub(super) struct HeldAttempt {
    pub(super) task: TaskId,
    pub(super) phase: Phase,
    /// Until the host says that it runs.
    pub(super) grant: Option<Grant>,
    /// Whether the host was told to start it.
    pub(super) is_hosted: bool,
    /// When that was; long ago where it is not known.
    pub(super) given: Moment,
    /// Why it is to stop; the actor knows that where there is one.
    pub(super) stop: Option<StopReason>,
    /// While it runs.
    pub(super) attempt: Option<Address<AttemptMessage>>,
    /// Its workspace, where it wants one.
    pub(super) space: Option<Box<HeldSpace>>,
    /// What it used when the host looked last.
    pub(super) sample: Option<Box<Sample>>,
    /// How far it is, as it said last.
    pub(super) progress: Option<Box<Progress>>,
}

impl HeldAttempt {
    pub(super) fn new(task: TaskId, phase: Phase) -> Self {
        Self {
            task,
            phase,
            grant: None,
            is_hosted: false,
            given: Moment::default(),
            stop: None,
            attempt: None,
            space: None,
            sample: None,
            progress: None,
        }
    }

    /// Waits for a host, or for the right to be given to it.
    pub(super) fn waits_here(&self) -> bool {
        self.phase == Phase::Staged && !self.is_hosted
    }

    /// Waits in the host for its turn, or has had it and nobody has heard of that.
    pub(super) fn waits_in_host(&self) -> bool {
        self.phase == Phase::Staged && self.is_hosted
    }
}

//! What goes into one step of the supervisor's machine, and what comes out of it.
//!
//! Children are named by their place in the list of specs.

use std::time::Duration;

use crate::exit::{Ending, Exit};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// Begin: start the first child.
    Begin,
    /// A child is ready.
    Ready(usize),
    /// A child ended, or could not be started.
    Ended(usize, Exit),
    /// A timer set for this life of a child has rung.
    Rang(Timer),
    /// The supervisor is asked to stop.
    Stop,
}

/// A timer that belongs to one life of one child; in a later life it means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timer {
    pub(crate) child: usize,
    pub(crate) life: u32,
    pub(crate) purpose: Purpose,
}

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The child may be started again.
    Restart,
    /// The child should have stopped.
    Stop,
    /// The child should be gone after the kill.
    Kill,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Start the child; answer with `Ready` or `Ended`.
    Start(usize),
    /// Ask the child to stop.
    AskStop(usize),
    /// Kill the child.
    Kill(usize),
    /// Set a timer.
    Arm(Timer, Duration),
    /// Every child has started: tell the parent.
    AllReady,
    /// Tell people.
    Report(Report),
    /// No child lives any more: end.
    Finish(Ending),
}

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// A child will be started again.
    Restarting { child: usize, exit: Exit, delay: Duration },
    /// A child ended and stays away.
    Left { child: usize, exit: Exit },
    /// A child did not stop within its deadline and is killed.
    Late { child: usize },
    /// A killed child is still there.
    Stuck { child: usize },
    /// The supervisor ends because of a child.
    GivingUp(Ending),
}

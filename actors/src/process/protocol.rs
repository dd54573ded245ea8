//! What a worker and its process host say to each other.
//!
//! The worker commands, the host reports. Every command may be sent again without harm: a start of a known
//! token starts nothing, a stop of an unknown one is ignored, and everything the host holds is told again
//! on [`Command::Inventory`]. Nothing here crosses machines.

mod directory;
mod plan;

use std::time::Duration;

use policy::bounds::{AttemptBounds, Overrun};
use policy::excess::{Excess, UseLimits};
use policy::id::{AttemptNumber, TaskId, Token};
use policy::layout::{Layout, before, since};
use policy::resources::Resources;
use policy::sample::Sample;
use policy::signal::TaskSignal;
use policy::stages::{Step, StepEnd};
use policy::task::{AttemptOutcome, LossReason, Qos, Usage};
use policy::text::OsText;
use policy::time::Moment;
use serde::{Deserialize, Serialize};

use crate::output::spool::OutputLimits;

pub use crate::process::protocol::directory::HostDirectory;
pub use crate::process::protocol::plan::StagePlan;

/// The version of everything in this module: a change of its layout, see `policy::layout`, is another, and has a line in
/// [`host_layout`]. A host outlives the daemon that started it, so a daemon may
/// meet a host of an older version.
pub const HOST_PROTOCOL: u16 = 8;
/// The oldest version of a host that is spoken with as it is: what it runs survives an upgrade of the daemon. An older one is
/// told to retire, and what it runs ends with its lease. Version 3 knows no [`StopReason::Preempt`] and tells no
/// [`HostReport::Sampled`], before 5 it knows no [`Start::qos`], before 6 no limit of open files, before [`SIGNALS_SINCE`] no
/// signals, before [`STAGES_SINCE`] no [`Start::stages`], which none of these is told.
pub const HOST_PROTOCOL_OLDEST: u16 = 3;

/// The version of a host since which it knows [`Command::Signal`].
pub const SIGNALS_SINCE: u16 = 7;

/// The version of a host since which it does more for an attempt than its command.
pub const STAGES_SINCE: u16 = 8;

/// The layout of what is said with a host of this version.
#[must_use]
pub fn host_layout(version: u16) -> Layout {
    let number = match version {
        ..5 => 3,
        5 => 4,
        6 => 7,
        7 => 13,
        _ => 17,
    };
    Layout::known(number).unwrap_or(Layout::CURRENT)
}

/// Bytes of the largest command: more than an operating system takes as arguments and environment.
pub const HOST_FRAME_LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// The hidden first argument that makes a program of ours the host; the directory follows.
pub const HOST_ARGUMENT: &str = "__host";

/// The variable by which the processes of an attempt are recognised, wherever they went.
pub const MARK_VARIABLE: &str = "CRAB_MARK";

/// From the worker to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// The first on every connection. Displaces an earlier connection.
    Hello {
        /// [`HOST_PROTOCOL`] of the daemon.
        version: u16,
        /// What the file `id` of the directory says.
        host: HostId,
    },
    /// Run this when its turn comes: in the order of the starts, as the capacity permits. Until then it is
    /// staged here, and an end starts it without anybody being asked.
    Start(Box<Start>),
    /// End this one: politely, and after its grace by force.
    Stop {
        /// Which.
        token: Token,
        /// Why, which becomes its outcome.
        why: StopReason,
    },
    /// How long attempts may run, on the lease clock, unless told a later one before.
    Lease {
        /// From then on nothing is started.
        start_until: Moment,
        /// At that moment everything is killed, and what is staged is lost.
        kill_at: Moment,
    },
    /// The ends of these are known: forget them.
    Forget(Vec<Token>),
    /// Tell everything you hold.
    Inventory,
    /// Exit as soon as nothing runs. Stands at this place in every version, so that a host of another one
    /// can be told as well.
    Retire,
    /// What may be held by all that runs, for as long as this host lives; until it is told there is no limit.
    Capacity(Resources),
    /// Give back those of these that have not been started.
    Recall(Vec<Token>),
    /// Whether nothing is to be started, for as long as this host lives. The file of
    /// [`HostDirectory::halt`] says the same whatever is told here.
    Halt(bool),
    /// Signal this to the processes of an attempt that runs.
    Signal {
        /// Which.
        token: Token,
        /// What.
        signal: TaskSignal,
    },
}

impl Command {
    /// As a host of this version understands it.
    #[must_use]
    pub fn spoken_in(self, version: u16) -> Self {
        match self {
            Self::Stop { token, why: StopReason::Preempt } if version < 4 => {
                Self::Stop { token, why: StopReason::Evict }
            }
            other => other,
        }
    }
}

/// Names the directory of a host, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostId(pub u64);

/// Everything needed to run one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Its grant.
    pub token: Token,
    /// Its task.
    pub task: TaskId,
    /// Which try.
    pub attempt: AttemptNumber,
    /// What it holds; the host only remembers it.
    pub need: Resources,
    /// The program and its arguments.
    pub argv: Vec<OsText>,
    /// The directory to run in.
    pub directory: OsText,
    /// The whole environment, but for the mark.
    pub environment: Vec<(OsText, OsText)>,
    /// The time it may take.
    pub bounds: AttemptBounds,
    /// What its processes must not exceed.
    pub limits: UseLimits,
    /// Between the polite signal and the one that cannot be refused.
    pub grace: Duration,
    /// How much of its output is kept.
    pub output: OutputLimits,
    /// How much its processes matter to the machine.
    #[serde(deserialize_with = "since::<4, _, _>", skip_serializing_if = "before::<4, _>")]
    pub qos: Qos,
    /// What is done before and after its command, and its gate; `None` where that is nothing.
    #[serde(deserialize_with = "since::<17, _, _>", skip_serializing_if = "before::<17, _>")]
    pub stages: Option<Box<StagePlan>>,
}

/// Why an attempt is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StopReason {
    /// Somebody asked for it.
    Cancel,
    /// It reached a limit of time.
    Timeout(Overrun),
    /// It uses more than it may: no grace.
    OverLimit(Excess),
    /// The right to run it ended: no grace.
    LeaseLost,
    /// It is taken off this machine, which stops.
    Evict,
    /// An operator takes it off this machine.
    Drain,
    /// It makes room for a more urgent task.
    Preempt,
}

impl StopReason {
    /// The outcome of an attempt that was stopped for this.
    #[must_use]
    pub fn outcome(self) -> AttemptOutcome {
        match self {
            Self::Cancel => AttemptOutcome::Cancelled,
            Self::Timeout(overrun) => AttemptOutcome::TimedOut(overrun.into()),
            Self::OverLimit(excess) => AttemptOutcome::OverLimit(excess.into()),
            Self::LeaseLost => AttemptOutcome::Lost(LossReason::LeaseLost),
            Self::Evict => AttemptOutcome::Lost(LossReason::Evicted),
            Self::Drain => AttemptOutcome::Lost(LossReason::Drained),
            Self::Preempt => AttemptOutcome::Lost(LossReason::Preempted),
        }
    }
}

/// From the host to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostReport {
    /// The answer to `Hello`.
    Hello {
        /// [`HOST_PROTOCOL`] of the host.
        version: u16,
        /// Its process.
        pid: u32,
    },
    /// A process runs.
    Started {
        /// Whose.
        token: Token,
        /// The process.
        pid: u32,
        /// Which of its commands that is, where it has several.
        #[serde(deserialize_with = "since::<17, _, _>", skip_serializing_if = "before::<17, _>")]
        step: Option<Step>,
    },
    /// An attempt is over and every process it started is gone.
    Ended {
        /// Which.
        token: Token,
        /// How.
        outcome: AttemptOutcome,
        /// What it used.
        usage: Usage,
        /// How its commands went, where it had several.
        #[serde(deserialize_with = "since::<17, _, _>", skip_serializing_if = "before::<17, _>")]
        steps: Vec<StepEnd>,
    },
    /// A part of what the host holds, in answer to `Inventory`.
    Inventory {
        /// At most [`INVENTORY_PART`].
        attempts: Vec<Hosted>,
        /// Whether this is the last part.
        last: bool,
    },
    /// Processes of an attempt survive being killed, which only a broken kernel or disk does.
    Unkillable {
        /// Whose.
        token: Token,
        /// Which.
        pids: Vec<u32>,
    },
    /// Something an operator should know of.
    Trouble(Box<str>),
    /// What attempts that run use, at most [`SAMPLES_PART`] of them.
    Sampled(Vec<(Token, Sample)>),
}

/// Samples in one report: far below a frame.
pub const SAMPLES_PART: usize = 1000;

/// Attempts in one part of an inventory: far below a frame.
pub const INVENTORY_PART: usize = 1000;

/// An attempt that the host holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosted {
    /// Its grant.
    pub token: Token,
    /// Its task.
    pub task: TaskId,
    /// Which try.
    pub attempt: AttemptNumber,
    /// What it holds while it runs.
    pub need: Resources,
    /// How far it is.
    pub phase: HostedPhase,
}

/// How far a hosted attempt is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostedPhase {
    /// Waits here for its turn.
    Staged,
    /// About to start.
    Starting,
    /// Runs, or is being ended.
    Running {
        /// The process.
        pid: u32,
        /// Which of its commands that is, where it has several.
        #[serde(deserialize_with = "since::<17, _, _>", skip_serializing_if = "before::<17, _>")]
        step: Option<Step>,
    },
    /// Over.
    Ended {
        /// How.
        outcome: AttemptOutcome,
        /// What it used.
        usage: Usage,
        /// How its commands went, where it had several.
        #[serde(deserialize_with = "since::<17, _, _>", skip_serializing_if = "before::<17, _>")]
        steps: Vec<StepEnd>,
    },
}

impl HostId {
    /// The value of the mark of an attempt.
    #[must_use]
    pub fn mark(self, token: Token) -> String {
        format!("{:016x}.{}", self.0, token.0)
    }

    /// The token in a mark of this host.
    #[must_use]
    pub fn token_of(self, mark: &str) -> Option<Token> {
        let (host, token) = mark.split_once('.')?;
        (u64::from_str_radix(host, 16).ok()? == self.0).then_some(())?;
        token.parse().ok().map(Token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_only_read_by_the_host_that_made_it() {
        let mark = HostId(7).mark(Token(12));
        assert_eq!(HostId(7).token_of(&mark), Some(Token(12)));
        assert_eq!(HostId(8).token_of(&mark), None);
        assert_eq!(HostId(7).token_of("nonsense"), None);
    }
}

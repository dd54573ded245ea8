//! Which things can look wrong, how bad each is, and why.

/// What can look wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Code {
    /// More comes into a mailbox than is handled.
    GrowingMailbox,
    /// A handler does not return.
    StuckHandler,
    /// An actor is started again and again.
    RestartStorm,
    /// A supervisor does not answer.
    SilentSupervisor,
    /// An inspector does not answer.
    UnseenMachine,
    /// The scheduler does not answer.
    SilentScheduler,
    /// A machine is left alone because it failed.
    BreakerOpen,
    /// A machine is late.
    NodeSuspect,
    /// A machine is given up.
    NodeLost,
    /// A machine runs another version.
    VersionSkew,
    /// A task has waited longer than it should.
    Starvation,
    /// Tasks that no machine can run.
    Unschedulable,
    /// The log cannot be written.
    LogStalled,
    /// A lease is there and its task is not awake.
    OrphanLease,
    /// A graph has used up its budget.
    GraphPaused,
    /// Two hold what is for one.
    TwoHolders,
    /// An urgent task waits for a less urgent one.
    Inversion,
    /// An attempt runs on a machine under a lease that nobody knows.
    OrphanProcess,
    /// A machine has next to no room on its disk for tasks.
    Disk,
    /// A machine is strained by what runs on it.
    Strained,
    /// The tasks of a machine use more memory than it has for them.
    Memory,
    /// The scheduler's clock is not that of who looks.
    ClockSkew,
    /// Spans of traces were dropped.
    DroppedTelemetry,
    /// A session behind SSH is there and its task has ended.
    GhostSession,
}

impl Code {
    /// `error` where something does not work, `warning` where it may soon not.
    #[must_use]
    pub fn severity(self) -> &'static str {
        match self {
            Self::StuckHandler
            | Self::SilentSupervisor
            | Self::SilentScheduler
            | Self::NodeLost
            | Self::Unschedulable
            | Self::LogStalled
            | Self::TwoHolders
            | Self::OrphanProcess => "error",
            Self::GrowingMailbox
            | Self::RestartStorm
            | Self::UnseenMachine
            | Self::BreakerOpen
            | Self::NodeSuspect
            | Self::VersionSkew
            | Self::Starvation
            | Self::OrphanLease
            | Self::GraphPaused
            | Self::Inversion
            | Self::Disk
            | Self::Strained
            | Self::Memory
            | Self::ClockSkew
            | Self::DroppedTelemetry
            | Self::GhostSession => "warning",
        }
    }

    /// Why that is bad.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::GrowingMailbox => "what waits there is answered later and later, and takes memory",
            Self::StuckHandler => {
                "a handler never waits; one that does holds up all that is told to the actor"
            }
            Self::RestartStorm => "more restarts than allowed end its supervisor, and then the side",
            Self::SilentSupervisor => "its children are not started again while it does not answer",
            Self::UnseenMachine => "nothing is known of the actors there",
            Self::SilentScheduler => "nothing is admitted or started while it does not answer",
            Self::BreakerOpen => "nothing is started there until it is tried again",
            Self::NodeSuspect => "if nothing more is heard, its tasks are granted anew elsewhere",
            Self::NodeLost => "its capacity is missing; its tasks were granted anew",
            Self::VersionSkew => "programs of different versions may not understand each other",
            Self::Starvation => "it was ready for longer than the objective allows",
            Self::Unschedulable => "they wait in vain until a machine joins that can run them",
            Self::LogStalled => "nothing is acknowledged or granted before it is on disk",
            Self::OrphanLease => "what it stands for is held by nobody until it ends",
            Self::GraphPaused => "what is ready in it is not started",
            Self::TwoHolders => "what is promised to one alone was given twice; tell who made it",
            Self::Inversion => "the urgent one cannot start before the other has ended",
            Self::OrphanProcess => "what it does is believed by nobody, and may be done again elsewhere",
            Self::Disk => "what is built or written there fails when it is full",
            Self::Strained => {
                "it takes nothing heavy, or nothing; where it goes on so the system kills what it chooses"
            }
            Self::Memory => "the system swaps, or kills what it chooses",
            Self::ClockSkew => {
                "times of events are the scheduler's; what is compared with them is off by so much"
            }
            Self::DroppedTelemetry => "traces have gaps",
            Self::GhostSession => "what runs there is nobody's, and takes what others need",
        }
    }
}

//! Faults planted in the code, for the tests of the tests: each of them breaks one promise, and the
//! simulation must find it.
//!
//! Nothing that ships contains one: the faults and this module exist only with the feature `mutants`, which
//! no default and no other feature turns on. Without it [`planted!`](crate::planted) is `false`. One at most is on, on
//! one thread, which is what a simulation runs on.

/// Whether the fault of this name is planted here and now; `false` where faults are not compiled in.
#[cfg(not(feature = "mutants"))]
#[macro_export]
macro_rules! planted {
    ($name:ident) => {
        false
    };
}

/// Whether the fault of this name is planted here and now; `false` where faults are not compiled in.
#[cfg(feature = "mutants")]
#[macro_export]
macro_rules! planted {
    ($name:ident) => {
        $crate::mutant::is_on($crate::mutant::Mutant::$name)
    };
}

/// A place where an actor panics once when a test has laid a trap there; nothing where faults are not
/// compiled in.
#[cfg(not(feature = "mutants"))]
#[macro_export]
macro_rules! trap {
    ($place:ident) => {};
}

/// A place where an actor panics once when a test has laid a trap there; nothing where faults are not
/// compiled in.
#[cfg(feature = "mutants")]
#[macro_export]
macro_rules! trap {
    ($place:ident) => {
        $crate::mutant::spring($crate::mutant::Trap::$place)
    };
}

#[cfg(feature = "mutants")]
pub use switch::{Mutant, Trap, is_on, lay, remove_traps, spring, turn_off, turn_on};

#[cfg(feature = "mutants")]
mod switch {
    use std::cell::Cell;

    use strum::{IntoStaticStr, VariantArray};

    /// Everything that can be planted.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
    pub enum Mutant {
        /// What waits for a record to be durable does not wait.
        AckBeforePersist,
        /// A grant reaches its node before it is on disk.
        GrantBeforePersist,
        /// A report counts for the task's present attempt, whatever its token.
        NoFence,
        /// The scheduler side believes a lease over as soon as the node does.
        NoSchedulerGrace,
        /// The host is never told when the lease ends.
        NoHostDeadline,
        /// A key that came before is taken for a new one.
        NoDedupe,
        /// Attempts that may still run are forgotten at the start.
        ForgetLeases,
        /// A grant is sent once only.
        EdgeTriggeredGrants,
        /// A grant that an inventory does not name yet is taken for lost.
        RequeueUnreported,
        /// What an earlier life of an agent may have begun is begun again.
        HandledAgain,
        /// Heartbeats of a session that is over are believed.
        StaleSession,
        /// The node counts its lease from the answer, not from the question.
        LeaseFromAnswer,
        /// A lease ends when its node is merely suspected.
        LeaseEndsEarly,
        /// What depends on a task that failed is released.
        FailureReleases,
        /// What depends on a task that failed waits for ever.
        FailureForgotten,
        /// The last batch of the log is lost at every start.
        LastBatchLost,
        /// Tokens begin again with every reign.
        TokensBeginAgain,
        /// What runs of a graph is not told that the graph is cancelled.
        CancelForgotten,
        /// A failed attempt counts twice.
        FailuresCountTwice,
        /// A lost attempt counts as the task's own failure.
        LossIsFailure,
        /// A task that is being cancelled is tried again.
        CancelIsRetried,
        /// No wait between attempts.
        NoBackoff,
        /// More runs on a node than it has room for.
        OverCommit,
        /// What an attempt held is not given back.
        CapacityLeaks,
        /// An array's limit is not looked at.
        ParallelLimitIgnored,
        /// The least urgent has the largest share.
        PriorityInverted,
        /// The most urgent is always first, so that others starve.
        StrictPriority,
        /// The youngest of equals is first.
        LastInFirstOut,
        /// The numbers of a task's events stand still.
        SequenceStands,
        /// However many wait, more are let in.
        NoBound,
        /// A lock that somebody holds is taken for free.
        LockForgotten,
        /// An index that somebody holds is given again.
        IndexTwice,
        /// What was used of a rate is not looked at.
        WindowIgnored,
        /// Who runs on a node is not looked at.
        CompanyIgnored,
        /// Who runs beside whom is forgotten at the start.
        CompanyForgotten,
        /// Room is made by whoever runs, whether its task lets others or not.
        EvictsAnybody,
        /// An attempt that made room counts as lost.
        EvictionCounts,
        /// A breaker that is open lets attempts through.
        OpenBreakerIgnored,
        /// A breaker that is half-open lets any number through.
        TrialsUnlimited,
        /// A node's failures in a row are not counted on after a restart.
        BreakerForgotten,
        /// However many attempts a graph has had, another one is granted.
        BudgetIgnored,
        /// There is always another retry.
        RetryBudgetIgnored,
        /// What a tenant has used is forgotten at the start.
        TenantBudgetForgotten,
        /// However many tasks of a tenant run, another one is started.
        QuotaIgnored,
        /// What is not urgent is taken in under any strain.
        PressureIgnored,
        /// Under strain as much is started as without.
        PressureDoesNotThrottle,
        /// A task that takes machines down is never set aside.
        PoisonIgnored,
        /// Tasks that may have taken a machine down run together.
        SuspectsTogether,
        /// All tenants have the same weight.
        WeightsIgnored,
        /// Waiting does not raise.
        AgeingDisabled,
        /// What waits begins to wait anew with every reign.
        AgesForgotten,
        /// No node is held for anybody.
        NothingHeld,
        /// Of a gang as many are started as there is room for.
        GangInParts,
        /// Who runs without another of its gang is left alone.
        GangNotRecalled,
        /// A gate that fails is taken for one that succeeds.
        GateIgnored,
        /// What is done after is left out where the command did not succeed.
        AfterForgotten,
    }

    /// Where an actor may be made to panic. Not a mutant: every promise must hold through it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
    pub enum Trap {
        /// The scheduler, before it handles a message.
        Scheduler,
        /// A queue, before it handles a message.
        Queue,
        /// A task, before it handles a message.
        Task,
        /// A task, when it has written a record that nobody has been told of.
        TaskWrote,
        /// A lease that comes due.
        Lease,
    }

    thread_local! {
        static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
        static LAID: Cell<Option<Trap>> = const { Cell::new(None) };
    }

    /// The next actor that comes to this place on this thread panics.
    pub fn lay(trap: Trap) {
        LAID.set(Some(trap));
    }

    /// Nobody panics any more.
    pub fn remove_traps() {
        LAID.set(None);
    }

    /// Panics where this trap was laid, once.
    ///
    /// # Panics
    /// That is what it is for.
    pub fn spring(trap: Trap) {
        if LAID.get() == Some(trap) {
            LAID.set(None);
            std::panic::resume_unwind(Box::new("planted"));
        }
    }

    /// Plants this one, and no other, on this thread.
    pub fn turn_on(mutant: Mutant) {
        ON.set(Some(mutant));
    }

    /// Plants none.
    pub fn turn_off() {
        ON.set(None);
    }

    /// Whether this one is planted.
    #[must_use]
    pub fn is_on(mutant: Mutant) -> bool {
        ON.get() == Some(mutant)
    }
}

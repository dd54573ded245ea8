//! Many children of one actor type, started and ended all the time; OTP's `simple_one_for_one`.
//!
//! A [`Dynamic`] is a handle made before its tree starts: [`Dynamic::child`] goes into the tree, clones go
//! to whoever starts children. A start happens on the caller's thread: on return the child runs and stands
//! behind its address, or the caller has the refusal. Children are linked in turn to one of several shard
//! supervisors, so that the ends of many do not queue behind each other; every event costs the same
//! however many children there are. The shards fail together, and escalate, because the fixed supervisor
//! above them allows no restart. Must not know what the children do.

mod asleep;
mod shard;
mod table;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::actor::Actor;
use crate::address::Address;
use crate::describe::{Counts, Description, Inquiry};
use crate::exit::Exit;
use crate::host::{self, spawn_now};
use crate::intensity::{Intensity, Verdict, Window};
use crate::spec::{Backoff, ChildSpec, DEFAULT_SHUTDOWN, Shutdown};
use crate::strategy::Strategy;
use crate::supervisor::{Child, SupervisorArgs};
use shard::Shard;
use table::{Enrolment, Entry, Kept, Shared};

/// Children one [`Dynamic`] keeps unless told otherwise: at about 10 KB each they take 1 GB.
pub const DEFAULT_LIMIT: usize = 100_000;

/// Shards unless told otherwise: the end of a child costs 6 to 9 µs in all, of which the shard's part is
/// the one that queues; with four the end of one child waits for a quarter of a burst.
pub const DEFAULT_SHARDS: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");

/// How a [`Dynamic`] treats its children.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Children alive or waiting for a restart; at the limit a start is refused.
    pub limit: usize,
    /// Supervisors the children are spread over.
    pub shards: NonZeroUsize,
    /// How children are stopped when the whole stops; all of a shard are asked at once.
    pub shutdown: Shutdown,
}

/// [`DEFAULT_LIMIT`], [`DEFAULT_SHARDS`], [`DEFAULT_SHUTDOWN`].
impl Default for Options {
    fn default() -> Self {
        Self { limit: DEFAULT_LIMIT, shards: DEFAULT_SHARDS, shutdown: Shutdown::Deadline(DEFAULT_SHUTDOWN) }
    }
}

/// Why a child was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The supervisor has not started, is stopping, or is being restarted.
    #[error("{0} is not running")]
    NotRunning(Box<str>),
    /// As many children as allowed.
    #[error("{name} has its limit of {limit} children")]
    Full {
        /// Of the supervisor.
        name: Box<str>,
        /// Its limit.
        limit: usize,
    },
    /// The child's own start failed or panicked. It isn't tried again: the caller knows.
    #[error(transparent)]
    Failed(Exit),
}

/// The handle. Cheap to clone; survives restarts of what it stands for.
pub struct Dynamic<A: Actor>(Arc<Inner<A>>);

struct Inner<A: Actor> {
    name: Box<str>,
    options: Options,
    transient: Option<Transient<A>>,
    shards: Box<[Shared<A>]>,
    /// The shard that gets the next child.
    next: AtomicUsize,
    /// Children in all tables, and those being started.
    taken: AtomicUsize,
    /// Restarts of all shards together, since the first shard started.
    restarts: Mutex<Option<(Instant, Window)>>,
    /// Held while a child that sleeps is woken.
    waking: Mutex<()>,
}

/// What restarts need.
struct Transient<A: Actor> {
    copy: fn(&A::Args) -> A::Args,
    intensity: Intensity,
    backoff: Option<Backoff>,
}

impl<A: Actor> Clone for Dynamic<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> fmt::Debug for Dynamic<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dynamic({:?}, {} children)", self.0.name, self.count())
    }
}

impl<A: Actor> Dynamic<A> {
    /// For children that are never started again: whoever started one sees to its fate. Their start
    /// arguments are not kept.
    #[must_use]
    pub fn temporary(name: impl Into<Box<str>>, options: Options) -> Self {
        Self::new(name.into(), options, None)
    }

    /// For children that are started again, from a copy of their arguments, when they end abnormally;
    /// more than `intensity` allows, over all children, ends the whole and escalates.
    #[must_use]
    pub fn transient(
        name: impl Into<Box<str>>,
        options: Options,
        intensity: Intensity,
        backoff: Option<Backoff>,
    ) -> Self
    where
        A::Args: Clone,
    {
        Self::new(name.into(), options, Some(Transient { copy: Clone::clone, intensity, backoff }))
    }

    fn new(name: Box<str>, options: Options, transient: Option<Transient<A>>) -> Self {
        let shards = (0..options.shards.get()).map(|index| Shared::new(&name, index)).collect();
        let (next, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (restarts, waking) = (Mutex::new(None), Mutex::new(()));
        Self(Arc::new(Inner { name, options, transient, shards, next, taken, restarts, waking }))
    }

    /// What goes into the tree, once.
    #[must_use]
    pub fn child(&self) -> Child {
        let shard = |index: usize| {
            let this = self.clone();
            let spec = ChildSpec::supervisor(format!("{}/{index}", self.0.name));
            Child::with_spec::<Shard<A>>(spec, self.0.shards[index].address(), move || (this.clone(), index))
        };
        let shards = (0..self.0.shards.len()).map(shard).collect();
        Child::supervisor(SupervisorArgs::new(
            self.0.name.clone(),
            Strategy::OneForAll,
            Intensity::NONE,
            shards,
        ))
    }

    /// Starts a child behind `address`, here and now. What is told to the address after this returned is
    /// not lost. Must be called within a tokio runtime; may be called in a handler.
    ///
    /// # Errors
    /// See [`Refusal`]; nothing has been started then.
    pub fn start(&self, args: A::Args, address: &Address<A::Message>) -> Result<(), Refusal> {
        let place = self.take_place()?;
        let shard = &self.0.shards[self.0.next.fetch_add(1, Ordering::Relaxed) % self.0.shards.len()];
        self.start_in(shard, place, args, address)
    }

    fn start_in(
        &self,
        shard: &Shared<A>,
        place: Place<'_>,
        args: A::Args,
        address: &Address<A::Message>,
    ) -> Result<(), Refusal> {
        let Some((life, supervisor)) = shard.lock().open_life() else { return Err(self.not_running()) };
        let kept = self.0.transient.as_ref().map(|transient| Kept::new((transient.copy)(&args)));
        let start = host::Start { args, address: address.clone(), ready: None };
        let (cell, _) = spawn_now::<A>(start, Some(supervisor))
            .map_err(|error| Refusal::Failed(Exit::of_spawn_error(&error)))?;
        match shard.lock().enrol(life, Entry { cell: cell.clone(), address: address.clone(), kept }) {
            Enrolment::Done => place.keep(),
            Enrolment::EndedAlready => {}
            Enrolment::FailedAlready(exit) => {
                place.keep();
                shard.tell_ended(cell.get_id(), exit);
            }
            Enrolment::Closed => {
                cell.kill();
                return Err(self.not_running());
            }
        }
        Ok(())
    }

    /// Children alive or waiting for a restart.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// The children, counted: without asking anybody, and without waiting.
    #[must_use]
    pub fn count_children(&self) -> Counts {
        let mut counts = Counts::default();
        for shard in &self.0.shards {
            let table = shard.lock();
            counts.active += table.alive();
            counts.specs += table.alive() + table.asleep() + table.waiting();
        }
        counts.workers = counts.specs;
        counts
    }

    /// The first `limit` children of each shard, oldest first: without asking anybody.
    #[must_use]
    pub fn which_children(&self, limit: usize) -> Vec<Description> {
        let inquiry = Inquiry { children_limit: limit, ..Inquiry::default() };
        self.0.shards.iter().flat_map(|shard| shard.lock().describe(&inquiry).children).collect()
    }

    fn not_running(&self) -> Refusal {
        Refusal::NotRunning(self.0.name.clone())
    }

    fn take_place(&self) -> Result<Place<'_>, Refusal> {
        let limit = self.0.options.limit;
        let more = |taken: usize| (taken < limit).then_some(taken + 1);
        match self.0.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(Place(Some(&self.0.taken))),
            Err(_) => Err(Refusal::Full { name: self.0.name.clone(), limit }),
        }
    }

    fn release(&self, children: usize) {
        self.0.taken.fetch_sub(children, Ordering::Relaxed);
    }

    /// Counts a restart over all shards.
    fn record_restart(&self, intensity: Intensity) -> Verdict {
        let mut restarts = self.0.restarts.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, window) = restarts.get_or_insert_with(|| (Instant::now(), Window::new(intensity)));
        window.record(began.elapsed())
    }

    /// A new life of the whole begins with no restarts counted.
    fn forget_restarts(&self) {
        *self.0.restarts.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn deadline(&self) -> Option<Duration> {
        match self.0.options.shutdown {
            Shutdown::Kill => Some(Duration::ZERO),
            Shutdown::Deadline(deadline) => Some(deadline),
            Shutdown::Infinity => None,
        }
    }
}

/// A place under the limit, given back unless kept.
struct Place<'a>(Option<&'a AtomicUsize>);

impl Place<'_> {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(taken) = self.0 {
            taken.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;

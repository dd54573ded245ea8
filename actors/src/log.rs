//! The log: what has happened, numbered, in order, and durable before anybody outside hears of it.
//!
//! [`Log`] is a handle that everybody may clone. [`Log::append`] gives a record its number and its place at
//! once and never waits for the disk; a writer takes what has arrived, writes it, syncs once for all of it
//! and then runs what waits ([`Log::when_durable`]). So the state of an actor may run ahead of the disk, but
//! nothing leaves the process before its record is durable. A record is found again by its position
//! ([`Log::read_at`], durable or not) or by its number ([`Log::records_from`], durable ones only).
//!
//! In reading order: the bytes ([`frame`](self), `frames`), a file of them (`segment`), what is not yet
//! durable (`tail`), who makes it so (`writer`), what waits for it (`waiting`), what is found at the start
//! (`opening`), what is read (`reading`), who watches over it ([`actor`]). Must not know what records mean.
//!
//! # Guarantees
//! Numbers count from 1 without gaps. A batch is there whole or not at all. After a crash the log is a prefix of what
//! was appended that holds at least everything that was reported durable. A torn tail is cut and reported;
//! damage in front of something durable refuses the start, and nothing is changed. A full disk stalls, and
//! the log goes on when there is room; any other error of writing or syncing breaks it for good, and what
//! waited is dropped, not run.
//!
//! # Why our own
//! `okaywal` tells its users not to trust it yet, its format is unstable, and it recycles the files that
//! event followers still read. `raft-engine` keeps an index of every entry in memory, syncs on the caller's thread, addresses
//! entries by (group, index) where we walk a task's story by position, and brings protobuf, prometheus and
//! lz4. Neither can be driven without threads by a simulation, nor calls back when a record is durable.

pub mod actor;
mod batch;
mod condition;
pub mod disk;
mod frame;
mod frames;
mod opening;
mod reading;
mod segment;
mod shared;
mod tail;
mod waiting;
mod writer;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use policy::event::{Event, LogPosition};
use policy::planted;
use policy::time::Timestamp;
use tokio::sync::watch;

use crate::clock::Clock;
use disk::{Disk, Durability, SystemDisk};
use shared::Shared;

pub use batch::Batch;
pub use condition::{Appended, LogHealth, LogLimits, NoRoom};
pub use opening::{Cut, OpenError, Opening};
pub use reading::ReadError;
pub use writer::Step;

/// A handle of the log. Cheap to clone; when the last one is dropped the log is closed.
#[derive(Debug, Clone)]
pub struct Log(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    /// The writer thread; none where the log is driven or closed.
    thread: Mutex<Option<JoinHandle<()>>>,
    is_driven: bool,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (durable, health) = (self.shared.durable_number(), self.shared.health());
        f.debug_struct("Handle").field("durable", &durable).field("health", &health).finish_non_exhaustive()
    }
}

impl Log {
    /// Opens the log in `directory` of this machine, with a writer thread of its own.
    ///
    /// # Errors
    /// The directory is held by another daemon or cannot be written to, or the log in it is damaged or of a
    /// newer format. Nothing was changed then.
    pub fn open_directory(
        directory: impl Into<PathBuf>,
        limits: LogLimits,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        Self::open(Arc::new(SystemDisk::hold(directory)?), limits, clock)
    }

    /// Opens the log on `disk`, with a writer thread of its own. What waits for records runs on the runtime within which
    /// this is called.
    ///
    /// # Errors
    /// As [`Self::open_directory`].
    pub fn open(disk: Arc<dyn Disk>, limits: LogLimits, clock: Clock) -> Result<Self, OpenError> {
        let shared = find(disk, limits, clock)?;
        let of_thread = Arc::clone(&shared);
        let spawned =
            thread::Builder::new().name("log-writer".to_owned()).spawn(move || of_thread.run_writer());
        let thread = spawned.map_err(|cause| {
            let path = shared.disk.path("");
            OpenError::Io { doing: "start the writer of", path, cause }
        })?;
        Ok(Self(Arc::new(Handle { shared, thread: Mutex::new(Some(thread)), is_driven: false })))
    }

    /// Opens the log on `disk` without a thread: it becomes durable when [`Self::sync_now`] is called, and
    /// then only. For simulations and tools.
    ///
    /// # Errors
    /// As [`Self::open_directory`].
    pub fn open_driven(disk: Arc<dyn Disk>, limits: LogLimits, clock: Clock) -> Result<Self, OpenError> {
        let shared = find(disk, limits, clock)?;
        Ok(Self(Arc::new(Handle { shared, thread: Mutex::new(None), is_driven: true })))
    }

    /// What opening found.
    #[must_use]
    pub fn opening(&self) -> &Opening {
        &self.shared().opening
    }

    /// Appends an event: after which record (0 for none), in which flow (0 for none). Does not
    /// wait for the disk. A log that is closed or broken gives out numbers, but nothing becomes of them.
    ///
    /// # Panics
    /// When the event has more than 2^30 bytes; admission refuses what is a thousandth of that.
    pub fn append(&self, event: &Event, cause: u64, correlation: u64) -> Appended {
        with_scratch(|batch| {
            batch.push(event, cause, correlation);
            let mut appended = Appended { number: 0, position: 0, at: Timestamp::default() };
            self.append_each(batch, |one| appended = one);
            appended
        })
    }

    /// Appends the event that `make` makes of the number it gets, as [`Self::append`] does: for what is
    /// named after its record. `flow` is its cause and correlation. `make` runs under the log's lock and must
    /// not append.
    ///
    /// # Panics
    /// As [`Self::append`].
    pub fn append_numbered(
        &self,
        (cause, correlation): (u64, u64),
        make: impl FnOnce(u64) -> Event,
    ) -> Appended {
        with_scratch(|batch| {
            let mut appended = Appended { number: 0, position: 0, at: Timestamp::default() };
            self.append_made(
                |number| {
                    batch.push(&make(number), cause, correlation);
                    batch
                },
                |one| appended = one,
            );
            appended
        })
    }

    /// Returns when everything that was appended before is durable, and what waited for it has run. Blocks;
    /// for the start of what reads the log.
    ///
    /// # Errors
    /// When the disk is full or the log is broken.
    pub fn settle(&self) -> Result<(), Unsettled> {
        let last = self.last();
        while self.durable() < last {
            if let Step::Stalled | Step::Broken = self.shared().step() {
                return Err(Unsettled(self.health()));
            }
        }
        Ok(())
    }

    /// Appends the events of `batch`, in order, as one: after a crash all of them are there or none. What
    /// was given to each is in the same order.
    ///
    /// # Panics
    /// As [`Self::append`].
    pub fn append_batch(&self, batch: &Batch) -> Vec<Appended> {
        let mut all = Vec::with_capacity(batch.len());
        self.append_each(batch, |one| all.push(one));
        all
    }

    fn append_each(&self, batch: &Batch, each: impl FnMut(Appended)) {
        self.append_made(|_| batch, each);
    }

    fn append_made<'a>(&self, make: impl FnOnce(u64) -> &'a Batch, each: impl FnMut(Appended)) {
        let shared = self.shared();
        let mut state = shared.tail();
        let batch = make(state.tail.next_number());
        let at = shared.clock.wall();
        if !state.is_accepting {
            return state.tail.pretend(batch, at, each);
        }
        let had_open = state.tail.has_open();
        state.tail.append(batch, at, each);
        shared.wake(&mut state);
        drop(state);
        if self.0.is_driven && !had_open {
            shared.appended.notify_one();
        }
    }

    /// Runs `then` as soon as the record with `number` is durable: on the runtime within which the log was opened, on the
    /// writer's thread where there was none, or on this thread where it already is. What waits runs in the order of the numbers, one after the other (whoever asks only
    /// when later records are durable already is later), so it must be cheap: send a message. Where the log breaks or closes first, `then` is dropped.
    pub fn when_durable(&self, number: u64, then: impl FnOnce() + Send + 'static) {
        if planted!(AckBeforePersist) {
            return then();
        }
        let shared = self.shared();
        shared.waiting.push(number, shared.durable_number(), Box::new(then));
        if number <= shared.durable_number() {
            shared.waiting.run(|| shared.durable_number());
        }
    }

    /// The number of the last durable record; 0 where there is none.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.shared().durable_number()
    }

    /// The end of what is durable: where the next durable record will not begin before.
    #[must_use]
    pub fn durable_end(&self) -> LogPosition {
        self.shared().durable_end()
    }

    /// The number of the last record that was appended; 0 where there is none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.shared().tail().tail.next_number() - 1
    }

    /// Follows [`Self::durable`].
    #[must_use]
    pub fn subscribe_durable(&self) -> watch::Receiver<u64> {
        self.shared().subscribe_durable()
    }

    /// Bytes that were appended and are not durable.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.shared().tail().tail.pending_bytes()
    }

    /// Whether more may be taken in from outside. What already runs may always be recorded.
    ///
    /// # Errors
    /// When too much waits for the disk.
    pub fn check_room(&self) -> Result<(), NoRoom> {
        let (pending, limit) = (self.pending_bytes(), self.shared().limits.pending_bytes);
        if pending < limit { Ok(()) } else { Err(NoRoom { pending, limit }) }
    }

    /// How the log is.
    #[must_use]
    pub fn health(&self) -> LogHealth {
        self.shared().health()
    }

    /// Follows [`Self::health`].
    #[must_use]
    pub fn subscribe_health(&self) -> watch::Receiver<LogHealth> {
        self.shared().subscribe_health()
    }

    /// Whether [`Self::sync_now`] must be called for anything to become durable.
    #[must_use]
    pub fn is_driven(&self) -> bool {
        self.0.is_driven
    }

    /// Writes and syncs what was appended and runs what waited for it, on this thread.
    pub fn sync_now(&self) -> Step {
        self.shared().step()
    }

    /// Returns when something was appended to a driven log that was empty-handed; at once where that was
    /// so since the last time.
    ///
    /// Cancel safe: what was not returned is returned next time.
    pub async fn appended(&self) {
        self.shared().appended.notified().await;
    }

    /// Makes durable what was appended, runs what waited for it, ends the writer and lets go of the
    /// directory. What a full disk or a broken log holds back is dropped: it was never acknowledged.
    /// Other handles are of no use after this.
    pub fn close(&self) {
        self.0.close();
    }

    /// The disk it is on, for what must be kept beside it.
    pub(crate) fn disk(&self) -> &dyn Disk {
        self.shared().disk.as_ref()
    }

    /// What "durable" means here.
    pub(crate) fn durability(&self) -> Durability {
        self.shared().limits.durability
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

/// What was appended cannot be made durable now.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the log cannot be written: {0:?}")]
pub struct Unsettled(LogHealth);

/// Lends an empty batch of this thread's own, so that appending one event allocates nothing.
fn with_scratch<R>(act: impl FnOnce(&mut Batch) -> R) -> R {
    thread_local! {
        static SCRATCH: RefCell<Batch> = RefCell::default();
    }
    SCRATCH.with_borrow_mut(|batch| {
        batch.clear();
        act(batch)
    })
}

fn find(disk: Arc<dyn Disk>, limits: LogLimits, clock: Clock) -> Result<Arc<Shared>, OpenError> {
    let found = opening::find(disk.as_ref(), &limits, clock)?;
    if let Some(cut) = &found.opening.cut {
        let path = cut.path.display();
        tracing::warn!(%path, offset = cut.offset, bytes = cut.bytes, "cut a torn tail off the log");
    }
    Ok(Arc::new(Shared::new(disk, limits, clock, found)))
}

impl Handle {
    fn close(&self) {
        self.shared.begin_close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        match thread {
            // A continuation dropped the last handle: the writer ends by itself.
            Some(thread) if thread.thread().id() == thread::current().id() => {}
            Some(thread) => {
                let _ = thread.join();
            }
            None if self.is_driven => {
                self.shared.step();
            }
            None => {}
        }
        self.shared.end_close();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

//! What all handles of a log and its writer share.
//!
//! Locks are taken in the order writer, tail, segments; none is held while a continuation runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use policy::event::LogPosition;
use policy::time::Moment;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::log::disk::Disk;
use crate::log::opening::{Found, Opening};
use crate::log::segment::Segment;
use crate::log::tail::{Group, Tail};
use crate::log::waiting::Waiting;
use crate::log::writer::{Step, Writer};
use crate::log::{LogHealth, LogLimits};

/// Records of a group that was a busy one.
const MANY_RECORDS: u64 = 8;
/// How long after such a group another one is waited for: some rounds of the shortest tasks.
const BUSY_FOR: Duration = Duration::from_millis(20);
/// How long the writer lets a group fill then: about what a sync takes that it saves.
const GATHER: Duration = Duration::from_micros(200);

/// How long a stalled writer waits before it tries again: room is made by people.
pub(super) const STALL_RETRY: Duration = Duration::from_secs(1);

/// See the module docs.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) limits: LogLimits,
    pub(super) clock: Clock,
    pub(super) opening: Opening,
    tail: Mutex<TailState>,
    /// Wakes the writer thread.
    work: Condvar,
    /// Wakes the one who drives the log, where there is no thread.
    pub(super) appended: Notify,
    writer: Mutex<Writer>,
    segments: RwLock<Vec<Arc<Segment>>>,
    durable_number: AtomicU64,
    durable_end: AtomicU64,
    durable: watch::Sender<u64>,
    health: watch::Sender<LogHealth>,
    pub(super) waiting: Waiting,
    /// Where what waits is run; where there is none, the writer does it.
    runtime: Option<Handle>,
}

/// What the tail's lock protects.
#[derive(Debug)]
pub(super) struct TailState {
    pub(super) tail: Tail,
    /// `false` once the log is closed or broken.
    pub(super) is_accepting: bool,
    is_closing: bool,
    /// The writer thread sleeps.
    is_idle: bool,
}

impl Shared {
    pub(super) fn new(disk: Arc<dyn Disk>, limits: LogLimits, clock: Clock, found: Found) -> Self {
        let durable = found.start.next_number - 1;
        let tail = Tail::new(found.start);
        Self {
            disk,
            limits,
            clock,
            opening: found.opening,
            tail: Mutex::new(TailState { tail, is_accepting: true, is_closing: false, is_idle: false }),
            work: Condvar::new(),
            appended: Notify::new(),
            writer: Mutex::new(Writer::new(found.segments.last().cloned())),
            segments: RwLock::new(found.segments),
            durable_number: AtomicU64::new(durable),
            durable_end: AtomicU64::new(found.start.end),
            durable: watch::Sender::new(durable),
            health: watch::Sender::new(LogHealth::Good),
            waiting: Waiting::default(),
            runtime: Handle::try_current().ok(),
        }
    }

    pub(super) fn tail(&self) -> MutexGuard<'_, TailState> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn segments(&self) -> RwLockReadGuard<'_, Vec<Arc<Segment>>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn segments_mut(&self) -> RwLockWriteGuard<'_, Vec<Arc<Segment>>> {
        self.segments.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn durable_number(&self) -> u64 {
        self.durable_number.load(Ordering::Acquire)
    }

    pub(super) fn durable_end(&self) -> LogPosition {
        self.durable_end.load(Ordering::Acquire)
    }

    pub(super) fn subscribe_durable(&self) -> watch::Receiver<u64> {
        self.durable.subscribe()
    }

    pub(super) fn health(&self) -> LogHealth {
        self.health.borrow().clone()
    }

    pub(super) fn subscribe_health(&self) -> watch::Receiver<LogHealth> {
        self.health.subscribe()
    }

    /// Wakes whoever writes; to be called with the tail's lock, after an append.
    pub(super) fn wake(&self, state: &mut TailState) {
        if std::mem::replace(&mut state.is_idle, false) {
            self.work.notify_one();
        }
    }

    /// Tries to make the next group durable, then runs what waited for it.
    pub(super) fn step(&self) -> Step {
        let step = self.write();
        self.waiting.run(|| self.durable_number());
        step
    }

    fn write(&self) -> Step {
        if self.health() == LogHealth::Closed {
            return Step::Broken;
        }
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).step(self)
    }

    /// Has what waited run where those live who are told of it: one wakeup for all of them, and none of the threads there
    /// is woken once more for each.
    fn run_waiting(self: &Arc<Self>) {
        match &self.runtime {
            Some(runtime) if !self.tail().is_closing => {
                let this = Arc::clone(self);
                runtime.spawn(async move {
                    let _guard = GiveUpOnPanic(&this);
                    this.waiting.run(|| this.durable_number());
                });
            }
            _ => self.waiting.run(|| self.durable_number()),
        }
    }

    /// The writer thread.
    pub(super) fn run_writer(self: &Arc<Self>) {
        let _guard = GiveUpOnPanic(self);
        let mut busy_until = Moment::default();
        loop {
            let before = self.durable_number();
            if self.clock.now() < busy_until {
                self.gather(before);
            }
            let step = self.write();
            if self.durable_number() - before >= MANY_RECORDS {
                busy_until = self.clock.now() + BUSY_FOR;
            }
            if self.waiting.is_ready(self.durable_number()) {
                self.run_waiting();
            }
            let goes_on = match step {
                Step::Wrote => true,
                Step::Idle => self.wait_for_work(),
                Step::Stalled => self.wait_for_room(),
                Step::Broken => false,
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Waits for more records where few have come behind the one with the number `durable`.
    fn gather(&self, durable: u64) {
        let state = self.tail();
        let records = state.tail.next_number().saturating_sub(durable + 1);
        if (1..MANY_RECORDS).contains(&records) && !state.is_closing {
            // Only a close wakes it earlier: who appends need not.
            drop(self.work.wait_timeout(state, GATHER));
        }
    }

    fn wait_for_work(&self) -> bool {
        let mut state = self.tail();
        while !state.tail.has_open() {
            if state.is_closing {
                return false;
            }
            state.is_idle = true;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_idle = false;
        true
    }

    fn wait_for_room(&self) -> bool {
        let state = self.tail();
        let waited = self.work.wait_timeout_while(state, STALL_RETRY, |state| !state.is_closing);
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_closing
    }

    /// Appends are no longer taken; the writer ends when it has written what there is.
    pub(super) fn begin_close(&self) {
        let mut state = self.tail();
        state.is_accepting = false;
        state.is_closing = true;
        self.work.notify_all();
    }

    /// Nothing more will become durable.
    pub(super) fn end_close(&self) {
        // What was handed to a runtime that has not come to it.
        self.waiting.run(|| self.durable_number());
        self.health.send_if_modified(|health| {
            let is_broken = matches!(health, LogHealth::Broken { .. });
            if !is_broken {
                *health = LogHealth::Closed;
            }
            !is_broken
        });
        self.waiting.end();
        self.disk.release();
    }

    /// `group` is on the disk.
    pub(super) fn publish(&self, group: &Group) {
        self.durable_end.store(group.end(), Ordering::Release);
        self.durable_number.store(group.last_number, Ordering::Release);
        self.tail().tail.settle();
        self.health.send_if_modified(|health| {
            let was_stalled = matches!(health, LogHealth::Stalled { .. });
            if was_stalled {
                *health = LogHealth::Good;
            }
            was_stalled
        });
        self.durable.send_replace(group.last_number);
    }

    /// The disk is full.
    pub(super) fn stall(&self, reason: &str) {
        let since = self.clock.wall();
        self.health.send_if_modified(|health| {
            let is_news = matches!(health, LogHealth::Good);
            if is_news {
                tracing::warn!(reason, "the log is stalled; it goes on when there is room");
                *health = LogHealth::Stalled { since, reason: reason.into() };
            }
            is_news
        });
    }

    /// The log is broken for good.
    pub(super) fn give_up(&self, reason: &str) {
        tracing::error!(reason, "the log is broken");
        self.tail().is_accepting = false;
        self.health.send_replace(LogHealth::Broken { reason: reason.into() });
        self.waiting.end();
    }
}

/// A writer that panics must not look like one that is slow.
struct GiveUpOnPanic<'a>(&'a Shared);

impl Drop for GiveUpOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.give_up("the writer panicked");
        }
    }
}

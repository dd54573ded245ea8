//! What a handler is called with: the message, and how to say something of its handling.
//!
//! What is said goes where a command's goes: output to the attempt's file of output, the rest to its report
//! (`worker::report`), line by line, written at once.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use policy::id::{AttemptNumber, TaskId, Token};
use policy::output::Stream;
use policy::time::Moment;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::output::spool::SpoolWriter;
use crate::process::protocol::{Start, StopReason};

/// One attempt at a task, as its handler sees it. Cheap to clone.
#[derive(Clone)]
pub struct Call {
    start: Arc<Start>,
    stop: watch::Receiver<Option<StopReason>>,
    paper: Arc<Paper>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({} attempt {})", self.task(), self.attempt())
    }
}

impl Call {
    pub(super) fn new(
        start: Arc<Start>,
        stop: watch::Receiver<Option<StopReason>>,
        paper: Arc<Paper>,
    ) -> Self {
        Self { start, stop, paper }
    }

    /// What it is told, byte for byte.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.start.argv.first().map_or(&[], |payload| payload.as_bytes())
    }

    /// The same, read as JSON.
    ///
    /// # Errors
    /// It is none, or says something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.payload())
    }

    /// Whose it is.
    #[must_use]
    pub fn task(&self) -> TaskId {
        self.start.task
    }

    /// Which try this is.
    #[must_use]
    pub fn attempt(&self) -> AttemptNumber {
        self.start.attempt
    }

    /// The fencing token: of two attempts at one task the later has the larger. For whatever the handler writes to that
    /// must not believe an earlier one.
    #[must_use]
    pub fn token(&self) -> Token {
        self.start.token
    }

    /// What a command would find in this variable: `CRAB_GRAPH`, `CRAB_ARRAY_INDEX`, or one that the task sets.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        let mut known = self.start.environment.iter().rev();
        known.find(|(known, _)| known.as_bytes() == name.as_bytes()).map(|(_, value)| value.to_string())
    }

    /// Whether it is to end: what it does is of no use any more, and after the task's grace it is dropped where it awaits.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.stop.borrow().is_some() || self.stop.has_changed().is_err()
    }

    /// Waits until it is to end, and says why. Cancel safe.
    pub async fn cancelled(&self) -> StopReason {
        let mut stop = self.stop.clone();
        let told = stop.wait_for(Option::is_some).await.ok().and_then(|why| *why);
        // Whoever would have told is gone, and with it the right to do anything.
        told.unwrap_or(StopReason::LeaseLost)
    }

    /// Writes a line to its standard output.
    pub fn print(&self, line: impl fmt::Display) {
        self.paper.write(Stream::Stdout, &format!("{line}\n"));
    }

    /// Writes a line to its standard error.
    pub fn complain(&self, line: impl fmt::Display) {
        self.paper.write(Stream::Stderr, &format!("{line}\n"));
    }

    /// Says how far it is, from 0 to 1, and what it is doing.
    ///
    /// # Errors
    /// As the disk says.
    pub fn progress(&self, part: f64, doing: &str) -> io::Result<()> {
        self.report(&serde_json::json!({ "progress": part, "doing": doing }))
    }

    /// Gives a result, by name; the last one of a name counts.
    ///
    /// # Errors
    /// As the disk says.
    pub fn result(&self, name: &str, value: impl Serialize) -> io::Result<()> {
        self.report(&serde_json::json!({ "result": { name: serde_json::to_value(value)? } }))
    }

    /// Says any other line that a command may write to `CRAB_REPORT`, such as what it cost.
    ///
    /// # Errors
    /// As the disk says.
    pub fn report(&self, line: &serde_json::Value) -> io::Result<()> {
        self.paper.report(line)
    }
}

/// Where a handler writes to.
pub(super) struct Paper {
    /// `None` once it is over: what somebody still writes who has kept a call is lost.
    spool: Mutex<Option<SpoolWriter>>,
    report: PathBuf,
    /// When it wrote last, as a moment.
    heard: AtomicU64,
    clock: Clock,
}

impl Paper {
    pub(super) fn new(spool: SpoolWriter, report: PathBuf, clock: Clock) -> Self {
        Self { spool: Mutex::new(Some(spool)), report, heard: AtomicU64::new(clock.now().0), clock }
    }

    pub(super) fn write(&self, stream: Stream, text: &str) {
        self.heard.store(self.clock.now().0, Ordering::Relaxed);
        if let Some(spool) = &mut *self.spool() {
            spool.push(stream, self.clock.wall(), text.as_bytes());
            spool.flush();
        }
    }

    /// Nothing follows: the bytes of each output, and what has kept them from being written.
    pub(super) fn finish(&self) -> ((u64, u64), Option<io::Error>) {
        let Some(mut spool) = self.spool().take() else { return ((0, 0), None) };
        spool.finish(self.clock.wall());
        (spool.seen(), spool.take_trouble())
    }

    pub(super) fn heard(&self) -> Moment {
        Moment(self.heard.load(Ordering::Relaxed))
    }

    pub(super) fn seen_bytes(&self) -> u64 {
        self.spool().as_ref().map_or(0, |spool| spool.seen().0 + spool.seen().1)
    }

    fn report(&self, line: &serde_json::Value) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.report)?;
        file.write_all(format!("{line}\n").as_bytes())
    }

    fn spool(&self) -> MutexGuard<'_, Option<SpoolWriter>> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

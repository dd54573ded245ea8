//! The questions to a machine, each within a deadline, and asked again where the connection was to blame: asking
//! twice is asking once, since an attempt has a key and a session a name.

use std::io;
use std::time::Duration;

use policy::session::{Identity, SessionName};
use policy::signal::TaskSignal;
use policy::strain::Reading;
use policy::time::Timestamp;

use super::refusal::{Refusal, Why};
use super::reply::Reply;
use super::row::{self, AttemptRow, SessionRow};
use super::script::{Script, Side, Start};
use super::way::Way;
use super::words::Unsayable;
use super::{SessionError, fresh_key};

/// How long a session may take to be made where nobody says.
pub const SETUP_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a look may take, once connected.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the end of a session may take beyond its grace: what cannot be killed is waited for.
const END_TIMEOUT: Duration = Duration::from_secs(30);
/// Between SIGTERM and SIGKILL for what has been left in a session: nothing of it works.
pub const PRUNE_GRACE: Duration = Duration::from_secs(2);
/// How long a piece of output may take: megabytes over a slow line.
const READ_TIMEOUT: Duration = Duration::from_mins(10);

/// Bytes that are said at once: what a pipe of Linux takes as a whole, less the end of the line. On a Mac two that are
/// longer than 511 and are said in the same moment may be mixed.
pub const STEER_LIMIT_BYTES: usize = 4095;

/// The sessions of one machine.
#[derive(Debug, Clone)]
pub struct Sessions {
    pub(super) way: Way,
    setup: Duration,
}

/// A session that is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What ran in it: `none`, or how far it was.
    pub was: Box<str>,
}

/// An attempt as it was found, and its machine's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The time there.
    pub now: Timestamp,
    /// The attempt.
    pub row: AttemptRow,
}

/// What a look at a machine has found.
#[derive(Debug, Clone)]
pub struct Doctor {
    /// Its answer.
    pub reply: Reply,
    /// The time here when it came.
    pub now: Timestamp,
}

impl Sessions {
    /// Of the machine that `way` leads to.
    #[must_use]
    pub fn new(way: Way) -> Self {
        Self { way, setup: SETUP_TIMEOUT }
    }

    /// Of which one may take so long to be made, once connected.
    #[must_use]
    pub fn setup_within(mut self, setup: Duration) -> Self {
        self.setup = setup;
        self
    }

    /// How the machine is reached.
    #[must_use]
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// Makes the session with a shell in it, where it is not there; gives back whether it was made, and where tmux is.
    ///
    /// # Errors
    /// Refused, or the machine cannot be asked.
    pub fn ensure(&self, identity: &Identity, base: &str) -> Result<(bool, Box<str>), SessionError> {
        let script = Script::ensure(identity, base, &fresh_key()?)?;
        let reply = self.set_up(&script)?;
        let tmux = reply.word("tmux").ok_or_else(|| self.garbled(&reply))?;
        Ok((reply.word("made") == Some("yes"), tmux.into()))
    }

    /// Starts an attempt, or tells how the one with this key is.
    ///
    /// # Errors
    /// Refused, or the machine cannot be asked.
    pub fn start(&self, start: &Start) -> Result<Attempt, SessionError> {
        let reply = self.set_up(&self.start_script(start)?)?;
        let row = reply.find("attempt").and_then(row::attempt).ok_or_else(|| self.garbled(&reply))?;
        Ok(Attempt { now: time_in(&reply), row })
    }

    /// What [`Self::start`] says there.
    ///
    /// # Errors
    /// The command cannot be carried through unchanged.
    pub fn start_script(&self, start: &Start) -> Result<Script, Unsayable> {
        Script::start(start, self.setup)
    }

    /// The sessions of these names, or all; and the time there.
    ///
    /// # Errors
    /// The machine cannot be asked.
    pub fn list(&self, names: &[SessionName]) -> Result<(Timestamp, Vec<SessionRow>), SessionError> {
        let reply = self.ask(&Script::list(names)?, LOOK_TIMEOUT)?;
        let rows = row::sessions(&reply).ok_or_else(|| self.garbled(&reply))?;
        Ok((time_in(&reply), rows))
    }

    /// One session.
    ///
    /// # Errors
    /// It is not there, or the machine cannot be asked.
    pub fn look(&self, name: &SessionName) -> Result<SessionRow, SessionError> {
        let (_, mut rows) = self.list(std::slice::from_ref(name))?;
        rows.pop().ok_or_else(|| SessionError::Refused(Refusal { host: self.host(), why: Why::NoSession }))
    }

    /// Ends a session with all its processes. `goes` is whether its files go as well; with `seen` only if it has not
    /// been used since.
    ///
    /// # Errors
    /// Refused, or the machine cannot be asked.
    pub fn end(
        &self,
        name: &SessionName,
        grace: Duration,
        goes: bool,
        seen: Option<u64>,
    ) -> Result<Ended, SessionError> {
        let reply = self.ask(&Script::end(name, grace, goes, seen)?, END_TIMEOUT + grace)?;
        Ok(Ended { was: reply.word("ended").ok_or_else(|| self.garbled(&reply))?.into() })
    }

    /// Says a line to what runs in a session: at most [`STEER_LIMIT_BYTES`].
    ///
    /// # Errors
    /// Refused, also where nothing runs there, it does not listen, or reads nothing; or the machine cannot be asked.
    pub fn steer(&self, name: &SessionName, text: &[u8]) -> Result<(), SessionError> {
        let reply = self.once(&Script::steer(name, text)?, LOOK_TIMEOUT)?;
        reply.word("said").map(drop).ok_or_else(|| self.garbled(&reply))
    }

    /// Signals something to what an attempt runs.
    ///
    /// # Errors
    /// Refused, also where it does not run; or the machine cannot be asked.
    pub fn signal(&self, name: &SessionName, key: &str, signal: TaskSignal) -> Result<(), SessionError> {
        self.once(&Script::signal(name, key, signal)?, LOOK_TIMEOUT).map(drop)
    }

    /// Where tmux is there.
    ///
    /// # Errors
    /// It is not, or the machine cannot be asked.
    pub fn tmux(&self, name: &SessionName) -> Result<Box<str>, SessionError> {
        let reply = self.ask(&Script::list(std::slice::from_ref(name))?, LOOK_TIMEOUT)?;
        let is_live = row::sessions(&reply).is_some_and(|rows| rows.iter().any(|row| row.live));
        match reply.word("tmux") {
            Some(tmux) if is_live => Ok(tmux.into()),
            _ => Err(SessionError::Refused(Refusal { host: self.host(), why: Why::NoSession })),
        }
    }

    /// Gives all that an attempt has written to one stream from a byte on, and how many bytes that were.
    ///
    /// # Errors
    /// The machine cannot be asked, or `sink` fails.
    pub fn read(
        &self,
        from: (&SessionName, &str, Side, u64),
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<u64, SessionError> {
        let (name, key, side, byte) = from;
        let script = Script::read(name, key, side, byte)?;
        self.stream(&script, self.patience() + READ_TIMEOUT, sink)
    }

    /// What is there, and what is not.
    ///
    /// # Errors
    /// The machine cannot be asked.
    pub fn doctor(&self, base: &str) -> Result<Doctor, SessionError> {
        let reply = self.set_up(&Script::doctor(base)?)?;
        Ok(Doctor { reply, now: crate::clock::Clock::system().wall() })
    }

    /// How strained the machine is. Asked once: whoever looks again soon need not insist.
    ///
    /// # Errors
    /// The machine cannot be asked, or has not answered `within` that time once connected.
    pub fn measure(&self, within: Duration) -> Result<Vec<Reading>, SessionError> {
        let reply = self.once(&Script::measure()?, within);
        if matches!(reply, Err(SessionError::Silent { .. })) {
            self.leave();
        }
        Ok(row::signs(&reply?))
    }

    /// Ends a session that has been left, unless somebody has used it since it was looked at; tells whether it is gone.
    ///
    /// # Errors
    /// As [`Self::end`].
    pub fn prune(&self, row: &SessionRow) -> Result<bool, SessionError> {
        match self.end(&row.name, PRUNE_GRACE, true, Some(row.seen)) {
            Ok(_) => Ok(true),
            Err(SessionError::Refused(refusal)) if refusal.why == Why::Used => Ok(false),
            // Somebody else has pruned it.
            Err(SessionError::Refused(refusal)) if refusal.why == Why::NoSession => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Something is made there: who has not answered in all that time is not asked again.
    fn set_up(&self, script: &Script) -> Result<Reply, SessionError> {
        self.insist(script, self.setup, false)
    }
}

fn time_in(reply: &Reply) -> Timestamp {
    row::seconds(reply.number("now").unwrap_or(0))
}

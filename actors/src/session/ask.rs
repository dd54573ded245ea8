//! The questions to a machine, each within a deadline, and asked again where the connection was to blame: asking
//! twice is asking once, since an attempt has a key and a session a name.

use std::io;
use std::thread;
use std::time::Duration;

use policy::session::target::Target;
use policy::session::{Identity, SessionName};
use policy::signal::TaskSignal;
use policy::strain::Reading;
use policy::time::Timestamp;

use super::carry::{CarryError, Manner, carry};
use super::refusal::{Refusal, Why};
use super::reply::Reply;
use super::row::{self, AttemptRow, SessionRow};
use super::script::{Script, Side, Start};
use super::way::{CONNECT_TIMEOUT, Way};
use super::words::Unsayable;
use super::{SessionError, fresh_key};
use crate::workspace::Cancel;

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
/// Somebody may have to find a password first.
const PERSON_TIMEOUT: Duration = Duration::from_mins(2);
/// Pauses before a machine that could not be reached is tried again.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(1)];
/// Bytes of one answer: a thousand sessions.
const ANSWER_BYTES_LIMIT: usize = 4 * 1024 * 1024;

/// Bytes that are said at once: what a pipe of Linux takes as a whole, less the end of the line. On a Mac two that are
/// longer than 511 and are said in the same moment may be mixed.
pub const STEER_LIMIT_BYTES: usize = 4095;

/// The sessions of one machine.
#[derive(Debug, Clone)]
pub struct Sessions {
    way: Way,
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
        let script = Script::read(name, key, side, byte, false)?;
        self.stream(&script, false, Some(self.patience() + READ_TIMEOUT), sink)
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
            self.hang_up();
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

    /// Runs a script that streams; gives back how many bytes came.
    pub(super) fn stream(
        &self,
        script: &Script,
        held: bool,
        deadline: Option<Duration>,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<u64, SessionError> {
        let mut came = 0;
        let carried = carry(&self.way.script(), &script.0, self.manner(held), deadline, &mut |bytes| {
            came += bytes.len() as u64;
            sink(bytes)
        });
        let carried = carried.map_err(|error| self.failed(error, deadline.unwrap_or_default()))?;
        if carried.code == 255 { Err(self.unreachable(&carried.complaint)) } else { Ok(came) }
    }

    fn ask(&self, script: &Script, within: Duration) -> Result<Reply, SessionError> {
        self.insist(script, within, true)
    }

    /// Something is made there: who has not answered in all that time is not asked again.
    fn set_up(&self, script: &Script) -> Result<Reply, SessionError> {
        self.insist(script, self.setup, false)
    }

    pub(super) fn insist(
        &self,
        script: &Script,
        within: Duration,
        of_silent: bool,
    ) -> Result<Reply, SessionError> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let asked = self.once(script, within);
            let again = match &asked {
                Err(SessionError::Unreachable { .. }) => !self.way.has_person(),
                Err(SessionError::Silent { .. }) => of_silent && !self.way.has_person(),
                Err(SessionError::Refused(refusal)) => refusal.why == Why::Again,
                _ => false,
            };
            let pause = pauses.next().filter(|_| again && *self.way.target() != Target::Here);
            let Some(pause) = pause else { return asked };
            if matches!(asked, Err(SessionError::Silent { .. })) {
                self.hang_up();
            }
            thread::park_timeout(pause);
        }
    }

    /// Asks once, and waits so long for the answer once connected.
    pub(super) fn once(&self, script: &Script, within: Duration) -> Result<Reply, SessionError> {
        self.answer(script, self.manner(false), self.patience() + within)
    }

    /// Asks once for something that takes its time: it is stopped there when this one gives it up or is gone.
    pub(super) fn attended(
        &self,
        script: &Script,
        within: Duration,
        cancel: &Cancel,
    ) -> Result<Reply, SessionError> {
        let manner = Manner { cancel: Some(cancel), ..self.manner(true) };
        self.answer(script, manner, self.patience() + within)
    }

    fn answer(&self, script: &Script, manner: Manner<'_>, within: Duration) -> Result<Reply, SessionError> {
        let mut said = Vec::new();
        let carried = carry(&self.way.script(), &script.0, manner, Some(within), &mut |bytes| {
            said.extend_from_slice(bytes);
            let fits = said.len() <= ANSWER_BYTES_LIMIT;
            fits.then_some(()).ok_or_else(|| io::Error::other("the answer has no end"))
        });
        let carried = carried.map_err(|error| self.failed(error, within))?;
        let Some(reply) = Reply::read(&said) else {
            return Err(self.unanswered(carried.code, &carried.complaint, &said));
        };
        match reply.find("refused") {
            Some(words) => Err(SessionError::Refused(Refusal::new(self.way.target(), words))),
            None => Ok(reply),
        }
    }

    /// No answer, or a part of one: the connection was cut, or something else speaks there.
    fn unanswered(&self, code: i32, complaint: &[u8], said: &[u8]) -> SessionError {
        let is_remote = *self.way.target() != Target::Here;
        if is_remote && (code == 255 || code > 128 || said.is_empty()) {
            return self.unreachable(complaint);
        }
        let all = [said, complaint].concat();
        SessionError::Garbled { host: self.host(), said: beginning(&all) }
    }

    /// Ends the shared connection: the next question makes another.
    pub fn hang_up(&self) {
        if let Some(line) = self.way.hang_up() {
            // Where there is none, there is nothing to end.
            let _ = carry(&line, b"", self.manner(false), Some(CONNECT_TIMEOUT), &mut |_| Ok(()));
        }
    }

    /// What serves one process alone is not to die of what is said to that.
    fn manner(&self, held: bool) -> Manner<'static> {
        Manner { held, apart: self.way.is_alone(), cancel: None }
    }

    fn failed(&self, error: CarryError, within: Duration) -> SessionError {
        match error {
            CarryError::GivenUp => SessionError::GivenUp,
            CarryError::Late => SessionError::Silent { host: self.host(), within },
            CarryError::Start { source, .. } => SessionError::Here { what: "starting ssh or sh", source },
            CarryError::Sink(source) => SessionError::Here { what: "taking what came", source },
        }
    }

    fn unreachable(&self, complaint: &[u8]) -> SessionError {
        let text = String::from_utf8_lossy(complaint);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let why = lines.last().copied().unwrap_or("the connection was cut");
        SessionError::Unreachable { host: self.host(), why: why.chars().take(300).collect::<String>().into() }
    }

    fn garbled(&self, reply: &Reply) -> SessionError {
        SessionError::Garbled { host: self.host(), said: beginning(format!("{reply:?}").as_bytes()) }
    }

    fn host(&self) -> Box<str> {
        self.way.target().to_string().into()
    }

    fn patience(&self) -> Duration {
        match (self.way.target(), self.way.has_person()) {
            (Target::Here, _) => Duration::ZERO,
            (Target::There(_), true) => PERSON_TIMEOUT,
            (Target::There(_), false) => CONNECT_TIMEOUT,
        }
    }
}

fn beginning(said: &[u8]) -> Box<str> {
    String::from_utf8_lossy(said).chars().take(200).collect::<String>().into()
}

fn time_in(reply: &Reply) -> Timestamp {
    row::seconds(reply.number("now").unwrap_or(0))
}

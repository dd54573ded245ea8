//! One exchange with a machine: a script goes there, and an answer, a stream or several of them come back; asked again where the
//! connection was to blame. Must not know what is asked.

use std::io;
use std::time::Duration;

use policy::session::target::Target;

use super::carry::{Carried, CarryError, Manner, carry, pause_for};
use super::frames::{Frames, Stream};
use super::refusal::{Refusal, Why};
use super::reply::Reply;
use super::script::Script;
use super::way::{CONNECT_TIMEOUT, CommandLine};
use super::{SessionError, Sessions};
use crate::workspace::Cancel;

/// Somebody may have to find a password first.
const PERSON_TIMEOUT: Duration = Duration::from_mins(2);
/// Pauses before a machine that could not be reached is tried again.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(1)];
/// Bytes of one answer: a thousand sessions.
const ANSWER_BYTES_LIMIT: usize = 4 * 1024 * 1024;

/// How long somebody waits for what comes as long as it likes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Patience<'c> {
    /// No longer than that in all, where it is said.
    pub(super) within: Option<Duration>,
    /// Who may give it up.
    pub(super) cancel: Option<&'c Cancel>,
}

impl Sessions {
    /// Runs a script that streams; gives back how many bytes came.
    pub(super) fn stream(
        &self,
        script: &Script,
        deadline: Duration,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<u64, SessionError> {
        let mut came = 0;
        let carried =
            carry(&self.way.script(), &script.0, self.manner(false), Some(deadline), &mut |bytes| {
                came += bytes.len() as u64;
                sink(bytes)
            });
        let carried = carried.map_err(|error| self.failed(error, deadline))?;
        if carried.code == 255 { Err(self.unreachable(&carried.complaint)) } else { Ok(came) }
    }

    pub(super) fn ask(&self, script: &Script, within: Duration) -> Result<Reply, SessionError> {
        self.insist(script, within, true)
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
                self.leave();
            }
            pause_for(pause);
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
        let (carried, said) = self.heard(script, manner, Some(within), ANSWER_BYTES_LIMIT)?;
        self.understood(&carried, Reply::read(&said), &said)
    }

    /// All that a script says, up to so many bytes.
    fn heard(
        &self,
        script: &Script,
        manner: Manner<'_>,
        within: Option<Duration>,
        bytes_limit: usize,
    ) -> Result<(Carried, Vec<u8>), SessionError> {
        let mut said = Vec::new();
        let carried = carry(&self.way.script(), &script.0, manner, within, &mut |bytes| {
            said.extend_from_slice(bytes);
            let fits = said.len() <= bytes_limit;
            fits.then_some(()).ok_or_else(|| io::Error::other("the answer has no end"))
        });
        let carried = carried.map_err(|error| self.failed(error, within.unwrap_or_default()))?;
        Ok((carried, said))
    }

    /// Asks for bytes that come as long as they like, of several streams, with an answer behind them.
    pub(super) fn frames<S: Stream>(
        &self,
        script: &Script,
        patience: Patience<'_>,
        sink: &mut dyn FnMut(S, &[u8]) -> io::Result<()>,
    ) -> Result<Reply, SessionError> {
        let mut frames = Frames::default();
        let manner = Manner { cancel: patience.cancel, ..self.manner(true) };
        let carried = carry(&self.way.script(), &script.0, manner, patience.within, &mut |bytes| {
            frames.take(bytes, sink)
        });
        let carried = carried.map_err(|error| self.failed(error, patience.within.unwrap_or_default()))?;
        self.understood(&carried, frames.reply(), &frames.said())
    }

    /// Asks for lines that may have any bytes, the last of which says `end`.
    pub(super) fn lines(
        &self,
        script: &Script,
        patience: Patience<'_>,
        bytes_limit: usize,
    ) -> Result<Vec<u8>, SessionError> {
        let manner = Manner { cancel: patience.cancel, ..self.manner(true) };
        let (carried, said) = self.heard(script, manner, patience.within, bytes_limit)?;
        let is_whole = said.ends_with(b"\nend\n");
        let is_refused = said.starts_with(b"refused ");
        if is_whole && !is_refused {
            return Ok(said);
        }
        let reply = if is_refused { Reply::read(&said) } else { None };
        self.understood(&carried, reply, &said).map(|_| said)
    }

    fn understood(
        &self,
        carried: &Carried,
        reply: Option<Reply>,
        said: &[u8],
    ) -> Result<Reply, SessionError> {
        let Some(reply) = reply else {
            return Err(self.unanswered(carried.code, &carried.complaint, said));
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

    /// Ends the shared connection.
    pub fn hang_up(&self) {
        self.tell(self.way.hang_up());
    }

    /// The next question makes another connection: this one may be of no use any more.
    pub(super) fn leave(&self) {
        self.tell(self.way.leave());
    }

    fn tell(&self, line: Option<CommandLine>) {
        if let Some(line) = line {
            // Where there is none, nobody has to be told.
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

    pub(super) fn garbled(&self, reply: &Reply) -> SessionError {
        SessionError::Garbled { host: self.host(), said: beginning(format!("{reply:?}").as_bytes()) }
    }

    pub(super) fn host(&self) -> Box<str> {
        self.way.target().to_string().into()
    }

    pub(super) fn patience(&self) -> Duration {
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

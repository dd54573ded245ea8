//! What is said to the other machine's shell: programs of ours, and behind them a caller's words, quoted.

use std::time::Duration;

use policy::session::{Identity, Role, SessionName};
use policy::signal::TaskSignal;

use super::words::{Unsayable, check_command, hex, quote};

const COMMON: &str = include_str!("remote/common.sh");
const TERMINAL: &str = include_str!("remote/terminal.sh");
const WORK: &str = include_str!("remote/work.sh");
const SHELL: &str = include_str!("remote/shell.sh");
const START: &str = include_str!("remote/start.sh");
const ENSURE: &str = include_str!("remote/ensure.sh");
const LIST: &str = include_str!("remote/list.sh");
const END: &str = include_str!("remote/end.sh");
const SIGNAL: &str = include_str!("remote/signal.sh");
const STEER: &str = include_str!("remote/steer.sh");
const READ: &str = include_str!("remote/read.sh");
const FOLLOW: &str = include_str!("remote/follow.sh");
const WORKTREE: &str = include_str!("remote/worktree.sh");
const KEEP: &str = include_str!("remote/keep.sh");
const DOCTOR: &str = include_str!("remote/doctor.sh");
const MEASURE: &str = include_str!("remote/measure.sh");

/// How a script is entered: whole, so that nothing it calls eats what comes behind it on standard input.
const ENTER: &str = "main \"$@\" </dev/null";
/// With its standard input at hand, by which it sees that whoever asked has gone.
const ENTER_HELD: &str = "main \"$@\" 3<&0 </dev/null";
/// From a file, on a terminal.
const ENTER_TERMINAL: &str = "main \"$@\"";
/// Attempts of one session whose output is kept: some days of work, and no more than a screen of them.
const KEPT_ATTEMPTS_LIMIT: u32 = 16;

/// Looks, a tenth of a second apart, until nobody waits any more for others who administer a repository.
const HOLD_LOOKS: &str = "1200";

/// A script with its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script(pub Vec<u8>);

/// An attempt that is to be started in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// In which session.
    pub identity: Identity,
    /// Below which directory its repository is; `~/` is of the other machine.
    pub base: Box<str>,
    /// Of this attempt alone: the same key again is the same attempt. Hexadecimal digits.
    pub key: Box<str>,
    /// The mark of the session, should it be made now.
    pub mark: Box<str>,
    /// Larger than those of earlier attempts that it may follow.
    pub token: u64,
    /// From asking it to end until it is ended by force.
    pub grace: Duration,
    /// How long it may run; zero for any length.
    pub timeout: Duration,
    /// Bytes that it may write to both streams together.
    pub output_limit_bytes: u64,
    /// How long it goes on where nobody follows it; zero for as long as it likes.
    pub tied: Duration,
    /// Whether it hears what is said to it, on its standard input; else that is empty.
    pub steerable: bool,
    /// Whether it has the pane's terminal, and begins when somebody looks at that.
    pub terminal: bool,
    /// Whether it finds a file in `CRAB_REPORT`, in which it may say something of itself.
    pub reports: bool,
    /// Whether a runner's session stays when its work has ended, to be looked at.
    pub stays: bool,
    /// Where it runs, seen from the repository's directory; empty for that.
    pub directory: Vec<u8>,
    /// `NAME=VALUE`, each.
    pub environment: Vec<Vec<u8>>,
    /// The command.
    pub argv: Vec<Vec<u8>>,
}

/// What is done about a task's worktree there: its name is a plain word, `key` that of its attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space<'a> {
    /// One of a commit of the repository is made.
    Add { name: &'a str, key: &'a str, base: &'a str, repo: &'a str, commit: &'a str },
    /// It is looked through.
    Look { name: &'a str, key: &'a str, admin: &'a [u8], commit: &'a str },
    /// It is told how large it is.
    Measure { name: &'a str },
    /// It is removed.
    Erase { name: &'a str, key: &'a str, base: &'a str, repo: &'a str },
}

/// One of the streams of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
    /// What it has said of itself.
    Report,
}

impl Side {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Out, Self::Err, Self::Report];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
            Self::Report => "report",
        }
    }
}

impl Script {
    fn new(parts: &[&str], words: &[&[u8]], enter: &str) -> Result<Self, Unsayable> {
        let mut text = Vec::new();
        for part in parts {
            text.extend_from_slice(part.as_bytes());
        }
        text.extend_from_slice(b"\nset --");
        for word in words {
            text.push(b' ');
            text.extend(quote(word)?);
        }
        text.extend_from_slice(format!("\n{enter}\nexit\n").as_bytes());
        Ok(Self(text))
    }

    /// Starts an attempt, which never begins unless it does so `within` that time, or says how the attempt of the same
    /// key is.
    ///
    /// # Errors
    /// The command cannot be carried through unchanged.
    pub fn start(start: &Start, within: Duration) -> Result<Self, Unsayable> {
        check_command(&start.environment, &start.argv)?;
        let name = start.identity.name();
        let (tmux, kept) = (name.tmux(), KEPT_ATTEMPTS_LIMIT.to_string());
        let (identity, token) = (written(&start.identity), start.token.to_string());
        let work = Self::work(start, &name)?;
        let within = within.as_millis().div_ceil(1000).to_string();
        let words = [
            within.as_bytes(),
            tmux.as_bytes(),
            identity.as_bytes(),
            start.mark.as_bytes(),
            start.key.as_bytes(),
            token.as_bytes(),
            kept.as_bytes(),
            start.base.as_bytes(),
            start.identity.repo().as_bytes(),
            &work.0,
        ];
        Self::new(&[COMMON, START], &words, ENTER)
    }

    /// What runs in the pane.
    fn work(start: &Start, name: &SessionName) -> Result<Self, Unsayable> {
        let (tmux, token) = (name.tmux(), start.token.to_string());
        let tenths = (start.grace.as_millis() / 100).to_string();
        let seconds = start.timeout.as_millis().div_ceil(1000).to_string();
        let tied = start.tied.as_millis().div_ceil(1000).to_string();
        let input = match (start.terminal, start.steerable) {
            (true, _) => "terminal",
            (false, true) => "pipe",
            (false, false) => "none",
        };
        let ends = start.identity.role() == Role::Runner && !start.stays;
        let (limit, variables) = (start.output_limit_bytes.to_string(), start.environment.len().to_string());
        let mut words = vec![
            tmux.as_bytes(),
            name.as_str().as_bytes(),
            start.key.as_bytes(),
            token.as_bytes(),
            if ends { b"yes" } else { b"no" },
            tenths.as_bytes(),
            seconds.as_bytes(),
            limit.as_bytes(),
            tied.as_bytes(),
            input.as_bytes(),
            if start.reports { b"yes" } else { b"no" },
            start.base.as_bytes(),
            start.identity.repo().as_bytes(),
            &start.directory,
            variables.as_bytes(),
        ];
        words.extend(start.environment.iter().chain(&start.argv).map(Vec::as_slice));
        Self::new(&[COMMON, TERMINAL, WORK], &words, ENTER)
    }

    /// Makes a session with a shell in it, where it is not there.
    ///
    /// # Errors
    /// A word cannot be said.
    pub fn ensure(identity: &Identity, base: &str, mark: &str) -> Result<Self, Unsayable> {
        let name = identity.name();
        let (tmux, role, repo) =
            (name.tmux(), identity.role().as_str().as_bytes(), identity.repo().as_bytes());
        let shell = [tmux.as_bytes(), name.as_str().as_bytes(), role, base.as_bytes(), repo];
        let shell = Self::new(&[COMMON, SHELL], &shell, ENTER_TERMINAL)?;
        let (identity, file) = (written(identity), format!("shell-{mark}"));
        let words = [
            tmux.as_bytes(),
            identity.as_bytes(),
            mark.as_bytes(),
            base.as_bytes(),
            repo,
            file.as_bytes(),
            &shell.0,
        ];
        Self::new(&[COMMON, ENSURE], &words, ENTER)
    }

    /// Tells of these sessions, or of all.
    ///
    /// # Errors
    /// Never: names are plain.
    pub fn list(names: &[SessionName]) -> Result<Self, Unsayable> {
        let names: Vec<String> = names.iter().map(SessionName::tmux).collect();
        Self::new(&[COMMON, LIST], &names.iter().map(String::as_bytes).collect::<Vec<_>>(), ENTER)
    }

    /// Ends a session. `goes` is whether its files go as well; `seen` when it was seen to have been used last: it
    /// ends only if that is still so.
    ///
    /// # Errors
    /// Never: names are plain.
    pub fn end(
        name: &SessionName,
        grace: Duration,
        goes: bool,
        seen: Option<u64>,
    ) -> Result<Self, Unsayable> {
        let (tmux, tenths) = (name.tmux(), (grace.as_millis() / 100).to_string());
        let seen = seen.map_or_else(|| "-".to_owned(), |seen| seen.to_string());
        let goes: &[u8] = if goes { b"yes" } else { b"no" };
        Self::new(&[COMMON, END], &[tmux.as_bytes(), tenths.as_bytes(), goes, seen.as_bytes()], ENTER)
    }

    /// Says a line to what runs in a session.
    ///
    /// # Errors
    /// The text has a NUL byte.
    pub fn steer(name: &SessionName, text: &[u8]) -> Result<Self, Unsayable> {
        Self::new(&[COMMON, STEER], &[name.tmux().as_bytes(), text], ENTER)
    }

    /// Signals something to what an attempt runs.
    ///
    /// # Errors
    /// Never: names, keys and signals are plain.
    pub fn signal(name: &SessionName, key: &str, signal: TaskSignal) -> Result<Self, Unsayable> {
        let (tmux, signal) = (name.tmux(), signal.to_string());
        Self::new(&[COMMON, SIGNAL], &[tmux.as_bytes(), key.as_bytes(), signal.as_bytes()], ENTER)
    }

    /// Gives what is there of a stream of an attempt, from a byte on.
    ///
    /// # Errors
    /// Never: names and keys are plain.
    pub fn read(name: &SessionName, key: &str, side: Side, from: u64) -> Result<Self, Unsayable> {
        let (tmux, from) = (name.tmux(), from.to_string());
        let words = [tmux.as_bytes(), key.as_bytes(), side.as_str().as_bytes(), from.as_bytes()];
        Self::new(&[COMMON, READ], &words, ENTER)
    }

    /// Gives what an attempt writes, from these bytes of its streams on, until it has ended; nothing of one without a byte.
    ///
    /// # Errors
    /// Never: names and keys are plain.
    pub fn follow(name: &SessionName, key: &str, from: [Option<u64>; 3]) -> Result<Self, Unsayable> {
        let (tmux, from) =
            (name.tmux(), from.map(|from| from.map_or_else(|| "-".to_owned(), |from| from.to_string())));
        let words =
            [tmux.as_bytes(), key.as_bytes(), from[0].as_bytes(), from[1].as_bytes(), from[2].as_bytes()];
        Self::new(&[COMMON, FOLLOW], &words, ENTER_HELD)
    }

    /// Looks whether all is there that sessions need.
    ///
    /// # Errors
    /// The base directory's name has a NUL byte.
    pub fn doctor(base: &str) -> Result<Self, Unsayable> {
        Self::new(&[COMMON, DOCTOR], &[base.as_bytes()], ENTER)
    }

    /// Does something about a task's worktree.
    pub(super) fn space(space: &Space<'_>) -> Result<Self, Unsayable> {
        let words: Vec<&[u8]> = match *space {
            Space::Add { name, key, base, repo, commit } => {
                let words = [name, key, base, repo, commit].map(str::as_bytes);
                [b"add".as_slice()].into_iter().chain(words).collect()
            }
            Space::Look { name, key, admin, commit } => {
                vec![b"look", name.as_bytes(), key.as_bytes(), admin, commit.as_bytes()]
            }
            Space::Measure { name } => vec![b"measure", name.as_bytes()],
            Space::Erase { name, key, base, repo } => {
                vec![b"erase", name.as_bytes(), key.as_bytes(), base.as_bytes(), repo.as_bytes()]
            }
        };
        let words: Vec<&[u8]> = [HOLD_LOOKS.as_bytes()].into_iter().chain(words).collect();
        Self::new(&[COMMON, WORKTREE], &words, ENTER_HELD)
    }

    /// Looks for what is to be kept of an attempt, or gives it.
    pub(super) fn keep(words: &[&[u8]]) -> Result<Self, Unsayable> {
        Self::new(&[COMMON, KEEP], words, ENTER_HELD)
    }

    /// Tells how strained the machine is.
    ///
    /// # Errors
    /// Never: there is nothing in it that cannot be said.
    pub fn measure() -> Result<Self, Unsayable> {
        Self::new(&[COMMON, MEASURE], &[], ENTER)
    }
}

/// An identity as one plain word.
fn written(identity: &Identity) -> String {
    let (repo, work) = (hex(identity.repo().as_bytes()), hex(identity.work().as_bytes()));
    format!("{repo}.{work}.{}", identity.role())
}

/// The identity that was [`written`].
pub(super) fn read_identity(text: &str) -> Option<Identity> {
    let mut parts = text.split('.').map(super::words::unhex);
    let role = text.rsplit('.').next()?.parse().ok()?;
    let mut part = || String::from_utf8(parts.next()??).ok();
    Identity::new(&part()?, &part()?, role).ok()
}

//! What is told of a session and of what ran in it.

use policy::session::prune::Standing;
use policy::session::{Identity, SessionName};
use policy::strain::{Reading, Sign};
use policy::time::Timestamp;

use super::reply::Reply;
use super::script::read_identity;

/// How far an attempt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptState {
    /// Claimed, and its pane is being made.
    Starting,
    /// The command runs.
    Running,
    /// It has ended, and nothing of it is left.
    Ended,
    /// It can neither run nor say how it ended: its machine was restarted, or what waited for it was killed.
    Lost,
}

impl AttemptState {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ended => "ended",
            Self::Lost => "lost",
        }
    }
}

/// An attempt, as its machine tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// Its key.
    pub key: Box<str>,
    /// The how many-th of its session.
    pub number: u64,
    /// Its token.
    pub token: u64,
    /// How far it is.
    pub state: AttemptState,
    /// When its command began, on its machine's clock.
    pub begun: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How it ended: `exited`, `killed`, `timed-out`, `output-limit`, `hung-up`, `unstarted`, `lost`.
    pub outcome: Option<Box<str>>,
    /// Its exit status; 128 and the signal where one has ended it, 124 for a timeout, 125 where it never ran.
    pub code: Option<i32>,
    /// Bytes it has written to standard output and to standard error.
    pub written: [u64; 2],
    /// Bytes that it has reported of itself.
    pub reported: u64,
}

impl AttemptRow {
    /// Whether it has not ended yet.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        matches!(self.state, AttemptState::Starting | AttemptState::Running)
    }

    /// How far it is, or how it ended: `running`, `exited 3`.
    #[must_use]
    pub fn standing(&self) -> String {
        if self.state != AttemptState::Ended {
            return self.state.as_str().to_owned();
        }
        let code = self.code.map_or_else(String::new, |code| format!(" {code}"));
        format!("{}{code}", self.outcome.as_deref().unwrap_or("ended"))
    }
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// What it is called.
    pub name: SessionName,
    /// What it was asked for with.
    pub identity: Identity,
    /// When it was made, on its machine's clock.
    pub made: Timestamp,
    /// When it was last used, in seconds as tmux tells it; 0 where it is not in tmux.
    pub seen: u64,
    /// Whether it is in tmux, so that somebody can attach to it.
    pub live: bool,
    /// How many look at it.
    pub attached: u64,
    /// Its panes, and those of them in which nothing runs any more.
    pub panes: [u64; 2],
    /// The exit status in such a pane.
    pub dead_status: Option<i32>,
    /// What was started in it last.
    pub attempt: Option<AttemptRow>,
}

impl SessionRow {
    /// What pruning looks at.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let attempt = self.attempt.as_ref();
        let times = [
            Some(self.made),
            Some(seconds(self.seen)),
            attempt.and_then(|one| one.begun),
            attempt.and_then(|one| one.ended),
        ];
        Standing {
            role: self.identity.role(),
            last_used: times.into_iter().flatten().max().unwrap_or_default(),
            attached: self.attached,
            works: attempt.is_some_and(AttemptRow::goes_on),
        }
    }
}

/// The signs of strain in an answer; what is unknown here is left out.
pub(super) fn signs(reply: &Reply) -> Vec<Reading> {
    let sign = |name: &str| {
        Some(match name {
            "memory-free" => Sign::MemoryFree,
            "memory-stall" => Sign::MemoryStall,
            "io-stall" => Sign::IoStall,
            "load" => Sign::Load,
            "disk-free" => Sign::DiskFree,
            "memory" => Sign::Memory,
            _ => return None,
        })
    };
    let told = reply.lines().filter(|(key, _)| *key == "sign");
    let read = |words: &[Box<str>]| match words {
        [name, value] => Some(Reading { sign: sign(name)?, value: value.parse().ok()? }),
        _ => None,
    };
    told.filter_map(|(_, words)| read(words)).collect()
}

/// Reads the sessions of an answer; `None` where a line makes no sense.
pub(super) fn sessions(reply: &Reply) -> Option<Vec<SessionRow>> {
    let mut rows: Vec<SessionRow> = Vec::new();
    for (key, words) in reply.lines() {
        match key {
            "session" => rows.push(session(words)?),
            "attempt" => rows.last_mut()?.attempt = Some(attempt(words)?),
            _ => {}
        }
    }
    Some(rows)
}

fn session(words: &[Box<str>]) -> Option<SessionRow> {
    let [name, identity, first_made, made, attached, seen, panes, dead, status] = words else { return None };
    let number = |word: &str| word.parse::<u64>().ok();
    Some(SessionRow {
        name: SessionName::from_tmux(name)?,
        identity: read_identity(identity)?,
        made: seconds(number(made).or_else(|| number(first_made))?),
        seen: number(seen).unwrap_or(0),
        live: number(made).is_some(),
        attached: number(attached).unwrap_or(0),
        panes: [number(panes)?, number(dead)?],
        dead_status: status.parse().ok(),
        attempt: None,
    })
}

/// Reads the words behind `attempt`.
pub(super) fn attempt(words: &[Box<str>]) -> Option<AttemptRow> {
    let [key, number, token, state, begun, ended, outcome, code, out, err, report] = words else {
        return None;
    };
    let states = [AttemptState::Starting, AttemptState::Running, AttemptState::Ended, AttemptState::Lost];
    let time = |word: &str| word.parse().ok().filter(|at| *at > 0).map(seconds);
    Some(AttemptRow {
        key: key.clone(),
        number: number.parse().ok()?,
        token: token.parse().ok()?,
        state: states.into_iter().find(|known| known.as_str() == &**state)?,
        begun: time(begun),
        ended: time(ended),
        outcome: (&**outcome != "-").then(|| outcome.clone()),
        code: code.parse().ok(),
        written: [out.parse().ok()?, err.parse().ok()?],
        reported: report.parse().ok()?,
    })
}

pub(super) fn seconds(seconds: u64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_with_what_ran_last() {
        let text = "now 100\nsession aivcs__aDb__w__agent 612e62.77.agent 50 60 1 70 2 1 3\n\
            attempt ab12 2 7 ended 61 65 exited 3 10 0 7\nsession aivcs__c__w__runner 63.77.runner 50 - - - 0 0 -\nend\n";
        let rows = sessions(&Reply::read(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].name.as_str(), rows[0].identity.repo()), ("aivcs__a.b__w__agent", "a.b"));
        assert!(rows[0].live && !rows[1].live);
        assert_eq!(rows[0].standing().last_used, seconds(70));
        assert_eq!(rows[1].made, seconds(50));
        let ran = rows[0].attempt.as_ref().unwrap();
        assert_eq!((ran.code, ran.number, ran.written, ran.reported), (Some(3), 2, [10, 0], 7));
        assert!(rows[1].attempt.is_none());
    }

    #[test]
    fn nonsense_is_no_list() {
        for bad in [
            "session x\nend\n",
            "attempt a 1 1 ended - - - - 0 0 0\nend\n",
            "session a b 1 1 1 1 1 1 1\nend\n",
        ] {
            assert!(sessions(&Reply::read(bad.as_bytes()).unwrap()).is_none(), "{bad:?}");
        }
    }
}

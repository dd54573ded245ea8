//! What the other machine refuses, as people read it.

use std::fmt;

use policy::session::Identity;
use policy::session::target::Target;

use super::script::read_identity;
use super::words::unhex;

/// A refusal, and the machine that it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which machine.
    pub host: Box<str>,
    /// What is refused.
    pub why: Why,
}

/// What is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The directory of the repository is not there.
    NoDirectory(Box<str>),
    /// It is a link to somewhere else.
    Outside(Box<str>),
    /// Another session has this name.
    Collision(Option<Identity>),
    /// Another attempt runs in it.
    Busy(Box<str>),
    /// A later attempt has been started.
    Superseded(Box<str>),
    /// An attempt with a larger token has been started.
    Fenced(Box<str>),
    /// There is no such session.
    NoSession,
    /// Nothing runs in it.
    Idle,
    /// What runs in it was not started to be spoken to.
    Deaf,
    /// What runs in it does not read what it is told.
    Full,
    /// It has been used since it was looked at.
    Used,
    /// Something in it cannot be killed.
    Unkillable,
    /// tmux is not there.
    NoTmux,
    /// tmux does not want to.
    Tmux(Box<str>),
    /// Our directory there cannot be used.
    NoState(Box<str>),
    /// The user has no home directory there.
    NoHome,
    /// git is not there.
    NoGit,
    /// The directory is no repository of git.
    NoRepository(Box<str>),
    /// The repository has no commit that is called so.
    NoCommit(Box<str>),
    /// git does not want to.
    Git(Box<str>),
    /// Others administer the repository for too long.
    Held,
    /// It was just being removed.
    Again,
    /// A refusal that this program does not know.
    Unknown(Box<str>),
}

impl Why {
    /// Of the words behind `refused`.
    #[must_use]
    pub fn read(words: &[Box<str>]) -> Self {
        let kind = words.first().map_or("", |kind| &**kind);
        let word = words.get(1).map_or("", |word| &**word);
        let text = || {
            let bytes = unhex(word).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            text.escape_debug().to_string().replace("\\'", "'").into_boxed_str()
        };
        match kind {
            "no-directory" => Self::NoDirectory(text()),
            "outside" => Self::Outside(text()),
            "collision" => Self::Collision(read_identity(word)),
            "busy" => Self::Busy(word.into()),
            "superseded" => Self::Superseded(word.into()),
            "fenced" => Self::Fenced(word.into()),
            "no-session" => Self::NoSession,
            "idle" => Self::Idle,
            "deaf" => Self::Deaf,
            "full" => Self::Full,
            "used" => Self::Used,
            "unkillable" => Self::Unkillable,
            "no-tmux" => Self::NoTmux,
            "tmux" => Self::Tmux(text()),
            "no-state" => Self::NoState(text()),
            "no-home" => Self::NoHome,
            "no-git" => Self::NoGit,
            "no-repository" => Self::NoRepository(text()),
            "no-commit" => Self::NoCommit(text()),
            "git" => Self::Git(text()),
            "held" => Self::Held,
            "again" => Self::Again,
            other => Self::Unknown(other.into()),
        }
    }

    /// Whether something is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NoDirectory(_) | Self::Outside(_) | Self::NoSession)
    }

    /// Whether somebody else was first.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Collision(_)
                | Self::Busy(_)
                | Self::Superseded(_)
                | Self::Fenced(_)
                | Self::Used
                | Self::Idle
                | Self::Deaf
                | Self::Full
        )
    }
}

impl Refusal {
    pub(super) fn new(target: &Target, words: &[Box<str>]) -> Self {
        Self { host: target.to_string().into(), why: Why::read(words) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match &self.why {
            Why::NoDirectory(at) => write!(f, "repository directory not found on {host} (checked: {at})"),
            Why::Outside(at) => {
                write!(f, "repository directory on {host} is a link to outside its base (checked: {at})")
            }
            Why::Collision(Some(other)) => write!(
                f,
                "the session's name belongs to repo {:?}, work {:?} on {host}: use other names, or kill it with --purge",
                other.repo(),
                other.work()
            ),
            Why::Collision(None) => write!(f, "the session's name belongs to another one on {host}"),
            Why::Busy(key) => {
                write!(f, "the session on {host} is at work (attempt {key}): wait for it, or kill it")
            }
            Why::Superseded(key) => {
                write!(f, "a later attempt ({key}) has been started in the session on {host}")
            }
            Why::Fenced(token) => {
                write!(f, "the session on {host} has had an attempt of the larger token {token}")
            }
            Why::NoSession => write!(f, "no such session on {host}"),
            Why::Idle => write!(f, "nothing runs in the session on {host}"),
            Why::Deaf => {
                write!(f, "what runs in the session on {host} does not listen: start it with --steerable")
            }
            Why::Full => write!(f, "what runs in the session on {host} does not read what it is told"),
            Why::Used => write!(f, "the session on {host} has been used meanwhile"),
            Why::Unkillable => write!(f, "a process of the session on {host} cannot be killed"),
            Why::NoTmux => write!(
                f,
                "tmux not found on {host} (checked: /opt/homebrew/bin, /usr/local/bin and PATH): install it"
            ),
            Why::Tmux(said) => write!(f, "tmux on {host} says: {said}"),
            Why::NoState(at) => write!(f, "cannot use the directory {at} on {host}"),
            Why::NoHome => write!(f, "the user has no home directory on {host}"),
            Why::NoGit => write!(f, "git is not installed on {host}"),
            Why::NoRepository(at) => write!(f, "{at} on {host} is no repository of git"),
            Why::NoCommit(at) => write!(f, "there is no such commit in {at} on {host}"),
            Why::Git(said) => write!(f, "git on {host} says: {said}"),
            Why::Held => write!(f, "others administer the repository on {host} for too long"),
            Why::Again => write!(f, "the session on {host} was just being removed: try again"),
            Why::Unknown(kind) => write!(f, "{host} refuses it: {kind:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_and_say_where_they_looked() {
        let said = |words: &[&str]| {
            let words: Vec<Box<str>> = words.iter().map(|word| (*word).into()).collect();
            Refusal { host: "mac-1".into(), why: Why::read(&words) }.to_string()
        };
        let missing = said(&["no-directory", "2f746d702f61"]);
        assert_eq!(missing, "repository directory not found on mac-1 (checked: /tmp/a)");
        assert!(said(&["collision", "6120.77.agent"]).contains("repo \"a \", work \"w\""));
        assert!(said(&["collision", "zz"]).contains("another one"));
        assert!(said(&["tmux", "1b5b324a"]).contains("\\u{1b}[2J"));
        assert!(said(&[]).contains("refuses it"));
    }
}

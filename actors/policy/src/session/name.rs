//! Names of sessions: what may be asked for, what it is called, and what tmux calls it.
//!
//! A name is `aivcs__REPO__WORK__ROLE`, all of it in `[a-z0-9._-]`, so that no shell, no tmux and no file
//! system sees anything but letters in it. tmux itself forbids dots and colons: there a dot is written `D`,
//! which no name has, so the way back is the same rule read backwards.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Role;

/// What every name begins with, and with it every session that is ours.
const PREFIX: &str = "aivcs";
/// Between the parts of a name.
const SEPARATOR: &str = "__";
/// Characters of a repository or of a work: they are directories and names that people read.
pub const PART_CHARS_LIMIT: usize = 100;
/// Characters of a whole name, which is also a file's name: 255 is the usual bound of those.
pub const NAME_CHARS_LIMIT: usize = 249;
/// What a dot is called in tmux.
const TMUX_DOT: char = 'D';

/// Which part of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The repository: also the name of its directory.
    Repo,
    /// What is worked on.
    Work,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Repo => "repo",
            Self::Work => "work",
        })
    }
}

/// Why there is no such session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameRefused {
    /// It has what no part may have.
    #[error("invalid {part} name {name:?} (forbids {forbidden})")]
    Forbids {
        /// Which part.
        part: Part,
        /// What was given.
        name: Box<str>,
        /// What it has.
        forbidden: &'static str,
    },
    /// It is empty or too long.
    #[error("invalid {part} name {name:?} (must have 1 to {PART_CHARS_LIMIT} characters, has {chars})")]
    Length {
        /// Which part.
        part: Part,
        /// What was given, or its beginning.
        name: Box<str>,
        /// How many it has.
        chars: usize,
    },
    /// It is no name of ours.
    #[error("invalid session name {0:?} (must be aivcs__REPO__WORK__ROLE in a-z, 0-9, '.', '_', '-')")]
    NoSession(Box<str>),
}

/// What a session was asked for with, letter for letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    repo: Box<str>,
    work: Box<str>,
    role: Role,
}

impl Identity {
    /// Of these, if they may be asked for.
    ///
    /// # Errors
    /// A part is empty, too long, or could lead out of the directory of repositories.
    pub fn new(repo: &str, work: &str, role: Role) -> Result<Self, NameRefused> {
        check_part(Part::Repo, repo)?;
        check_part(Part::Work, work)?;
        Ok(Self { repo: repo.into(), work: work.into(), role })
    }

    /// The repository, as it was given: it names the directory.
    #[must_use]
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// The work, as it was given.
    #[must_use]
    pub fn work(&self) -> &str {
        &self.work
    }

    /// Whom it is for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// What its session is called. Others may be called the same.
    #[must_use]
    pub fn name(&self) -> SessionName {
        let parts = [PREFIX, &sanitised(&self.repo), &sanitised(&self.work), self.role.as_str()];
        let name = SessionName(parts.join(SEPARATOR).into());
        name.check();
        name
    }
}

fn check_part(part: Part, name: &str) -> Result<(), NameRefused> {
    let chars = name.chars().count();
    if !(1..=PART_CHARS_LIMIT).contains(&chars) {
        let shown: String = name.chars().take(PART_CHARS_LIMIT).collect();
        return Err(NameRefused::Length { part, name: shown.into(), chars });
    }
    let has = |forbidden: &&&str| name.contains(**forbidden);
    let forbidden = ["/", "..", "\0"].iter().find(has).map(|forbidden| match *forbidden {
        "\0" => "NUL",
        other => other,
    });
    // A directory's own name for itself.
    let forbidden = forbidden.or_else(|| (name == ".").then_some("."));
    forbidden.map_or(Ok(()), |forbidden| Err(NameRefused::Forbids { part, name: name.into(), forbidden }))
}

/// Only ASCII is lowered: a look-alike must not become the letter that it looks like.
fn sanitised(part: &str) -> String {
    part.chars().map(|c| c.to_ascii_lowercase()).map(|c| if is_plain(c) { c } else { '_' }).collect()
}

fn is_plain(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-')
}

/// What a session is called.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionName(Box<str>);

impl SessionName {
    /// Reads a name as people type it.
    ///
    /// # Errors
    /// No identity has this name.
    pub fn parse(text: &str) -> Result<Self, NameRefused> {
        let refused =
            || NameRefused::NoSession(text.chars().take(NAME_CHARS_LIMIT).collect::<String>().into());
        let is_ours = text.chars().all(is_plain) && text.len() <= NAME_CHARS_LIMIT && !text.contains("..");
        let inner = text.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix(SEPARATOR));
        let role = Role::ALL.into_iter().find(|role| text.ends_with(&format!("{SEPARATOR}{role}")));
        let (Some(inner), Some(role), true) = (inner, role, is_ours) else { return Err(refused()) };
        // At least one character of either part, with a separator between them.
        let parts = inner.strip_suffix(role.as_str()).and_then(|rest| rest.strip_suffix(SEPARATOR));
        let has_both =
            parts.is_some_and(|parts| parts.len() >= 4 && parts[1..parts.len() - 1].contains(SEPARATOR));
        has_both.then(|| Self(text.into())).ok_or_else(refused)
    }

    /// Reads a name as tmux lists it; `None` for whatever is not ours.
    #[must_use]
    pub fn from_tmux(text: &str) -> Option<Self> {
        let public: String = text.chars().map(|c| if c == TMUX_DOT { '.' } else { c }).collect();
        // One dot has one spelling there.
        Self::parse(&public).ok().filter(|name| name.tmux() == text)
    }

    /// As people know it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As tmux knows it.
    #[must_use]
    pub fn tmux(&self) -> String {
        self.0.chars().map(|c| if c == '.' { TMUX_DOT } else { c }).collect()
    }

    /// Whom it is for.
    #[must_use]
    pub fn role(&self) -> Role {
        let named = Role::ALL.into_iter().find(|role| self.0.ends_with(&format!("{SEPARATOR}{role}")));
        // No name is made without one.
        named.unwrap_or(Role::Human)
    }

    /// Panics where it is not what a name must be.
    ///
    /// # Panics
    /// It has a character that is not plain, or too many, or cannot be read back.
    pub fn check(&self) {
        assert!(self.0.chars().all(is_plain), "{self} is not plain");
        assert!(self.0.len() <= NAME_CHARS_LIMIT, "{self} is too long");
        assert_eq!(Self::parse(&self.0).as_ref(), Ok(self), "it is not read back");
        assert_eq!(Self::from_tmux(&self.tmux()).as_ref(), Some(self), "it is not found again in tmux");
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests;

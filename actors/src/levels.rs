//! How much is written to the program's log, by target: read, changed and shown as text.
//!
//! Which subscriber writes it only the program knows: it says once what follows from a change. Knows no file and
//! no format. The log of events is another thing: [`crate::log`].

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing::level_filters::LevelFilter;

use crate::taskfile::suggest::closest;

/// What is written where nobody has said anything; ractor's own lines cost a third of its messages.
pub const USUAL: &str = "info,ractor=warn,sled=warn";

/// Targets that may have a level of their own: each is compared with the target of a line when that is first met.
pub const TARGETS_LIMIT: usize = 64;

/// The levels, by their names.
pub const NAMES: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// A level for everything, and levels for what begins with a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels {
    all: LevelFilter,
    targets: BTreeMap<Box<str>, LevelFilter>,
}

/// Why a text names no levels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLevels {
    /// Not one of [`NAMES`].
    #[error("{word:?} is no level: it must be off, error, warn, info, debug or trace{near}")]
    NoLevel {
        /// What was said.
        word: Box<str>,
        /// What may have been meant, as the end of the sentence.
        near: Box<str>,
    },
    /// Not the path of a module.
    #[error("{0:?} is no target: it must be the path of a module, such as actors::scheduler")]
    NoTarget(Box<str>),
    /// More than [`TARGETS_LIMIT`].
    #[error("more than {TARGETS_LIMIT} targets have a level of their own: give some the level of all others")]
    TooMany,
}

impl Levels {
    /// The level of everything that has none of its own.
    #[must_use]
    pub fn all(&self) -> LevelFilter {
        self.all
    }

    /// The targets that have one, with it.
    pub fn targets(&self) -> impl Iterator<Item = (&str, LevelFilter)> {
        self.targets.iter().map(|(target, level)| (&**target, *level))
    }

    /// With what `text` says: `debug`, or `actors::scheduler=trace`, or several with commas between. A target whose
    /// level is that of the one before it has none of its own any more.
    ///
    /// # Errors
    /// It names no level or no target.
    pub fn with(&self, text: &str) -> Result<Self, BadLevels> {
        let mut levels = self.clone();
        for part in text.split(',').map(str::trim) {
            match part.split_once('=') {
                Some((target, level)) => levels.set(target.trim(), level_of(level.trim())?)?,
                None => levels.all = level_of(part)?,
            }
        }
        Ok(levels)
    }

    fn set(&mut self, target: &str, level: LevelFilter) -> Result<(), BadLevels> {
        let is_part = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !target.split("::").all(is_part) {
            return Err(BadLevels::NoTarget(target.into()));
        }
        self.targets.remove(target);
        if self.of(target) != level {
            self.targets.insert(target.into(), level);
        }
        if self.targets.len() > TARGETS_LIMIT { Err(BadLevels::TooMany) } else { Ok(()) }
    }

    /// That of the longest target with which this one begins.
    fn of(&self, target: &str) -> LevelFilter {
        let longest = self.targets.iter().filter(|(begin, _)| target.starts_with(&***begin));
        longest.max_by_key(|(begin, _)| begin.len()).map_or(self.all, |(_, level)| *level)
    }
}

impl Default for Levels {
    fn default() -> Self {
        let silent = Self { all: LevelFilter::INFO, targets: BTreeMap::new() };
        silent.with(USUAL).unwrap_or(silent)
    }
}

impl FromStr for Levels {
    type Err = BadLevels;

    fn from_str(text: &str) -> Result<Self, BadLevels> {
        Self { all: LevelFilter::ERROR, targets: BTreeMap::new() }.with(text)
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.all)?;
        self.targets.iter().try_for_each(|(target, level)| write!(f, ",{target}={level}"))
    }
}

fn level_of(word: &str) -> Result<LevelFilter, BadLevels> {
    let named = NAMES.contains(&&*word.to_lowercase()).then(|| word.parse().ok()).flatten();
    named.ok_or_else(|| {
        let near = closest(word, NAMES.iter().copied());
        let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        BadLevels::NoLevel { word: word.into(), near: near.into() }
    })
}

/// What a change of the levels leads to in this program.
type Apply = Box<dyn Fn(&Levels) + Send + Sync>;

struct Control {
    held: Mutex<Levels>,
    apply: Apply,
}

/// The log is the process's, and so are its levels.
static CONTROL: OnceLock<Control> = OnceLock::new();

/// Says which levels hold and what a change leads to, once for the process.
pub fn governed_by(held: Levels, apply: impl Fn(&Levels) + Send + Sync + 'static) {
    let _ = CONTROL.set(Control { held: Mutex::new(held), apply: Box::new(apply) });
}

/// The levels that hold; `None` where the program writes no log.
#[must_use]
pub fn held() -> Option<Levels> {
    CONTROL.get().map(|control| control.held.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// Changes the levels as `text` says, at once and until the program ends; tells which hold then.
///
/// # Errors
/// The text names no levels, or the program writes no log.
pub fn change(text: &str) -> Result<Levels, String> {
    let Some(control) = CONTROL.get() else { return Err("this program writes no log".to_owned()) };
    let mut held = control.held.lock().unwrap_or_else(PoisonError::into_inner);
    let levels = held.with(text).map_err(|error| error.to_string())?;
    (control.apply)(&levels);
    *held = levels.clone();
    Ok(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(held: &str, text: &str) -> Result<String, String> {
        let held: Levels = held.parse().expect("sound");
        held.with(text).map(|levels| levels.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_level_is_for_all_or_for_a_target_and_changes_nothing_else() {
        assert_eq!(Levels::default().to_string(), USUAL);
        assert_eq!(with("info,a=warn", "debug").as_deref(), Ok("debug,a=warn"));
        assert_eq!(with("info,a=warn", "a::b=TRACE").as_deref(), Ok("info,a=warn,a::b=trace"));
        assert_eq!(with("info,a=warn", "a=info").as_deref(), Ok("info"), "as all others again");
        assert_eq!(with("info,a=warn,a::b=trace", "a::b=warn").as_deref(), Ok("info,a=warn"));
        assert_eq!(with("info", "warn, a=off ,b=error").as_deref(), Ok("warn,a=off,b=error"));
    }

    #[test]
    fn what_is_no_level_or_no_target_is_refused_in_words() {
        assert_eq!(
            with("info", "debgu").expect_err("no level"),
            "\"debgu\" is no level: it must be off, error, warn, info, debug or trace; did you mean debug?"
        );
        assert!(with("info", "3").is_err_and(|why| why.contains("is no level")));
        assert!(with("info", "").is_err_and(|why| why.contains("is no level")));
        assert!(with("info", "a b=info").is_err_and(|why| why.contains("is no target")));
        let many: Vec<String> = (0..=TARGETS_LIMIT).map(|n| format!("t{n:03}=off")).collect();
        assert!(with("info", &many.join(",")).is_err_and(|why| why.contains("more than 64")));
    }
}

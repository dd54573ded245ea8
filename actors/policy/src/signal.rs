//! What may be signalled to a task that runs: what programs take as a word to them.
//!
//! None that ends or stops a program for good: ending is cancelling, which is on record and holds, and what stands still
//! would hold its room. A program that has no handler for one of these is ended by it all the same, as by a failure.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// A signal, called as `kill -l` does.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "UPPERCASE", ascii_case_insensitive)]
pub enum TaskSignal {
    /// Read your configuration anew.
    Hup,
    /// As Ctrl-C.
    Int,
    /// As Ctrl-\: say where you stand, and end.
    Quit,
    /// The program's own.
    Usr1,
    /// The program's own.
    Usr2,
    /// The terminal has changed.
    Winch,
}

/// Not one that may be signalled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {}; to end it: crab cancel", .0)]
pub struct BadSignal(Box<str>);

impl TaskSignal {
    /// The signal of this name, with or without `SIG` before it.
    ///
    /// # Errors
    /// Where it is none of these.
    pub fn read(name: &str) -> Result<Self, BadSignal> {
        let bare =
            name.get(..3).filter(|begin| begin.eq_ignore_ascii_case("sig")).map_or(name, |_| &name[3..]);
        bare.parse().map_err(|_| {
            let all: Vec<&str> = Self::VARIANTS.iter().map(Into::into).collect();
            BadSignal(all.join(", ").into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_called_as_usual_and_none_ends_a_task() {
        for name in ["USR1", "usr1", "SIGUSR1", "sigusr1"] {
            assert_eq!(TaskSignal::read(name), Ok(TaskSignal::Usr1));
        }
        for name in ["KILL", "TERM", "STOP", "9", "", "SIG", "é1"] {
            let refused = TaskSignal::read(name).unwrap_err().to_string();
            assert_eq!(refused, "must be one of HUP, INT, QUIT, USR1, USR2, WINCH; to end it: crab cancel");
        }
        assert_eq!(TaskSignal::Winch.to_string(), "WINCH");
    }
}

//! Sessions on this machine or on one behind SSH: made, used, listed and ended by scripts that are carried there.
//!
//! A caller's words never meet a shell that reads them: [`words`] quotes them, [`script`] puts them behind a
//! program of ours, and [`way`] names a command line that has none of them. The scripts are in `remote/`, plain
//! POSIX sh for machines that have nothing else: what they know is in files, and tmux only shows it.
//! [`Sessions`] asks and understands the answers. Calls block: one thread, one question.

mod again;
pub mod carry;
pub mod follow;
pub mod gather;
pub mod keep;
pub mod lookout;
pub mod node;
pub mod owner;
pub mod refusal;
pub mod reply;
pub mod rules;
pub mod script;
pub mod way;
pub mod words;
pub mod worktree;

mod ask;
mod exchange;
mod frames;
mod row;

use std::io;
use std::time::Duration;

pub use ask::{Attempt, Doctor, Ended, PRUNE_GRACE, SETUP_TIMEOUT, STEER_LIMIT_BYTES, Sessions};
pub use refusal::Refusal;
pub use row::{AttemptRow, AttemptState, SessionRow};

/// Where repositories are on a machine where nobody says.
pub const BASE_USUAL: &str = "~/engineering/code/clone-base";

/// Why a question had no good answer.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The other machine refuses it.
    #[error("{0}")]
    Refused(Refusal),
    /// The machine cannot be reached, or not as this user.
    #[error("cannot reach {host}: {why}")]
    Unreachable {
        /// Which machine.
        host: Box<str>,
        /// What SSH said.
        why: Box<str>,
    },
    /// It has not answered in time.
    #[error("{host} has not answered within {} s", .within.as_secs())]
    Silent {
        /// Which machine.
        host: Box<str>,
        /// The deadline.
        within: Duration,
    },
    /// Whoever asked has given it up.
    #[error("nobody wants to know any more")]
    GivenUp,
    /// The answer makes no sense: something else answers there.
    #[error("{host} answers something else: {said:?}")]
    Garbled {
        /// Which machine.
        host: Box<str>,
        /// The beginning of it.
        said: Box<str>,
    },
    /// It cannot be asked: a word has a NUL byte, or is too long.
    #[error("{0}")]
    Unsayable(#[from] words::Unsayable),
    /// This machine cannot start `ssh` or `sh`, or write what came.
    #[error("{what}: {source}")]
    Here {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Keys of attempts and marks of sessions: nobody guesses them.
///
/// # Errors
/// The operating system has no randomness to give.
pub fn fresh_key() -> Result<Box<str>, SessionError> {
    let bytes = crate::link::secret::random::<16>();
    let bytes = bytes.map_err(|source| SessionError::Here { what: "reading randomness", source })?;
    Ok(words::hex(&bytes).into())
}

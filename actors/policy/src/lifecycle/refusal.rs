//! Why an input changes nothing.

use crate::id::Token;
use crate::task::TaskOutcome;

/// Why an input changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The report's token is not that of the present attempt.
    #[error("token {reported} is not the current one")]
    Stale {
        /// The token that was named.
        reported: Token,
    },
    /// It is held already.
    #[error("an attempt is granted already, under token {0}")]
    Held(Token),
    /// It has ended.
    #[error("it has ended: {0}")]
    Ended(TaskOutcome),
    /// It has not ended.
    #[error("it has not ended")]
    NotEnded,
    /// It has succeeded: there is nothing to try again.
    #[error("it has succeeded")]
    Succeeded,
    /// Known already.
    #[error("nothing new")]
    Repeated,
    /// No attempt is granted.
    #[error("no attempt is granted")]
    NotHeld,
}

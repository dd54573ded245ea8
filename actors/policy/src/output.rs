//! What attempts write, as it is read: cut into [`lines`], and shortened to a [`digest`] for who reads little.
//!
//! Must not know how output is kept or travels.

pub mod digest;
pub mod lines;
pub mod trouble;

use serde::{Deserialize, Serialize};

/// A stream of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// As it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

//! The name of one artifact, unlike that of every other: the grant of its attempt, and its number there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, Token};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ArtifactId {
    /// The grant of the attempt that left it.
    pub token: Token,
    /// Its place among those of the attempt, from 1.
    pub number: u32,
}

/// This is no artifact's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an artifact's id is like 1.42-3")]
pub struct UnknownId;

/// Shown as `epoch.counter-number`.
impl fmt::Display for ArtifactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.token, self.number)
    }
}

impl FromStr for ArtifactId {
    type Err = UnknownId;

    /// Reads what is shown.
    fn from_str(text: &str) -> Result<Self, UnknownId> {
        let parts = text.split_once('-').and_then(|(token, number)| {
            let (epoch, record) = token.split_once('.')?;
            Some((epoch.parse().ok()?, record.parse().ok()?, number.parse().ok()?))
        });
        let (epoch, record, number) = parts.ok_or(UnknownId)?;
        let id = Self { token: Token::numbered(Epoch(0), record), number };
        // What does not fit below the epoch is nobody's number.
        if id.token.record() != record {
            return Err(UnknownId);
        }
        Ok(Self { token: Token::numbered(Epoch(epoch), record), number })
    }
}

//! bincode in one place, with limits.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes are not the value they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Not a value of this type.
    #[error("malformed: {0}")]
    Malformed(String),
    /// A value, and then more.
    #[error("malformed: {0} bytes after the end")]
    Trailing(usize),
    /// Larger than allowed.
    #[error("{size} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes there are.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

//! bincode in one place, with limits.

use bincode::config;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire::MESSAGE_LIMIT_BYTES;

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

/// The bytes of a value.
#[must_use]
#[expect(clippy::expect_used, reason = "our types know their lengths, and memory does not refuse bytes")]
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, config::standard()).expect("every type of ours can be encoded")
}

/// The value of exactly these bytes, which may be at most `limit`.
///
/// # Errors
/// Too many bytes, not a value of this type, or a value and then more.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, CodecError> {
    if bytes.len() > limit {
        return Err(CodecError::TooLarge { size: bytes.len(), limit });
    }
    let config = config::standard().with_limit::<MESSAGE_LIMIT_BYTES>();
    let (value, used) = bincode::serde::decode_from_slice(bytes, config)
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    match bytes.len() - used {
        0 => Ok(value),
        more => Err(CodecError::Trailing(more)),
    }
}

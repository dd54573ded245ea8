//! The only module that knows how values become bytes: bincode 2, its standard configuration.
//!
//! Decoding is for bytes of strangers as well: the length is checked before anything is read, what is
//! allocated is bounded, and what is left over is an error. Must not know any concrete type. Whatever is
//! persisted has a format version in front, see [`encode_version`].
//!
//! bincode is unmaintained but finished; everything else asks this module, so that it can be replaced.

use bincode::config::{self, Config};
use policy::layout::Layout;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes are not a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// More bytes than a value of this kind may have.
    #[error("{size} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes there are.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// They are no value of this type.
    #[error("malformed: {0}")]
    Malformed(String),
    /// A value, and then more.
    #[error("malformed: {0} bytes after the end")]
    Trailing(usize),
    /// A later program wrote this.
    #[error("format version {found} where at most {known} is known")]
    Newer {
        /// The version in front.
        found: u8,
        /// The latest that this program reads.
        known: u8,
    },
}

/// Up to this many bytes a value is small: nearly every message and record.
const SMALL: usize = 64 * 1024;
/// Up to this many bytes a value fits into one frame between machines.
const MEDIUM: usize = 1024 * 1024;
/// What bincode may claim for one byte of input: a number of one byte counts as its full width of 16.
const CLAIM: usize = 16;
/// The longest value there is, in bytes: the longest record of the log.
const LONGEST: usize = 1024 * 1024 * 1024;

/// The bytes of `value`.
///
/// # Panics
/// When `value` cannot be written down at all, which is an error in its type: a map or a sequence of
/// unknown length.
#[must_use]
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_into(value, &mut bytes);
    bytes
}

/// The bytes of `value` in this layout.
///
/// # Panics
/// As [`encode`].
#[must_use]
pub fn encode_as<T: Serialize + ?Sized>(layout: Layout, value: &T) -> Vec<u8> {
    layout.apply(|| encode(value))
}

/// Appends the bytes of `value`.
///
/// # Panics
/// As [`encode`].
pub fn encode_into<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) {
    encode_to(value, bytes);
}

/// Writes the bytes of `value` to what takes every byte, as memory and digests do.
///
/// # Panics
/// As [`encode`], and where a byte is not taken.
#[expect(clippy::expect_used, reason = "every byte is taken; only a type that cannot be written fails")]
pub fn encode_to<T: Serialize + ?Sized>(value: &T, taker: &mut impl std::io::Write) {
    bincode::serde::encode_into_std_write(value, taker, config::standard())
        .expect("values of ours can be written down");
}

/// The value that all of `bytes` are, in this layout.
///
/// # Errors
/// As [`decode`].
pub fn decode_as<T: DeserializeOwned>(layout: Layout, bytes: &[u8], limit: usize) -> Result<T, CodecError> {
    layout.apply(|| decode(bytes, limit))
}

/// Takes the layout off the front of what is kept; what follows is its to decode.
///
/// # Errors
/// Nothing there, or no layout that this program reads.
pub fn split_layout(bytes: &[u8]) -> Result<(Layout, &[u8]), CodecError> {
    let (number, rest) = split_version(bytes, Layout::CURRENT.number())?;
    let layout = Layout::known(number).ok_or_else(|| CodecError::Malformed(format!("layout {number}")))?;
    Ok((layout, rest))
}

/// Appends a format version, for what is persisted.
pub fn encode_version(version: u8, bytes: &mut Vec<u8>) {
    bytes.push(version);
}

/// Takes the format version off the front; what follows is its to decode.
///
/// # Errors
/// Nothing there, or a version later than `known`.
pub fn split_version(bytes: &[u8], known: u8) -> Result<(u8, &[u8]), CodecError> {
    match bytes.split_first() {
        None => Err(CodecError::Malformed("no format version".to_owned())),
        Some((&found, _)) if found > known => Err(CodecError::Newer { found, known }),
        Some((&found, rest)) => Ok((found, rest)),
    }
}

/// The value that all of `bytes`, at most `limit` of them, are.
///
/// # Errors
/// Too many bytes, no such value, or bytes left over.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, CodecError> {
    let (value, read) = decode_front(bytes, limit)?;
    match bytes.len() - read {
        0 => Ok(value),
        rest => Err(CodecError::Trailing(rest)),
    }
}

/// The value at the front of `bytes`, at most `limit` of them, and how many it took.
///
/// # Errors
/// Too many bytes, or no such value.
pub fn decode_front<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<(T, usize), CodecError> {
    let length = bytes.len();
    if length > limit {
        return Err(CodecError::TooLarge { size: length, limit });
    }
    if length <= SMALL {
        decode_within(bytes, config::standard().with_limit::<{ SMALL * CLAIM }>())
    } else if length <= MEDIUM {
        decode_within(bytes, config::standard().with_limit::<{ MEDIUM * CLAIM }>())
    } else {
        decode_within(bytes, config::standard().with_limit::<{ LONGEST * CLAIM }>())
    }
}

fn decode_within<T: DeserializeOwned, C: Config>(bytes: &[u8], config: C) -> Result<(T, usize), CodecError> {
    bincode::serde::decode_from_slice(bytes, config).map_err(|error| CodecError::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back() {
        let value = (7_u64, "seven".to_owned(), vec![Some(1_i32), None]);
        let bytes = encode(&value);
        assert_eq!(decode(&bytes, bytes.len()), Ok(value));
    }

    #[test]
    fn what_is_too_long_is_not_even_read() {
        assert_eq!(decode::<u64>(&[0; 9], 8), Err(CodecError::TooLarge { size: 9, limit: 8 }));
    }

    #[test]
    fn bytes_after_the_end_are_an_error() {
        assert_eq!(decode::<u8>(&[1, 2, 3], 8), Err(CodecError::Trailing(2)));
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        let mut bytes = encode(&(1_u64 << 40));
        bytes.extend_from_slice(b"short");
        assert!(matches!(decode::<String>(&bytes, 1024), Err(CodecError::Malformed(_))));
        assert!(matches!(decode::<Vec<u64>>(&bytes, 1024), Err(CodecError::Malformed(_))));
    }

    #[test]
    fn every_number_of_a_long_list_fits_the_claim() {
        let value = vec![1_u128; 60_000];
        let bytes = encode(&value);
        assert_eq!(decode(&bytes, SMALL), Ok(value));
    }

    #[test]
    fn a_newer_version_is_refused() {
        assert_eq!(split_version(&[2, 9], 1), Err(CodecError::Newer { found: 2, known: 1 }));
        assert_eq!(split_version(&[1, 9], 1), Ok((1, &[9_u8][..])));
        assert!(split_version(&[], 1).is_err());
    }
}

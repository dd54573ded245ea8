//! Text as operating systems have it: bytes that are nearly always UTF-8 and sometimes not.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An argument, a path or the value of an environment variable, byte for byte.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct OsText(Box<[u8]>);

impl OsText {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<&str> for OsText {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<String> for OsText {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl From<Vec<u8>> for OsText {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

/// Whether this is a name that others sort by: 1 to 63 of `a-z 0-9 . _ -`, the first a letter or digit.
#[must_use]
pub(crate) fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    matches!(text.as_bytes(), [first, rest @ ..]
        if plain(*first) && rest.len() <= 62 && rest.iter().all(|byte| plain(*byte) || b"._-".contains(byte)))
}

/// Shown with what is not UTF-8 replaced.
impl fmt::Display for OsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for OsText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(&self.0), f)
    }
}

//! Keys of submissions.

use policy::event::SubmissionKey;

/// A key that nobody else has.
#[must_use]
pub fn random_key() -> SubmissionKey {
    SubmissionKey(fastrand::u128(..))
}

/// The key that a name stands for: the same name is always the same key.
#[must_use]
pub fn key_of(name: &str) -> SubmissionKey {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..16]);
    SubmissionKey(u128::from_le_bytes(bytes))
}

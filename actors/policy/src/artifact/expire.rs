//! When what was kept goes: by age, by number and by size, the oldest first.

use std::time::Duration;

use crate::id::Token;
use crate::time::Timestamp;

/// How much a machine keeps of all attempts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// Bytes of all files.
    pub bytes: u64,
    /// How long after the end of an attempt.
    pub age: Duration,
    /// Attempts of which something is kept.
    pub attempts: usize,
}

impl Default for Expiry {
    /// 10 GiB, 7 days, 10,000 attempts.
    fn default() -> Self {
        Self { bytes: 10 << 30, age: Duration::from_secs(7 * 24 * 3600), attempts: 10_000 }
    }
}

/// What is kept of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Collection {
    /// Its grant.
    pub token: Token,
    /// Since when.
    pub since: Timestamp,
    /// What it takes of the disk.
    pub bytes: u64,
}

/// Those that go, the oldest first.
#[must_use]
pub fn expired(kept: &[Collection], terms: Expiry, now: Timestamp) -> Vec<Token> {
    let mut in_order = kept.to_vec();
    in_order.sort_by_key(|one| (one.since, one.token));
    let (mut bytes, mut attempts) = (in_order.iter().map(|one| one.bytes).sum::<u64>(), in_order.len());
    let mut gone = Vec::new();
    for one in in_order {
        if bytes <= terms.bytes && attempts <= terms.attempts && now.since(one.since) <= terms.age {
            break;
        }
        bytes -= one.bytes;
        attempts -= 1;
        gone.push(one.token);
    }
    gone
}

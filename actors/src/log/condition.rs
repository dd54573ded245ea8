//! How a log is kept and how it is: its limits, the place of a record, its health. Must not know the disk.

use std::sync::Arc;

use policy::event::LogPosition;
use policy::time::Timestamp;

use crate::log::disk::Durability;

/// How much of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Bytes at which a segment is closed and the next begun: small enough to remove and to copy one by
    /// one, large enough that a month is hundreds of files.
    pub segment_bytes: u64,
    /// Bytes that may wait for the disk before [`Log::check_room`](crate::log::Log::check_room) refuses: what a full disk may cost in memory.
    pub pending_bytes: usize,
    /// What "durable" means.
    pub durability: Durability,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, pending_bytes: 64 << 20, durability: Durability::Full }
    }
}

/// What an appended record was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its number.
    pub number: u64,
    /// Where it is.
    pub position: LogPosition,
    /// When it happened, by the wall clock.
    pub at: Timestamp,
}

/// How the log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogHealth {
    /// Records become durable.
    Good,
    /// The disk is full. What is appended waits; nothing is lost.
    Stalled {
        /// Since when, by the wall clock.
        since: Timestamp,
        /// What the system said.
        reason: Arc<str>,
    },
    /// Nothing will become durable any more, and nothing is acknowledged: open it anew.
    Broken {
        /// What the system said.
        reason: Arc<str>,
    },
    /// It was closed.
    Closed,
}

/// Too much waits for the disk: the caller should come back later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{pending} bytes wait for the disk, the limit is {limit}")]
pub struct NoRoom {
    /// Bytes that wait.
    pub pending: usize,
    /// How many may.
    pub limit: usize,
}

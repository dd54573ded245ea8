//! What is asked and said of the output of attempts.

use std::time::Duration;

use policy::output::Stream;
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Which part of an attempt's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRead {
    /// Where to begin.
    pub from: OutputFrom,
    /// At most this many bytes of output; at most [`OUTPUT_PIECE_LIMIT_BYTES`].
    pub max_bytes: u32,
    /// Wait up to this long where there is nothing yet.
    pub wait: Duration,
}

/// Where to begin reading output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputFrom {
    /// At a cursor: 0 for the beginning, or the `next` of an earlier piece.
    Cursor(u64),
    /// About this many bytes before the present end.
    Tail(u32),
}

/// Bytes of output in one piece.
pub const OUTPUT_PIECE_LIMIT_BYTES: u32 = 256 * 1024;

/// A piece of output: both streams, in the order in which they were read from the process.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OutputPiece {
    /// The parts.
    pub parts: Vec<OutputPart>,
    /// Where the next piece begins.
    pub next: u64,
    /// Whether the output is complete and this is its end.
    pub complete: bool,
}

/// Consecutive bytes of one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputPart {
    /// When they were read from the process.
    pub at: Timestamp,
    /// Of which stream.
    pub stream: Stream,
    /// The bytes; for `Omitted` the count is in `omitted`.
    pub bytes: Vec<u8>,
    /// Bytes left out here because a limit was reached; 0 otherwise.
    pub omitted: u64,
}

/// Why there is no output to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum OutputRefusal {
    /// The node knows no such attempt, or has removed its output.
    #[error("the node has no output of this attempt (any more)")]
    Gone,
    /// Too many readers wait at once.
    #[error("the node serves {limit} readers already")]
    Busy {
        /// How many it serves.
        limit: u32,
    },
    /// Reading failed.
    #[error("reading the output failed: {reason}")]
    Unreadable {
        /// What the operating system said.
        reason: Box<str>,
    },
    /// The node is not there now; it may come back.
    #[error("the node that has the output cannot be reached: {reason}")]
    Away {
        /// What is known of it.
        reason: Box<str>,
    },
}

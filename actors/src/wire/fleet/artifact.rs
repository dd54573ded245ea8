//! What is asked and said of the artifacts of attempts.

use policy::artifact::Manifest;
use serde::{Deserialize, Serialize};

/// Which part of what was kept of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArtifactRead {
    /// What there is.
    Manifest {
        /// Files from this place on, from 0: as many as a piece holds.
        from: u32,
    },
    /// What is in one file.
    File {
        /// Its number in the manifest.
        number: u32,
        /// From this byte on.
        from: u64,
        /// At most this many bytes; at most [`ARTIFACT_PIECE_LIMIT_BYTES`].
        max_bytes: u32,
    },
}

/// The layout since which artifacts are kept and read.
pub const ARTIFACTS_SINCE: u8 = 20;

/// Bytes of a file in one piece, and about as many of a manifest.
pub const ARTIFACT_PIECE_LIMIT_BYTES: u32 = 256 * 1024;

/// A part of what was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArtifactPiece {
    /// To `Manifest`.
    Manifest(Box<ManifestPage>),
    /// To `File`: no bytes behind its end.
    File(Vec<u8>),
}

/// What is answered: a `Result`, of which there can be but one among what is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArtifactAnswer {
    /// The piece.
    Piece(ArtifactPiece),
    /// Why there is none.
    Refused(ArtifactRefusal),
}

impl From<Result<ArtifactPiece, ArtifactRefusal>> for ArtifactAnswer {
    fn from(answer: Result<ArtifactPiece, ArtifactRefusal>) -> Self {
        answer.map_or_else(Self::Refused, Self::Piece)
    }
}

impl From<ArtifactAnswer> for Result<ArtifactPiece, ArtifactRefusal> {
    fn from(answer: ArtifactAnswer) -> Self {
        match answer {
            ArtifactAnswer::Piece(piece) => Ok(piece),
            ArtifactAnswer::Refused(refusal) => Err(refusal),
        }
    }
}

/// A part of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestPage {
    /// The manifest with some of its files; what was left out stands in the first part alone.
    pub manifest: Manifest,
    /// Where the next part begins; `None` where this is the last.
    pub next: Option<u32>,
}

/// Why there is nothing to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ArtifactRefusal {
    /// The task wants nothing kept, or has not been tried yet.
    #[error("the task has not left any: it declares none (artifacts = […], --artifact), or has not run yet")]
    None,
    /// The attempt is not over.
    #[error("the attempt still runs: its artifacts are kept when it ends")]
    NotYet,
    /// The node knows nothing of such an attempt, or has removed what it left.
    #[error("the node has no artifacts of this attempt (any more)")]
    Gone,
    /// Too many readers wait at once.
    #[error("the node serves {limit} readers already")]
    Busy {
        /// How many it serves.
        limit: u32,
    },
    /// Reading failed.
    #[error("reading an artifact failed: {reason}")]
    Unreadable {
        /// What the operating system said.
        reason: Box<str>,
    },
    /// The node is not there now; it may come back.
    #[error("the node that has the artifacts cannot be reached: {reason}")]
    Away {
        /// What is known of it.
        reason: Box<str>,
    },
}

//! What was kept of an attempt, and what was left out and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::artifact::{ArtifactId, Kind, Sort};
use crate::id::{AttemptNumber, TaskId, Token};
use crate::text::OsText;
use crate::time::Timestamp;

/// Bytes of the path of a file that is kept: as many of these as an attempt may leave fit into messages.
pub const PATH_LIMIT_BYTES: usize = 1024;
/// What was left out of one attempt that is told one by one: more is a number.
pub const LEFT_OUT_LIMIT: usize = 100;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The grant of the attempt.
    pub token: Token,
    /// Its task.
    pub task: TaskId,
    /// Which try at it.
    pub attempt: AttemptNumber,
    /// When it was kept, by its machine's clock.
    pub at: Timestamp,
    /// What was kept, in the order of the numbers of its ids.
    pub kept: Vec<Kept>,
    /// What was not, at most [`LEFT_OUT_LIMIT`].
    pub left_out: Vec<LeftOut>,
    /// How much more was not.
    pub left_out_more: u64,
    /// Why nothing could be kept, or not all be looked at; `None` where all went well.
    pub fault: Option<Box<str>>,
}

/// A file that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its place among all of the attempt, from 1.
    pub number: u32,
    /// Where it was, below the directory of the task.
    pub path: Box<str>,
    /// What it is.
    pub kind: Kind,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// Who may read, write and execute it, as nine bits.
    pub mode: u16,
    /// Of what is in it.
    pub digest: Digest,
}

/// What was kept, in a few words that stand in the end of the attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// How many files.
    pub files: u32,
    /// How many bytes they have.
    pub bytes: u64,
    /// How much was left out, patterns that matched nothing included.
    pub left_out: u64,
    /// Why nothing could be kept, or not all be looked at; `None` where all went well.
    pub fault: Option<Box<str>>,
}

/// A digest by BLAKE3.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

/// What matched and was not kept, or a pattern that matched nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Where it is; or the pattern.
    pub path: OsText,
    /// Why not.
    pub why: WhyLeftOut,
}

/// See [`LeftOut`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhyLeftOut {
    /// The pattern matched nothing.
    NothingThere,
    /// Its name is not UTF-8, holds a control character or is too long.
    Name,
    /// It is no file.
    NotAFile(Sort),
    /// More files are kept already than there may be.
    TooMany {
        /// How many may be.
        limit: u32,
    },
    /// With it there would be more bytes than there may be.
    TooLarge {
        /// How many it has.
        bytes: u64,
        /// How many all together may have.
        limit: u64,
    },
    /// It could not be read, or not be kept.
    Unreadable(Box<str>),
    /// It became another while it was looked at.
    Changed,
}

/// Whether a path leads down from where one stands and nowhere else, in characters that a terminal shows.
#[must_use]
pub fn is_plain_path(path: &str) -> bool {
    let is_name = |name: &str| !matches!(name, "" | "." | "..");
    path.len() <= PATH_LIMIT_BYTES && path.split('/').all(is_name) && !path.chars().any(char::is_control)
}

impl Manifest {
    /// The id of one of its files.
    #[must_use]
    pub fn id(&self, kept: &Kept) -> ArtifactId {
        ArtifactId { token: self.token, number: kept.number }
    }

    /// The file with this number.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.number == number)
    }

    /// The bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.kept.iter().map(|kept| kept.bytes).fold(0, u64::saturating_add)
    }

    /// What is said of it in the end of the attempt.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            files: u32::try_from(self.kept.len()).unwrap_or(u32::MAX),
            bytes: self.bytes(),
            left_out: self.left_out.len() as u64 + self.left_out_more,
            fault: self.fault.clone(),
        }
    }

    /// What was left out, one more: told one by one as long as there is room.
    pub fn leave_out(&mut self, one: LeftOut) {
        if self.left_out.len() < LEFT_OUT_LIMIT {
            self.left_out.push(one);
        } else {
            self.left_out_more += 1;
        }
    }
}

/// As 64 hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What follows the path: `a symbolic link, and these are not followed`.
impl fmt::Display for WhyLeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingThere => f.write_str("nothing matches it"),
            Self::Name => write!(
                f,
                "its path is not UTF-8, longer than {PATH_LIMIT_BYTES} bytes or has control characters"
            ),
            Self::NotAFile(sort) => sort.fmt(f),
            Self::TooMany { limit } => write!(f, "more than {limit} files, the limit of an attempt"),
            Self::TooLarge { bytes, limit } => {
                write!(f, "its {bytes} bytes would exceed {limit} bytes, the limit of an attempt")
            }
            Self::Unreadable(why) => f.write_str(why),
            Self::Changed => f.write_str("it changed while it was looked at"),
        }
    }
}

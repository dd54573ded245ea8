//! `[artifacts]`: how much of what tasks leave behind this machine keeps, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use policy::artifact::{Expiry, KeepLimits};

use crate::artifact::Storing;
use crate::config::amount::{Length, Size};
use crate::config::section::{Any, section};

section! {
    /// `[artifacts]`
    ArtifactsConfig {
        /// Files that are kept of one attempt: what is beyond is left out, and said.
        files_per_attempt: u32 = 1000, 1..=100_000;
        /// Bytes of them together.
        size_per_attempt: Size = Size(1 << 30), Any("a size");
        /// Bytes of all that is kept: the oldest goes where there is more.
        size: Size = Size(10 << 30), Any("a size");
        /// How long what an attempt left is kept.
        kept_for: Length = Length(Duration::from_secs(7 * 24 * 3600)), Any("a length of time");
        /// Attempts of which something is kept: the oldest goes where there are more.
        attempts: u32 = 10_000, 1..=1_000_000;
    }
}

impl ArtifactsConfig {
    /// What it says, with what is kept below `root`.
    #[must_use]
    pub fn storing(&self, root: PathBuf) -> Storing {
        let limits = KeepLimits { files: self.files_per_attempt(), bytes: self.size_per_attempt().0 };
        let (bytes, age, attempts) = (self.size().0, self.kept_for().0, self.attempts() as usize);
        Storing { limits, expiry: Expiry { bytes, age, attempts }, ..Storing::usual(root) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_the_usual() {
        let (said, usual) = (ArtifactsConfig::default().storing("a".into()), Storing::usual("a".into()));
        assert_eq!((said.root, said.limits, said.expiry), (usual.root, usual.limits, usual.expiry));
    }
}

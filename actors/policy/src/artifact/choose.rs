//! Which of the files that lie in a directory are kept, and why not the others.
//!
//! By the order of the patterns, then by path: what comes first is kept as long as there is room; what is too large
//! leaves its room to those behind it. Nothing but regular files is kept, whatever a link leads to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::artifact::{Kind, LeftOut, Matcher, WhyLeftOut, is_plain_path};
use crate::text::OsText;

/// Names in directories that are looked at for one attempt: some tenths of a second.
pub const LOOKED_LIMIT: usize = 100_000;
/// Directories within each other that are looked into.
pub const DEPTH_LIMIT: usize = 64;

/// How much is kept of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepLimits {
    /// Files.
    pub files: u32,
    /// Bytes of all of them together.
    pub bytes: u64,
}

impl Default for KeepLimits {
    /// 1,000 files and 1 GiB.
    fn default() -> Self {
        Self { files: 1000, bytes: 1 << 30 }
    }
}

/// What something in a directory is, no link followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Sort {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, whatever it leads to.
    Link,
    /// A pipe, a socket or a device.
    Special,
}

/// Something that lies below the directory of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where, relative to that.
    pub path: OsText,
    /// What it is.
    pub sort: Sort,
    /// How long it is.
    pub bytes: u64,
}

/// What is to be kept, and what not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// In the order in which it is numbered.
    pub kept: Vec<Choice>,
    /// In the order of paths, patterns that matched nothing first.
    pub left_out: Vec<LeftOut>,
}

/// A file that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Where it is.
    pub path: Box<str>,
    /// What it is.
    pub kind: Kind,
    /// How long it was when it was found.
    pub bytes: u64,
}

/// See the module. What nobody wants is in neither list; nor is a directory, but for one that a pattern names.
#[must_use]
pub fn choose(matcher: &Matcher, found: impl IntoIterator<Item = Found>, limits: KeepLimits) -> Chosen {
    let mut wanted: Vec<(usize, Found)> = Vec::new();
    let mut is_met = vec![false; matcher.patterns().len()];
    for one in found {
        let path = String::from_utf8_lossy(one.path.as_bytes());
        if one.sort == Sort::Directory && !matcher.names(&path) {
            continue;
        }
        let places = matcher.places(&path);
        places.iter().for_each(|place| is_met[*place] = true);
        if let Some(first) = places.into_iter().min() {
            wanted.push((first, one));
        }
    }
    wanted.sort_by(|(place, one), (other_place, other)| (place, &one.path).cmp(&(other_place, &other.path)));
    wanted.dedup_by(|(_, one), (_, other)| one.path == other.path);
    let unmet = matcher.patterns().iter().zip(is_met).filter(|(_, is_met)| !is_met);
    let unmet =
        unmet.map(|(pattern, _)| LeftOut { path: (*pattern.glob).into(), why: WhyLeftOut::NothingThere });
    let mut chosen = Chosen { kept: Vec::new(), left_out: unmet.collect() };
    let mut room = Room { limits, left: limits };
    for (_, one) in wanted {
        match room.take(matcher, &one) {
            Ok(choice) => chosen.kept.push(choice),
            Err(why) => chosen.left_out.push(LeftOut { path: one.path, why }),
        }
    }
    chosen
}

struct Room {
    limits: KeepLimits,
    left: KeepLimits,
}

impl Room {
    fn take(&mut self, matcher: &Matcher, one: &Found) -> Result<Choice, WhyLeftOut> {
        if one.sort != Sort::File {
            return Err(WhyLeftOut::NotAFile(one.sort));
        }
        let path = std::str::from_utf8(one.path.as_bytes()).ok().filter(|path| is_plain_path(path));
        let path = path.ok_or(WhyLeftOut::Name)?;
        if self.left.files == 0 {
            return Err(WhyLeftOut::TooMany { limit: self.limits.files });
        }
        if one.bytes > self.left.bytes {
            return Err(WhyLeftOut::TooLarge { bytes: one.bytes, limit: self.limits.bytes });
        }
        self.left.files -= 1;
        self.left.bytes -= one.bytes;
        let kind = matcher.matches(path).unwrap_or_default();
        Ok(Choice { path: path.into(), kind, bytes: one.bytes })
    }
}

/// What follows the path of what is no file.
impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "a file",
            Self::Directory => "a directory: for all below it say DIRECTORY/**",
            Self::Link => "a symbolic link, and these are not followed",
            Self::Special => "no regular file: a pipe, a socket or a device",
        })
    }
}

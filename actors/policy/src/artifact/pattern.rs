//! What a task says of the files that are to be kept: patterns of paths below the directory it runs in.
//!
//! `*` and `?` stand for no `/`, `**` for any number of directories. Must not know what lies in that directory.

use std::fmt;
use std::str::FromStr;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

use crate::artifact::Kind;

/// Patterns of one task: each is compared with each file.
pub const PATTERNS_LIMIT: usize = 32;
/// Characters of one pattern: more than paths of a project have.
pub const PATTERN_LIMIT_CHARS: usize = 256;

/// What has a meaning of its own in a pattern.
const WILD: &[char] = &['*', '?', '[', ']', '{', '}', '\\'];

/// All that a task wants kept; one that wants nothing has none of this.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifacts {
    /// In the order in which they were said: the first that matches a file says its kind.
    pub patterns: Vec<Pattern>,
}

/// Some files that are to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pattern {
    /// Which, below the directory of the task.
    pub glob: Box<str>,
    /// What they are; `None` where that is guessed from the name of each.
    pub kind: Option<Kind>,
}

/// Why something is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    /// There is nothing.
    #[error("must not be empty")]
    Empty,
    /// It is too long.
    #[error("must have at most {PATTERN_LIMIT_CHARS} characters")]
    Long,
    /// It may lead out of the directory.
    #[error("must be a path within the directory the task runs in: relative, without ..")]
    Outside,
    /// It names a directory.
    #[error("must name files: for all below a directory say DIRECTORY/**")]
    Directory,
    /// No path is like that.
    #[error("must not contain control characters or an empty name (//)")]
    Odd,
    /// It is not written as patterns are.
    #[error("must be a pattern of paths: {0}")]
    Syntax(Box<str>),
}

/// Patterns ready to be compared with paths. Comparing takes time by the length of a path, whatever the patterns.
#[derive(Debug, Clone)]
pub struct Matcher {
    globs: GlobSet,
    patterns: Vec<Pattern>,
}

impl Artifacts {
    /// The patterns that these texts say, each as [`Pattern`] reads it.
    ///
    /// # Errors
    /// With the first that is none, and why.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, (&'a str, Unsound)> {
        let patterns = texts.into_iter().map(|text| text.parse().map_err(|why| (text, why)));
        Ok(Self { patterns: patterns.collect::<Result<_, _>>()? })
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Where to look: the longest beginnings of the patterns that have one meaning, as relative paths, `.` for the whole
    /// directory; none is below another. One may be a file, a link, or not there at all.
    #[must_use]
    pub fn roots(&self) -> Vec<&str> {
        let mut roots: Vec<&str> = self.patterns.iter().map(Pattern::root).collect();
        roots.sort_unstable();
        roots.dedup();
        if roots.contains(&".") {
            return vec!["."];
        }
        let all = roots.clone();
        roots.retain(|root| !all.iter().any(|other| is_below(root, other)));
        roots
    }

    /// To compare paths with.
    ///
    /// # Errors
    /// When one is no pattern; where the task was admitted that is not so.
    pub fn matcher(&self) -> Result<Matcher, Unsound> {
        let mut all = GlobSetBuilder::new();
        for pattern in &self.patterns {
            all.add(pattern.compiled()?);
        }
        let globs = all.build().map_err(|error| Unsound::Syntax(error.to_string().into()))?;
        Ok(Matcher { globs, patterns: self.patterns.clone() })
    }

    /// Bytes of what varies in length.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.patterns.iter().map(|pattern| pattern.glob.len() + 2).sum()
    }
}

/// Whether a path is that of something in a directory.
fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

impl Pattern {
    /// This pattern, of files whose kind is guessed.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(glob: &str) -> Result<Self, Unsound> {
        let pattern = Self { glob: glob.strip_prefix("./").unwrap_or(glob).into(), kind: None };
        pattern.check()?;
        Ok(pattern)
    }

    /// The same, of files that are of this kind.
    #[must_use]
    pub fn of_kind(self, kind: Kind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// Whether it is one.
    ///
    /// # Errors
    /// With why it is not.
    pub fn check(&self) -> Result<(), Unsound> {
        let glob = &*self.glob;
        match () {
            () if glob.is_empty() => Err(Unsound::Empty),
            () if glob.len() > PATTERN_LIMIT_CHARS && glob.chars().count() > PATTERN_LIMIT_CHARS => {
                Err(Unsound::Long)
            }
            () if glob.starts_with('/') || glob.split('/').any(|name| name == "..") => Err(Unsound::Outside),
            () if glob.ends_with('/') || glob == "." => Err(Unsound::Directory),
            () if glob.chars().any(char::is_control) => Err(Unsound::Odd),
            () if glob.split('/').any(|name| matches!(name, "" | ".")) => Err(Unsound::Odd),
            () => self.compiled().map(drop),
        }
    }

    /// Whether it can match one path alone.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        !self.glob.contains(WILD)
    }

    fn compiled(&self) -> Result<Glob, Unsound> {
        let built = GlobBuilder::new(&self.glob).literal_separator(true).backslash_escape(true).build();
        built.map_err(|error| Unsound::Syntax(error.kind().to_string().into()))
    }

    /// Its beginning up to the last `/` before anything that has a meaning of its own; all of it where nothing has.
    fn root(&self) -> &str {
        let Some(wild) = self.glob.find(WILD) else { return &self.glob };
        self.glob[..wild].rfind('/').map_or(".", |end| &self.glob[..end])
    }
}

impl FromStr for Pattern {
    type Err = Unsound;

    /// Reads `target/report.xml`, or `junit:target/report.xml` where the kind is said.
    fn from_str(text: &str) -> Result<Self, Unsound> {
        let said = text.split_once(':').and_then(|(kind, glob)| Some((kind.parse().ok()?, glob)));
        match said {
            Some((kind, glob)) => Self::new(glob).map(|pattern| pattern.of_kind(kind)),
            None => Self::new(text),
        }
    }
}

/// As it is read.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Some(kind) => write!(f, "{kind}:{}", self.glob),
            None => f.write_str(&self.glob),
        }
    }
}

impl Matcher {
    /// What a file at this relative path is; `None` where nobody wants it.
    #[must_use]
    pub fn matches(&self, path: &str) -> Option<Kind> {
        let pattern = &self.patterns[self.place(path)?];
        Some(pattern.kind.unwrap_or_else(|| Kind::guessed(path)))
    }

    /// The place of the first pattern that matches.
    pub(super) fn place(&self, path: &str) -> Option<usize> {
        self.globs.matches(path).into_iter().min()
    }

    /// All places of patterns that match.
    pub(super) fn places(&self, path: &str) -> Vec<usize> {
        self.globs.matches(path)
    }

    /// Whether a pattern without any meaning but itself says this path.
    pub(super) fn names(&self, path: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.is_fixed() && &*pattern.glob == path)
    }

    /// As the task said them.
    #[must_use]
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }
}

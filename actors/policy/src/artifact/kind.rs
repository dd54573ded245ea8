//! What sort of thing an artifact is, said or guessed from its name.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// See the module.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename = "ArtifactKind")]
#[strum(serialize_all = "lowercase")]
pub enum Kind {
    /// What a program said while it ran.
    Log,
    /// Results of tests, as JUnit writes them.
    Junit,
    /// Which lines were run.
    Coverage,
    /// Changes of sources.
    Patch,
    /// Anything else.
    #[default]
    Other,
}

/// Ends of names, in lower case, that are those of one kind alone.
const ENDINGS: &[(&str, Kind)] = &[
    (".log", Kind::Log),
    (".patch", Kind::Patch),
    (".diff", Kind::Patch),
    (".lcov", Kind::Coverage),
    ("lcov.info", Kind::Coverage),
    (".profdata", Kind::Coverage),
    (".gcov", Kind::Coverage),
];
/// What the names of XML and JSON files contain that tell of coverage.
const OF_COVERAGE: &[&str] = &["coverage", "cobertura", "jacoco", "clover"];
/// What the names of XML files contain that tell of tests, behind those of coverage.
const OF_TESTS: &[&str] = &["junit", "test", "report", "results"];

impl Kind {
    /// What a file of this name probably is.
    #[must_use]
    pub fn guessed(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
        let ending = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, kind)| *kind);
        ending.unwrap_or_else(|| Self::of_data(&name))
    }

    fn of_data(name: &str) -> Self {
        let contains = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let is_xml = name.ends_with(".xml");
        match () {
            () if (is_xml || name.ends_with(".json")) && contains(OF_COVERAGE) => Self::Coverage,
            () if is_xml && contains(OF_TESTS) => Self::Junit,
            () => Self::Other,
        }
    }
}

//! What tasks leave behind: what is to be kept, and what is.

use policy::artifact::{Artifacts, Kept, LeftOut, Manifest, Summary};
use serde::Serialize;

use super::VERSION;
use crate::cli::text::rfc3339;

/// Within the specification of a task: files that are to be kept.
#[derive(Debug, Serialize)]
pub(super) struct WantedArtifact {
    /// A pattern.
    path: String,
    /// What they are; `null` where that is guessed from the name of each.
    kind: Option<&'static str>,
}

/// Within the end of an attempt: how much was kept.
#[derive(Debug, Serialize)]
pub(super) struct KeptInAll {
    files: u32,
    bytes: u64,
    left_out: u64,
    /// Why nothing could be kept, or not all be looked at.
    fault: Option<String>,
}

pub(super) fn wanted(artifacts: Option<&Artifacts>) -> Vec<WantedArtifact> {
    let patterns = artifacts.into_iter().flat_map(|artifacts| &artifacts.patterns);
    patterns
        .map(|one| WantedArtifact { path: one.glob.to_string(), kind: one.kind.map(Into::into) })
        .collect()
}

impl From<&Summary> for KeptInAll {
    fn from(summary: &Summary) -> Self {
        let Summary { files, bytes, left_out, fault } = summary;
        let fault = fault.as_ref().map(ToString::to_string);
        Self { files: *files, bytes: *bytes, left_out: *left_out, fault }
    }
}

/// Of `artifacts`: a file that is kept.
#[derive(Debug, Serialize)]
pub(crate) struct Artifact {
    v: u32,
    task: String,
    attempt: u32,
    id: String,
    /// Below the directory of the task.
    path: String,
    /// `log`, `junit`, `coverage`, `patch` or `other`.
    kind: &'static str,
    bytes: u64,
    /// Who may read, write and execute it, in octal digits.
    mode: String,
    /// BLAKE3, in hexadecimal digits.
    digest: String,
    kept: String,
}

/// Of `artifacts`: what matched and is not kept, or a pattern that matched nothing.
#[derive(Debug, Serialize)]
pub(crate) struct LeftOutArtifact {
    v: u32,
    task: String,
    attempt: u32,
    /// Where it is, what is not UTF-8 replaced; or the pattern.
    left_out: String,
    why: String,
}

impl Artifact {
    pub(crate) fn of(manifest: &Manifest, kept: &Kept) -> Self {
        Self {
            v: VERSION,
            task: manifest.task.to_string(),
            attempt: manifest.attempt.0,
            id: manifest.id(kept).to_string(),
            path: kept.path.to_string(),
            kind: kept.kind.into(),
            bytes: kept.bytes,
            mode: format!("{:o}", kept.mode),
            digest: kept.digest.to_string(),
            kept: rfc3339(manifest.at),
        }
    }
}

impl LeftOutArtifact {
    pub(crate) fn of(manifest: &Manifest, left_out: &LeftOut) -> Self {
        Self {
            v: VERSION,
            task: manifest.task.to_string(),
            attempt: manifest.attempt.0,
            left_out: left_out.path.to_string(),
            why: left_out.why.to_string(),
        }
    }
}

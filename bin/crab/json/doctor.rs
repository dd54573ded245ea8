//! What was found by `doctor`, and where a service is.

use std::path::Path;

use serde::Serialize;

use super::VERSION;
use crate::cli::doctor;

/// Of `doctor`, a line for each thing that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    v: u32,
    check: &'static str,
    /// `ok`, `warning` or `failure`.
    level: &'static str,
    evidence: String,
    next: Option<String>,
    fixed: bool,
}

impl From<&doctor::Finding> for Finding {
    fn from(finding: &doctor::Finding) -> Self {
        Self {
            v: VERSION,
            check: finding.check,
            level: finding.level.into(),
            evidence: finding.evidence.clone(),
            next: finding.next.clone(),
            fixed: finding.is_fixed,
        }
    }
}

/// Of `service`.
#[derive(Debug, Serialize)]
pub(crate) struct Service {
    v: u32,
    /// `systemd` or `launchd`.
    system: &'static str,
    file: String,
    installed: bool,
}

impl Service {
    pub(crate) fn of(system: &'static str, file: &Path, installed: bool) -> Self {
        Self { v: VERSION, system, file: file.display().to_string(), installed }
    }
}

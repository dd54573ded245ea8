//! What is said of an attempt beside its outcome.

use std::collections::BTreeMap;

use policy::task::{Progress, ResultField, TaskReport};
use policy::workspace::WorkspaceEnd;
use serde::Serialize;
use serde_json::Value;

use super::artifact::KeptInAll;
use super::stages::Went;

/// Within the end of an attempt.
#[derive(Debug, Serialize)]
pub(super) struct Reported {
    /// By rate and unit.
    used: BTreeMap<String, BTreeMap<String, u64>>,
    /// Seconds, by rate.
    limited_s: BTreeMap<String, f64>,
    cost: u64,
    result: Results,
    /// From 0 to 1.
    progress: Option<f64>,
    doing: Option<String>,
    /// Where it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<SpaceEnd>,
    /// Where it had more than its command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<Went>,
    /// Where something was to be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    artifacts: Option<KeptInAll>,
}

/// What came of an attempt, as it said.
pub(super) type Results = BTreeMap<String, Value>;

/// What is no JSON any more is shown as the text it is.
pub(super) fn results(fields: &[ResultField]) -> Results {
    let value = |json: &str| serde_json::from_str(json).unwrap_or_else(|_| Value::from(json));
    fields.iter().map(|field| (field.name.to_string(), value(&field.json))).collect()
}

/// How far an attempt is.
pub(super) fn part(progress: &Progress) -> Option<f64> {
    progress.permille.map(|permille| f64::from(permille) / 1000.0)
}

/// What became of a workspace.
#[derive(Debug, Serialize)]
struct SpaceEnd {
    ready_in_s: f64,
    /// Where it is; `null` where it was removed.
    kept: Option<String>,
    why: Option<String>,
}

impl From<&WorkspaceEnd> for SpaceEnd {
    fn from(end: &WorkspaceEnd) -> Self {
        let (kept, why) = end.kept.as_ref().map(|(path, why)| (path.to_string(), why.to_string())).unzip();
        Self { ready_in_s: end.prepared.as_secs_f64(), kept, why }
    }
}

impl From<&TaskReport> for Reported {
    fn from(report: &TaskReport) -> Self {
        let mut used: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for one in &report.used {
            used.entry(one.rate.to_string()).or_default().insert(one.unit.to_string(), one.amount);
        }
        let parked = report.parked.iter();
        let limited_s = parked.map(|parked| (parked.rate.to_string(), parked.wait.as_secs_f64())).collect();
        let progress = report.progress.as_ref();
        Self {
            used,
            limited_s,
            cost: report.cost,
            result: results(&report.results),
            progress: progress.and_then(part),
            workspace: report.workspace.as_deref().map(SpaceEnd::from),
            steps: report.steps.iter().map(Went::from).collect(),
            artifacts: report.artifacts.as_deref().map(KeptInAll::from),
            doing: progress.map(|progress| progress.doing.to_string()),
        }
    }
}

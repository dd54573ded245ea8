//! What an attempt says of itself.

use std::collections::BTreeMap;

use policy::task::TaskReport;
use serde::Serialize;

/// Within the end of an attempt.
#[derive(Debug, Serialize)]
pub(super) struct Reported {
    /// By rate and unit.
    used: BTreeMap<String, BTreeMap<String, u64>>,
    /// Seconds, by rate.
    limited_s: BTreeMap<String, f64>,
    cost: u64,
}

impl From<&TaskReport> for Reported {
    fn from(report: &TaskReport) -> Self {
        let mut used: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for one in &report.used {
            used.entry(one.rate.to_string()).or_default().insert(one.unit.to_string(), one.amount);
        }
        let parked = report.parked.iter();
        let limited_s = parked.map(|parked| (parked.rate.to_string(), parked.wait.as_secs_f64())).collect();
        Self { used, limited_s, cost: report.cost }
    }
}

//! What came of a task, as the ends of its attempts tell.

use policy::artifact::Summary;
use policy::event::{Event, TaskEvent};
use policy::id::AttemptNumber;
use policy::task::ResultField;

use super::rows::TaskDetail;

impl TaskDetail {
    /// How much was kept of what each of its attempts left that is over, where something was to be.
    #[must_use]
    pub fn artifacts(&self) -> Vec<(AttemptNumber, &Summary)> {
        let ends = self.events.iter().filter_map(|(_, record)| match &record.event {
            Event::Task { event: TaskEvent::AttemptEnded { token, report: Some(report), .. }, .. } => {
                Some((*token, report.artifacts.as_deref()?))
            }
            _ => None,
        });
        let number = |token| self.attempts.iter().find(|one| one.token == token).map(|one| one.number);
        ends.filter_map(|(token, summary)| Some((number(token)?, summary))).collect()
    }

    /// What came of it, as the last attempt that said so did.
    #[must_use]
    pub fn results(&self) -> &[ResultField] {
        let reports = self.events.iter().rev().filter_map(|(_, record)| match &record.event {
            Event::Task { event: TaskEvent::AttemptEnded { report: Some(report), .. }, .. } => Some(report),
            _ => None,
        });
        let mut results = reports.map(|report| report.results.as_slice());
        results.find(|results| !results.is_empty()).unwrap_or_default()
    }
}

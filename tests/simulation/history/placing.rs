//! Where it ran, against where it may: the rest of I6.

use policy::event::{Event, TaskEvent};

use super::index::Index;
use super::{Findings, History};

/// No grant to a node on which something that the task requires does not hold.
pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    for (_, record) in &history.records {
        let Event::Task { task, event: TaskEvent::Granted { node, .. }, .. } = &record.event else {
            continue;
        };
        let (Some(item), Some(labels)) = (index.item_of(*task), history.labels.get(node)) else { continue };
        let unmet = item.spec.constraints.unmet(labels);
        findings.expect("I6", unmet.is_empty(), || {
            format!(
                "record {}: {task} was granted to {node}, where {} does not hold",
                record.number, unmet[0]
            )
        });
    }
}

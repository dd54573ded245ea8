//! The live table against the table made from the records: I12.

use policy::graph::Replay;
use policy::placement::Shapes;

use super::index::Index;
use super::{Findings, History};

/// Different needs in one test at the most.
const SHAPES: usize = 10_000;

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let Some(rows) = &history.rows else { return };
    let mut replay = Replay::new(Shapes::new(SHAPES));
    for (position, record) in &history.records {
        if let Err(malformed) = replay.apply(*position, record) {
            findings
                .expect("I12", false, || format!("record {} cannot be replayed: {malformed}", record.number));
            return;
        }
    }
    let recovered = replay.finish();
    findings.expect("I12", recovered.unknown == 0, || format!("{} records of nobody", recovered.unknown));
    let tasks = index.tasks().count();
    findings.expect("I12", tasks == rows.len(), || {
        format!("{tasks} tasks were admitted, the table has {}", rows.len())
    });
    for row in rows {
        let replayed = recovered.graphs.entry(row.seat.task).map(|entry| {
            (entry.state, entry.priority, entry.position, entry.graph, entry.spec_position, entry.index)
        });
        let seat = row.seat;
        let live = (row.state, row.priority, seat.last, seat.graph, seat.item, seat.index);
        findings.expect("I12", replayed == Some(live), || {
            format!("{} is {live:?}, its records say {replayed:?}", seat.task)
        });
    }
}

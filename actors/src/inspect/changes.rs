//! What has changed of the actors since somebody looked last: of each row that was told a print is remembered, and a row is told
//! again when it has another. Pure.
//!
//! A print is made of everything that is shown but ages, which the other side lets grow by itself; what is in the middle of a
//! message is always told. Prints are of 64 bits: that a change stays untold until the next one is possible and will not be seen.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use supervision::ProbeId;

use crate::wire::inspect::{ActorRow, Changes};

/// What one who looks again and again was told last.
#[derive(Debug, Default)]
pub(crate) struct Told {
    number: u64,
    rows: Vec<(ProbeId, u64)>,
}

impl Told {
    /// The number of the last answer.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The next answer, to one who has the answer `after`: only what is otherwise, where that is the last one, and the rows that
    /// stay have kept their order.
    pub(crate) fn next(&mut self, after: u64, (rows, more): (Vec<ActorRow>, u64)) -> Changes {
        let dropped = if after == 0 { 0 } else { self.number.saturating_sub(after) };
        let is_known = after != 0 && after == self.number;
        let prints: Vec<_> = rows.iter().map(|row| (row.probe, print(row))).collect();
        let before = std::mem::replace(&mut self.rows, prints);
        self.number = self.number.max(after) + 1;
        let changed = if is_known { changed(&before, &self.rows, rows) } else { Err(rows) };
        let (is_whole, (gone, rows)) = match changed {
            Ok(changed) => (false, changed),
            Err(rows) => (true, (Vec::new(), rows.into_iter().map(|row| (None, row)).collect())),
        };
        Changes { number: self.number, is_whole, gone, rows, more, dropped }
    }
}

type Changed = (Vec<ProbeId>, Vec<(Option<ProbeId>, ActorRow)>);

/// What is gone, new and otherwise; the rows back where those that stay have changed their order.
fn changed(
    before: &[(ProbeId, u64)],
    now: &[(ProbeId, u64)],
    rows: Vec<ActorRow>,
) -> Result<Changed, Vec<ActorRow>> {
    let known: FxHashMap<ProbeId, u64> = before.iter().copied().collect();
    let there: FxHashSet<ProbeId> = now.iter().map(|(probe, _)| *probe).collect();
    let staying = before.iter().map(|(probe, _)| probe).filter(|probe| there.contains(probe));
    // The first has nobody behind whom it could stand.
    let is_rooted = now.first().is_none_or(|(probe, _)| known.contains_key(probe));
    if !is_rooted || !staying.eq(now.iter().map(|(probe, _)| probe).filter(|probe| known.contains_key(probe)))
    {
        return Err(rows);
    }
    let gone = before.iter().map(|(probe, _)| *probe).filter(|probe| !there.contains(probe)).collect();
    let mut behind = None;
    let mut told = Vec::new();
    for ((probe, print), row) in now.iter().zip(rows) {
        match known.get(probe) {
            None => told.push((behind, row)),
            Some(known) if known != print || row.current.is_some() => told.push((None, row)),
            Some(_) => {}
        }
        behind = Some(*probe);
    }
    Ok((gone, told))
}

/// Of everything that is shown of an actor, but of how long ago it was started again and what it does for how long.
fn print(row: &ActorRow) -> u64 {
    let ActorRow {
        probe, level, kind, name, is_supervisor, state, answered, more, mailbox, high_water, ..
    } = row;
    let ActorRow { enqueued, handled, undelivered, dropped, restarts, waits, handlings, current, .. } = row;
    let mut hasher = FxHasher::default();
    (probe, level, kind, name, is_supervisor, *state as u8, answered).hash(&mut hasher);
    (more, mailbox, high_water, enqueued, handled, undelivered, dropped).hash(&mut hasher);
    (restarts, waits, handlings, current.is_some()).hash(&mut hasher);
    hasher.finish()
}

//! What inspectors have told to one who looks again and again: it is kept here, so that they tell only what has changed.
//!
//! An answer that does not come is counted by the inspector, which then tells everything anew. Machines and daemons of the
//! version before, and one at which too many look, tell everything each time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use policy::id::NodeId;
use policy::time::Moment;
use rustc_hash::{FxHashMap, FxHashSet};
use supervision::ProbeId;

use crate::client::{Client, ClientError, random_key};
use crate::clock::Clock;
use crate::wire::inspect::{ActorRow, Changes, Look, Sight};

/// Sides and looks at them that are kept: each machine of a large fleet, in three tables.
const KEPT_LIMIT: usize = 1024;

/// What was told, by side and by what was asked.
#[derive(Debug)]
pub(crate) struct Followed {
    clock: Clock,
    kept: Mutex<Vec<Kept>>,
}

#[derive(Debug)]
struct Kept {
    of: (Option<NodeId>, Look),
    subscriber: u64,
    mirror: Mirror,
    /// Answers that did not come and of which nobody was told yet.
    dropped: u64,
}

/// The rows of an inspector as they were told last, each with when that was.
#[derive(Debug, Default)]
struct Mirror {
    number: u64,
    rows: Vec<(ActorRow, Moment)>,
    more: u64,
}

impl Mirror {
    /// Takes an answer in; `false` where it is about rows that are not there.
    fn hear(&mut self, changes: Changes, now: Moment) -> bool {
        let Changes { number, is_whole, gone, rows, more, dropped: _ } = changes;
        let is_next = number == self.number + 1;
        (self.number, self.more) = (number, more);
        if is_whole {
            self.rows = rows.into_iter().map(|(_, row)| (row, now)).collect();
            return true;
        }
        if is_next {
            self.alter(&gone.into_iter().collect(), rows, now);
        }
        is_next
    }

    fn alter(&mut self, gone: &FxHashSet<ProbeId>, rows: Vec<(Option<ProbeId>, ActorRow)>, now: Moment) {
        let (new, changed): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(behind, _)| behind.is_some());
        let mut new: FxHashMap<_, _> = new.into_iter().collect();
        let mut changed: FxHashMap<_, _> = changed.into_iter().map(|(_, row)| (row.probe, row)).collect();
        for (row, told) in std::mem::take(&mut self.rows) {
            let mut behind = row.probe;
            // A row that is gone is gone with its place: who is new stands behind one that stays, or is new.
            if !gone.contains(&behind) {
                self.rows.push(changed.remove(&behind).map_or((row, told), |row| (row, now)));
            }
            while let Some(row) = new.remove(&Some(behind)) {
                behind = row.probe;
                self.rows.push((row, now));
            }
        }
    }

    /// The rows as they are now: what is not told is as it was, but older.
    fn rows(&self, now: Moment) -> Vec<ActorRow> {
        let aged = |(row, told): &(ActorRow, Moment)| {
            let mut row = row.clone();
            row.restarted.iter_mut().for_each(|ago| *ago += now.since(*told));
            row
        };
        self.rows.iter().map(aged).collect()
    }
}

impl Followed {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks an inspector; what was asked is a [`Look::Actors`], and so is what is answered.
    pub(crate) async fn look(
        &self,
        client: &Client,
        (machine, look): (Option<NodeId>, Look),
    ) -> Result<Sight, ClientError> {
        let of = (machine, look);
        loop {
            let Some(question) = self.question(&of) else { return client.inspect(of.0, of.1).await };
            match client.inspect(of.0.clone(), question).await? {
                Sight::Changes(changes) => match self.heard(&of, *changes) {
                    Some(sight) => return Ok(sight),
                    // It was of rows that are not here: all of them are asked for.
                    None => self.kept().retain(|kept| kept.of != of),
                },
                other => return Ok(other),
            }
        }
    }

    /// What is asked in place of all rows; `None` where that makes no sense.
    fn question(&self, of: &(Option<NodeId>, Look)) -> Option<Look> {
        let Look::Actors { only, first, limit } = of.1.clone() else { return None };
        let mut kept = self.kept();
        let at = kept.iter().position(|kept| kept.of == *of).unwrap_or_else(|| {
            kept.truncate(KEPT_LIMIT - 1);
            // Half of it is as good as all of it, among the few that look at one time.
            let subscriber = u64::try_from(random_key().0 >> 64).unwrap_or_default();
            kept.push(Kept { of: of.clone(), subscriber, mirror: Mirror::default(), dropped: 0 });
            kept.len() - 1
        });
        let (subscriber, after) = (kept[at].subscriber, kept[at].mirror.number);
        Some(Look::Changes { subscriber, after, only, first, limit })
    }

    fn heard(&self, of: &(Option<NodeId>, Look), changes: Changes) -> Option<Sight> {
        let now = self.clock.now();
        let mut kept = self.kept();
        let kept = kept.iter_mut().find(|kept| kept.of == *of)?;
        kept.dropped += changes.dropped;
        let is_taken = kept.mirror.hear(changes, now);
        is_taken.then(|| Sight::Actors { rows: kept.mirror.rows(now), more: kept.mirror.more })
    }

    /// How many answers did not come, since this was asked last.
    pub(crate) fn dropped(&self) -> u64 {
        self.kept().iter_mut().map(|kept| std::mem::take(&mut kept.dropped)).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::console::tests::actor;
    use crate::inspect::changes::Told;

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    fn row((probe, handled, is_busy): (u64, u64, bool)) -> ActorRow {
        let current = is_busy.then(|| ("Picked".into(), Duration::from_millis(handled)));
        ActorRow { probe: ProbeId(probe), handled, current, ..actor() }
    }

    /// Rows of different actors in any order.
    fn rows() -> impl Strategy<Value = Vec<ActorRow>> {
        let one = (0..9_u64, 0..4_u64, any::<bool>());
        proptest::collection::vec(one, 0..9).prop_map(|rows| {
            let mut seen = FxHashSet::default();
            rows.into_iter().filter(|(probe, ..)| seen.insert(*probe)).map(row).collect()
        })
    }

    /// A look, as often as not at rows in the order of their probes, and whether its answer comes.
    fn looks() -> impl Strategy<Value = Vec<(Vec<ActorRow>, bool)>> {
        let look = (rows(), any::<bool>(), 0..4_u8).prop_map(|(mut rows, is_sorted, fate)| {
            if is_sorted {
                rows.sort_by_key(|row| row.probe);
            }
            (rows, fate > 0)
        });
        proptest::collection::vec(look, 0..20)
    }

    proptest! {
        #[test]
        fn whatever_changes_and_whatever_is_lost_what_is_kept_is_what_there_is(looks in looks()) {
            let (mut told, mut mirror) = (Told::default(), Mirror::default());
            let mut lost = 0;
            for (rows, comes) in looks {
                let changes = told.next(mirror.number, (rows.clone(), 7));
                let is_first = mirror.number == 0;
                prop_assert_eq!(changes.dropped, if is_first { 0 } else { lost });
                prop_assert!(lost == 0 && !is_first || changes.is_whole);
                lost += 1;
                if comes {
                    lost = 0;
                    prop_assert!(mirror.hear(changes, at(1)));
                    prop_assert_eq!(&mirror.rows(at(1)), &rows);
                }
            }
        }
    }

    #[test]
    fn only_what_is_otherwise_is_told_and_ages_grow_by_themselves() {
        let restarted = |ago| ActorRow { restarted: vec![Duration::from_secs(ago)], ..row((3, 0, false)) };
        let (mut told, mut mirror) = (Told::default(), Mirror::default());
        let first = told.next(0, (vec![row((1, 5, false)), row((2, 1, false)), restarted(4)], 0));
        assert!(first.is_whole && mirror.hear(first, at(0)));
        let second = told.next(1, (vec![row((1, 5, false)), row((7, 0, false)), restarted(9)], 0));
        let rows: Vec<_> = second.rows.iter().map(|(behind, row)| (*behind, row.probe)).collect();
        assert_eq!((&rows[..], &second.gone[..]), (&[(Some(ProbeId(1)), ProbeId(7))][..], &[ProbeId(2)][..]));
        assert!(!second.is_whole && mirror.hear(second, at(5)));
        assert_eq!(mirror.rows(at(5)), [row((1, 5, false)), row((7, 0, false)), restarted(9)]);
        let busy = told.next(2, (vec![row((1, 5, true))], 0));
        let again = told.next(3, (vec![row((1, 5, true))], 0));
        assert_eq!((busy.rows.len(), again.rows.len()), (1, 1), "for how long already is told each time");
    }

    #[test]
    fn an_answer_about_rows_that_are_not_there_is_not_taken() {
        let (mut told, mut mirror) = (Told::default(), Mirror::default());
        let _lost = told.next(0, (vec![row((1, 5, false))], 0));
        let second = told.next(1, (vec![row((1, 6, false))], 0));
        assert!(!second.is_whole && !mirror.hear(second, at(0)));
    }
}

//! How breakers stood when a reign ended, from its records: the last change of each, and the failures in a row of
//! those that were closed.
//!
//! Changes and ends of attempts need not come in order: what is kept of older changes comes last, and of the scheduler's
//! starts only the last is kept, behind the ends (`archive`). So every end is remembered by its place, which is the number of
//! its record whatever its epoch is taken to be, and counts where it is behind the last change.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::breaker::{BreakerRules, Change, End, Key, Recorded, Verdict};
use crate::id::{NodeId, Token};
use crate::time::Timestamp;

/// See the module.
#[derive(Debug, Default)]
pub struct Replay {
    breakers: BTreeMap<(NodeId, Key), Past>,
}

#[derive(Debug, Default)]
struct Past {
    /// What changed last, at which place among the grants, and when.
    change: Option<(Change, Token, Timestamp)>,
    /// The places of the last failures in a row, as many as open it.
    failed: VecDeque<Token>,
    /// What was granted before this belongs to the last failure.
    since: Option<Token>,
}

impl Replay {
    /// A breaker has changed, as a record at this place says.
    pub fn changed(&mut self, node: &NodeId, key: &Key, change: Change, (at, when): (Token, Timestamp)) {
        let past = self.breakers.entry((node.clone(), key.clone())).or_default();
        if past.change.is_none_or(|(_, before, _)| before.record() <= at.record()) {
            past.change = Some((change, at, when));
            past.failed.retain(|failed| failed.record() > at.record());
            past.since = past.failed.back().copied();
        }
    }

    /// Whether the end of an attempt that says this can change anything: so that those who ask need not look up where
    /// it was, which nearly always nobody wants to know.
    #[must_use]
    pub fn is_concerned(&self, verdict: Verdict, rules: &BreakerRules) -> bool {
        match verdict {
            Verdict::NodeFailed => true,
            Verdict::TaskFailed if rules.kinds_count_failures => true,
            Verdict::Worked | Verdict::TaskFailed => !self.breakers.is_empty(),
            Verdict::Nothing => false,
        }
    }

    /// An attempt is over that was granted on this node.
    pub fn ended(&mut self, node: &NodeId, kind: Option<&Arc<str>>, end: End, rules: &BreakerRules) {
        self.end_of((node.clone(), None), end, rules);
        if let Some(kind) = kind {
            let counts = end.verdict == Verdict::TaskFailed && rules.kinds_count_failures;
            let verdict = if counts { Verdict::NodeFailed } else { end.verdict };
            self.end_of((node.clone(), Some(Arc::clone(kind))), End { verdict, ..end }, rules);
        }
    }

    fn end_of(&mut self, key: (NodeId, Key), end: End, rules: &BreakerRules) {
        match end.verdict {
            Verdict::Nothing => {}
            Verdict::Worked | Verdict::TaskFailed => {
                if let Some(past) = self.breakers.get_mut(&key) {
                    past.failed.clear();
                    past.since = None;
                }
            }
            Verdict::NodeFailed => {
                let past = self.breakers.entry(key).or_default();
                let is_later = past.change.is_none_or(|(_, at, _)| end.at.record() > at.record());
                let is_another = past.since.is_none_or(|since| end.token.record() >= since.record());
                if is_another && is_later {
                    past.failed.push_back(end.at);
                    past.since = Some(end.at);
                    if past.failed.len() > rules.failures.max(1) as usize {
                        past.failed.pop_front();
                    }
                }
            }
        }
    }

    /// What the nodes are to be told, as time stands now.
    #[must_use]
    pub fn finish(self, now: Timestamp) -> Vec<(NodeId, Key, Recorded)> {
        let told = self.breakers.into_iter().filter_map(|((node, key), past)| {
            let recorded = match past.change {
                Some((change @ Change::Opened { wait, .. }, at, when)) => {
                    Recorded { change, at, left: (when + wait).since(now), failures: 0 }
                }
                Some((Change::HalfOpened, at, _)) => {
                    Recorded { change: Change::HalfOpened, at, left: Duration::ZERO, failures: 0 }
                }
                Some((Change::Closed, ..)) | None => {
                    let failures = u32::try_from(past.failed.len()).unwrap_or(u32::MAX);
                    Recorded { change: Change::Closed, at: past.since?, left: Duration::ZERO, failures }
                }
            };
            Some((node, key, recorded))
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::breaker::Board;
    use crate::id::Epoch;
    use crate::time::Moment;

    const RULES: BreakerRules = BreakerRules {
        failures: 3,
        open: Duration::from_secs(60),
        trials: 2,
        success_percent: 100,
        kinds_count_failures: false,
    };

    fn node() -> NodeId {
        "mac-1".into()
    }

    fn end(token: u64, at: u64, verdict: Verdict) -> End {
        End { token: Token(token), at: Token(at), verdict }
    }

    #[test]
    fn failures_in_a_row_go_on_counting_after_a_restart() {
        let mut replay = Replay::default();
        replay.ended(&node(), None, end(1, 2, Verdict::NodeFailed), &RULES);
        replay.ended(&node(), None, end(1, 3, Verdict::NodeFailed), &RULES);
        replay.ended(&node(), None, end(4, 5, Verdict::NodeFailed), &RULES);
        let [(_, key, recorded)] = &*replay.finish(Timestamp(0)) else { panic!("of one breaker") };
        assert_eq!((recorded.failures, recorded.at), (2, Token(5)), "one death is one failure");
        let mut board = Board::default();
        board.apply(key, recorded, Moment(0));
        let changes = board.ended(None, end(6, 7, Verdict::NodeFailed), Moment(0), &RULES);
        assert_eq!(changes, [(None, Change::Opened { failures: 3, wait: RULES.open })]);
    }

    #[test]
    fn one_death_is_one_failure_also_where_the_epoch_of_its_records_is_not_known() {
        let mut replay = Replay::default();
        for record in [9, 10, 11] {
            let (token, at) = (Token::numbered(Epoch(3), record - 5), Token::numbered(Epoch(0), record));
            replay.ended(&node(), None, End { token, at, verdict: Verdict::NodeFailed }, &RULES);
        }
        let [(_, key, recorded)] = &*replay.finish(Timestamp(0)) else { panic!("of one breaker") };
        assert_eq!(recorded.failures, 1);
        let mut board = Board::default();
        board.apply(key, recorded, Moment(0));
        let of_the_same = End {
            token: Token::numbered(Epoch(3), 8),
            at: Token::numbered(Epoch(4), 20),
            verdict: Verdict::NodeFailed,
        };
        for _ in 0..RULES.failures {
            assert_eq!(board.ended(None, of_the_same, Moment(0), &RULES), []);
        }
    }

    #[test]
    fn one_that_should_have_opened_opens_at_once() {
        let mut replay = Replay::default();
        for place in [1, 3, 5] {
            replay.ended(&node(), None, end(place, place + 1, Verdict::NodeFailed), &RULES);
        }
        let [(_, key, recorded)] = &*replay.finish(Timestamp(0)) else { panic!("of one breaker") };
        let mut board = Board::default();
        board.apply(key, recorded, Moment(0));
        assert_eq!(
            board.overdue(Moment(0), &RULES),
            [(None, Change::Opened { failures: 3, wait: RULES.open })]
        );
        assert_eq!(board.overdue(Moment(0), &RULES), []);
    }

    #[test]
    fn a_change_that_comes_after_later_ends_takes_none_of_them_away() {
        let mut replay = Replay::default();
        for place in [1, 3, 5, 11] {
            replay.ended(&node(), None, end(place, place + 1, Verdict::NodeFailed), &RULES);
        }
        replay.changed(&node(), &None, Change::Closed, (Token(8), Timestamp(0)));
        let [(.., recorded)] = &*replay.finish(Timestamp(0)) else { panic!("of one breaker") };
        assert_eq!(recorded.failures, 1);
    }

    proptest! {
        /// Whatever ends in whatever order: a board that was restored does what one does that has lived through it.
        #[test]
        fn a_restored_breaker_is_as_one_that_has_lived_on(
            ends in prop::collection::vec((0_u8..5, 0_u64..3, prop::bool::ANY), 0..60),
            cut in 0_usize..60,
            kinds_count_failures in prop::bool::ANY,
        ) {
            let rules = BreakerRules { kinds_count_failures, ..RULES };
            let kind: Arc<str> = "build".into();
            let (mut lived, mut replay) = (Board::default(), Replay::default());
            let mut restored = None;
            for (place, (verdict, older, has_kind)) in ends.into_iter().enumerate() {
                if place == cut {
                    let mut board = Board::default();
                    for (_, key, recorded) in std::mem::take(&mut replay).finish(Timestamp(0)) {
                        board.apply(&key, &recorded, Moment(0));
                    }
                    restored = Some(board);
                }
                let verdict = match verdict {
                    0 => Verdict::Worked,
                    1 => Verdict::TaskFailed,
                    2 => Verdict::Nothing,
                    _ => Verdict::NodeFailed,
                };
                let at = 10 + 2 * place as u64;
                let end = end(at - 1 - 2 * older, at, verdict);
                let kind = has_kind.then_some(&kind);
                let changes = lived.ended(kind, end, Moment(0), &rules);
                if let Some(board) = &mut restored {
                    prop_assert_eq!(board.ended(kind, end, Moment(0), &rules), changes);
                    prop_assert_eq!(board.places(Some("build"), 5), lived.places(Some("build"), 5));
                } else {
                    replay.ended(&node(), kind, end, &rules);
                    for (key, change) in changes {
                        replay.changed(&node(), &key, change, (Token(at), Timestamp(0)));
                    }
                }
            }
        }
    }
}

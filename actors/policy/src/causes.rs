//! What lines stand in their queues for: added up from look to look, so that whoever starts can be told what it waited for.
//!
//! A line is of tasks that need alike, of one priority. A look says of each what stands in the way of its first, by the gates
//! that decide; until the next look that is taken to hold. Nothing is kept for a task while it waits, be there a hundred
//! thousand of them: when it starts, what was added up for its line since it came is its own. What nobody looked at counts for
//! nothing, so that the parts never come to more than the wait. The rest of a wait is others' turn, or is not known.

use std::collections::VecDeque;
use std::time::Duration;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

use crate::reserve::LineId;
use crate::time::Moment;

/// What stands in the way, in one word: the first of these that does. This type is kept: `layout` says how it may change.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Cause {
    /// An operator, a quota, a budget or the strain of the queue holds it back.
    Held,
    /// A lock, an index of a pool or an amount is not to be had, or others come before it for that.
    Lock,
    /// A rate lets nobody in.
    Rate,
    /// No machine has room.
    Resources,
}

/// For what a task waited how long; nothing that took less than [`LEAST`].
pub type Waited = Vec<(Cause, Duration)>;

/// Less than this is what lies between two looks, and not told.
pub const LEAST: Duration = Duration::from_millis(50);
/// Between two looks, and how much more for each line: a look takes less than a microsecond for one, so some hundredths of the
/// scheduler's time at the most.
const EVERY: Duration = Duration::from_millis(50);
const EVERY_FOR_A_LINE: Duration = Duration::from_micros(20);
/// Changes that are kept of one line, 1.3 KB: of the older half every second goes when there are more, and what lies between
/// two of those that are left is told in proportion.
const MARKS_LIMIT: usize = 32;

const CAUSES: usize = Cause::VARIANTS.len();

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Causes {
    lines: FxHashMap<LineId, Line>,
    looked: Option<Moment>,
    looks: u64,
}

#[derive(Debug, Clone)]
struct Line {
    /// When what stood in the way became another, and what had been added up by then; both growing.
    marks: VecDeque<(Moment, [Duration; CAUSES])>,
    /// What stands in the way since the last mark; nothing where others are before it, or nobody.
    cause: Option<Cause>,
    /// The last look at which it was there.
    look: u64,
}

impl Causes {
    /// Whether it is time to look at so many lines.
    #[must_use]
    pub fn is_due(&self, lines: usize, now: Moment) -> bool {
        let rest = EVERY + EVERY_FOR_A_LINE * u32::try_from(lines).unwrap_or(u32::MAX);
        self.looked.is_none_or(|looked| now.since(looked) >= rest)
    }

    /// Looks at all lines there are: what stands in the way of the first of each. What was seen at the look before has held
    /// until now, if that is no longer ago than `holds`.
    pub fn look(
        &mut self,
        lines: impl Iterator<Item = (LineId, Option<Cause>)>,
        holds: Duration,
        now: Moment,
    ) {
        // For so long nothing was there to be looked at.
        if self.looked.is_some_and(|looked| now.since(looked) > holds) {
            self.lines.clear();
        }
        self.looks += 1;
        self.looked = Some(now);
        let look = self.looks;
        for (id, cause) in lines {
            let fresh = || Line { marks: VecDeque::from([(now, [Duration::ZERO; CAUSES])]), cause, look };
            let line = self.lines.entry(id).or_insert_with(fresh);
            line.look = look;
            line.becomes(cause, now);
        }
        self.lines.retain(|_, line| line.look == look);
    }

    /// For what the first of a line has waited that starts now and came so long ago.
    #[must_use]
    pub fn waited(&self, line: LineId, came: Duration, holds: Duration, now: Moment) -> Waited {
        let (Some(line), Some(looked)) = (self.lines.get(&line), self.looked) else { return Waited::new() };
        let (from, to) = (now - came, now.min(looked + holds));
        let (before, after) = (line.sums(from), line.sums(to));
        let parts = Cause::VARIANTS
            .iter()
            .map(|cause| (*cause, after[*cause as usize].saturating_sub(before[*cause as usize])));
        parts.filter(|(_, length)| *length >= LEAST).collect()
    }
}

impl Line {
    fn becomes(&mut self, cause: Option<Cause>, now: Moment) {
        if self.cause == cause {
            return;
        }
        let sums = self.sums(now);
        self.cause = cause;
        self.marks.push_back((now, sums));
        if self.marks.len() > MARKS_LIMIT {
            let mut place = 0;
            self.marks.retain(|_| {
                place += 1;
                place > MARKS_LIMIT / 2 || place % 2 == 1
            });
        }
    }

    /// What had been added up by then.
    fn sums(&self, at: Moment) -> [Duration; CAUSES] {
        let after = self.marks.partition_point(|(from, _)| *from <= at);
        let Some(place) = after.checked_sub(1) else { return [Duration::ZERO; CAUSES] };
        let (from, mut sums) = self.marks[place];
        let since = at.since(from);
        match (self.marks.get(after), self.cause) {
            (Some((to, ends)), _) => {
                let whole = to.since(from).as_secs_f64().max(f64::EPSILON);
                for (sum, end) in sums.iter_mut().zip(ends) {
                    *sum += end.saturating_sub(*sum).mul_f64(since.as_secs_f64() / whole);
                }
            }
            (None, Some(cause)) => sums[cause as usize] += since,
            (None, None) => {}
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::placement::ShapeId;
    use crate::task::Priority;

    const HOLDS: Duration = Duration::from_secs(5);

    fn line(shape: u32) -> LineId {
        LineId { priority: Priority::Normal, shape: ShapeId(shape) }
    }

    fn at(millis: u64) -> Moment {
        Moment::default() + Duration::from_millis(millis)
    }

    fn millis(waited: Waited) -> Vec<(Cause, u128)> {
        waited.into_iter().map(|(cause, length)| (cause, length.as_millis())).collect()
    }

    #[test]
    fn a_wait_is_what_was_added_up_since_it_began() {
        let mut causes = Causes::default();
        causes.look([(line(1), Some(Cause::Lock))].into_iter(), HOLDS, at(1000));
        causes.look([(line(1), Some(Cause::Resources))].into_iter(), HOLDS, at(2000));
        causes.look([(line(1), None)].into_iter(), HOLDS, at(2500));
        let of = |came, now| millis(causes.waited(line(1), Duration::from_millis(came), HOLDS, at(now)));
        assert_eq!(of(3000, 3000), [(Cause::Lock, 1000), (Cause::Resources, 500)]);
        assert_eq!(
            of(1200, 3000),
            [(Cause::Lock, 200), (Cause::Resources, 500)],
            "who came later waited less"
        );
        assert_eq!(of(100, 3000), [], "it was others' turn");
        assert_eq!(causes.waited(line(2), HOLDS, HOLDS, at(3000)), []);
    }

    #[test]
    fn what_nobody_looked_at_counts_for_nothing() {
        let mut causes = Causes::default();
        let mut look = |now| causes.look([(line(1), Some(Cause::Rate))].into_iter(), HOLDS, at(now));
        look(0);
        look(100);
        look(60_000);
        let of = |causes: &Causes, now| millis(causes.waited(line(1), HOLDS * 100, HOLDS, at(now)));
        assert_eq!(of(&causes, 60_500), [(Cause::Rate, 500)], "nothing was there in between");
        assert_eq!(of(&causes, 90_000), [(Cause::Rate, 5000)], "a look holds for so long");
        assert_eq!(
            millis(causes.waited(line(1), HOLDS, HOLDS, at(90_000))),
            [],
            "it came when no look held any more"
        );
        causes.look([].into_iter(), HOLDS, at(61_000));
        assert_eq!(of(&causes, 61_500), [], "a line that is gone is forgotten");
    }

    #[test]
    fn looks_are_seldom_where_there_is_much_to_look_at() {
        let mut causes = Causes::default();
        assert!(causes.is_due(1, at(0)));
        causes.look([].into_iter(), HOLDS, at(0));
        assert!(!causes.is_due(1, at(49)) && causes.is_due(1, at(51)));
        assert!(!causes.is_due(10_000, at(200)) && causes.is_due(10_000, at(251)));
    }

    fn cause() -> impl Strategy<Value = Option<Cause>> {
        prop::option::of(prop::sample::select(Cause::VARIANTS))
    }

    proptest! {
        #[test]
        fn the_parts_are_what_each_task_would_have_counted_itself(
            looks in prop::collection::vec((50_u64..2000, cause()), 1..30),
            came in 0_u64..30_000,
            rest in 0_u64..3000,
        ) {
            let (mut causes, mut now, mut stretches) = (Causes::default(), 0, Vec::new());
            for (gap, cause) in looks {
                now += gap;
                causes.look([(line(1), cause)].into_iter(), HOLDS, at(now));
                stretches.push((now, cause));
            }
            let end = now + rest;
            let mut model = [0_u64; CAUSES];
            for (place, (from, cause)) in stretches.iter().enumerate() {
                let to = stretches.get(place + 1).map_or(end, |(to, _)| *to);
                let counted = to.saturating_sub((*from).max(came.min(end)));
                if let Some(cause) = cause {
                    model[*cause as usize] += counted;
                }
            }
            let waited = causes.waited(line(1), Duration::from_millis(end - came.min(end)), HOLDS, at(end));
            let told: Duration = waited.iter().map(|(_, length)| *length).sum();
            prop_assert!(told <= Duration::from_millis(end - came.min(end)));
            for cause in Cause::VARIANTS {
                let told = waited.iter().find(|(one, _)| one == cause).map_or(0, |(_, length)| length.as_micros());
                let counted = u128::from(model[*cause as usize]) * 1000;
                let counted = if counted < LEAST.as_micros() { 0 } else { counted };
                prop_assert!(told.abs_diff(counted) <= 10, "{cause}: {told} and {counted}");
            }
        }

        #[test]
        fn however_often_it_changes_the_parts_stay_within_the_wait(
            looks in prop::collection::vec((50_u64..200, cause()), 100..400),
            came in 0_u64..60_000,
        ) {
            let (mut causes, mut now) = (Causes::default(), 0);
            for (gap, cause) in looks {
                now += gap;
                causes.look([(line(1), cause)].into_iter(), HOLDS, at(now));
            }
            prop_assert!(causes.lines[&line(1)].marks.len() <= MARKS_LIMIT);
            let wait = Duration::from_millis(now - came.min(now));
            let told: Duration = causes.waited(line(1), wait, HOLDS, at(now)).iter().map(|(_, one)| *one).sum();
            prop_assert!(told <= wait + Duration::from_micros(50), "{told:?} of {wait:?}");
        }
    }
}

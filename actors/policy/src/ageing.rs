//! Waiting raises: a line whose first task has waited long is served as if it were more urgent.
//!
//! # What ages
//!
//! A *line* is the tasks of one priority, one tenant and one need, in the order of their arrival. Its age is the
//! time that its first has waited: since it was ready, or since the line was last served, whichever is later. Those
//! behind the first wait for their own line, which no priority can help; if they aged too, a batch of a million
//! tasks would stand before everything urgent after some minutes, and shares would mean nothing.
//!
//! The age is worked out from two points in time whenever it is asked for. Nothing adds up with the number of calls.
//!
//! # What follows
//!
//! A line that has climbed to a higher class is served in that class's slice, before those born there. One that has
//! climbed to the top, or has missed the objective, is served before anybody, the oldest first: no younger task
//! overtakes it on a node that it fits.
//!
//! # The bound
//!
//! The first of a line that fits a node waits, whatever else is submitted, at most
//!
//! ```text
//! min(climb(class, Critical), objective) + 2 ticks + (older lines at the top + 1 round) / rate of starts on that node
//! ```
//!
//! and, as long as anything of its class fits, its class has its slice besides (`time_slice`). With the usual values
//! the first part is 3 minutes for Low, 2 for Normal and 1 for High.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::queue::Arrival;
use crate::task::Priority;
use crate::time::Moment;

/// How long it takes to climb.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Mode {
    /// Nobody climbs. The objective still holds.
    None,
    /// Every level takes `base`.
    #[default]
    Linear,
    /// From Low half of `base`, from Normal `base`, from High twice `base`: what is least urgent has been passed
    /// over most, and the last step, which displaces most, takes longest.
    Exponential,
}

/// How waiting raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ageing {
    /// How long it takes to climb.
    pub mode: Mode,
    /// What one level takes.
    pub base: Duration,
    /// The beat at which ages are looked at: an age is at most one tick short.
    pub tick: Duration,
    /// The service-level objective: the first of a line is leased within so many ticks.
    pub objective_ticks: u32,
}

/// Why ageing cannot be done like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgeingRefused {
    /// A beat costs a look at every line.
    #[error("a tick of {0:?} is out of range: must be 10ms to 1m")]
    Tick(Duration),
    /// A level that takes less than a tick could not be told from one that takes none.
    #[error("a base of {base:?} is out of range: must be at least one tick ({tick:?}) and at most 1d")]
    Base {
        /// What was asked for.
        base: Duration,
        /// The tick.
        tick: Duration,
    },
    /// Every tick until then is remembered.
    #[error("an objective of {0} ticks is out of range: must be 1 to 100000")]
    Objective(u32),
    /// Every tick of the longest climb is remembered.
    #[error("a climb of {climb:?} in ticks of {tick:?} is out of range: must be at most 100000 ticks")]
    Fine {
        /// The longest climb.
        climb: Duration,
        /// The tick.
        tick: Duration,
    },
}

/// Ticks that are remembered at the most: 16 bytes each.
const TICKS_LIMIT: u32 = 100_000;

/// How many levels a priority has climbed, and whether it has missed the objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The class as which it is served.
    pub class: Priority,
    /// Whether the objective is missed.
    pub is_late: bool,
}

/// For the tasks of one priority: who has waited since before these arrivals has climbed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    born: Priority,
    /// By class; [`Arrival`] 0, before which nobody came, where nobody climbs there.
    climbed: [Arrival; 4],
    late: Arrival,
}

impl Default for Ageing {
    /// A minute a level: tasks of agents take seconds to minutes, so what has waited for minutes was passed over
    /// rather than merely queued, and a fleet of three machines starts some tasks in every minute. A tick of two
    /// seconds is fine beside that and costs nothing; a hundred of them are just more than the longest climb.
    fn default() -> Self {
        let (base, tick) = (Duration::from_secs(60), Duration::from_secs(2));
        Self { mode: Mode::Linear, base, tick, objective_ticks: 100 }
    }
}

impl Ageing {
    /// Whether it can be done.
    ///
    /// # Errors
    ///
    /// When a value is out of its range.
    pub fn check(&self) -> Result<(), AgeingRefused> {
        let Self { base, tick, objective_ticks, .. } = *self;
        if tick < Duration::from_millis(10) || tick > Duration::from_secs(60) {
            return Err(AgeingRefused::Tick(tick));
        }
        if base < tick || base > Duration::from_secs(86_400) {
            return Err(AgeingRefused::Base { base, tick });
        }
        if !(1..=TICKS_LIMIT).contains(&objective_ticks) {
            return Err(AgeingRefused::Objective(objective_ticks));
        }
        let climb = self.climb(Priority::Low, Priority::Critical).unwrap_or_default();
        if climb > tick * TICKS_LIMIT {
            return Err(AgeingRefused::Fine { climb, tick });
        }
        Ok(())
    }

    /// How long a task of `born` waits until it is served as `class`; `None` where it never is.
    #[must_use]
    pub fn climb(&self, born: Priority, class: Priority) -> Option<Duration> {
        let levels = Priority::VARIANTS.iter().filter(|level| (born..class).contains(level));
        let level = |level: &Priority| match (self.mode, level) {
            (Mode::None, _) => None,
            (Mode::Linear, _) | (Mode::Exponential, Priority::Normal) => Some(self.base),
            (Mode::Exponential, Priority::Low) => Some(self.base / 2),
            (Mode::Exponential, Priority::High | Priority::Critical) => Some(self.base * 2),
        };
        levels.map(level).sum()
    }

    /// The objective as a time.
    #[must_use]
    pub fn objective(&self) -> Duration {
        self.tick * self.objective_ticks
    }

    /// Where somebody born so stands who has waited so long.
    #[must_use]
    pub fn standing(&self, born: Priority, waited: Duration) -> Standing {
        let is_late = waited >= self.objective();
        let climbed = |class: &&Priority| self.climb(born, **class).is_some_and(|climb| climb <= waited);
        let class = Priority::VARIANTS.iter().filter(|class| **class >= born).rfind(climbed);
        Standing { class: if is_late { Priority::Critical } else { class.copied().unwrap_or(born) }, is_late }
    }

    /// The longest wait that makes a difference.
    fn horizon(&self) -> Duration {
        self.objective().max(self.climb(Priority::Low, Priority::Critical).unwrap_or_default())
    }
}

/// When tasks came, to the tick: one mark for each, however many came.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    /// At this moment the next arrival was this one. The first is the newest of those that are older than anybody asks.
    marks: VecDeque<(Moment, Arrival)>,
}

impl Calendar {
    /// Until now all arrivals before `next` have come.
    pub fn mark(&mut self, now: Moment, next: Arrival, ageing: &Ageing) {
        if self.marks.back().is_none_or(|(_, last)| *last < next) {
            self.marks.push_back((now, next));
        }
        let horizon = now - ageing.horizon();
        while self.marks.get(1).is_some_and(|(at, _)| *at <= horizon) {
            self.marks.pop_front();
        }
    }

    /// Everybody before this arrival had come at `moment`.
    #[must_use]
    pub fn before(&self, moment: Moment) -> Arrival {
        let later = self.marks.partition_point(|(at, _)| *at <= moment);
        later.checked_sub(1).map_or(Arrival(0), |last| self.marks[last].1)
    }

    /// What the arrivals of one priority mean now.
    #[must_use]
    pub fn ladder(&self, born: Priority, now: Moment, ageing: &Ageing) -> Ladder {
        let long_ago = |wait: Duration| {
            // Before the clock began nobody can have come.
            let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
            now.0.checked_sub(micros).map_or(Arrival(0), |moment| self.before(Moment(moment)))
        };
        let climbed = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical].map(|class| {
            let climb = ageing.climb(born, class).filter(|_| class > born);
            climb.map_or(Arrival(0), long_ago)
        });
        Ladder { born, climbed, late: long_ago(ageing.objective()) }
    }

    /// How long at least somebody waits who came at `arrival`, to the tick.
    #[must_use]
    pub fn waited(&self, arrival: Arrival, now: Moment) -> Duration {
        let came_later = self.marks.partition_point(|(_, next)| *next <= arrival);
        self.marks.get(came_later).map_or(Duration::ZERO, |(at, _)| now.since(*at))
    }
}

impl Ladder {
    /// Where somebody stands who has waited since `since`.
    #[must_use]
    pub fn standing(&self, since: Arrival) -> Standing {
        let is_late = since < self.late;
        let climbed = |class: &&Priority| since < self.climbed[**class as usize];
        let class = Priority::VARIANTS.iter().rfind(climbed).copied().unwrap_or(self.born);
        Standing { class: if is_late { Priority::Critical } else { class }, is_late }
    }

    /// Whether anybody who has waited since `since` stands where nobody is born.
    #[must_use]
    pub fn raises(&self, since: Arrival) -> bool {
        self.standing(since) != Standing { class: self.born, is_late: false }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: Duration = Duration::from_secs(60);

    fn ageing(mode: Mode) -> Ageing {
        Ageing { mode, objective_ticks: 100_000, ..Ageing::default() }
    }

    fn class(mode: Mode, born: Priority, waited: Duration) -> Priority {
        ageing(mode).standing(born, waited).class
    }

    #[test]
    fn promotion_goes_level_by_level_up_to_critical() {
        let low = |mode, seconds| class(mode, Priority::Low, Duration::from_secs(seconds));
        let at = |mode, seconds: [u64; 4]| seconds.map(|seconds| low(mode, seconds));
        let climbed = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];
        assert_eq!(at(Mode::Linear, [59, 60, 120, 180]), climbed);
        assert_eq!(at(Mode::Exponential, [29, 30, 90, 210]), climbed);
        assert_eq!(at(Mode::None, [0, 60, 120, 100_000]), [Priority::Low; 4]);
        assert_eq!(low(Mode::Linear, 1_000_000), Priority::Critical, "and not beyond");
        assert_eq!(class(Mode::Exponential, Priority::High, 2 * BASE), Priority::Critical);
    }

    #[test]
    fn the_priority_order_is_never_inverted_by_waiting_alike() {
        for mode in [Mode::None, Mode::Linear, Mode::Exponential] {
            for seconds in (0..600).step_by(10).map(Duration::from_secs) {
                let classes = Priority::VARIANTS.iter().map(|born| class(mode, *born, seconds));
                assert!(classes.is_sorted(), "{mode} after {seconds:?}");
            }
        }
    }

    #[test]
    fn who_misses_the_objective_is_at_the_top_whatever_the_mode() {
        let ageing = Ageing { mode: Mode::None, ..Ageing::default() };
        let late = Standing { class: Priority::Critical, is_late: true };
        assert_eq!(ageing.standing(Priority::Low, Duration::from_secs(200)), late);
        assert!(!ageing.standing(Priority::Critical, Duration::from_secs(199)).is_late);
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        let usual = Ageing::default();
        assert_eq!(usual.check(), Ok(()));
        let refused = |ageing: Ageing| ageing.check().unwrap_err().to_string();
        assert_eq!(
            refused(Ageing { tick: Duration::ZERO, ..usual }),
            "a tick of 0ns is out of range: must be 10ms to 1m"
        );
        assert!(refused(Ageing { base: Duration::from_secs(1), ..usual }).contains("at least one tick (2s)"));
        assert!(refused(Ageing { objective_ticks: 0, ..usual }).contains("must be 1 to 100000"));
        let fine = Ageing { base: Duration::from_secs(86_400), tick: Duration::from_millis(10), ..usual };
        assert!(refused(fine).contains("at most 100000 ticks"));
    }

    #[test]
    fn the_calendar_is_as_long_as_the_longest_climb_and_no_longer() {
        let (ageing, mut calendar) = (Ageing::default(), Calendar::default());
        for tick in 0..100_000_u64 {
            calendar.mark(Moment(tick * 2_000_000), Arrival(tick * 1000), &ageing);
        }
        assert!(calendar.marks.len() <= 102, "{}", calendar.marks.len());
        for tick in 100_000..200_000_u64 {
            calendar.mark(Moment(tick * 2_000_000), Arrival(0), &ageing);
        }
        assert_eq!(calendar.marks.len(), 1, "where nobody comes nothing is noted");
    }

    proptest! {
        /// However often and whenever it is asked: an age never compounds, and is short by a tick at the most.
        #[test]
        fn a_ladder_says_what_the_waiting_time_says_to_the_tick(
            gaps in prop::collection::vec(0_u64..40, 1..60),
            mode in prop::sample::select(&[Mode::None, Mode::Linear, Mode::Exponential][..]),
            born in prop::sample::select(Priority::VARIANTS),
        ) {
            let (ageing, mut calendar) = (Ageing { mode, ..Ageing::default() }, Calendar::default());
            let (mut now, mut came, mut next) = (Moment(1 << 40), Vec::new(), Arrival(1));
            for gap in gaps {
                for _ in 0..gap {
                    now = now + ageing.tick;
                    calendar.mark(now, next, &ageing);
                }
                came.push((now, next));
                next = next.after(1);
            }
            now = now + ageing.tick;
            calendar.mark(now, next, &ageing);
            let ladder = calendar.ladder(born, now, &ageing);
            for (at, arrival) in came {
                let waited = now.since(at);
                let said = ladder.standing(arrival);
                let (least, most) = (ageing.standing(born, waited.saturating_sub(ageing.tick)), ageing.standing(born, waited));
                prop_assert!(least.class <= said.class && said.class <= most.class, "{waited:?} {said:?}");
                prop_assert!(calendar.waited(arrival, now) <= waited);
                prop_assert_eq!(ladder.standing(arrival), said, "asking again changes nothing");
            }
        }
    }
}

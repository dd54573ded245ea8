//! The breakers of one node: its own, and one for each kind of task that has broken there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::breaker::{Breaker, BreakerRules, Change, End, Recorded, Verdict};
use crate::id::{TaskId, Token};
use crate::time::Moment;

/// Kinds with failures that one node remembers: their names come from outside. What breaks beyond them counts
/// for the node alone.
pub const KINDS_LIMIT: usize = 256;

/// Which breaker: the node's own where no kind is named.
pub type Key = Option<Arc<str>>;

/// The breakers of one node. A kind whose breaker is closed and without failures has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Board {
    own: Breaker,
    kinds: BTreeMap<Arc<str>, Breaker>,
}

/// How a breaker that is not closed stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Seen {
    /// Nothing is granted for so long.
    Open(Duration),
    /// One attempt at a time is granted; whether one could be now.
    HalfOpen {
        /// Whether the place for a trial is free.
        free: bool,
    },
}

impl Seen {
    fn of(breaker: &Breaker, now: Moment) -> Option<Self> {
        match breaker.open_until() {
            Some(until) => Some(Self::Open(until.since(now))),
            None => breaker.is_half_open().then(|| Self::HalfOpen { free: breaker.places(1) > 0 }),
        }
    }
}

/// `open for another 40s`.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(wait) => write!(f, "open for another {}s", wait.as_secs_f64().ceil()),
            Self::HalfOpen { free: false } => f.write_str("half-open, and its trial is under way"),
            Self::HalfOpen { free: true } => f.write_str("half-open"),
        }
    }
}

/// Why a node that is up is sent nothing of some kind, or nothing at all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tripped {
    /// The kind of task; all where there is none.
    pub kind: Key,
    /// How the breaker stands.
    pub seen: Seen,
}

/// `its breaker is open for another 40s`.
impl fmt::Display for Tripped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            None => write!(f, "its breaker is {}", self.seen),
            Some(kind) => write!(f, "its breaker for {kind} is {}", self.seen),
        }
    }
}

impl Board {
    fn of_task(&mut self, kind: Option<&str>) -> impl Iterator<Item = &mut Breaker> {
        let kind = kind.and_then(|kind| self.kinds.get_mut(kind));
        [Some(&mut self.own), kind].into_iter().flatten()
    }

    /// How many attempts of a kind may be granted now, of at most `most`.
    #[must_use]
    pub fn places(&self, kind: Option<&str>, most: u32) -> u32 {
        let kind = kind.and_then(|kind| self.kinds.get(kind));
        kind.map_or(most, |kind| kind.places(most)).min(self.own.places(most))
    }

    /// Takes places for an attempt, in all breakers it is a matter of, or in none.
    pub fn reserve(&mut self, task: TaskId, kind: Option<&str>) -> bool {
        let free = self.places(kind, 1) > 0;
        free && self.of_task(kind).all(|breaker| breaker.reserve(task))
    }

    /// What was reserved is granted.
    pub fn granted(&mut self, task: TaskId, kind: Option<&str>, token: Token) {
        self.of_task(kind).for_each(|breaker| breaker.granted(task, token));
    }

    /// What was reserved is not wanted any more.
    pub fn declined(&mut self, task: TaskId) {
        self.own.declined(task);
        self.kinds.values_mut().for_each(|breaker| breaker.declined(task));
    }

    /// An attempt from before a restart goes on. Where a breaker is half-open, only what was granted after that
    /// is its trial.
    pub fn restored(&mut self, task: TaskId, kind: Option<&str>, token: Token) {
        self.of_task(kind).for_each(|breaker| breaker.restored(task, token));
    }

    /// An attempt is over: the breakers that have changed.
    pub fn ended(
        &mut self,
        kind: Option<&Arc<str>>,
        end: End,
        now: Moment,
        rules: &BreakerRules,
    ) -> Vec<(Key, Change)> {
        let own = self.own.ended(end, now, rules).map(|change| (None, change));
        let Some(kind) = kind else { return own.into_iter().collect() };
        let counts = end.verdict == Verdict::TaskFailed && rules.kinds_count_failures;
        let end = if counts { End { verdict: Verdict::NodeFailed, ..end } } else { end };
        if end.verdict == Verdict::NodeFailed && self.kinds.len() < KINDS_LIMIT {
            self.kinds.entry(Arc::clone(kind)).or_default();
        }
        let Some(breaker) = self.kinds.get_mut(kind) else { return own.into_iter().collect() };
        let of_kind = breaker.ended(end, now, rules).map(|change| (Some(Arc::clone(kind)), change));
        if breaker.is_clean() {
            self.kinds.remove(kind);
        }
        own.into_iter().chain(of_kind).collect()
    }

    /// Time has passed: the breakers that have changed.
    pub fn tick(&mut self, now: Moment) -> Vec<(Key, Change)> {
        let own = self.own.tick(now).map(|change| (None, change));
        let kinds = self.kinds.iter_mut();
        let kinds = kinds.filter_map(|(kind, one)| Some((Some(Arc::clone(kind)), one.tick(now)?)));
        own.into_iter().chain(kinds).collect()
    }

    /// Brings a breaker to where a recorded change has brought it.
    pub fn apply(&mut self, key: &Key, recorded: &Recorded, now: Moment) {
        match key {
            None => self.own.apply(recorded, now),
            Some(kind) => {
                self.kinds.entry(Arc::clone(kind)).or_default().apply(recorded, now);
                self.kinds.retain(|_, breaker| !breaker.is_clean());
            }
        }
    }

    /// Opens what should have been open when the records ended: the breakers that have changed.
    pub fn overdue(&mut self, now: Moment, rules: &BreakerRules) -> Vec<(Key, Change)> {
        let own = self.own.overdue(now, rules).map(|change| (None, change));
        let kinds = self.kinds.iter_mut();
        let kinds = kinds.filter_map(|(kind, one)| Some((Some(Arc::clone(kind)), one.overdue(now, rules)?)));
        own.into_iter().chain(kinds).collect()
    }

    /// When time changes something next.
    #[must_use]
    pub fn due(&self) -> Option<Moment> {
        [&self.own].into_iter().chain(self.kinds.values()).filter_map(Breaker::open_until).min()
    }

    /// Whether every breaker is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        [&self.own].into_iter().chain(self.kinds.values()).all(|one| one.places(2) == 2)
    }

    /// Kinds that are remembered.
    #[must_use]
    pub fn kinds(&self) -> usize {
        self.kinds.len()
    }

    /// Every breaker that is not closed.
    #[must_use]
    pub fn seen(&self, now: Moment) -> Vec<(Key, Seen)> {
        let own = Seen::of(&self.own, now).map(|seen| (None, seen));
        let kinds = self.kinds.iter();
        let kinds =
            kinds.filter_map(|(kind, breaker)| Some((Some(Arc::clone(kind)), Seen::of(breaker, now)?)));
        own.into_iter().chain(kinds).collect()
    }
}

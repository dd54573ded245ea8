//! Whose turn it is: among those that claim the same things, the more urgent first, then first come first served,
//! and nobody is passed for ever.
//!
//! Those that ask are kinds of tasks (shapes), never single ones. In each round all that have room elsewhere
//! are asked together, in the order of their turn. One that is blocked holds back those behind it from
//! what blocks it: so a writer that waits for readers is not starved by later readers. One that has been
//! passed [`PASSED_LIMIT`] times by later ones holds them back from everything it claims, and so does one for which others
//! have been asked to stop. Nothing else stands idle for one that has no room elsewhere, or waits for a rate.

use std::cmp::Reverse;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::claims::{Blocked, ClaimTable, Claims, Mode, Thing};
use crate::id::TaskId;
use crate::placement::ShapeId;
use crate::task::Priority;
use crate::time::Moment;

/// How often one that waits may be passed by later ones: twice for each priority above it.
pub(super) const PASSED_LIMIT: u32 = 8;

/// Holders of one thing that are looked at: of those that share it each is in the way.
const INVERSIONS_AT_ONCE: usize = 16;

/// Inversions that are remembered, so that each is told once.
const INVERSIONS_LIMIT: usize = 10_000;

/// Tasks that claim alike, at least one of which waits and has room elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Contender<'a> {
    /// Their number.
    pub shape: ShapeId,
    /// What each claims.
    pub claims: &'a Claims,
    /// How urgent the most urgent of them is.
    pub priority: Priority,
    /// About when the first of them came; smaller is earlier.
    pub arrival: u64,
    /// Whether others stop for the first of them at this moment: what it claims is kept for it until it can start.
    pub is_expected: bool,
}

/// Urgent tasks wait for what a less urgent one holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inversion {
    /// Those that wait.
    pub shape: ShapeId,
    /// How urgent they are.
    pub priority: Priority,
    /// For what: `lock repo`.
    pub what: Box<str>,
    /// Who holds it.
    pub holder: TaskId,
    /// How urgent that is.
    pub holder_priority: Priority,
}

/// What is kept for those whose turn it is, in which manner, and the place of the one for whom.
type Barred<'a> = FxHashMap<Thing<'a>, (Mode, usize)>;

/// What is remembered from round to round.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// How often each that waits was passed.
    waits: FxHashMap<ShapeId, Wait>,
    told: FxHashSet<(ShapeId, TaskId)>,
    new: Vec<Inversion>,
    /// Those that may start and hold back somebody more urgent until they have.
    ahead_of_urgent: Vec<ShapeId>,
}

#[derive(Debug, Clone, Copy)]
struct Wait {
    arrival: u64,
    passed: u32,
    /// Whether it could have been started in the last round but for its claims.
    is_asking: bool,
}

impl Turns {
    pub(super) fn released(&mut self, task: TaskId) {
        self.told.retain(|(_, holder)| *holder != task);
    }

    fn is_overdue(&self, shape: ShapeId) -> bool {
        self.waits.get(&shape).is_some_and(|wait| wait.passed >= PASSED_LIMIT)
    }

    /// The order in which they are asked.
    fn rank(&self, one: &Contender<'_>) -> (bool, Reverse<Priority>, u64, ShapeId) {
        let is_overdue = self.is_overdue(one.shape);
        // Among those that were passed too often urgency counts no more.
        let priority = if is_overdue { Priority::Critical } else { one.priority };
        (!is_overdue, Reverse(priority), one.arrival, one.shape)
    }
}

impl ClaimTable {
    /// How many of each may take their claims now, in the order given: call [`Self::pass`] before. `waits` says
    /// of a shape whether tasks of it still wait at all.
    pub fn round(
        &mut self,
        contenders: &[Contender<'_>],
        now: Moment,
        waits: impl Fn(ShapeId) -> bool,
    ) -> Vec<Result<u32, Blocked>> {
        self.turns.waits.retain(|shape, wait| {
            wait.is_asking = false;
            waits(*shape)
        });
        let mut order: Vec<usize> = (0..contenders.len()).collect();
        order.sort_unstable_by_key(|place| self.turns.rank(&contenders[*place]));
        let mut barred: Barred<'_> = FxHashMap::default();
        let mut answers = vec![Ok(0); contenders.len()];
        self.turns.ahead_of_urgent.clear();
        for place in order {
            let one = &contenders[place];
            let answer = self.room(one.claims, now).and_then(|room| match behind(one.claims, &barred) {
                Some((name, before)) => {
                    self.note_before(&contenders[before], answers[before].is_ok(), one);
                    Err(Blocked::Behind { name: name.into() })
                }
                None => Ok(room),
            });
            self.bar((one, place), answer.as_ref().err(), &mut barred);
            if let Err(blocked) = &answer {
                self.note_waiting(one, blocked);
            }
            answers[place] = answer;
        }
        answers
    }

    /// What those behind `one` may not have.
    fn bar<'a>(
        &self,
        (one, place): (&Contender<'a>, usize),
        blocked: Option<&Blocked>,
        barred: &mut Barred<'a>,
    ) {
        let waits_for_rate = matches!(blocked, Some(Blocked::Rate { .. } | Blocked::Parked { .. }));
        let all = one.is_expected || (self.turns.is_overdue(one.shape) && !waits_for_rate);
        for (thing, mode) in one.claims.things() {
            if all || blocked.is_some_and(|blocked| is_about(blocked, thing)) {
                let known = barred.entry(thing).or_insert((mode, place));
                if mode > known.0 {
                    *known = (mode, place);
                }
            }
        }
    }

    /// `behind` waits until `before` has had its turn, which it may take now or not.
    fn note_before(&mut self, before: &Contender<'_>, may_start: bool, behind: &Contender<'_>) {
        let ahead = &mut self.turns.ahead_of_urgent;
        if may_start && before.priority < behind.priority && !ahead.contains(&before.shape) {
            ahead.push(before.shape);
        }
    }

    /// Those that the last round let start and for which somebody more urgent has to wait until they have started.
    #[must_use]
    pub fn ahead_of_urgent(&self) -> &[ShapeId] {
        &self.turns.ahead_of_urgent
    }

    fn note_waiting(&mut self, one: &Contender<'_>, blocked: &Blocked) {
        let fresh = Wait { arrival: one.arrival, passed: 0, is_asking: true };
        let wait = self.turns.waits.entry(one.shape).or_insert(fresh);
        (wait.arrival, wait.is_asking) = (one.arrival, true);
        self.note_inversions(one, blocked);
    }

    fn note_inversions(&mut self, one: &Contender<'_>, blocked: &Blocked) {
        let Some(what) = blocked.thing() else { return };
        for holder in self.in_the_way(blocked, INVERSIONS_AT_ONCE) {
            let Some(held) = self.held.get(&holder).filter(|held| held.holder.priority < one.priority) else {
                continue;
            };
            let is_new =
                self.turns.told.len() < INVERSIONS_LIMIT && self.turns.told.insert((one.shape, holder));
            if is_new {
                self.turns.new.push(Inversion {
                    shape: one.shape,
                    priority: one.priority,
                    what: what.as_str().into(),
                    holder,
                    holder_priority: held.holder.priority,
                });
            }
        }
    }

    /// The inversions that have come up since this was last asked.
    pub fn inversions(&mut self) -> Vec<Inversion> {
        std::mem::take(&mut self.turns.new)
    }

    /// One of a shape has taken its claims: it has had its turn, and those that came earlier and want the same
    /// were passed. `claims_of` says what a shape claims.
    pub fn had_turn<'a>(
        &mut self,
        (shape, arrival): (ShapeId, u64),
        claims: &Claims,
        claims_of: impl Fn(ShapeId) -> Option<&'a Claims>,
    ) {
        self.turns.waits.remove(&shape);
        for (other, wait) in
            self.turns.waits.iter_mut().filter(|(_, wait)| wait.is_asking && wait.arrival < arrival)
        {
            if claims_of(*other).is_some_and(|theirs| conflict(claims, theirs)) {
                wait.passed = wait.passed.saturating_add(1);
            }
        }
    }
}

/// The name of something that is kept for others, and for whom.
fn behind<'a>(claims: &'a Claims, barred: &Barred<'_>) -> Option<(&'a str, usize)> {
    if barred.is_empty() {
        return None;
    }
    let kept = |(thing, mode): &(Thing<'a>, Mode)| {
        barred.get(thing).is_some_and(|(other, _)| *other == Mode::Exclusive || *mode == Mode::Exclusive)
    };
    let (thing, _) = claims.things().find(kept)?;
    Some((thing.name(), barred.get(&thing)?.1))
}

fn conflict(one: &Claims, other: &Claims) -> bool {
    one.things().any(|(thing, mode)| {
        let alike = other.things().find(|(theirs, _)| *theirs == thing);
        alike.is_some_and(|(_, theirs)| mode == Mode::Exclusive || theirs == Mode::Exclusive)
    })
}

fn is_about(blocked: &Blocked, thing: Thing<'_>) -> bool {
    match (blocked, thing) {
        (Blocked::Lock { lock: name, .. }, Thing::Lock(thing))
        | (Blocked::Rate { rate: name, .. } | Blocked::Parked { rate: name, .. }, Thing::Rate(thing))
        | (Blocked::Pool { pool: name, .. }, Thing::Pool(thing))
        | (Blocked::Amount { name, .. }, Thing::Amount(thing)) => **name == *thing,
        (Blocked::Behind { name }, thing) => **name == *thing.name(),
        _ => false,
    }
}

impl<'a> Thing<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::Lock(name) | Self::Rate(name) | Self::Pool(name) | Self::Amount(name) => name,
        }
    }
}

//! What was found for each need, kept until a node changes: a round asks for every need that waits, and few nodes have
//! changed since the one before. So a round costs needs × changed nodes, and not needs × nodes.
//!
//! What depends on who runs where is not kept: tasks that say something of those beside them are looked for anew.
//!
//! Nothing here decides: each answer is that of [`Fleet::times`], [`Fleet::place`] and [`Fleet::could_take`], which the
//! tests compare it with.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::demand::Demand;
use crate::fleet::front::Front;
use crate::fleet::site::Site;
use crate::fleet::{Asker, Fleet};
use crate::placement::{Choice, ShapeId};

/// Changes that are remembered for each node: who has heard of none of them looks at all nodes again.
const CHANGES_PER_NODE: usize = 2;

/// Attempts that are counted at the most, on one node and on all.
pub const COUNTED_LIMIT: u32 = 256;
/// Needs that nobody has any more and are kept all the same: they may come again.
const ENTRIES_SPARED: usize = 64;

/// The number of a change.
type ChangeNumber = u64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Changes ever made.
    changes: ChangeNumber,
    /// The places of the last ones, the newest last.
    recent: VecDeque<usize>,
    /// The last change of each place.
    changed: Vec<ChangeNumber>,
    /// How often it has changed which nodes could run what, were they empty.
    abilities: u64,
    entries: FxHashMap<ShapeId, Entry>,
}

/// What was found for one need.
#[derive(Debug)]
struct Entry {
    demand: Arc<Demand>,
    /// What [`Fleet::times`] said of each node, and all together; as of this change.
    times: (ChangeNumber, Vec<u32>, u64),
    /// The best nodes, where they were looked for; as of this change.
    best: Option<(ChangeNumber, Front)>,
    /// Whether an empty node could run it; as of these abilities.
    could: Option<(u64, bool)>,
}

impl Kept {
    /// A node has other room than before.
    pub(super) fn touch(&mut self, place: usize) {
        if self.changed.len() <= place {
            self.changed.resize(place + 1, 0);
        }
        self.changes += 1;
        self.changed[place] = self.changes;
        self.recent.push_back(place);
        if self.recent.len() > CHANGES_PER_NODE * self.changed.len() {
            self.recent.pop_front();
        }
    }

    /// Another set of nodes could run what it needs.
    pub(super) fn abilities_changed(&mut self) {
        self.abilities += 1;
    }

    /// The nodes have other places.
    pub(super) fn forget_all(&mut self) {
        self.entries.clear();
        self.recent.clear();
        self.changed.clear();
        self.abilities += 1;
    }

    /// What is kept of this demand, which is that of this shape now.
    fn entry(&mut self, demand: &Arc<Demand>, shape: ShapeId) -> &mut Entry {
        let fresh =
            || Entry { demand: Arc::clone(demand), times: (0, Vec::new(), 0), best: None, could: None };
        let entry = self.entries.entry(shape).or_insert_with(fresh);
        if !Arc::ptr_eq(&entry.demand, demand) {
            *entry = fresh();
        }
        entry
    }

    /// The places that have changed since, each once; `None` where that is not known any more.
    fn since(&self, change: ChangeNumber) -> Option<impl Iterator<Item = usize> + '_> {
        let new = usize::try_from(self.changes - change).ok().filter(|new| *new <= self.recent.len())?;
        let newest = (change + 1..).zip(self.recent.range(self.recent.len() - new..).copied());
        Some(newest.filter(|(change, place)| self.changed[*place] == *change).map(|(_, place)| place))
    }
}

impl Fleet {
    /// As [`Fleet::times`] up to [`COUNTED_LIMIT`], and remembers it.
    pub fn room_for(&mut self, demand: &Arc<Demand>, shape: ShapeId) -> u32 {
        if demand.constraints.company.is_some() || demand.gang.is_some() {
            return self.times(demand, shape, COUNTED_LIMIT);
        }
        let Self { nodes, kept, .. } = self;
        let (seen, mut times, mut sum) = std::mem::take(&mut kept.entry(demand, shape).times);
        let on = |place: usize| nodes[place].times_of(demand, shape, COUNTED_LIMIT);
        match kept.since(seen).filter(|_| times.len() == nodes.len()) {
            Some(changed) => {
                for place in changed {
                    let now = on(place);
                    sum = sum - u64::from(times[place]) + u64::from(now);
                    times[place] = now;
                }
            }
            None => {
                times = (0..nodes.len()).map(on).collect();
                sum = times.iter().map(|times| u64::from(*times)).sum();
            }
        }
        let changes = kept.changes;
        kept.entry(demand, shape).times = (changes, times, sum);
        u32::try_from(sum).unwrap_or(u32::MAX).min(COUNTED_LIMIT)
    }

    /// As [`Fleet::place`], and remembers it.
    pub fn choose(&mut self, demand: &Arc<Demand>, shape: ShapeId, asker: Asker<'_>) -> Option<Choice> {
        let is_held = |node: &Site| node.hold.as_ref().is_some_and(|hold| hold.line.shape == shape);
        // What is held for one priority of a need is not for the others.
        let is_alone = demand.constraints.company.is_none() && asker.apart.is_empty();
        if !is_alone || asker.failed_on.is_some() || self.nodes.iter().any(is_held) {
            return self.place(demand, asker);
        }
        let Self { nodes, kept, .. } = self;
        let rank = |place: usize| nodes[place].rank(place, demand, asker.line);
        let (seen, mut front) = kept.entry(demand, shape).best.take().unwrap_or_default();
        let is_known = kept.since(seen).is_some_and(|changed| front.follow(changed, rank));
        if !is_known {
            front = Front::of((0..nodes.len()).filter_map(rank).collect());
        }
        let best = front.best();
        let changes = kept.changes;
        kept.entry(demand, shape).best = Some((changes, front));
        best
    }

    /// As [`Fleet::could_take`], and remembers it.
    pub fn is_able(&mut self, demand: &Arc<Demand>, shape: ShapeId) -> bool {
        let abilities = self.kept.abilities;
        let known = self.kept.entry(demand, shape).could.filter(|(seen, _)| *seen == abilities);
        let could = known.map_or_else(|| self.could_take(demand), |(_, could)| could);
        self.kept.entry(demand, shape).could = Some((abilities, could));
        could
    }

    /// Forgets what was found for needs that nobody has any more, once these are the most: how many there are now.
    pub fn forget_unused(&mut self, used: usize, is_used: impl Fn(ShapeId) -> bool) {
        let entries = &mut self.kept.entries;
        if entries.len() > 2 * used + ENTRIES_SPARED {
            entries.retain(|shape, _| is_used(*shape));
        }
    }
}

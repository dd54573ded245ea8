//! The nodes as dispatching sees them: what each said last, less what was sent there since.
//!
//! Whoever sends tasks to nodes says so here at once and hears from the nodes later, so that a node is never sent
//! more than it has. It knows neither queues nor how a node is reached.

mod beside;
mod company;
mod evicting;
mod front;
mod gangs;
mod holding;
mod kept;
mod site;

use std::sync::Arc;

use crate::breaker::{Key, Seen};
use crate::constraint::Labels;
use crate::demand::Demand;
use crate::directive::Closed;
use crate::fleet::company::Companies;
use crate::fleet::kept::Kept;
use crate::fleet::site::{Shut, Site};
use crate::hindrance::Hindrance;
use crate::id::NodeId;
use crate::node::Room;
use crate::placement::{self, Candidate, Choice, Held, NoFit, Reason, Search, ShapeId};
use crate::reserve::LineId;
use crate::resources::Resources;
use crate::strain::Strain;

pub use crate::fleet::kept::COUNTED_LIMIT;

/// Thousandths of a core.
const CORE_MILLIS: u64 = 1000;

/// See the module. A node is named by its place, which is in the order of their names.
#[derive(Debug, Default)]
pub struct Fleet {
    nodes: Vec<Site>,
    /// What was found for each need, as long as that holds.
    kept: Kept,
    /// Who runs beside whom, of those that say something of it.
    companies: Companies,
}

/// Who looks for a node.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asker<'a> {
    /// The line in which it stands, where room may be held for it.
    pub line: Option<LineId>,
    /// Where its last attempt did not succeed.
    pub failed_on: Option<&'a NodeId>,
    /// Where it must not be now: machines died while it ran, and others run there of which that is true.
    pub apart: &'a [NodeId],
}

/// What a node says beside its room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// What is said of it.
    pub labels: Arc<Labels>,
    /// Breakers that let nothing through.
    pub tripped: Vec<(Key, Seen)>,
    /// Whether somebody has halted it on the machine itself.
    pub halted_here: bool,
    /// How strained it is.
    pub strain: Strain,
}

/// Why the nodes that are known can never run tasks of a demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Why not, for each node that cannot.
    pub nodes: Vec<(NodeId, Reason)>,
    /// Of a gang where some can run one of it: how many nodes it needs, and how many could.
    pub gang: Option<(u32, u32)>,
}

impl Fleet {
    /// A node of which nothing is known yet; gives back its place, behind which all others move by one.
    pub fn add(&mut self, id: &NodeId) -> usize {
        let place = self.nodes.partition_point(|node| node.id < *id);
        self.nodes.insert(place, Site::new(id.clone()));
        self.kept.forget_all();
        place
    }

    /// A node is forgotten; gives back the place it had.
    pub fn remove(&mut self, id: &NodeId) -> Option<usize> {
        let place = self.place_of(id)?;
        self.nodes.remove(place);
        self.kept.forget_all();
        Some(place)
    }

    /// All of them, by name.
    #[must_use]
    pub fn ids(&self) -> Vec<NodeId> {
        self.nodes.iter().map(|node| node.id.clone()).collect()
    }

    /// Whether there is such a node.
    #[must_use]
    pub fn knows(&self, id: &NodeId) -> bool {
        self.place_of(id).is_some()
    }

    /// The node at a place.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn id(&self, place: usize) -> &NodeId {
        &self.nodes[place].id
    }

    fn place_of(&self, id: &NodeId) -> Option<usize> {
        self.nodes.binary_search_by(|node| node.id.cmp(id)).ok()
    }

    /// What a node said, which takes into account as many reservations; less what it had not heard of when it said so.
    /// Whether its capacity is another one.
    pub fn changed(&mut self, id: &NodeId, room: Option<Room>, reservations: u64) -> bool {
        let Some(place) = self.place_of(id) else { return false };
        let node = &mut self.nodes[place];
        node.unseen.retain(|(number, _)| *number > reservations);
        let capacity = |room: &Option<Room>| room.as_ref().map(|room| room.capacity.clone());
        let is_other = capacity(&node.room) != capacity(&room);
        self.kept.touch(place);
        if is_other {
            self.kept.abilities_changed();
        }
        node.last_room = room.clone().or_else(|| node.last_room.take());
        node.room = room;
        if let Some(room) = &mut node.room {
            for (_, need) in &node.unseen {
                room.take(need);
            }
        }
        is_other
    }

    /// What is said of a node, and what it says itself against sending anything there.
    pub fn described(&mut self, id: &NodeId, said: Said) {
        if let Some(place) = self.place_of(id)
            && self.nodes[place].said != said
        {
            self.nodes[place].said = said;
            self.kept.touch(place);
            self.kept.abilities_changed();
        }
    }

    /// What an operator says against sending anything there.
    pub fn set_closed(&mut self, id: &NodeId, closed: Option<Closed>) {
        if let Some(place) = self.place_of(id)
            && self.nodes[place].closed != closed
        {
            self.nodes[place].closed = closed;
            self.kept.touch(place);
            self.kept.abilities_changed();
        }
    }

    /// An attempt that needs this is sent there.
    ///
    /// # Panics
    ///
    /// When there is no such node.
    pub fn take(&mut self, place: usize, need: &Resources) {
        let node = &mut self.nodes[place];
        if let Some(room) = &mut node.room {
            room.take(need);
        }
        node.sent += 1;
        node.unseen.push_back((node.sent, need.clone()));
        self.kept.touch(place);
    }

    /// How many attempts of a demand, which is that of this shape, fit now, up to `limit`. [`Self::room_for`] tells the
    /// same and remembers it. Of gangs it is one at the most.
    #[must_use]
    pub fn times(&self, demand: &Demand, shape: ShapeId, limit: u32) -> u32 {
        if demand.gang.is_some() {
            return demand.starts_within(self.nodes_for(demand, shape)).min(1);
        }
        if let Some(company) = &demand.constraints.company {
            return self.times_beside(demand, company, (shape, limit));
        }
        let on = |node: &Site| node.times_of(demand, shape, limit);
        self.nodes.iter().map(on).fold(0, u32::saturating_add).min(limit)
    }

    /// Whether some node could run it if it were empty; of a gang, whether as many could as it needs.
    #[must_use]
    pub fn could_take(&self, demand: &Demand) -> bool {
        let could = |node: &Site| node.candidate(None, Ok(())).is_some_and(|node| node.could_take(demand));
        let able = self.nodes.iter().filter(|node| node.may_take(demand) && could(node));
        let needed = demand.nodes() as usize;
        able.take(needed).count() == needed
    }

    /// The node for an attempt: the one that suits it best; and the request that is granted. [`Self::choose`] tells the
    /// same and remembers it.
    #[must_use]
    pub fn place(&self, demand: &Demand, asker: Asker<'_>) -> Option<Choice> {
        self.search(demand, asker).ok()
    }

    /// Why no node takes it now; `None` where one does.
    #[must_use]
    pub fn hindrance(&self, demand: &Demand, asker: Asker<'_>) -> Option<Hindrance> {
        if let Some(needs) = demand.gang {
            return self.gang_hindrance(demand, needs, asker);
        }
        let NoFit { reasons, never } = self.search(demand, asker).err()?;
        let named = reasons.into_iter().map(|(place, reason)| (self.nodes[place].id.clone(), reason));
        Some(Hindrance::NoNode { never, nodes: named.collect() })
    }

    /// Why none of the nodes that are known, be they away for the moment, can ever run tasks of this demand; `None`
    /// where one can, or none was ever there.
    #[must_use]
    pub fn never_fits(&self, demand: &Demand) -> Option<Misfit> {
        if let Some(misfit) = demand.gang.and_then(|needs| self.never_fits_gang(demand, needs)) {
            return Some(misfit);
        }
        let known: Vec<_> =
            self.nodes.iter().filter_map(|node| Some((node, node.last_room.as_ref()?))).collect();
        let accepting = |node: &Site| if node.room.is_some() { Ok(()) } else { Err("is away") };
        let candidates: Vec<_> = known
            .iter()
            .map(|(node, room)| Candidate {
                room,
                labels: &node.said.labels,
                accepting: accepting(node),
                held: Held::No,
                against: None,
                dislike: 0,
            })
            .collect();
        let no_fit = placement::place(Search::of(demand), &candidates).err().filter(|no_fit| no_fit.never)?;
        let reasons = no_fit.reasons.into_iter().map(|(place, reason)| (known[place].0.id.clone(), reason));
        Some(Misfit { nodes: reasons.collect(), gang: None })
    }

    /// Asks `placement` among the nodes that are up, and translates its places into those of all nodes.
    fn search(&self, demand: &Demand, asker: Asker<'_>) -> Result<Choice, NoFit> {
        let open = |node: &Site| match asker.apart.contains(&node.id) {
            true => Err(Shut::Suspect),
            false => node.open_to(demand),
        };
        let shut = |node: &Site| open(node).err().map(|shut| shut.to_string());
        let up = self.nodes.iter().enumerate().filter(|(_, node)| node.room.is_some());
        let up: Vec<_> = up
            .map(|(place, node)| (place, node, shut(node), self.beside(demand, node, asker.line)))
            .collect();
        let candidates = up.iter().filter_map(|(_, node, shut, beside)| {
            let candidate = node.candidate(asker.line, shut.as_deref().map_or(Ok(()), Err))?;
            Some(Candidate { against: beside.against.as_ref(), dislike: beside.dislike, ..candidate })
        });
        let candidates: Vec<_> = candidates.collect();
        let failed_on =
            asker.failed_on.and_then(|failed| up.iter().position(|(_, node, ..)| node.id == *failed));
        let found = placement::place(Search { demand, failed_on }, &candidates);
        found.map(|choice| Choice { place: up[choice.place].0, ..choice }).map_err(|no_fit| NoFit {
            reasons: no_fit.reasons.into_iter().map(|(place, reason)| (up[place].0, reason)).collect(),
            ..no_fit
        })
    }

    /// Cores of all nodes that are up: what runs at once where nothing holds it back, more or less.
    #[must_use]
    pub fn cores(&self) -> u64 {
        self.up().map(|room| (room.capacity.cpu_millis / CORE_MILLIS).max(1)).sum()
    }

    /// All that the nodes have that are up.
    #[must_use]
    pub fn capacity(&self) -> Resources {
        self.up().fold(Resources::default(), |sum, room| sum.checked_add(&room.capacity).unwrap_or(sum))
    }

    /// Whether any node is up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up().next().is_some()
    }

    fn up(&self) -> impl Iterator<Item = &Room> {
        self.nodes.iter().filter_map(|node| node.room.as_ref())
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod told;

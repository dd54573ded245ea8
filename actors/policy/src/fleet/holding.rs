//! Room that is held for the first of a line, see `reserve`.
//!
//! Who would keep it waiting by running beside it is kept away as well. Where its group is spread, only a node is held
//! that has a place for it now: to wait for that nothing needs to stand idle.

use crate::demand::Demand;
use crate::fleet::Fleet;
use crate::fleet::site::{Hold, Site};
use crate::id::{NodeId, TaskId};
use crate::placement::Reason;
use crate::reserve::LineId;

impl Fleet {
    /// Holds for the first of a line the node that lacks least of what it needs, among those that are held for nobody; what
    /// is held for it already stays, as long as it can run there. `false` where there is none. For a gang as many are held as
    /// it needs, or none.
    pub fn hold(&mut self, line: LineId, task: TaskId, demand: &Demand) -> bool {
        let able = self.nodes.iter().enumerate();
        let able = able.filter_map(|(place, node)| {
            let (lacking, need) = node.lacking(demand)?;
            Some(((self.has_company_against(demand, node)?, lacking), need, place))
        });
        let able: Vec<_> = able.collect();
        let is_its = |place: usize| self.nodes[place].hold.as_ref().is_some_and(|hold| hold.line == line);
        let held = able.iter().filter(|(.., place)| is_its(*place)).count();
        let needed = (demand.nodes() as usize).saturating_sub(held);
        if needed == 0 {
            return true;
        }
        let is_free = |place: usize| self.nodes[place].hold.is_none();
        let (mut best, its): (Vec<_>, Vec<_>) = able
            .into_iter()
            .filter(|(.., place)| is_free(*place) || is_its(*place))
            .partition(|(.., place)| is_free(*place));
        best.sort_by_key(|(lacking, _, place)| (*lacking, *place));
        best.truncate(needed);
        self.release(line);
        if best.len() < needed {
            return false;
        }
        for (_, need, place) in best.into_iter().chain(its) {
            let company = demand.constraints.company.clone();
            self.nodes[place].hold = Some(Hold { line, task, need, company, is_made: false });
            self.kept.touch(place);
        }
        true
    }

    /// Whether a gang for which no nodes are held would have enough of them once nobody else has any: then nobody is to have
    /// others before it, or there are never enough at one time.
    #[must_use]
    pub fn awaits_holds(&self, demand: &Demand) -> bool {
        demand.gang.is_some() && self.could_take(demand)
    }

    /// Whether who is on a node has something against one of this demand that passes; `None` where its group has no place
    /// there.
    fn has_company_against(&self, demand: &Demand, node: &Site) -> Option<bool> {
        let Some(company) = &demand.constraints.company else { return Some(false) };
        match self.companies.against(company, node, &self.nodes) {
            Some(Reason::Spread { .. }) => None,
            against => Some(against.is_some()),
        }
    }

    /// Nothing is held for this line any more.
    pub fn release(&mut self, line: LineId) {
        self.release_if(|hold| hold.line == line);
    }

    pub(super) fn release_if(&mut self, is_over: impl Fn(&Hold) -> bool) {
        for (place, node) in self.nodes.iter_mut().enumerate() {
            if node.hold.as_ref().is_some_and(&is_over) {
                node.hold = None;
                self.kept.touch(place);
            }
        }
    }

    /// The first node that is held for this task.
    #[must_use]
    pub fn held_for(&self, task: TaskId) -> Option<&NodeId> {
        self.nodes
            .iter()
            .find(|node| node.hold.as_ref().is_some_and(|hold| hold.task == task))
            .map(|node| &node.id)
    }

    /// For whom room is held, and who was first there.
    #[must_use]
    pub fn holds(&self) -> Vec<(LineId, TaskId)> {
        let mut held: Vec<(LineId, TaskId)> = Vec::new();
        for hold in self.nodes.iter().filter_map(|node| node.hold.as_ref()) {
            // A gang has several nodes.
            if !held.iter().any(|(line, _)| *line == hold.line) {
                held.push((hold.line, hold.task));
            }
        }
        held
    }
}

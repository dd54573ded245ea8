//! Room that is held for the first of a line, see `reserve`.
//!
//! Who would keep it waiting by running beside it is kept away as well. Where its group is spread, only a node is held
//! that has a place for it now: to wait for that nothing needs to stand idle.

use crate::demand::Demand;
use crate::fleet::Fleet;
use crate::fleet::site::{Hold, Site};
use crate::id::TaskId;
use crate::placement::Reason;
use crate::reserve::LineId;

impl Fleet {
    /// Holds for the first of a line the node that lacks least of what it needs, among those that are held for nobody; what
    /// is held for it already stays, as long as it can run there. `false` where there is none.
    pub fn hold(&mut self, line: LineId, task: TaskId, demand: &Demand) -> bool {
        let able = self.nodes.iter().enumerate();
        let able = able.filter_map(|(place, node)| {
            let (lacking, need) = node.lacking(demand)?;
            Some(((self.has_company_against(demand, node)?, lacking), need, place))
        });
        let able: Vec<_> = able.collect();
        let is_its = |place: usize| self.nodes[place].hold.as_ref().is_some_and(|hold| hold.line == line);
        if able.iter().any(|(.., place)| is_its(*place)) {
            return true;
        }
        let free = able.into_iter().filter(|(.., place)| self.nodes[*place].hold.is_none());
        let best = free.min_by_key(|(lacking, _, place)| (*lacking, *place));
        self.release(line);
        let Some((_, need, place)) = best else { return false };
        self.nodes[place].hold = Some(Hold { line, task, need, company: demand.constraints.company.clone() });
        self.kept.touch(place);
        true
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
        for (place, node) in self.nodes.iter_mut().enumerate() {
            if node.hold.as_ref().is_some_and(|hold| hold.line == line) {
                node.hold = None;
                self.kept.touch(place);
            }
        }
    }

    /// For whom room is held, and who was first there.
    #[must_use]
    pub fn holds(&self) -> Vec<(LineId, TaskId)> {
        self.nodes.iter().filter_map(|node| node.hold.as_ref()).map(|hold| (hold.line, hold.task)).collect()
    }
}

//! Room that is made: where it could be, and that it is held for the one for whom it is made.

use crate::demand::Demand;
use crate::fleet::Fleet;
use crate::fleet::site::{Hold, Site};
use crate::id::{NodeId, TaskId};
use crate::reserve::LineId;
use crate::resources::Resources;
use crate::task::RequestNumber;

impl Fleet {
    /// The nodes where room might be made for the first of a line: up, open to it, what it requires, held for nobody as
    /// urgent, and with nobody there whom it may not come beside. Each with its place, all it has, and whether it is held for
    /// somebody less urgent.
    pub fn yielding<'a>(
        &'a self,
        line: LineId,
        demand: &'a Demand,
    ) -> impl Iterator<Item = (usize, &'a NodeId, &'a Resources, bool)> {
        let other = move |node: &Site| Some(node.hold.as_ref()?.line).filter(|held| *held != line);
        let may = move |node: &Site| {
            other(node).is_none_or(|held| held.priority < line.priority)
                && node.may_take(demand)
                && self.beside(demand, node, Some(line)).against.is_none()
        };
        let able = self.nodes.iter().enumerate().filter(move |(_, node)| may(node));
        able.filter_map(move |(place, node)| {
            Some((place, &node.id, &node.room.as_ref()?.capacity, other(node).is_some()))
        })
    }

    /// Nobody is to wait at this node behind what runs there, until the node says anew what may.
    pub fn unstage(&mut self, id: &NodeId) {
        if let Some(place) = self.place_of(id)
            && let Some(room) = &mut self.nodes[place].room
        {
            room.staged_limit = 0;
            self.kept.touch(place);
        }
    }

    /// Holds this node for the first of a line, which is to have this request, in place of one that was held for it before;
    /// gives back the line for which it was held.
    pub fn hold_at(
        &mut self,
        place: usize,
        (line, task): (LineId, TaskId),
        (demand, request): (&Demand, RequestNumber),
    ) -> Option<LineId> {
        self.release(line);
        let node = self.nodes.get_mut(place)?;
        let (need, company) = (demand.request(request).clone(), demand.constraints.company.clone());
        self.kept.touch(place);
        node.hold.replace(Hold { line, task, need, company }).map(|before| before.line)
    }
}

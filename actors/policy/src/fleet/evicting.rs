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
    /// urgent, with nobody there whom it may not come beside, and where nobody makes room for one of it already. Each with its place, all it has, and whether it is held for
    /// somebody less urgent.
    pub fn yielding<'a>(
        &'a self,
        line: LineId,
        demand: &'a Demand,
    ) -> impl Iterator<Item = (usize, &'a NodeId, &'a Resources, bool)> {
        let other = move |node: &Site| Some(node.hold.as_ref()?.line).filter(|held| *held != line);
        let is_made_for_it =
            move |node: &Site| node.hold.as_ref().is_some_and(|hold| hold.line == line && hold.is_made);
        let may = move |node: &Site| {
            !is_made_for_it(node)
                && other(node).is_none_or(|held| held.priority < line.priority)
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

    /// Holds this node for a line, where others make room for one that is to have this request: beside those that are held for
    /// it for the same reason, in place of one that was held for it otherwise. Gives back the line for which it was held before.
    pub fn hold_at(
        &mut self,
        place: usize,
        (line, task): (LineId, TaskId),
        (demand, request): (&Demand, RequestNumber),
    ) -> Option<LineId> {
        self.release_if(|hold| hold.line == line && !hold.is_made);
        let node = self.nodes.get_mut(place)?;
        let (need, company) = (demand.request(request).clone(), demand.constraints.company.clone());
        self.kept.touch(place);
        let hold = Hold { line, task, need, company, is_made: true };
        node.hold.replace(hold).map(|before| before.line)
    }

    /// No node is held for a line any more because others made room there.
    pub fn release_made(&mut self, line: LineId) {
        self.release_if(|hold| hold.line == line && hold.is_made);
    }

    /// On how many nodes that are up others make room, for this line or for all.
    #[must_use]
    pub fn made_for(&self, line: Option<LineId>) -> u64 {
        let is_its = |hold: &Hold| hold.is_made && line.is_none_or(|line| hold.line == line);
        let held =
            self.nodes.iter().filter(|node| node.room.is_some() && node.hold.as_ref().is_some_and(is_its));
        held.count() as u64
    }

    /// One of a line has started on this node: the others of it, for whom others make room elsewhere, still want theirs. `false`
    /// where nothing is held for the line any more.
    pub fn served_at(&mut self, line: LineId, id: Option<&NodeId>) -> bool {
        let made = |node: &Site| node.hold.as_ref().is_some_and(|hold| hold.line == line && hold.is_made);
        let places: Vec<_> = (0..self.nodes.len()).filter(|place| made(&self.nodes[*place])).collect();
        // Where it has started elsewhere any of them is one too many.
        let there = places.iter().copied().find(|place| Some(&self.nodes[*place].id) == id);
        if let Some(place) = there.or_else(|| places.first().copied()) {
            self.nodes[place].hold = None;
            self.kept.touch(place);
        }
        places.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Room;
    use crate::placement::ShapeId;
    use crate::task::Priority;

    const LINE: LineId = LineId { priority: Priority::Critical, shape: ShapeId(1) };

    fn fleet(nodes: usize) -> Fleet {
        let mut fleet = Fleet::default();
        for place in 0..nodes {
            let id = NodeId::from(&*format!("n{place}"));
            fleet.add(&id);
            let (capacity, free) = (Resources::cpus(4000), Resources::cpus(1000));
            fleet.changed(&id, Some(Room { capacity, free, staged: 0, staged_limit: 0 }), 0);
        }
        fleet
    }

    #[test]
    fn room_is_made_for_several_of_a_line_and_each_that_starts_needs_one_no_more() {
        let (mut fleet, demand) = (fleet(4), Demand::resources(Resources::cpus(4000)));
        let wanted = (&demand, RequestNumber(0));
        assert!(fleet.hold(LINE, TaskId(1), &demand), "it had missed its turns");
        assert_eq!(fleet.made_for(Some(LINE)), 0);
        for place in [1, 2, 3] {
            assert_eq!(fleet.hold_at(place, (LINE, TaskId(1)), wanted), None);
        }
        assert_eq!((fleet.made_for(Some(LINE)), fleet.holds().len()), (3, 1));
        assert!(fleet.nodes[0].hold.is_none(), "what was held otherwise is not needed any more");
        assert!(fleet.hold(LINE, TaskId(1), &demand), "and what is held stays");
        assert!(fleet.served_at(LINE, Some(&"n2".into())));
        assert!(fleet.nodes[2].hold.is_none() && fleet.made_for(None) == 2);
        fleet.changed(&"n3".into(), None, 0);
        assert_eq!(fleet.made_for(Some(LINE)), 1, "who is away makes room for nobody");
        assert!(fleet.served_at(LINE, Some(&"n0".into())), "it has started elsewhere");
        assert!(!fleet.served_at(LINE, None));
        assert!(fleet.holds().is_empty());
    }
}

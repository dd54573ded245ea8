//! Room that is held for the first of a line, see `reserve`.

use crate::demand::Demand;
use crate::fleet::Fleet;
use crate::fleet::site::Hold;
use crate::id::TaskId;
use crate::reserve::LineId;

impl Fleet {
    /// Holds for the first of a line the node that lacks least of what it needs, among those that are held for nobody; what
    /// is held for it already stays, as long as it can run there. `false` where there is none.
    pub fn hold(&mut self, line: LineId, task: TaskId, demand: &Demand) -> bool {
        let able = self.nodes.iter().enumerate();
        let able: Vec<_> = able.filter_map(|(place, node)| Some((node.lacking(demand)?, place))).collect();
        let is_its = |place: usize| self.nodes[place].hold.as_ref().is_some_and(|hold| hold.line == line);
        if able.iter().any(|(_, place)| is_its(*place)) {
            return true;
        }
        let free = able.into_iter().filter(|(_, place)| self.nodes[*place].hold.is_none());
        let best = free.min_by_key(|((lacking, _), place)| (*lacking, *place));
        self.release(line);
        let Some(((_, need), place)) = best else { return false };
        self.nodes[place].hold = Some(Hold { line, task, need });
        self.kept.touch(place);
        true
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

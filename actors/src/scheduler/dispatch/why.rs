//! Why tasks wait, in words: by the same placement that decides, so that what is told is what is done.

use policy::placement::{self, Candidate, NoFit, Shapes};
use policy::resources::Resources;

use super::Dispatch;

/// Nodes that are named in one explanation: enough to see the pattern, short enough to be read.
const NODES_NAMED: usize = 4;

/// Warnings of tasks that wait in vain at once, for the same reason.
const WARNINGS_LIMIT: usize = 8;

impl Dispatch {
    /// Why no node takes this need now; `None` where one does.
    pub(in crate::scheduler) fn hindrance(&self, need: &Resources) -> Option<Box<str>> {
        let names: Vec<_> =
            self.nodes.iter().filter(|node| node.room.is_some()).map(|node| &node.id).collect();
        let no_fit = self.no_fit(need)?;
        if names.is_empty() {
            return Some("no node is up".into());
        }
        let reasons = no_fit.reasons.iter().take(NODES_NAMED);
        let mut told: Vec<String> = reasons.map(|(at, reason)| format!("{} {reason}", names[*at])).collect();
        if names.len() > NODES_NAMED {
            told.push(format!("and {} more", names.len() - NODES_NAMED));
        }
        let what = if no_fit.never { "no node is large enough" } else { "no node has room now" };
        Some(format!("{what}: {}", told.join("; ")).into())
    }

    /// Tasks that wait in vain as things are: for what no node has, or for any node at all.
    pub(in crate::scheduler) fn stranded(&self, shapes: &Shapes) -> Vec<Box<str>> {
        let mut queued: Vec<_> = self.queued.iter().collect();
        queued.sort_unstable_by_key(|(shape, _)| **shape);
        let vain = |need| self.no_fit(need).is_some_and(|why| why.never || why.reasons.is_empty());
        let told = queued.into_iter().filter_map(|(shape, counts)| {
            let need = shapes.need(*shape).filter(|need| vain(need))?;
            let tasks: u64 = counts.iter().sum();
            let noun = if tasks == 1 { "task waits" } else { "tasks wait" };
            Some(format!("{tasks} {noun} in vain: {}", self.hindrance(need)?).into())
        });
        told.take(WARNINGS_LIMIT).collect()
    }

    fn no_fit(&self, need: &Resources) -> Option<NoFit> {
        let rooms = self.nodes.iter().filter_map(|node| node.room.as_ref());
        let candidates: Vec<_> = rooms.map(|room| Candidate { room, accepting: Ok(()) }).collect();
        placement::place(need, &candidates).err()
    }
}

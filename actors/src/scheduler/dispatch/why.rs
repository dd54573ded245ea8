//! Why tasks wait: by the same gates that decide, so that what is told is what is done.

use std::sync::Arc;

use policy::demand::Demand;
use policy::fleet::{Asker, Misfit};
use policy::hindrance::Hindrance;
use policy::placement::{ShapeId, Shapes};
use rustc_hash::FxHashMap;

use super::Dispatch;

/// Warnings of tasks that wait in vain at once, for the same reason.
const WARNINGS_LIMIT: usize = 8;

impl Dispatch {
    /// Why no node takes a task of this demand now; `None` where one does.
    pub(in crate::scheduler) fn no_node(&self, demand: &Demand, asker: Asker<'_>) -> Option<Hindrance> {
        self.fleet.hindrance(demand, asker)
    }

    /// The shapes that wait and would fit a node that is known, were it empty: ascending.
    pub(in crate::scheduler) fn capable(&self, shapes: &Shapes) -> Vec<ShapeId> {
        let holds = |demand: &Demand| self.fleet.never_fits(demand).is_none();
        let capable = self.queued.keys().filter(|shape| shapes.demand(**shape).is_some_and(|one| holds(one)));
        let mut capable: Vec<_> = capable.copied().collect();
        capable.sort_unstable();
        capable
    }

    /// Why none of the nodes that are known, be they away for the moment, can ever run tasks of this demand; `None`
    /// where one can, or none was ever there.
    pub(in crate::scheduler) fn never_fits(&self, demand: &Demand) -> Option<Misfit> {
        self.fleet.never_fits(demand)
    }

    /// Tasks that wait in vain as things are: for what no node has, or for any node at all.
    pub(in crate::scheduler) fn stranded(&self, shapes: &Shapes) -> Vec<Box<str>> {
        let mut queued: Vec<_> = self.queued.iter().collect();
        queued.sort_unstable_by_key(|(shape, _)| **shape);
        let told = queued.into_iter().filter_map(|(shape, counts)| {
            let hindrance = self.no_node(shapes.demand(*shape)?, Asker::default())?;
            let in_vain = match &hindrance {
                Hindrance::NoNode { never, nodes } => *never || nodes.is_empty(),
                Hindrance::Gang { never, have, nodes, .. } => *never || (*have == 0 && nodes.is_empty()),
                _ => false,
            };
            let tasks: u64 = counts.iter().sum();
            let noun = if tasks == 1 { "task waits" } else { "tasks wait" };
            in_vain.then(|| format!("{tasks} {noun} in vain: {hindrance}").into())
        });
        told.take(WARNINGS_LIMIT).collect()
    }

    /// What is queued that no node can ever run, by shape: why not, and how many tasks. `None` while there is
    /// no node.
    pub(in crate::scheduler) fn misfits(
        &self,
        shapes: &Shapes,
    ) -> Option<FxHashMap<ShapeId, (Arc<str>, u64)>> {
        self.fleet.is_up().then(|| {
            let never = |shape: &ShapeId| {
                self.no_node(shapes.demand(*shape)?, Asker::default()).filter(Hindrance::is_for_ever)
            };
            let told = self.queued.iter().filter_map(|(shape, counts)| Some((shape, counts, never(shape)?)));
            told.map(|(shape, counts, why)| (*shape, (why.to_string().into(), counts.iter().sum()))).collect()
        })
    }
}

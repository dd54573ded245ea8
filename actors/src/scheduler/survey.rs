//! Looks now and then whether something waits that no node can ever run, and says so in the log.
//!
//! Twice in a row the same must be seen before it is told: nodes that restart are not there for a moment.

use std::sync::Arc;
use std::time::Duration;

use policy::event::{Event, GraphEvent};
use policy::graph::{Changes, Ready, Stranded, Stuck, Told};
use policy::placement::ShapeId;
use rustc_hash::FxHashMap;
use supervision::Me;

use crate::scheduler::{SchedulerActor, SchedulerMessage};

/// Between two looks, while anything is queued. What can never run has been told after three of them.
const SURVEY_EVERY: Duration = Duration::from_secs(3);

/// Stretches of tasks that are told in one go: some milliseconds. The rest follows with the next look.
const TOLD_AT_ONCE: usize = 1000;

/// What the last look has shown.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// What was told.
    pub(super) told: Stranded,
    /// Why nothing runs what needs this, as it was seen last.
    seen: FxHashMap<ShapeId, Arc<str>>,
    /// What was seen twice when it was last acted upon, and how many tasks that were.
    settled: FxHashMap<ShapeId, (Arc<str>, u64)>,
    /// More was to be told than in one go, or others have come of which nothing was told yet.
    is_behind: bool,
    is_armed: bool,
}

impl Survey {
    /// After a restart, with what was told before.
    pub(super) fn after(told: Stranded) -> Self {
        Self { told, ..Self::default() }
    }

    /// Tasks of this need wait from now on: perhaps as many as have just left.
    pub(super) fn came(&mut self, shape: ShapeId) {
        self.is_behind |= self.settled.contains_key(&shape);
    }
}

impl SchedulerActor {
    pub(super) fn arm_survey(&mut self, me: &Me<SchedulerMessage>) {
        let is_of_use = self.dispatch.has_queued() || !self.survey.told.is_empty();
        if is_of_use && !self.survey.is_armed {
            self.survey.is_armed = true;
            me.after(SURVEY_EVERY, SchedulerMessage::Survey);
        }
    }

    pub(super) fn look_around(&mut self) {
        self.survey.is_armed = false;
        // As long as no node is there at all, nothing is known of what the fleet can run. What was seen before still
        // counts: a node whose connection breaks again and again must not keep it from being told.
        let Some(misfits) = self.dispatch.misfits(&self.shapes) else { return };
        let is_settled =
            |(shape, (reason, _)): &(&ShapeId, &(Arc<str>, u64))| self.survey.seen.get(shape) == Some(reason);
        let settled: FxHashMap<_, _> =
            misfits.iter().filter(is_settled).map(|(shape, told)| (*shape, told.clone())).collect();
        let is_old = settled == self.survey.settled && settled.len() == misfits.len();
        if !is_old || self.survey.is_behind {
            let changes = self.changes(&misfits, &settled);
            self.survey.is_behind = changes.tell.len() >= TOLD_AT_ONCE;
            self.say(changes);
        }
        self.survey.seen = misfits.into_iter().map(|(shape, (reason, _))| (shape, reason)).collect();
        self.survey.settled = settled;
    }

    fn changes(
        &mut self,
        misfits: &FxHashMap<ShapeId, (Arc<str>, u64)>,
        settled: &FxHashMap<ShapeId, (Arc<str>, u64)>,
    ) -> Changes {
        let ready = if misfits.is_empty() { Vec::new() } else { self.graphs.ready() };
        let stuck = |Ready { tasks, shape, .. }: Ready| {
            let reason = settled.get(&shape).map(|(reason, _)| Arc::clone(reason));
            misfits.contains_key(&shape).then_some(Stuck { tasks, reason })
        };
        let stuck: Vec<_> = ready.into_iter().filter_map(stuck).collect();
        self.survey.told.changes(&stuck, TOLD_AT_ONCE, |tasks| self.graphs.any_ready(tasks))
    }

    fn say(&mut self, changes: Changes) {
        for (graph, tasks) in changes.take_back {
            self.side.log.append(&Event::Graph(graph, GraphEvent::Schedulable { tasks }), 0, graph.0);
        }
        for (tasks, reason) in changes.tell {
            let Some(entry) = self.graphs.entry(tasks.first) else { continue };
            let graph = entry.graph;
            let event = GraphEvent::Unschedulable { tasks, reason: Arc::clone(&reason) };
            let position = self.side.log.append(&Event::Graph(graph, event), 0, graph.0).position;
            self.survey.told.tell(Told { graph, tasks, reason, position });
        }
    }
}

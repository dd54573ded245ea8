//! What the scheduler holds, for an operator who looks.

use supervision::{Fact, Message};

use crate::client::error::target_text;
use crate::scheduler::{SchedulerActor, SchedulerMessage};
use crate::task::Step;
use crate::wire::client::TaskCounts;

impl Message for SchedulerMessage {
    fn kind(&self) -> &'static str {
        self.into()
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not named shows nothing")]
    fn shown(&self) -> Option<String> {
        Some(match self {
            Self::Stepped { task, step, .. } => format!("{task} {}", step_name(step)),
            Self::Picked { priority, answer } => format!("{priority}: {} tasks", answer.taken.len()),
            Self::Aged { priority, lines } => format!("{priority}: {} lines", lines.len()),
            Self::NodeChanged { node, room, .. } => {
                format!("{node} {}", if room.is_some() { "has room" } else { "takes nothing" })
            }
            Self::NodeGone { node } => node.to_string(),
            Self::Returned { tasks } => crate::say::some(tasks),
            Self::NotAwake { task, .. } | Self::Row { task, .. } | Self::Explain { about: (task, _), .. } => {
                task.to_string()
            }
            Self::Cancel { target, .. } | Self::Retry { target, .. } | Self::Prioritise(target, ..) => {
                target_text(*target)
            }
            Self::Graph { graph, .. } | Self::AwaitGraph { graph, .. } | Self::Resume { graph, .. } => {
                graph.to_string()
            }
            _ => return None,
        })
    }
}

fn step_name(step: &Step) -> &'static str {
    match step {
        Step::Granted(_) => "granted",
        Step::Over { .. } => "over",
        Step::RetryAsked => "retry asked",
        Step::Resumed => "resumed",
        Step::Noted => "noted",
    }
}

impl SchedulerActor {
    pub(super) fn facts(&self) -> Vec<Fact> {
        let counts = TaskCounts::from(&self.graphs.counts_of_all());
        let (again, ends) = self.unwritten.counts();
        let [low, normal, high, critical] = self.dispatch.queued_by_priority();
        vec![
            Fact::new("graphs", self.graphs.len()),
            Fact::new("tasks that have not ended", counts.unended()),
            Fact::new("tasks that have ended", counts.ended()),
            Fact::new("table", crate::say::size(self.graphs.bytes() as u64)),
            Fact::new("queued", format!("{critical} critical, {high} high, {normal} normal, {low} low")),
            Fact::new("placed on nodes", self.placed.len()),
            Fact::new("making room for others", self.dispatch.stops.leaving()),
            Fact::new("backing off", self.backing_off.len()),
            Fact::new("ends to be recorded", ends),
            Fact::new("to be tried again", again),
            Fact::new("waits for ends of graphs", self.waiters.len()),
            Fact::new("epoch", self.side.epoch().0),
        ]
    }
}

//! What is measured, gathered in one sample and written for those who collect it: [`text`] as Prometheus reads it,
//! [`json`] with a stable schema; [`server`] answers both over HTTP, with [`http`].
//!
//! A sample is made also while the scheduler does not answer: then it says so, and tells what is counted outside.

pub mod http;
pub mod json;
pub mod server;
pub mod text;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use supervision::{Address, Message};

use crate::log::LogHealth;
use crate::node::NodeMessage;
use crate::scheduler::SchedulerMessage;
use crate::side::{Nodes, Side};
use crate::wire::client::{ActorRow, NodeRow, Sample, ServerInfo};

/// How long the scheduler, and all nodes together, may take to answer for a sample: collectors give up after ten
/// seconds, and an answer that is this late is a finding of its own.
pub(crate) const ANSWER_DEADLINE: Duration = Duration::from_secs(2);

/// Everything that is measured, now.
pub async fn sample(side: &Arc<Side>, server: ServerInfo) -> Sample {
    let at = side.clock.wall();
    let status = |reply| SchedulerMessage::Status { server: server.clone(), reply };
    let mut status = side.scheduler.ask(ANSWER_DEADLINE, status).await.ok();
    if let Some(status) = &mut status {
        status.nodes = nodes(side).await;
    }
    let log_trouble = log_trouble(side);
    Sample { at, server, status, meters: side.meters.read(), actors: actors(side), log_trouble }
}

/// The nodes that answer in time.
async fn nodes(side: &Side) -> Vec<NodeRow> {
    let answers = Nodes::ask(side.nodes.all(), ANSWER_DEADLINE, NodeMessage::Describe).await;
    answers.into_iter().filter_map(|(_, row)| row).collect()
}

/// Why nothing can be written to the log, if nothing can.
#[must_use]
pub fn log_trouble(side: &Side) -> Option<Box<str>> {
    match side.log.health() {
        LogHealth::Good => None,
        LogHealth::Stalled { reason, .. } | LogHealth::Broken { reason } => Some(reason.to_string().into()),
        LogHealth::Closed => Some("the daemon stops".into()),
    }
}

fn actors(side: &Side) -> Vec<ActorRow> {
    let queues = side.queues.iter().map(|queue| row(&format!("queue-{}", queue.probe().name()), queue));
    [row("scheduler", &side.scheduler)].into_iter().chain(queues).collect()
}

fn row<M: Message>(name: &str, address: &Address<M>) -> ActorRow {
    let reading = address.probe().read();
    ActorRow {
        name: name.into(),
        depth: reading.depth(),
        handled: reading.handled,
        busy: reading.current.as_ref().map(|(_, busy)| *busy),
        restarts: reading.restarts,
    }
}

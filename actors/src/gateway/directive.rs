//! What operators say.

use std::sync::Arc;
use std::time::Duration;

use policy::directive::{Author, Directive};
use policy::id::NodeId;

use crate::gateway::answer::{ACTOR_DEADLINE, Answerer};
use crate::node::NodeMessage;
use crate::scheduler::SchedulerMessage;
use crate::wire::client::{BY_LIMIT_BYTES, NodeHealth, NodeRow, REASON_LIMIT_BYTES, Response};

impl Answerer {
    /// Has the scheduler take note of a directive.
    pub(super) async fn direct(&self, directive: Directive, (by, reason): (Arc<str>, Arc<str>)) -> Response {
        if reason.len() > REASON_LIMIT_BYTES || reason.chars().any(char::is_control) {
            let refused =
                format!("reason = {reason:?} must be at most {REASON_LIMIT_BYTES} bytes of one line");
            return Response::Refused(refused.into());
        }
        if by.len() > BY_LIMIT_BYTES || by.chars().any(char::is_control) {
            let reason = format!("by = {by:?} must be at most {BY_LIMIT_BYTES} bytes of one line");
            return Response::Refused(reason.into());
        }
        if let Directive::Remove(node) = &directive
            && let Err(refused) = self.may_remove(node).await
        {
            return refused;
        }
        let said = Author { by, reason, at: self.side.clock.wall() };
        let direct = |reply| SchedulerMessage::Direct { directive: Box::new(directive), said, reply };
        self.ask(direct).await.unwrap_or_else(|busy| busy)
    }

    /// As a directive, with a deadline by the scheduler's own clock.
    pub(super) async fn drain(
        &self,
        node: NodeId,
        within: Option<Duration>,
        why: (Arc<str>, Arc<str>),
    ) -> Response {
        let deadline = within.map(|within| self.side.clock.wall() + within);
        self.direct(Directive::Drain { node, deadline }, why).await
    }

    /// Whether nobody speaks for a node any more, and nothing is held there.
    async fn may_remove(&self, node: &NodeId) -> Result<(), Response> {
        let Some(address) = self.side.nodes.get(node) else { return Ok(()) };
        let row = address.ask(ACTOR_DEADLINE, NodeMessage::Describe).await;
        let held = |row: &NodeRow| row.running + row.staged > 0;
        match row {
            Ok(Some(row)) if row.health != NodeHealth::Lost || held(&row) => {
                let reason = format!("node {node} is {}: drain it and stop its daemon first", row.health);
                Err(Response::Refused(reason.into()))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

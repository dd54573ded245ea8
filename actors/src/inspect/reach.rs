//! The way from the scheduler side to the inspectors of the machines: over the connections of their workers,
//! which dial, past the actors at both ends.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use policy::id::NodeId;
use supervision::{Address, Reply};
use tokio::sync::oneshot;

use crate::inspect::InspectorMessage;
use crate::outlet::Outlet;
use crate::wire::fleet::{FromWorker, ToWorker};
use crate::wire::inspect::{Look, Sight, TRACE_LIMIT};

/// How long a machine may take to answer: its own deadlines, and the way there and back.
pub const MACHINE_DEADLINE: Duration = Duration::from_millis(1500);

/// Questions on their way at once: those of the clients in hand, to a few dozen machines each.
const WAITING_LIMIT: usize = 2048;

/// The machines that are connected, and the questions that wait for an answer of one.
#[derive(Debug, Default)]
pub struct Reach(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    machines: BTreeMap<NodeId, Outlet<ToWorker>>,
    waiting: BTreeMap<u64, Reply<Sight>>,
    last: u64,
}

impl Reach {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A machine registers over this outlet.
    pub fn connected(&self, node: &NodeId, outlet: &Outlet<ToWorker>) {
        self.known().machines.insert(node.clone(), outlet.clone());
    }

    /// The connection is gone.
    pub fn gone(&self, node: &NodeId, outlet: &Outlet<ToWorker>) {
        let mut known = self.known();
        if known.machines.get(node).is_some_and(|present| present.is_same(outlet)) {
            known.machines.remove(node);
        }
    }

    /// A machine answers. An answer that nobody waits for any more is late.
    pub fn answered(&self, request: u64, sight: Sight) {
        let waiting = self.known().waiting.remove(&request);
        if let Some(reply) = waiting {
            reply.send(sight);
        }
    }

    /// Asks the inspector of a machine.
    pub async fn ask(&self, node: &NodeId, look: Look) -> Sight {
        let takes = match &look {
            Look::Trace { within, .. } => (*within).min(TRACE_LIMIT),
            _ => Duration::ZERO,
        };
        let (request, answer) = match self.send(node, look) {
            Ok(sent) => sent,
            Err(why) => return Sight::Unseen(why.into()),
        };
        let answer = tokio::time::timeout(MACHINE_DEADLINE + takes, answer).await;
        self.known().waiting.remove(&request);
        match answer {
            Ok(Ok(sight)) => sight,
            _ => Sight::Unseen(format!("no answer within {MACHINE_DEADLINE:?}").into()),
        }
    }

    fn send(&self, node: &NodeId, look: Look) -> Result<(u64, oneshot::Receiver<Sight>), &'static str> {
        let (reply, answer) = Reply::channel();
        let (outlet, request) = {
            let mut known = self.known();
            let outlet = known.machines.get(node).cloned().ok_or("it is not connected")?;
            if known.waiting.len() >= WAITING_LIMIT {
                return Err("too many questions are on their way");
            }
            known.last += 1;
            let request = known.last;
            known.waiting.insert(request, reply);
            (outlet, request)
        };
        // A machine of the version before does not tell what has changed: it tells everything.
        let older = look.for_older();
        let mut looks = std::iter::once(look).chain(older);
        if looks.any(|look| outlet.send(ToWorker::Inspect { request, look })) {
            return Ok((request, answer));
        }
        self.known().waiting.remove(&request);
        Err("its connection takes nothing now")
    }
}

/// Hands a question to the inspector of this machine, and its answer to `back`.
pub fn hand_in(
    inspector: &Address<InspectorMessage>,
    (request, look): (u64, Look),
    back: impl FnOnce(FromWorker) + Send + 'static,
) {
    let (reply, answer) = Reply::channel();
    inspector.tell(InspectorMessage::Look { look, reply });
    tokio::spawn(async move {
        let nobody = Sight::Unseen("its inspector is away".into());
        back(FromWorker::Inspected { request, sight: Box::new(answer.await.unwrap_or(nobody)) });
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::layout::Layout;
    use supervision::First;

    use super::*;

    #[tokio::test]
    async fn a_machine_of_the_version_before_is_asked_for_everything() {
        let (reach, node) = (Arc::new(Reach::default()), NodeId::from("old"));
        let of_answer = Arc::clone(&reach);
        let before = Layout::of_protocol((crate::wire::inspect::CHANGES_SINCE - 1).into());
        let outlet = Outlet::new(move |message: ToWorker| {
            let is_known = message.is_known_in(before);
            if let ToWorker::Inspect { request, look: Look::Actors { limit: 9, .. } } = message {
                of_answer.answered(request, Sight::Actors { rows: Vec::new(), more: 3 });
            }
            is_known
        });
        reach.connected(&node, &outlet);
        let look = Look::Changes { subscriber: 1, after: 0, only: None, first: First::Oldest, limit: 9 };
        assert_eq!(reach.ask(&node, look).await, Sight::Actors { rows: Vec::new(), more: 3 });
    }
}

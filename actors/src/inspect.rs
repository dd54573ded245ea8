//! The inspector actor: tells operators which actors there are, how they are, and what one holds.
//!
//! **Role.** Answers from counters that live outside of the actors, so also about one that is stuck; hands on
//! what is about other machines; does what operators want to be done, after it is recorded.
//! **Parent** `inspection`, beside the core or the worker and never restarted with them.
//! **Hears** clients: `Asked`; the other inspectors' side: `Look`. **Tells** the root of its tree, gateway, nodes.
//! **Its crash** drops the questions in hand. One that crashes again and again stays away, and nothing else with it.
//! **Invariant.** It holds nothing of anybody; nobody waits for it; at most [`IN_HAND_LIMIT`] questions at once.
//!
//! # Cost
//! Nobody counts anything for it that is not counted anyway. While nobody asks, it does nothing. Who looks again and again is
//! told what has changed ([`Look::Changes`]).

pub(crate) mod changes;
mod look;
mod operate;
pub mod reach;
mod spaces;
mod subscribers;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use strum::IntoStaticStr;
use supervision::supervisor::SupervisorMessage;
use supervision::{Actor, ActorError, Address, Child, Intensity, Me, Message, Reply, Restart, Strategy};
use supervision::{Fact, SupervisorArgs};

use crate::gateway::{GatewayMessage, InHand};
pub(crate) use crate::inspect::look::numbers;
use crate::inspect::subscribers::Subscribers;
use crate::side::Side;
use crate::wire::client::{Request, Response};
use crate::wire::inspect::{Look, Sight};
use crate::workspace::Workspaces;

/// Questions being answered at once: a dozen operators with views open, each of at most half a megabyte.
pub const IN_HAND_LIMIT: usize = 64;

/// When to come back if there are more.
const FULL_RETRY: Duration = Duration::from_millis(250);

/// Restarts of the inspector, after which the machine goes on without one.
const INTENSITY: Intensity = Intensity::new(10, Duration::from_secs(60));

/// What an inspector can be told.
#[derive(Debug, IntoStaticStr)]
pub enum InspectorMessage {
    /// A client asks: about this side or about a machine.
    Asked {
        /// What.
        request: Box<Request>,
        /// Where the answer goes.
        reply: Reply<Response>,
    },
    /// Somebody asks about the actors of this side.
    Look {
        /// What.
        look: Look,
        /// Where the answer goes.
        reply: Reply<Sight>,
    },
}

impl Message for InspectorMessage {
    fn kind(&self) -> &'static str {
        self.into()
    }
}

/// Everything an inspector needs to start.
#[derive(Debug, Clone)]
pub struct InspectorArgs {
    /// The root of the tree it tells of.
    pub root: Address<SupervisorMessage>,
    /// The scheduler side and its door, where it stands there.
    pub head: Option<(Arc<Side>, Address<GatewayMessage>)>,
    /// The workspaces of the machine, where it stands on one.
    pub spaces: Option<Arc<Workspaces>>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct InspectorActor {
    args: Arc<InspectorArgs>,
    in_hand: Arc<AtomicUsize>,
    subscribers: Arc<Subscribers>,
}

impl Actor for InspectorActor {
    const KIND: &'static str = "inspector";
    type Message = InspectorMessage;
    type Args = InspectorArgs;

    fn start(args: InspectorArgs, _: &Me<InspectorMessage>) -> Result<Self, ActorError> {
        Ok(Self { args: Arc::new(args), in_hand: Arc::default(), subscribers: Arc::default() })
    }

    fn handle(&mut self, message: InspectorMessage, _: &Me<InspectorMessage>) -> Result<(), ActorError> {
        match message {
            InspectorMessage::Asked { request, reply } => self.asked(*request, reply),
            InspectorMessage::Look { look, reply } => self.looked(look, reply),
        }
        Ok(())
    }

    fn show(&self) -> Vec<Fact> {
        vec![
            Fact::new("questions in hand", self.in_hand.load(Ordering::Relaxed)),
            Fact::new("who look again and again", self.subscribers.count()),
        ]
    }
}

impl InspectorActor {
    fn asked(&self, request: Request, reply: Reply<Response>) {
        let Some(in_hand) = InHand::enter(&self.in_hand, IN_HAND_LIMIT) else {
            let reason = format!("{IN_HAND_LIMIT} questions about actors are being answered").into();
            return reply.send(Response::Busy { reason, retry_after: FULL_RETRY });
        };
        let (args, subscribers) = (Arc::clone(&self.args), Arc::clone(&self.subscribers));
        tokio::spawn(async move {
            let _in_hand = in_hand;
            reply.send(operate::answer((&args, &subscribers), request).await);
        });
    }

    fn looked(&self, look: Look, reply: Reply<Sight>) {
        let Some(in_hand) = InHand::enter(&self.in_hand, IN_HAND_LIMIT) else {
            return reply.send(Sight::Unseen("its inspector answers too many questions".into()));
        };
        let (args, subscribers) = (Arc::clone(&self.args), Arc::clone(&self.subscribers));
        tokio::spawn(async move {
            let _in_hand = in_hand;
            reply.send(look::look((&args, &subscribers), look).await);
        });
    }
}

/// What goes into a tree: an inspector that may fail without anything else.
#[must_use]
pub fn child(address: &Address<InspectorMessage>, args: InspectorArgs) -> Child {
    let inspector = Child::worker::<InspectorActor>("inspector", address, move || args.clone());
    let supervisor = SupervisorArgs::new("inspection", Strategy::OneForOne, INTENSITY, vec![inspector]);
    Child::supervisor(supervisor).restart(Restart::Temporary)
}

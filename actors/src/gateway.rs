//! The gateway actor: the door for everybody who asks.
//!
//! **Role.** Turns requests into questions to the scheduler, and what is known into answers. Keeps nothing.
//! **Parent** the scheduler side's core, last in and first out. **Hears** the link and local clients:
//! `Asked`. **Tells** scheduler.
//! **Its crash** drops the questions being answered; clients ask again, and submissions carry keys.
//! **Invariant.** At most [`IN_HAND_LIMIT`] questions are being answered; one more is told to come back.
//!
//! # Why questions are answered outside the handler
//! An answer may need the scheduler, the log on disk or thirty seconds of waiting. So each question becomes
//! a task of its own which owns the reply; the actor only counts them.

mod addition;
mod answer;
mod artifact;
mod directive;
mod enrol;
mod following;
pub mod permit;
mod rows;
mod run;
mod samples;
mod signal;
mod way;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use policy::trust::Caller;
use strum::IntoStaticStr;
use supervision::{Actor, ActorError, Me, Message, Reply};

use crate::gateway::addition::NamesOfGraphs;
use crate::gateway::answer::Answerer;
use crate::side::Side;
use crate::wire::client::{Request, Response, ServerInfo};

/// Questions being answered at once: enough for every follower of a large fleet to wait, and about 10 MB.
pub const IN_HAND_LIMIT: usize = 10_000;

/// When to come back if there are more.
const FULL_RETRY: Duration = Duration::from_millis(250);

/// What the gateway can be told.
#[derive(Debug, IntoStaticStr)]
pub enum GatewayMessage {
    /// Somebody asks.
    Asked {
        /// Who.
        caller: Caller,
        /// What.
        request: Box<Request>,
        /// Where the answer goes.
        reply: Reply<Response>,
    },
}

impl Message for GatewayMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Asked { request, .. } => request.as_ref().into(),
        }
    }
}

/// Everything the gateway needs to start.
#[derive(Debug, Clone)]
pub struct GatewayArgs {
    /// Whom it knows.
    pub side: Arc<Side>,
    /// What it says of itself; the reign and the number of the last durable record are filled in.
    pub server: ServerInfo,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct GatewayActor {
    answerer: Arc<Answerer>,
    in_hand: Arc<AtomicUsize>,
}

impl Actor for GatewayActor {
    const KIND: &'static str = "gateway";
    type Message = GatewayMessage;
    type Args = GatewayArgs;

    fn start(args: GatewayArgs, _: &Me<GatewayMessage>) -> Result<Self, ActorError> {
        let answerer =
            Arc::new(Answerer { side: args.side, server: args.server, names: NamesOfGraphs::default() });
        Ok(Self { answerer, in_hand: Arc::default() })
    }

    fn handle(&mut self, message: GatewayMessage, _: &Me<GatewayMessage>) -> Result<(), ActorError> {
        match message {
            GatewayMessage::Asked { caller, request, reply } => self.asked(caller, *request, reply),
        }
        Ok(())
    }
}

impl GatewayActor {
    /// The answer of a door nobody stands behind at the moment.
    #[must_use]
    pub fn restarting() -> Response {
        Response::Busy { reason: "the scheduler is starting".into(), retry_after: FULL_RETRY }
    }

    fn asked(&self, caller: Caller, request: Request, reply: Reply<Response>) {
        tracing::trace!(request = <&str>::from(&request), "asked");
        let Some(in_hand) = InHand::enter(&self.in_hand, IN_HAND_LIMIT) else {
            let reason = format!("{IN_HAND_LIMIT} requests are being answered").into();
            return reply.send(Response::Busy { reason, retry_after: FULL_RETRY });
        };
        let answerer = Arc::clone(&self.answerer);
        tokio::spawn(async move {
            let _in_hand = in_hand;
            reply.send(answerer.answer_to(&caller, request).await);
        });
    }
}

/// Counts a question as being answered until dropped.
pub(crate) struct InHand(Arc<AtomicUsize>);

impl InHand {
    /// Counts one more; `None` where `limit` are being answered.
    pub(crate) fn enter(count: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        if count.fetch_add(1, Ordering::Relaxed) >= limit {
            count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Self(Arc::clone(count)))
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

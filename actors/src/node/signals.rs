//! Who waits to hear whether a signal was handed on by the node's worker.

use policy::id::Token;
use policy::signal::TaskSignal;
use rustc_hash::FxHashMap;
use supervision::Reply;

use crate::node::NodeActor;
use crate::outlet::Outlet;
use crate::wire::fleet::ToWorker;

/// Signals that may be on their way to one node: a person sends one, and a program that sends more waits for answers.
const SIGNALS_LIMIT: usize = 64;

/// Nothing, or why it was not handed on.
type Answer = Result<(), Box<str>>;

/// Those who wait, by the number of their request.
#[derive(Debug, Default)]
pub(super) struct Signals {
    waiting: FxHashMap<u64, Reply<Answer>>,
    last: u64,
}

impl Signals {
    pub(super) fn send(
        &mut self,
        outlet: Option<&Outlet<ToWorker>>,
        (token, signal): (Token, TaskSignal),
        reply: Reply<Answer>,
    ) {
        self.waiting.retain(|_, waiting| !waiting.is_abandoned());
        if self.waiting.len() >= SIGNALS_LIMIT {
            return reply.send(Err(format!("{SIGNALS_LIMIT} signals are on their way there already").into()));
        }
        self.last += 1;
        let message = ToWorker::Signal { request: self.last, token, signal };
        if outlet.is_some_and(|outlet| outlet.send(message)) {
            self.waiting.insert(self.last, reply);
        } else {
            reply.send(Err("it is not connected now, or of an earlier version that knows no signals".into()));
        }
    }

    pub(super) fn answer(&mut self, request: u64, refused: Option<Box<str>>) {
        if let Some(reply) = self.waiting.remove(&request) {
            reply.send(refused.map_or(Ok(()), Err));
        }
    }

    /// The worker they wait for is gone.
    pub(super) fn drop_all(&mut self) {
        for (_, reply) in self.waiting.drain() {
            reply.send(Err("the connection was lost: it may have been handed on".into()));
        }
    }
}

impl NodeActor {
    pub(super) fn signal(&mut self, token: Token, signal: TaskSignal, reply: Reply<Answer>) {
        self.signals.send(self.outlet.as_ref(), (token, signal), reply);
    }

    /// Nobody will answer those who asked the worker for something.
    pub(super) fn drop_askers(&mut self) {
        self.readers.drop_all();
        self.collectors.drop_all();
        self.signals.drop_all();
    }
}

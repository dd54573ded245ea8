//! Who waits to hear whether a signal was handed on by the node's worker.

use policy::id::Token;
use policy::signal::TaskSignal;
use supervision::Reply;

use crate::node::askers::{Askers, Unasked};
use crate::node::{NodeActor, artifacts, output};
use crate::wire::fleet::ToWorker;

/// Signals that may be on their way to one node: a person sends one, and a program that sends more waits for answers.
const SIGNALS_LIMIT: usize = 64;

/// Nothing, or why it was not handed on.
type Answer = Result<(), Box<str>>;

/// Those who wait.
pub(super) type Signals = Askers<Answer>;

impl NodeActor {
    pub(super) fn signal(&mut self, token: Token, signal: TaskSignal, reply: Reply<Answer>) {
        let outlet = self.outlet.as_ref();
        let message = |request| ToWorker::Signal { request, token, signal };
        let send = |request| outlet.is_some_and(|outlet| outlet.send(message(request)));
        self.signals.ask(SIGNALS_LIMIT, reply, send, |why| match why {
            Unasked::Full => Err(format!("{SIGNALS_LIMIT} signals are on their way there already").into()),
            Unasked::Unsent => {
                Err("it is not connected now, or of an earlier version that knows no signals".into())
            }
        });
    }

    /// Nobody will answer those who asked the worker for something.
    pub(super) fn drop_askers(&mut self) {
        self.readers.drop_all(|| output::away("the connection was lost"));
        self.collectors.drop_all(|| artifacts::away("the connection was lost"));
        self.signals.drop_all(|| Err("the connection was lost: it may have been handed on".into()));
    }
}

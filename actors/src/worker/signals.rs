//! Signals for what attempts run: handed to the host, or refused with the reason.

use policy::id::Token;
use policy::signal::TaskSignal;

use super::Worker;
use crate::wire::fleet::{FromWorker, Phase};

impl Worker {
    pub(super) fn signal(&self, request: u64, token: Token, signal: TaskSignal) {
        let phase = self.held.get(&token).map(|held| &held.phase);
        let refused = match phase {
            Some(Phase::Running { .. }) if !self.host_known => Some("its process host is away".into()),
            Some(Phase::Running { .. }) => self.args.port.signal(token, signal).err(),
            Some(Phase::Staged) => Some("it waits for its turn there".into()),
            Some(Phase::Ended { .. }) | None => Some("it is over".into()),
        };
        self.tell(FromWorker::Signalled { request, refused });
    }
}

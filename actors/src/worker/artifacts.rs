//! Serving readers of artifacts: what is kept is there at once, or not at all.
//!
//! Files are read on threads for blocking work, never in the worker's handler; readers are few.

use policy::id::Token;
use supervision::Me;

use super::{Worker, WorkerMessage};
use crate::wire::fleet::{ArtifactAnswer, ArtifactPiece, ArtifactRead, ArtifactRefusal, FromWorker};

/// Readers served at once; each holds a thread for the time of one read, and a piece of 256 KiB.
const READERS_LIMIT: u32 = 16;

impl Worker {
    pub(super) fn read_artifact(
        &mut self,
        request: u64,
        token: Token,
        read: ArtifactRead,
        me: &Me<WorkerMessage>,
    ) {
        if self.collectors >= READERS_LIMIT {
            let answer = ArtifactAnswer::Refused(ArtifactRefusal::Busy { limit: READERS_LIMIT });
            self.tell(FromWorker::Artifact { request, answer });
            return;
        }
        self.collectors += 1;
        let depot = self.args.depot.clone();
        me.run_blocking(move || WorkerMessage::ArtifactLooked { request, piece: depot.read(token, read) });
    }

    pub(super) fn artifact_looked(&mut self, request: u64, piece: Result<ArtifactPiece, ArtifactRefusal>) {
        self.collectors = self.collectors.saturating_sub(1);
        self.tell(FromWorker::Artifact { request, answer: piece.into() });
    }
}

//! Serving readers of output: a piece at once where there is one, and otherwise soon.
//!
//! Files are read on threads for blocking work, never in the worker's handler; readers are few.

use std::io::ErrorKind;
use std::time::Duration;

use policy::id::Token;
use policy::time::Moment;
use supervision::Me;

use super::{Worker, WorkerMessage};
use crate::output::reader;
use crate::wire::client::WAIT_LIMIT;
use crate::wire::fleet::{FromWorker, OutputPiece, OutputRead, OutputRefusal, Phase};

/// Readers served at once; each holds a thread for the time of one read.
pub const READERS_LIMIT: u32 = 64;
/// Between two looks at a file that somebody waits for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A question that is being answered.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    request: u64,
    token: Token,
    read: OutputRead,
    until: Moment,
}

impl Worker {
    pub(super) fn read_output(
        &mut self,
        request: u64,
        token: Token,
        read: OutputRead,
        me: &Me<WorkerMessage>,
    ) {
        if self.readers >= READERS_LIMIT {
            let piece = Err(OutputRefusal::Busy { limit: READERS_LIMIT });
            self.tell(FromWorker::Output { request, piece });
            return;
        }
        self.readers += 1;
        let until = self.args.clock.now() + read.wait.min(WAIT_LIMIT);
        self.look_at_output(Reading { request, token, read, until }, me);
    }

    pub(super) fn look_at_output(&mut self, reading: Reading, me: &Me<WorkerMessage>) {
        let path = self.args.directory.spool(reading.token);
        let OutputRead { from, max_bytes, .. } = reading.read;
        me.run_blocking(move || {
            let piece = match reader::read(&path, from, max_bytes) {
                Ok(piece) => Ok(Some(piece)),
                // Made just now, its header is not there yet.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => {
                    Ok(None)
                }
                Err(error) => Err(OutputRefusal::Unreadable { reason: error.to_string().into() }),
            };
            WorkerMessage::OutputLooked { reading, piece }
        });
    }

    pub(super) fn output_looked(
        &mut self,
        reading: Reading,
        piece: Result<Option<OutputPiece>, OutputRefusal>,
        me: &Me<WorkerMessage>,
    ) {
        let piece = piece.and_then(|piece| piece.map_or_else(|| self.without_file(reading.token), Ok));
        let nothing_yet = piece.as_ref().is_ok_and(|piece| piece.parts.is_empty() && !piece.complete);
        if nothing_yet && self.args.clock.now() < reading.until {
            me.after(LOOK_EVERY, WorkerMessage::LookAtOutput(reading));
            return;
        }
        self.readers = self.readers.saturating_sub(1);
        self.tell(FromWorker::Output { request: reading.request, piece });
    }

    /// There is no file: because there was no output, not yet, or not any more.
    fn without_file(&self, token: Token) -> Result<OutputPiece, OutputRefusal> {
        match self.held.get(&token).map(|held| &held.phase) {
            Some(Phase::Staged | Phase::Running { .. }) => Ok(OutputPiece::default()),
            Some(Phase::Ended { usage, .. }) if usage.stdout_bytes + usage.stderr_bytes == 0 => {
                Ok(OutputPiece { complete: true, ..OutputPiece::default() })
            }
            Some(Phase::Ended { .. }) | None => Err(OutputRefusal::Gone),
        }
    }
}

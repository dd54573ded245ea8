//! A new host on the directory of a dead one: what ran is found, ended and told.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use policy::task::{AttemptOutcome, LossReason, Usage};
use policy::time::{Moment, Timestamp};

use super::attempt::Attempt;
use super::journal::{Memory, Remembered};
use crate::output::spool;
use crate::process::os;
use crate::process::protocol::{HostDirectory, HostId, MARK_VARIABLE};

/// What an earlier host left.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// To be killed, swept and reported lost.
    pub(super) orphaned: Vec<Attempt>,
    /// Over, and not yet forgotten.
    pub(super) ended: Vec<Remembered>,
}

/// Sorts what the journal remembers by what can still be true of it.
pub(super) fn sort(memory: Memory, boot: &str, directory: &HostDirectory, now: (Moment, Timestamp)) -> Left {
    let mut left = Left::default();
    for mut record in memory.attempts {
        if record.end.is_some() {
            left.ended.push(record);
            continue;
        }
        // An unreadable spool stays as it is: its reader says so.
        let _ = spool::close_orphan(&directory.spool(record.token), now.1);
        if *memory.boot == *boot {
            left.orphaned.push(Attempt::orphaned(record, now.0));
        } else {
            record.end = Some((AttemptOutcome::Lost(LossReason::Rebooted), Usage::default()));
            left.ended.push(record);
        }
    }
    left
}

/// Kills processes that carry a mark of this directory but that no journal tells of, as when it was damaged.
pub(super) fn kill_unrecorded(id: HostId, orphaned: &[Attempt]) {
    let me = Pid::this().as_raw();
    for process in os::processes().into_iter().filter(|process| process.pid != me) {
        let token = os::mark(process.pid, MARK_VARIABLE).and_then(|mark| id.token_of(&mark));
        if token.is_some_and(|token| orphaned.iter().all(|attempt| attempt.token() != token)) {
            let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
    }
}

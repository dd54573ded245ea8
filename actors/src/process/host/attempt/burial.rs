//! When to look again for what an ended process has left.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use policy::time::Moment;

use super::{Attempt, Look, Phase, signal_group};
use crate::process::host::family::{Known, Root, Sight};
use crate::process::os::cgroup::Cgroup;

/// Looks at all processes that must find nothing more before an attempt is over: between two, whatever was
/// being started during the first has come to be.
const CLEAN_LOOKS: u8 = 2;
/// Between two looks, at first; doubled up to [`LOOK_PAUSE_LIMIT`].
const LOOK_PAUSE: Duration = Duration::from_millis(2);
/// The longest pause between two looks.
const LOOK_PAUSE_LIMIT: Duration = Duration::from_millis(250);
/// From the first look to saying that something cannot be killed.
const UNKILLABLE_AFTER: Duration = Duration::from_secs(10);

/// The looks at what is left of one attempt.
#[derive(Debug)]
pub(super) struct Burial {
    since: Moment,
    clean: u8,
    pause: Duration,
    pub(super) next_look: Moment,
    reported: bool,
}

impl Burial {
    pub(super) fn new(now: Moment) -> Self {
        Self { since: now, clean: 0, pause: LOOK_PAUSE, next_look: now, reported: false }
    }

    pub(super) fn again(&mut self, now: Moment) {
        self.clean = 0;
        self.next_look = now + self.pause;
        self.pause = (self.pause * 2).min(LOOK_PAUSE_LIMIT);
    }

    /// As [`Self::again`], after the shortest pause.
    pub(super) fn soon(&mut self, now: Moment) {
        self.next_look = now + LOOK_PAUSE;
    }

    /// A look has found nothing; gives back whether that was enough of them.
    pub(super) fn found_nothing(&mut self, now: Moment) -> bool {
        self.clean += 1;
        self.next_look = now;
        self.clean >= CLEAN_LOOKS
    }

    /// Whether it is time to say that something cannot be killed. Says yes once.
    pub(super) fn takes_too_long(&mut self, now: Moment) -> bool {
        now.since(self.since) >= UNKILLABLE_AFTER && !std::mem::replace(&mut self.reported, true)
    }
}

impl Attempt {
    /// Whether the process has ended and what is left of it should be looked at now.
    pub(in crate::process::host) fn wants_burial(&self, now: Moment) -> bool {
        matches!(&self.phase, Phase::Burying { burial, .. } if now >= burial.next_look)
    }

    /// Kills what is left in the group, unless it still has its grace; gives back whether nothing was.
    pub(in crate::process::host) fn group_is_empty(&mut self, now: Moment) -> bool {
        if let Some(group) = self.group.as_ref().filter(|group| !group.is_empty()) {
            if !self.has_grace(now) {
                group.kill();
            }
            return false;
        }
        if self.is_orphaned() {
            return false;
        }
        // One that could not be started.
        let Some(pid) = self.record.pid else { return true };
        if killpg(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
            return true;
        }
        if !self.has_grace(now) {
            signal_group(pid, Signal::SIGKILL);
        }
        false
    }

    /// Asked to stop, its first process gone, the others still have time.
    pub(in crate::process::host) fn has_grace(&self, now: Moment) -> bool {
        self.stop.as_ref().is_some_and(|stop| now < stop.kill_at)
    }

    /// Kills what one look at all processes shows of it.
    pub(in crate::process::host) fn look(&mut self, sight: &Sight, rivals: &[Root], now: Moment) -> Look {
        let family = self.family(sight, rivals);
        let has_grace = self.has_grace(now);
        let group = self.record.pid;
        let Phase::Burying { burial, .. } = &mut self.phase else { return Look::Again };
        if family.is_empty() {
            return if burial.found_nothing(now) { Look::Clean } else { Look::Again };
        }
        burial.again(now);
        if has_grace && family.iter().any(|known| Some(known.group) == group) {
            self.known = family;
            return Look::Again;
        }
        if family.iter().any(|known| !self.known.contains(known)) {
            // It multiplies: whoever waits has more to look for.
            burial.soon(now);
        }
        for known in &family {
            let _ = kill(Pid::from_raw(known.pid), Signal::SIGKILL);
        }
        let look = if burial.takes_too_long(now) {
            Look::Unkillable(family.iter().filter_map(|known| u32::try_from(known.pid).ok()).collect())
        } else {
            Look::Again
        };
        self.known = family;
        look
    }

    /// Notes which processes are below it, while they can still be seen to be.
    pub(in crate::process::host) fn observe(&mut self, sight: &Sight, rivals: &[Root]) {
        self.known = self.family(sight, rivals);
    }

    /// All that lives of it; the kernel's group has also what shows no sign.
    fn family(&self, sight: &Sight, rivals: &[Root]) -> Vec<Known> {
        let mut family = sight.family(self.root(), &self.known, rivals);
        let members = self.group.as_ref().map(Cgroup::members).unwrap_or_default();
        let missing = members.into_iter().filter(|pid| family.iter().all(|known| known.pid != *pid));
        let missing: Vec<Known> = sight.of_numbers(&missing.collect::<Vec<_>>()).collect();
        family.extend(missing);
        family
    }

    /// By what its processes are found.
    pub(in crate::process::host) fn root(&self) -> Root {
        Root::of(&self.record)
    }

    /// Something has changed: looks at once.
    pub(in crate::process::host) fn bury_now(&mut self, now: Moment) {
        if let Phase::Burying { burial, .. } = &mut self.phase {
            burial.next_look = now;
        }
    }

    /// Looks again after a moment.
    pub(in crate::process::host) fn bury_later(&mut self, now: Moment) {
        if let Phase::Burying { burial, .. } = &mut self.phase {
            burial.again(now);
        }
    }
}

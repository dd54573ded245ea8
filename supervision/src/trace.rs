//! Messages as they go through one actor, for a while: who told it what, how long that waited and took.
//!
//! Kept outside of the actor, as all that is counted is. While nobody traces, a message costs one relaxed read
//! more. A trace has a limit and ends with whoever asked for it; of a message its kind is kept, and what it shows of itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::envelope::Origin;
use crate::probe::{Probe, ProbeId};

/// Messages of one trace: some 100 KB.
pub const TRACED_LIMIT: usize = 1000;

/// Of what one message shows, at most so much is kept.
pub const SHOWN_LIMIT_CHARS: usize = 200;

/// One message that an actor has handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// Its number in this process.
    pub number: u64,
    /// The message whose handling sent it; 0 where it came from outside any actor.
    pub cause: u64,
    /// Its kind, and behind a blank what it shows of itself.
    pub kind: Box<str>,
    /// Who sent it, if an actor did.
    pub from: Option<ProbeId>,
    /// Since the trace began.
    pub after: Duration,
    /// How long it waited in the mailbox.
    pub waited: Duration,
    /// How long it took to handle.
    pub took: Duration,
}

/// What hangs on a probe while it is traced.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    is_on: AtomicBool,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    began: Instant,
    limit: usize,
    messages: Vec<Traced>,
    missed: u64,
}

/// What is being handled, with its marks.
#[derive(Debug, Clone)]
pub(crate) struct Marks {
    pub(crate) number: u64,
    pub(crate) kind: &'static str,
    pub(crate) shown: Option<String>,
    pub(crate) origin: Origin,
    pub(crate) enqueued: Instant,
    pub(crate) since: Instant,
}

impl Tap {
    /// Whether somebody wants to know.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// A message has been handled.
    pub(crate) fn take(&self, marks: &Marks) {
        let mut kept = self.kept();
        let Some(kept) = &mut *kept else { return };
        if kept.messages.len() >= kept.limit {
            kept.missed += 1;
            return;
        }
        kept.messages.push(Traced {
            number: marks.number,
            cause: marks.origin.cause,
            kind: said(marks.kind, marks.shown.as_deref()),
            from: marks.origin.from,
            after: marks.since.saturating_duration_since(kept.began),
            waited: marks.since.saturating_duration_since(marks.enqueued),
            took: marks.since.elapsed(),
        });
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn said(kind: &str, shown: Option<&str>) -> Box<str> {
    let Some(shown) = shown else { return kind.into() };
    let shown: String = shown.chars().take(SHOWN_LIMIT_CHARS).collect();
    format!("{kind} {shown}").into()
}

/// A trace under way; it ends when this is dropped.
#[derive(Debug)]
pub struct Trace(Arc<Probe>);

impl Trace {
    /// Begins one of at most `limit` messages; `None` where one is under way.
    #[must_use]
    pub fn begin(probe: &Arc<Probe>, limit: usize) -> Option<Self> {
        let tap = probe.tap();
        let mut kept = tap.kept();
        if kept.is_some() {
            return None;
        }
        let limit = limit.min(TRACED_LIMIT);
        *kept = Some(Kept { began: Instant::now(), limit, messages: Vec::new(), missed: 0 });
        tap.is_on.store(true, Ordering::Relaxed);
        drop(kept);
        Some(Self(Arc::clone(probe)))
    }

    /// Whether it has all the messages it may have.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.tap().kept().as_ref().is_none_or(|kept| kept.messages.len() >= kept.limit)
    }

    /// The messages so far, and how many came after the limit.
    #[must_use]
    pub fn messages(&self) -> (Vec<Traced>, u64) {
        let kept = self.0.tap().kept();
        kept.as_ref().map_or_else(Default::default, |kept| (kept.messages.clone(), kept.missed))
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let tap = self.0.tap();
        tap.is_on.store(false, Ordering::Relaxed);
        *tap.kept() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(number: u64) -> Marks {
        let now = Instant::now();
        Marks { number, kind: "Renew", shown: None, origin: Origin::default(), enqueued: now, since: now }
    }

    #[test]
    fn what_a_message_shows_is_kept_with_its_kind_and_no_more_than_a_line_of_it() {
        let probe = Probe::new("lease", "1");
        let trace = Trace::begin(&probe, 2).expect("nobody else traces");
        probe.tap().take(&Marks { shown: Some("t1".to_owned()), ..marks(1) });
        probe.tap().take(&Marks { shown: Some("x".repeat(9000)), ..marks(2) });
        let kinds: Vec<_> = trace.messages().0.into_iter().map(|one| one.kind).collect();
        assert_eq!((&*kinds[0], kinds[1].len()), ("Renew t1", "Renew ".len() + SHOWN_LIMIT_CHARS));
    }

    #[test]
    fn a_trace_has_its_limit_and_ends_with_who_asked() {
        let probe = Probe::new("lease", "1");
        assert!(!probe.tap().is_on());
        let trace = Trace::begin(&probe, 2).expect("nobody else traces");
        assert!(Trace::begin(&probe, 2).is_none(), "one at a time");
        (1..=3).for_each(|number| probe.tap().take(&marks(number)));
        let (messages, missed) = trace.messages();
        assert_eq!((messages.len(), messages[0].number, missed, trace.is_full()), (2, 1, 1, true));
        drop(trace);
        assert!(!probe.tap().is_on());
        probe.tap().take(&marks(4));
        assert_eq!(Trace::begin(&probe, 2).expect("the other has ended").messages(), (Vec::new(), 0));
    }
}

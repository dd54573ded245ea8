//! What happens once the process of an attempt has ended: whatever else it started goes as well.
//!
//! Most attempts leave nothing: their group is empty and no orphan has fallen to the host. Only where that
//! is not so are all processes looked at, once for all attempts that need it.

use policy::id::Token;
use policy::task::{AttemptOutcome, Usage};
use policy::time::Moment;

use super::Machine;
use crate::process::host::attempt::{Attempt, Look, Next};
use crate::process::host::family::{Root, Sight};
use crate::process::host::journal::Remembered;
use crate::process::os as system;
use crate::process::protocol::{HostReport, MARK_VARIABLE};

impl Machine {
    /// Buries what has ended: at no cost where nothing is left of it.
    pub(super) fn bury(&mut self, now: Moment) {
        let due: Vec<Token> = self
            .attempts
            .iter()
            .filter(|(_, attempt)| attempt.wants_burial(now))
            .map(|(token, _)| *token)
            .collect();
        if due.is_empty() {
            return;
        }
        let orphans = self.orphans.list();
        let strange = orphans.as_ref().is_none_or(|orphans| self.has_strange(orphans, &due));
        let mut looking = Vec::new();
        for token in due {
            let Some(attempt) = self.attempts.get_mut(&token) else { continue };
            match attempt.group_is_empty(now) {
                true if !strange => self.finish(token),
                false if attempt.has_grace(now) => attempt.bury_later(now),
                _ => looking.push(token),
            }
        }
        if !looking.is_empty() {
            self.look(&looking, orphans.unwrap_or_default(), now);
        }
    }

    /// Whether there are orphans that may belong to one of `due`.
    fn has_strange(&self, orphans: &[i32], due: &[Token]) -> bool {
        orphans.iter().any(|orphan| self.claimed.get(orphan).is_none_or(|token| due.contains(token)))
    }

    fn look(&mut self, looking: &[Token], orphans: Vec<i32>, now: Moment) {
        // After the orphans were listed: whoever has started one of them is among these.
        let roots = self.roots();
        let sight = self.sight(&roots, orphans);
        for token in looking {
            let Some(attempt) = self.attempts.get_mut(token) else { continue };
            match attempt.look(&sight, &roots, now) {
                Look::Clean => self.finish(*token),
                Look::Again => {}
                Look::Unkillable(pids) => self.reports.push(HostReport::Unkillable { token: *token, pids }),
            }
        }
    }

    /// By what the processes of all attempts that have begun are found, whoever has them.
    pub(super) fn roots(&self) -> Vec<Root> {
        let gate = self.runners.gate();
        let elsewhere = gate.away().chain(gate.back()).filter(|record| record.end.is_none());
        self.attempts.values().map(Attempt::root).chain(elsewhere.map(Root::of)).collect()
    }

    /// Looks at all processes, and notes whose the orphans are.
    pub(super) fn sight(&mut self, roots: &[Root], orphans: Vec<i32>) -> Sight {
        let since = roots.iter().map(|root| root.since).min().unwrap_or_default();
        let id = self.id;
        let mark = |pid| id.token_of(&system::mark(pid, MARK_VARIABLE)?);
        self.claimed = orphans
            .iter()
            .filter_map(|orphan| Some((*orphan, mark(*orphan)?)))
            .filter(|(_, token)| roots.iter().any(|root| root.token == *token))
            .collect();
        Sight::new(system::processes(), orphans, since, mark)
    }

    fn finish(&mut self, token: Token) {
        if let Some(attempt) = self.attempts.remove(&token) {
            let next = attempt.proceed((self.clock.now(), self.clock.wall()), &mut self.buffer);
            self.follow(next);
        }
    }

    /// Nothing of its process is left: its next command is begun, or it is over.
    pub(super) fn follow(&mut self, next: Next) {
        match next {
            Next::Begin(job) => self.runners.gate().go_on(job),
            Next::Over(attempt) => {
                let (record, trouble) = attempt.finish(self.clock.wall(), &mut self.buffer);
                self.trouble("writing output", trouble);
                self.ended(record);
            }
        }
    }

    pub(super) fn end_unstarted(&mut self, mut record: Remembered, outcome: AttemptOutcome) {
        // An end without a beginning would not be remembered.
        self.runners.gate().journal.append(&record.starting());
        record.end = Some((outcome, Usage::default()));
        self.ended(record);
    }

    fn ended(&mut self, record: Remembered) {
        self.runners.gate().end(&record);
        self.reports.extend(ended_report(&record));
        self.ended.insert(record.token, record);
    }
}

/// The report of an attempt that has ended.
pub(super) fn ended_report(record: &Remembered) -> Option<HostReport> {
    let (outcome, usage) = record.end.clone()?;
    Some(HostReport::Ended { token: record.token, outcome, usage, steps: record.steps.clone() })
}

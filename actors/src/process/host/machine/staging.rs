//! What the worker asks of attempts: to be started in turn, to be stopped, given back, told.

use nix::sys::signal::Signal;
use policy::id::Token;
use policy::resources::Resources;
use policy::signal::TaskSignal;
use policy::task::{AttemptOutcome, LossReason};
use policy::time::Moment;

use super::Machine;
use super::burial::ended_report;
use crate::output::spool::SpoolWriter;
use crate::process::host::attempt::{Attempt, signal_group};
use crate::process::host::gate::Job;
use crate::process::host::journal::Remembered;
use crate::process::protocol::{HostReport, Hosted, HostedPhase, INVENTORY_PART, Start, StopReason};

/// Ends that the worker has not let go of; beyond it nothing more is started.
const ENDED_LIMIT: usize = 100_000;

impl Machine {
    pub(super) fn set_capacity(&mut self, capacity: Resources) {
        let running = self.attempts.values().map(|one| (one.record.token, one.record.need.clone()));
        let evicted = self.runners.gate().set_capacity(capacity, running);
        for job in evicted {
            self.end_unstarted(job.attempt.record, AttemptOutcome::Lost(LossReason::Evicted));
        }
    }

    pub(super) fn start(&mut self, start: Start, now: Moment) {
        let token = start.token;
        if let Some(record) = self.ended.get(&token) {
            self.reports.extend(ended_report(record));
            return;
        }
        if self.attempts.contains_key(&token) || self.runners.gate().holds(token) {
            return;
        }
        let Start { task, attempt, ref need, grace, bounds, limits, output, .. } = start;
        let need = need.clone();
        let (pid, step, steps, end) = (None, None, Vec::new(), None);
        let record = Remembered { token, task, attempt, need, at: now, pid, step, steps, end };
        if self.ended.len() >= ENDED_LIMIT {
            return self.end_unstarted(record, AttemptOutcome::Lost(LossReason::Evicted));
        }
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return self.end_unstarted(record, AttemptOutcome::Lost(LossReason::LeaseLost));
        }
        let spool = SpoolWriter::new(self.directory.spool(token), output);
        let mut attempt = Attempt::starting(record, grace, (bounds, limits), spool);
        let start = attempt.stage(start);
        let refused = self.runners.gate().stage(Box::new(Job { start, attempt })).err();
        if let Some(job) = refused {
            self.end_unstarted(job.attempt.record, AttemptOutcome::Lost(LossReason::Evicted));
        }
    }

    pub(super) fn stop(&mut self, token: Token, why: StopReason, now: Moment) {
        if let Some(attempt) = self.attempts.get_mut(&token) {
            return attempt.stop(why, now);
        }
        let (job, between, is_held) = {
            let mut gate = self.runners.gate();
            (gate.unstage(token), gate.take_again(token), gate.holds(token))
        };
        if let Some(job) = between {
            return self.follow(job.stop(why, now));
        }
        if let Some(job) = job {
            self.end_unstarted(job.attempt.record, why.outcome());
        } else if is_held {
            self.stops.entry(token).or_insert(why);
            self.runners.nudge();
        }
    }

    /// Hands a signal on, also to what a runner is still with.
    pub(super) fn signal(&self, token: Token, signal: TaskSignal) {
        let pid = match self.attempts.get(&token) {
            Some(attempt) => attempt.running_pid(),
            None => self.runners.gate().away().find(|away| away.token == token).and_then(|away| away.pid),
        };
        if let Some(pid) = pid {
            signal_group(pid, sent(signal));
        }
    }

    /// Gives back what has not been started.
    pub(super) fn recall(&mut self, tokens: &[Token]) {
        for token in tokens {
            let job = self.runners.gate().unstage(*token);
            if let Some(job) = job {
                self.end_unstarted(job.attempt.record, AttemptOutcome::Lost(LossReason::Evicted));
            }
        }
    }

    /// The lease has ended: nothing that waits may start, and what is with the runners must come back.
    pub(super) fn lose_staged(&mut self, now: Moment) {
        let (staged, away) = {
            let gate = self.runners.gate();
            let staged: Vec<Token> = gate.staged().iter().map(|job| job.start.token).collect();
            (staged, gate.away().map(|record| record.token).collect::<Vec<_>>())
        };
        staged.into_iter().chain(away).for_each(|token| self.stop(token, StopReason::LeaseLost, now));
    }

    /// Everything that is held, told at one moment: what goes from a runner to the loop meanwhile is in it.
    pub(super) fn tell_inventory(&mut self, now: Moment) {
        let (back, staged, away) = {
            let mut gate = self.runners.gate();
            let staged = gate.staged().iter().map(|job| waiting(&job.attempt.record)).collect::<Vec<_>>();
            let away = gate.away().map(hosted).collect::<Vec<_>>();
            (gate.take_back(), staged, away)
        };
        self.absorb(back, now);
        let running = self.attempts.values().map(|attempt| hosted(&attempt.record)).chain(away);
        let all: Vec<Hosted> = running.chain(staged).chain(self.ended.values().map(hosted)).collect();
        let parts = all.len().div_ceil(INVENTORY_PART).max(1);
        let mut rest = all.into_iter();
        for part in 1..=parts {
            let attempts = rest.by_ref().take(INVENTORY_PART).collect();
            self.reports.push(HostReport::Inventory { attempts, last: part == parts });
        }
    }
}

fn waiting(record: &Remembered) -> Hosted {
    Hosted { phase: HostedPhase::Staged, ..hosted(record) }
}

fn hosted(record: &Remembered) -> Hosted {
    let phase = match (&record.end, record.pid) {
        (Some((outcome, usage)), _) => {
            HostedPhase::Ended { outcome: outcome.clone(), usage: *usage, steps: record.steps.clone() }
        }
        (None, Some(pid)) => HostedPhase::Running { pid: u32::try_from(pid).unwrap_or(0), step: record.step },
        (None, None) => HostedPhase::Starting,
    };
    let Remembered { token, task, attempt, ref need, .. } = *record;
    Hosted { token, task, attempt, need: need.clone(), phase }
}

fn sent(signal: TaskSignal) -> Signal {
    match signal {
        TaskSignal::Hup => Signal::SIGHUP,
        TaskSignal::Int => Signal::SIGINT,
        TaskSignal::Quit => Signal::SIGQUIT,
        TaskSignal::Usr1 => Signal::SIGUSR1,
        TaskSignal::Usr2 => Signal::SIGUSR2,
        TaskSignal::Winch => Signal::SIGWINCH,
    }
}

//! What waits in a simulated host for its turn, as in the real one.

use actors::process::protocol::{HostedPhase, StopReason};
use policy::bounds::Running;
use policy::id::Token;
use policy::resources::Resources;
use policy::slots::Slots;
use policy::task::{AttemptOutcome, LossReason};

use super::host::Turn;
use super::world::{Core, Event, Planted};

impl Core {
    pub(super) fn recall(&mut self, node: usize, tokens: Vec<Token>) {
        for token in tokens {
            if self.nodes[node].host.is_staged(token) {
                self.end(node, token, StopReason::Evict.outcome());
            }
        }
    }

    pub(super) fn set_capacity(&mut self, node: usize, capacity: Resources) {
        let host = &mut self.nodes[node].host;
        let slots = host.slots.get_or_insert_with(|| {
            let mut slots = Slots::new(capacity.clone());
            for (token, one) in &host.attempts {
                if matches!(one.phase, HostedPhase::Starting | HostedPhase::Running { .. }) {
                    slots.adopt(*token, one.need.clone());
                }
            }
            slots
        });
        let evicted = slots.set_capacity(capacity);
        evicted.into_iter().for_each(|token| self.end(node, token, StopReason::Evict.outcome()));
        self.begin_staged(node);
    }

    /// Starts what is staged, as far as there is room and the lease allows.
    pub(super) fn begin_staged(&mut self, node: usize) {
        loop {
            let now = self.nodes[node].clock.now();
            let host = &mut self.nodes[node].host;
            if host.is_halted || host.start_until.is_some_and(|until| now >= until) {
                return;
            }
            let Some(token) = host.slots.as_mut().and_then(Slots::start_next) else { return };
            self.begin(node, token);
        }
    }

    pub(super) fn begin(&mut self, node: usize, token: Token) {
        let (now, spawning) = (self.now(), self.rng.u64(0..20));
        let clock = self.nodes[node].clock.now();
        let forgets = self.nature.planted == Planted::Forgetful && self.happens(500);
        let Some(attempt) = self.nodes[node].host.attempts.get_mut(&token) else { return };
        (attempt.phase, attempt.began, attempt.since) = (HostedPhase::Starting, now, clock);
        let run = attempt.run;
        self.plan(spawning, Event::Host { node, token, run, turn: Turn::Spawned });
        self.plan_limits(node, token);
        if forgets {
            self.end(node, token, AttemptOutcome::Lost(LossReason::HostDied));
            self.run(node, token, run);
        }
    }

    /// Plans when an attempt has taken the time that it may.
    pub(super) fn plan_limits(&mut self, node: usize, token: Token) {
        let clock = self.nodes[node].clock.now();
        let Some(attempt) = self.nodes[node].host.attempts.get(&token) else { return };
        let (run, bounds) = (attempt.run, attempt.bounds);
        // Nothing writes anything in this world.
        let running = Running { since: attempt.since, heard: attempt.since };
        if let Some(due) = bounds.due(running)
            && let Some(overrun) = bounds.exceeded(running, due)
        {
            let after = u64::try_from(due.since(clock).as_millis()).unwrap_or(u64::MAX);
            self.plan(after, Event::Host { node, token, run, turn: Turn::TimesOut(overrun) });
        }
    }
}

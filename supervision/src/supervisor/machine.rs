//! Decides what a supervisor of fixed, ordered children does next. Pure: hears what happened and when,
//! returns what to do.
//!
//! Follows `supervisor.erl`: children start left to right, each ready before the next begins; they stop
//! right to left, one after the other; a failed start at the supervisor's own start stops those already
//! started and fails it; a failed restart counts as one more restart; too many restarts end it. Added: a
//! restart may be delayed, and a stop request is heard between attempts.
//!
//! # Why two marks per child
//! Strategy and stop requests only mark children: *to stop*, *to start*. [`Machine::advance`] works the
//! marks off, stops before starts, and whatever happens meanwhile (another child fails, the supervisor is
//! told to stop) only changes marks. So there is no list of special cases for failures during recovery.

use std::time::Duration;

use crate::describe::ChildState;
use crate::exit::{Ending, Exit};
use crate::intensity::{Intensity, Verdict, Window};
use crate::spec::{ChildSpec, Kind, Restart, Shutdown};
use crate::strategy::{Sibling, Strategy};
use crate::supervisor::step::{Effect, Input, Purpose, Report, Timer};

/// How long a killed child may take to be gone. A kill only waits for the handler that runs, so this is
/// long for any handler that keeps the rule not to wait; after it the child is given up as stuck.
pub(crate) const KILL_GRACE: Duration = Duration::from_secs(2);

/// The state of one supervisor.
#[derive(Debug)]
pub(crate) struct Machine {
    strategy: Strategy,
    window: Window,
    phase: Phase,
    children: Vec<Child>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Starting,
    Running,
    Ending(Ending),
    Ended,
}

#[derive(Debug)]
struct Child {
    spec: ChildSpec,
    state: State,
    to_stop: bool,
    to_start: bool,
    /// Counts its starts.
    life: u32,
    /// In a row, for the back-off.
    failures: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Down,
    Delayed,
    Starting,
    Running { since: Duration },
    Stopping,
}

impl State {
    fn is_alive(self) -> bool {
        matches!(self, Self::Starting | Self::Running { .. } | Self::Stopping)
    }
}

impl Child {
    /// Counts for the back-off that it failed at `now`, in the state it was in `before`.
    fn count_failure(&mut self, before: State, now: Duration) {
        let ran =
            if let State::Running { since } = before { now.saturating_sub(since) } else { Duration::ZERO };
        if let Some(backoff) = self.spec.backoff {
            self.failures = backoff.failures(self.failures, ran);
        }
    }
}

impl Machine {
    /// A supervisor that has not begun.
    pub(crate) fn new(
        strategy: Strategy,
        intensity: Intensity,
        specs: impl Iterator<Item = ChildSpec>,
    ) -> Self {
        let children = specs.map(|spec| Child {
            spec,
            state: State::Down,
            to_stop: false,
            to_start: true,
            life: 0,
            failures: 0,
        });
        Self {
            strategy,
            window: Window::new(intensity),
            phase: Phase::Starting,
            children: children.collect(),
        }
    }

    /// The spec of a child.
    pub(crate) fn spec(&self, child: usize) -> &ChildSpec {
        &self.children[child].spec
    }

    /// The number of a child's present life.
    pub(crate) fn life(&self, child: usize) -> u32 {
        self.children[child].life
    }

    /// Where a child is in its life.
    pub(crate) fn state(&self, child: usize) -> ChildState {
        let child = &self.children[child];
        match child.state {
            State::Down if child.to_start => ChildState::Restarting,
            State::Down => ChildState::Ended,
            State::Delayed => ChildState::Restarting,
            State::Starting => ChildState::Starting,
            State::Running { .. } => ChildState::Running,
            State::Stopping => ChildState::Stopping,
        }
    }

    /// Takes in what happened at `now` and returns what to do, in this order.
    pub(crate) fn step(&mut self, input: Input, now: Duration) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Begin => {}
            Input::Ready(child) => self.ready(child, now),
            Input::Ended(child, exit) => self.ended(child, exit, now, &mut effects),
            Input::Rang(timer) => self.rang(timer, &mut effects),
            Input::Stop => self.end(Ending::Stopped),
        }
        self.advance(&mut effects);
        effects
    }

    fn ready(&mut self, index: usize, now: Duration) {
        let child = &mut self.children[index];
        if child.state == State::Starting {
            child.state = State::Running { since: now };
        }
    }

    fn ended(&mut self, index: usize, exit: Exit, now: Duration, effects: &mut Vec<Effect>) {
        let child = &mut self.children[index];
        if !child.state.is_alive() {
            return;
        }
        let before = std::mem::replace(&mut child.state, State::Down);
        let expected = before == State::Stopping || child.to_stop;
        let comes_back = child.spec.restart.follows(&exit);
        let name = || child.spec.name.clone();
        match exit {
            Exit::Stuck(_) => {
                let ending = Ending::Stuck { child: name() };
                self.give_up(ending, effects);
            }
            _ if expected || matches!(self.phase, Phase::Ending(_) | Phase::Ended) => {}
            exit if !comes_back && (before != State::Starting || exit.is_orderly()) => {
                effects.push(Effect::Report(Report::Left { child: index, exit }));
            }
            exit if before == State::Starting && self.phase == Phase::Starting => {
                let ending = Ending::StartFailed { child: name(), exit };
                self.give_up(ending, effects);
            }
            exit => {
                child.count_failure(before, now);
                self.restart(index, exit, now, effects);
            }
        }
    }

    /// A child has to come back: with whom, and when.
    fn restart(&mut self, index: usize, exit: Exit, now: Duration, effects: &mut Vec<Effect>) {
        if self.window.record(now) == Verdict::GiveUp {
            let Intensity { restarts, period } = self.window.intensity();
            let child = self.children[index].spec.name.clone();
            return self.give_up(Ending::GaveUp { child, exit, restarts, period }, effects);
        }
        let plan = self.strategy.plan(index, &self.siblings());
        for sibling in plan.stop {
            self.children[sibling].to_stop = true;
        }
        for sibling in plan.start {
            self.children[sibling].to_start = true;
        }
        let child = &mut self.children[index];
        let delay = child.spec.backoff.map_or(Duration::ZERO, |backoff| backoff.delay(child.failures));
        effects.push(Effect::Report(Report::Restarting { child: index, exit, delay }));
        if !delay.is_zero() {
            child.state = State::Delayed;
            effects.push(self.arm(index, Purpose::Restart, delay));
        }
    }

    fn siblings(&self) -> Vec<Sibling> {
        let sibling = |child: &Child| Sibling {
            alive: child.state.is_alive(),
            comes_back: child.spec.restart != Restart::Temporary,
        };
        self.children.iter().map(sibling).collect()
    }

    fn rang(&mut self, timer: Timer, effects: &mut Vec<Effect>) {
        let child = &mut self.children[timer.child];
        if child.life != timer.life {
            return;
        }
        match (timer.purpose, child.state) {
            (Purpose::Restart, State::Delayed) => child.state = State::Down,
            (Purpose::Stop, State::Stopping) => {
                effects.push(Effect::Report(Report::Late { child: timer.child }));
                self.kill(timer.child, effects);
            }
            (Purpose::Kill, State::Stopping) => {
                child.state = State::Down;
                let name = child.spec.name.clone();
                effects.push(Effect::Report(Report::Stuck { child: timer.child }));
                self.give_up(Ending::Stuck { child: name }, effects);
            }
            (Purpose::Restart | Purpose::Stop | Purpose::Kill, _) => {}
        }
    }

    fn give_up(&mut self, ending: Ending, effects: &mut Vec<Effect>) {
        effects.push(Effect::Report(Report::GivingUp(ending.clone())));
        self.end(ending);
    }

    /// Marks everybody to be stopped and nobody to be started. The first reason counts, except that a
    /// stuck child is told in any case.
    fn end(&mut self, ending: Ending) {
        match self.phase {
            Phase::Starting | Phase::Running => self.phase = Phase::Ending(ending),
            Phase::Ending(_) if matches!(ending, Ending::Stuck { .. }) => self.phase = Phase::Ending(ending),
            Phase::Ending(_) | Phase::Ended => {}
        }
        for child in &mut self.children {
            child.to_start = false;
            child.to_stop = true;
            if child.state == State::Delayed {
                child.state = State::Down;
            }
        }
    }

    /// Works off the marks as far as it goes without waiting.
    fn advance(&mut self, effects: &mut Vec<Effect>) {
        if self.wait_for_stops(effects) {
            return;
        }
        if let Phase::Ending(ending) = &self.phase {
            effects.push(Effect::Finish(ending.clone()));
            self.phase = Phase::Ended;
            return;
        }
        if self.phase == Phase::Ended || self.children.iter().any(|child| child.state == State::Starting) {
            return;
        }
        if let Some(next) = self.next_to_start() {
            let child = &mut self.children[next];
            child.to_start = false;
            child.state = State::Starting;
            child.life += 1;
            effects.push(Effect::Start(next));
        } else if self.phase == Phase::Starting && !self.children.iter().any(|child| child.to_start) {
            self.phase = Phase::Running;
            effects.push(Effect::AllReady);
        }
    }

    /// Stops the last child marked, one at a time. Returns whether there is one to wait for.
    fn wait_for_stops(&mut self, effects: &mut Vec<Effect>) -> bool {
        for index in
            (0..self.children.len()).rev().filter(|index| self.children[*index].to_stop).collect::<Vec<_>>()
        {
            match self.children[index].state {
                State::Down | State::Delayed => self.children[index].to_stop = false,
                State::Stopping => return true,
                State::Starting | State::Running { .. } => {
                    self.stop(index, effects);
                    return true;
                }
            }
        }
        false
    }

    fn stop(&mut self, index: usize, effects: &mut Vec<Effect>) {
        self.children[index].state = State::Stopping;
        match self.children[index].spec.shutdown {
            Shutdown::Kill => self.kill(index, effects),
            Shutdown::Infinity => effects.push(Effect::AskStop(index)),
            Shutdown::Deadline(deadline) => {
                effects.push(Effect::AskStop(index));
                effects.push(self.arm(index, Purpose::Stop, deadline));
            }
        }
    }

    fn kill(&mut self, index: usize, effects: &mut Vec<Effect>) {
        effects.push(Effect::Kill(index));
        effects.push(self.arm(index, Purpose::Kill, KILL_GRACE));
    }

    fn arm(&self, child: usize, purpose: Purpose, after: Duration) -> Effect {
        Effect::Arm(Timer { child, life: self.children[child].life, purpose }, after)
    }

    /// The child to start now, if any. At the supervisor's start, and where children depend on earlier
    /// ones, a delayed child holds up the later ones; where all depend on all, it holds up everybody.
    fn next_to_start(&self) -> Option<usize> {
        let marked = || (0..self.children.len()).filter(|index| self.children[*index].to_start);
        let delayed = |index: &usize| self.children[*index].state == State::Delayed;
        match self.strategy {
            Strategy::OneForAll if marked().any(|index| delayed(&index)) => None,
            Strategy::OneForOne if self.phase == Phase::Running => marked().find(|index| !delayed(index)),
            Strategy::OneForOne | Strategy::OneForAll | Strategy::RestForOne => {
                marked().next().filter(|index| !delayed(index))
            }
        }
    }

    /// How many children there are: specs, alive, supervisors, workers.
    pub(crate) fn counts(&self) -> crate::describe::Counts {
        let supervisors = self.children.iter().filter(|child| child.spec.kind == Kind::Supervisor).count();
        crate::describe::Counts {
            specs: self.children.len(),
            active: self.children.iter().filter(|child| child.state.is_alive()).count(),
            supervisors,
            workers: self.children.len() - supervisors,
        }
    }
}

#[cfg(test)]
mod tests;

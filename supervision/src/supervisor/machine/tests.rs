//! The machine against a world that answers in any order, checked after every step.

use proptest::prelude::{Just, ProptestConfig, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;
use proptest::test_runner::TestCaseError;

use super::*;
use crate::spec::Backoff;

const SECOND: Duration = Duration::from_secs(1);

/// What the world does next.
#[derive(Debug, Clone)]
enum Turn {
    /// Answers what waits for an answer: a start, a stop.
    Answer,
    /// Fails the start of the child being started.
    FailStart,
    /// Ends any living child.
    End(prop::sample::Index, Exit),
    /// Lets the first timer ring.
    Ring,
    /// Asks the supervisor to stop.
    Stop,
}

fn exits() -> impl proptest::strategy::Strategy<Value = Exit> {
    prop_oneof![Just(Exit::Normal), Just(Exit::Killed), Just(Exit::Failed("x".to_owned()))]
}

fn turns() -> impl proptest::strategy::Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        8 => Just(Turn::Answer),
        1 => Just(Turn::FailStart),
        4 => (any::<prop::sample::Index>(), exits()).prop_map(|(child, exit)| Turn::End(child, exit)),
        4 => Just(Turn::Ring),
        1 => Just(Turn::Stop),
    ];
    prop::collection::vec(turn, 0..80)
}

fn specs() -> impl proptest::strategy::Strategy<Value = Vec<ChildSpec>> {
    let restart = prop_oneof![3 => Just(Restart::Permanent), 1 => Just(Restart::Transient), 1 => Just(Restart::Temporary)];
    let shutdown =
        prop_oneof![Just(Shutdown::Kill), Just(Shutdown::Deadline(SECOND)), Just(Shutdown::Infinity)];
    let backoff =
        prop::option::of(Just(Backoff { first: SECOND, most: 4 * SECOND, healthy_after: 9 * SECOND }));
    let spec = (restart, shutdown, backoff).prop_map(|(restart, shutdown, backoff)| ChildSpec {
        restart,
        shutdown,
        backoff,
        ..ChildSpec::worker("w")
    });
    prop::collection::vec(spec, 0..6)
}

fn strategies() -> impl proptest::strategy::Strategy<Value = Strategy> {
    prop_oneof![Just(Strategy::OneForOne), Just(Strategy::OneForAll), Just(Strategy::RestForOne)]
}

/// The children as the world sees them, and the timers it holds.
struct World {
    machine: Machine,
    alive: Vec<bool>,
    unanswered: Option<usize>,
    asked: Vec<usize>,
    timers: Vec<(Duration, Timer)>,
    now: Duration,
    stop_requested: bool,
    finished: Option<Ending>,
}

impl World {
    fn new(strategy: Strategy, intensity: Intensity, specs: Vec<ChildSpec>) -> Self {
        let alive = vec![false; specs.len()];
        let machine = Machine::new(strategy, intensity, specs.into_iter());
        let (unanswered, asked, timers) = (None, Vec::new(), Vec::new());
        Self { machine, alive, unanswered, asked, timers, now: SECOND, stop_requested: false, finished: None }
    }

    fn step(&mut self, input: Input) -> Result<(), TestCaseError> {
        self.stop_requested |= input == Input::Stop;
        for effect in self.machine.step(input, self.now) {
            prop_assert_eq!(&self.finished, &None, "nothing follows the end");
            match effect {
                Effect::Start(child) => {
                    prop_assert!(!self.stop_requested, "no start once asked to stop");
                    prop_assert!(!self.alive[child], "one life at a time");
                    prop_assert_eq!(self.unanswered, None, "one start at a time");
                    prop_assert!(self.asked.is_empty(), "stops come before starts");
                    self.alive[child] = true;
                    self.unanswered = Some(child);
                }
                Effect::AskStop(child) | Effect::Kill(child) => {
                    prop_assert!(self.alive[child]);
                    prop_assert!(self.asked.iter().all(|asked| *asked == child), "one stop at a time");
                    self.asked = vec![child];
                }
                Effect::Arm(timer, after) => self.timers.push((self.now + after, timer)),
                Effect::AllReady => prop_assert_eq!(self.unanswered, None),
                Effect::Report(Report::Stuck { child }) => self.end_of(child),
                Effect::Report(_) => {}
                Effect::Finish(ending) => {
                    prop_assert!(!self.alive.contains(&true), "it ends after its children");
                    self.finished = Some(ending);
                }
            }
        }
        Ok(())
    }

    fn end_of(&mut self, child: usize) {
        self.alive[child] = false;
        self.asked.retain(|asked| *asked != child);
        self.unanswered = self.unanswered.filter(|starting| *starting != child);
    }

    fn turn(&mut self, turn: Turn) -> Result<(), TestCaseError> {
        self.now += SECOND / 4;
        match turn {
            Turn::Answer => self.answer(),
            Turn::FailStart => match self.unanswered {
                Some(child) => self.ends(child, Exit::StartFailed("x".to_owned())),
                None => Ok(()),
            },
            Turn::End(at, exit) => {
                let living: Vec<_> = (0..self.alive.len()).filter(|child| self.alive[*child]).collect();
                if living.is_empty() { Ok(()) } else { self.ends(*at.get(&living), exit) }
            }
            Turn::Ring => self.ring(),
            Turn::Stop => self.step(Input::Stop),
        }
    }

    fn answer(&mut self) -> Result<(), TestCaseError> {
        if let Some(child) = self.asked.first().copied() {
            return self.ends(child, Exit::Stopped);
        }
        match self.unanswered.take() {
            Some(child) => self.step(Input::Ready(child)),
            None => Ok(()),
        }
    }

    fn ends(&mut self, child: usize, exit: Exit) -> Result<(), TestCaseError> {
        self.end_of(child);
        self.step(Input::Ended(child, exit))
    }

    fn ring(&mut self) -> Result<(), TestCaseError> {
        let Some(first) = (0..self.timers.len()).min_by_key(|timer| self.timers[*timer].0) else {
            return Ok(());
        };
        let (at, timer) = self.timers.remove(first);
        self.now = self.now.max(at);
        self.step(Input::Rang(timer))
    }

    /// Lets everything come to rest, answering whatever is asked.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        while self.finished.is_none()
            && (self.unanswered.is_some() || !self.asked.is_empty() || !self.timers.is_empty())
        {
            if self.unanswered.is_some() || !self.asked.is_empty() { self.answer()? } else { self.ring()? }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever happens: afterwards, left in peace, either it has ended, or every child runs that should.
    #[test]
    fn it_always_comes_to_rest(strategy in strategies(), restarts in 0_u32..20, specs in specs(), turns in turns()) {
        let mut world = World::new(strategy, Intensity::new(restarts, 10 * SECOND), specs.clone());
        world.step(Input::Begin)?;
        for turn in turns {
            if world.finished.is_none() {
                world.turn(turn)?;
            }
        }
        world.settle()?;
        if world.finished.is_none() {
            for (child, spec) in specs.iter().enumerate() {
                prop_assert!(spec.restart != Restart::Permanent || world.alive[child], "{} of {:?}", child, specs);
            }
            world.step(Input::Stop)?;
            world.settle()?;
            prop_assert_eq!(&world.finished, &Some(Ending::Stopped));
        }
        prop_assert!(world.finished.is_some());
    }
}

fn running(strategy: Strategy, intensity: Intensity, specs: Vec<ChildSpec>) -> World {
    let mut world = World::new(strategy, intensity, specs);
    world.step(Input::Begin).expect("holds");
    world.settle().expect("holds");
    world
}

fn workers(names: &[&str]) -> Vec<ChildSpec> {
    names.iter().map(|name| ChildSpec::worker(*name)).collect()
}

fn failed() -> Exit {
    Exit::Failed("x".to_owned())
}

fn starts_and_stops(effects: Vec<Effect>) -> Vec<Effect> {
    let acts = |effect: &Effect| {
        matches!(effect, Effect::Start(_) | Effect::AskStop(_) | Effect::Kill(_) | Effect::Finish(_))
    };
    effects.into_iter().filter(acts).collect()
}

#[test]
fn an_earlier_child_that_fails_during_a_recovery_widens_it() {
    let mut machine =
        running(Strategy::RestForOne, Intensity::new(9, SECOND), workers(&["a", "b", "c"])).machine;
    assert_eq!(starts_and_stops(machine.step(Input::Ended(1, failed()), SECOND)), [Effect::AskStop(2)]);
    assert_eq!(starts_and_stops(machine.step(Input::Ended(0, failed()), SECOND)), []);
    assert_eq!(starts_and_stops(machine.step(Input::Ended(2, Exit::Stopped), SECOND)), [Effect::Start(0)]);
    assert_eq!(starts_and_stops(machine.step(Input::Ready(0), SECOND)), [Effect::Start(1)]);
}

#[test]
fn a_delayed_child_does_not_hold_up_its_siblings_where_they_are_independent() {
    let backoff = Some(Backoff { first: 9 * SECOND, most: 9 * SECOND, healthy_after: SECOND });
    let mut specs = workers(&["a", "b"]);
    specs[0].backoff = backoff;
    let mut machine = running(Strategy::OneForOne, Intensity::new(9, SECOND), specs).machine;
    assert_eq!(starts_and_stops(machine.step(Input::Ended(0, failed()), SECOND)), []);
    assert_eq!(starts_and_stops(machine.step(Input::Ended(1, failed()), SECOND)), [Effect::Start(1)]);
}

#[test]
fn a_stop_during_a_recovery_starts_nobody() {
    let mut machine = running(Strategy::OneForAll, Intensity::new(9, SECOND), workers(&["a", "b"])).machine;
    assert_eq!(starts_and_stops(machine.step(Input::Ended(0, failed()), SECOND)), [Effect::AskStop(1)]);
    assert_eq!(starts_and_stops(machine.step(Input::Stop, SECOND)), []);
    let end = machine.step(Input::Ended(1, Exit::Stopped), SECOND);
    assert_eq!(starts_and_stops(end), [Effect::Finish(Ending::Stopped)]);
}

#[test]
fn a_late_child_is_killed_and_a_stuck_one_escalates() {
    let mut world = running(Strategy::OneForAll, Intensity::new(9, SECOND), workers(&["a", "b"]));
    world.ends(0, failed()).expect("holds");
    let late = starts_and_stops(world.machine.step(Input::Rang(world.timers[0].1), 9 * SECOND));
    assert_eq!(late, [Effect::Kill(1)]);
    let timer = Timer { child: 1, life: 1, purpose: Purpose::Kill };
    let stuck = starts_and_stops(world.machine.step(Input::Rang(timer), 19 * SECOND));
    assert_eq!(stuck, [Effect::Finish(Ending::Stuck { child: "b".to_owned() })]);
}

#[test]
fn a_child_that_reports_a_stuck_one_is_not_restarted() {
    let mut machine = running(Strategy::OneForOne, Intensity::new(9, SECOND), workers(&["a", "b"])).machine;
    let stuck = machine.step(Input::Ended(1, Exit::Stuck("log".to_owned())), SECOND);
    assert_eq!(starts_and_stops(stuck), [Effect::AskStop(0)]);
    let end = machine.step(Input::Ended(0, Exit::Stopped), SECOND);
    assert_eq!(starts_and_stops(end), [Effect::Finish(Ending::Stuck { child: "b".to_owned() })]);
}

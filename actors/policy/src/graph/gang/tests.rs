//! A gang through everything that can happen to its members, live and as its log shows it.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::claims::Indices;
use crate::dependency::Dependency;
use crate::event::{ArraySpec, Event, GraphEvent, Item, Next as Follows, Record, TaskEvent};
use crate::gang::{Next, next};
use crate::graph::effects::{Effects, Mark};
use crate::graph::model::head;
use crate::graph::{Cancelled, ItemShape, Opening, Replay};
use crate::id::{AttemptNumber, GraphId, NodeSession, TaskRange, Token};
use crate::placement::{ShapeId, Shapes};
use crate::task::{AttemptOutcome, RequestNumber, TaskOutcome, TaskSpec, Usage};
use crate::time::Timestamp;
use TaskState::{Active, BackingOff, Cancelled as Ended, Failed, Ready, Skipped, Succeeded, Waiting};

/// A task, a gang of three after it, a task after that: 1, 2 to 4, 5.
struct World {
    graphs: Graphs,
    log: Vec<Record>,
    effects: Effects,
}

const GANG: TaskId = TaskId(2);

fn items() -> Vec<Item> {
    let spec = |name| TaskSpec::new(name, vec!["true".into()]);
    let gang = TaskSpec { gang: Some(3), ..spec("gang") };
    let after = |on: u32, item| Item { dependencies: vec![Dependency::from(on)], ..item };
    let array = Some(ArraySpec::of_gang(3));
    vec![
        Item::new(spec("before")),
        after(0, Item { array, ..Item::new(Arc::new(gang)) }),
        after(1, Item::new(spec("after"))),
    ]
}

impl World {
    fn new() -> Self {
        let mut world = Self { graphs: Graphs::new(), log: Vec::new(), effects: Effects::default() };
        let (items, graph) = (items(), GraphId(1));
        let head = head(&items);
        world.write(Event::Graph(graph, GraphEvent::Admitted(head.clone())));
        for item in &items {
            world.write(Event::Graph(graph, GraphEvent::ItemAdmitted(item.clone())));
        }
        let opening = Opening { graph, position: 1, at: Timestamp(1), head: &head };
        let shapes = items.iter().zip(0..).map(|(item, shape)| ItemShape::of(item, ShapeId(shape), 2));
        world.graphs.admit(&opening, shapes, &mut world.effects).unwrap();
        world
    }

    fn write(&mut self, event: Event) -> Mark {
        let number = self.log.len() as u64 + 1;
        let record = Record { number, at: Timestamp(number), cause: 0, correlation: 0, event };
        self.log.push(record);
        Mark { position: number, sequence: 1, at: Timestamp(number) }
    }

    fn task(&mut self, task: TaskId, event: TaskEvent) -> Mark {
        self.write(Event::Task { task, sequence: 1, previous: 0, event })
    }

    fn state(&self, task: TaskId) -> TaskState {
        self.graphs.entry(task).unwrap().state
    }

    fn states(&self) -> [TaskState; 3] {
        [2, 3, 4].map(|task| self.state(TaskId(task)))
    }

    fn start(&mut self, task: TaskId) {
        assert!(self.graphs.activate(task, &mut self.effects));
        let attempt = AttemptNumber(1);
        let (node, session, indices, gang) = ("n".into(), NodeSession(1), Indices::new(), Vec::new());
        let (token, request) = (Token(1), RequestNumber::default());
        let granted =
            TaskEvent::Granted { token, attempt, node, session, request, indices, gang, waited: Vec::new() };
        let mark = self.task(task, granted);
        self.graphs.granted(task, attempt, mark, &mut self.effects);
    }

    /// Starts the gang where it stands in its queue.
    fn start_gang(&mut self) {
        if let Next::Queue(_) = next(&self.graphs.gang(GANG)) {
            for task in [2, 3, 4].map(TaskId) {
                if self.state(task) == Ready {
                    self.start(task);
                }
            }
        }
    }

    fn over(&mut self, task: TaskId, follows: Follows) {
        let (token, outcome, usage) = (Token(1), AttemptOutcome::Exited(1), Usage::default());
        let ended =
            TaskEvent::AttemptEnded { token, outcome, usage, order: 0, next: follows.clone(), report: None };
        let mark = self.task(task, ended);
        match follows {
            Follows::Finish(outcome) => {
                self.graphs.ended(task, TaskState::from(&outcome), mark, &mut self.effects);
            }
            Follows::RetryAfter(_) => {
                let _ = self.graphs.backs_off(task, mark, &mut self.effects);
            }
        }
        self.follow();
    }

    fn fail(&mut self, task: u64) {
        self.over(TaskId(task), Follows::Finish(TaskOutcome::Failed(AttemptOutcome::Exited(1))));
    }

    fn succeed(&mut self, task: u64) {
        self.over(TaskId(task), Follows::Finish(TaskOutcome::Succeeded));
    }

    fn back_off(&mut self, task: u64) {
        self.over(TaskId(task), Follows::RetryAfter(Duration::ZERO));
    }

    fn due(&mut self, task: u64) {
        let position = self.graphs.entry(TaskId(task)).unwrap().position;
        self.graphs.due(TaskId(task), position, &mut self.effects);
    }

    fn cancel(&mut self, task: u64) {
        let at = Timestamp(self.log.len() as u64);
        if self.graphs.cancel_task(TaskId(task), at, &mut self.effects) == Cancelled::Told {
            let mark = self.task(TaskId(task), TaskEvent::CancelAsked);
            self.graphs.noted(TaskId(task), mark);
        }
        self.follow();
    }

    fn retry(&mut self, task: u64) {
        if self.graphs.may_retry(TaskId(task)).is_ok() {
            let mark = self.task(TaskId(task), TaskEvent::RetryAsked);
            self.graphs.retry(TaskId(task), mark, &mut self.effects);
            self.follow();
        }
    }

    /// Writes the records of what follows, as the actors do.
    fn follow(&mut self) {
        let mut seen = std::mem::take(&mut self.effects);
        while !(seen.closed.is_empty() && seen.revived.is_empty()) {
            for closed in std::mem::take(&mut seen.closed) {
                for task in closed.tasks.iter() {
                    let mark = self.task(task, TaskEvent::Finished(closed.by.outcome()));
                    let outcome = TaskState::from(&closed.by.outcome());
                    self.graphs.ended(task, outcome, mark, &mut self.effects);
                }
            }
            for task in std::mem::take(&mut seen.revived).into_iter().flat_map(TaskRange::iter) {
                let mark = self.task(task, TaskEvent::RetryAsked);
                self.graphs.retry(task, mark, &mut self.effects);
            }
            let more = std::mem::take(&mut self.effects);
            seen.closed.extend(more.closed);
            seen.revived.extend(more.revived);
        }
        self.graphs.check();
    }

    /// Who runs without another one is stopped, and comes back.
    fn recall(&mut self) {
        while let Next::Recall { members, .. } = next(&self.graphs.gang(GANG)) {
            self.back_off(members[0].0);
            self.due(members[0].0);
        }
    }

    fn replay(&self) {
        let mut replay = Replay::new(Shapes::default());
        self.log.iter().for_each(|record| replay.apply(record.number, record).unwrap());
        let recovered = replay.finish();
        recovered.graphs.check();
        for task in (1..=5).map(TaskId) {
            let (was, is) = (self.state(task), recovered.graphs.entry(task).unwrap().state);
            // What was sent out and not granted, and what is due, nobody has written down.
            assert_eq!(was, is, "{task} of {:#?}", self.log);
        }
    }
}

#[test]
fn a_gang_waits_runs_and_ends_as_one() {
    let mut world = World::new();
    assert_eq!(world.states(), [Waiting; 3]);
    world.start(TaskId(1));
    world.succeed(1);
    assert_eq!(next(&world.graphs.gang(TaskId(4))), Next::Queue(GANG));
    assert_eq!(world.graphs.gang(TaskId(1)), [], "it is in none");
    world.start_gang();
    [4, 2].iter().for_each(|task| world.succeed(*task));
    assert_eq!(world.state(TaskId(5)), Waiting);
    world.succeed(3);
    assert_eq!(world.state(TaskId(5)), Ready);
    world.replay();
}

#[test]
fn when_a_member_fails_for_good_the_others_end_as_skipped_for_it_as_soon_as_they_are_stopped() {
    let mut world = World::new();
    world.start(TaskId(1));
    world.succeed(1);
    world.start_gang();
    world.fail(3);
    assert_eq!(world.states(), [Active, Failed, Active]);
    let recall = Next::Recall { members: vec![TaskId(2), TaskId(4)], missing: TaskId(3) };
    assert_eq!(next(&world.graphs.gang(GANG)), recall);
    assert_eq!(world.graphs.may_retry(TaskId(3)), Err(crate::graph::RetryRefused::GangEnding(TaskId(3))));
    world.recall();
    assert_eq!(world.states(), [Skipped, Failed, Skipped]);
    assert_eq!(world.graphs.entry(TaskId(2)).unwrap().cause, Some(TaskId(3)));
    assert_eq!(world.state(TaskId(5)), Skipped);
    world.replay();
    world.retry(3);
    assert_eq!(world.states(), [Ready; 3], "it is tried again as a whole");
    assert_eq!(world.state(TaskId(5)), Waiting);
    world.replay();
}

#[test]
fn when_a_member_is_tried_again_the_others_come_back_and_wait_for_it() {
    let mut world = World::new();
    world.start(TaskId(1));
    world.succeed(1);
    world.start_gang();
    world.succeed(2);
    world.back_off(4);
    world.recall();
    assert_eq!(world.states(), [Succeeded, Ready, BackingOff]);
    assert_eq!(next(&world.graphs.gang(GANG)), Next::Nothing);
    world.due(4);
    assert_eq!(next(&world.graphs.gang(GANG)), Next::Queue(TaskId(3)), "who has succeeded is done");
}

#[test]
fn whoever_cancels_a_member_cancels_the_gang() {
    let mut world = World::new();
    world.cancel(3);
    assert_eq!(world.states(), [Ended; 3]);
    world.replay();
    let mut world = World::new();
    world.start(TaskId(1));
    world.succeed(1);
    world.start_gang();
    world.cancel(3);
    assert!([2, 3, 4].iter().all(|task| world.graphs.entry(TaskId(*task)).unwrap().cancel_asked));
    [2, 3, 4].iter().for_each(|task| world.back_off(*task));
    assert_eq!(world.states(), [Ended; 3]);
    world.replay();
    world.retry(4);
    assert_eq!(world.states(), [Ready; 3]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Whatever happens, the table holds together, its log shows the same, and the gang comes to an end when its members
    /// do.
    #[test]
    fn a_gang_is_never_stuck_in_parts(steps in prop::collection::vec((0..9u8, 1..6u64), 1..60)) {
        let mut world = World::new();
        for (what, task) in steps {
            let is_active = world.state(TaskId(task)) == Active;
            match what {
                0 if is_active => world.fail(task),
                1 if is_active => world.succeed(task),
                2 if is_active => world.back_off(task),
                3 => world.due(task),
                4 => world.cancel(task),
                5 => world.retry(task),
                6 => world.recall(),
                7 => world.start_gang(),
                _ if !(2..=4).contains(&task) && world.state(TaskId(task)) == Ready => world.start(TaskId(task)),
                _ => {}
            }
            world.follow();
        }
        for _ in 0..20 {
            (1..=5).for_each(|task| world.due(task));
            world.recall();
            world.start_gang();
            for task in 1..=5 {
                if !(2..=4).contains(&task) && world.state(TaskId(task)) == Ready {
                    world.start(TaskId(task));
                }
            }
            for task in 1..=5 {
                if world.state(TaskId(task)) == Active && next(&world.graphs.gang(TaskId(task))) == Next::Nothing {
                    world.succeed(task);
                }
            }
        }
        prop_assert!((1..=5).all(|task| world.state(TaskId(task)).is_ended()), "{:?}", world.states());
        world.replay();
    }
}

//! The table and the lives of its tasks while records are written and heard of late, in every order that there can be.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::claims::Indices;
use crate::event::{ArraySpec, Event, GraphEvent, Item, Next, Record, TaskEvent};
use crate::graph::model::{Plan, head, item, plans};
use crate::graph::tests::one;
use crate::graph::{Cancelled, Effects, ItemShape, Mark, Opening, Replay};
use crate::id::{AttemptNumber, GraphId, NodeSession, Token};
use crate::lifecycle::{Life, State};
use crate::placement::{ShapeId, Shapes};
use crate::task::{AttemptOutcome, RequestNumber, TaskOutcome, TaskSpec, Usage};
use crate::time::Timestamp;
use TaskState::{Active, Failed, Ready, Skipped, Succeeded, Waiting};

const GRAPH: GraphId = GraphId(1);

/// What the table hears of a record, later than it was written.
#[derive(Debug, Clone, Copy)]
enum Step {
    Granted,
    Noted,
    RetryAsked,
    Over(TaskState),
}

/// A scheduler with its tasks.
struct World {
    graphs: Graphs,
    unwritten: Unwritten,
    log: Vec<Record>,
    lives: BTreeMap<TaskId, Life>,
    steps: VecDeque<(TaskId, Step, Mark)>,
}

impl World {
    fn new(plans: &[Plan]) -> Self {
        Self::of(&plans.iter().map(item).collect::<Vec<_>>())
    }

    /// Where each array is a gang.
    fn of_gangs(plans: &[Plan]) -> Self {
        let gang = |plan: &Plan| match item(plan) {
            Item { array: Some(array), spec, dependencies } => {
                let members = u32::try_from(array.count).unwrap();
                let spec = TaskSpec { gang: Some(members), ..TaskSpec::clone(&spec) };
                let array = Some(ArraySpec::of_gang(members));
                Item { array, dependencies, ..Item::new(spec) }
            }
            single => single,
        };
        Self::of(&plans.iter().map(gang).collect::<Vec<_>>())
    }

    fn of(items: &[Item]) -> Self {
        let head = head(items);
        let lives = (1..=head.tasks).map(|task| (TaskId(task), Life::default())).collect();
        let (graphs, unwritten) = (Graphs::new(), Unwritten::default());
        let mut world = Self { graphs, unwritten, log: Vec::new(), lives, steps: VecDeque::new() };
        world.append(Event::Graph(GRAPH, GraphEvent::Admitted(head.clone())));
        for item in items {
            world.append(Event::Graph(GRAPH, GraphEvent::ItemAdmitted(item.clone())));
        }
        let opening = Opening { graph: GRAPH, position: 1, at: Timestamp(1), head: &head };
        let shapes = items.iter().map(|item| ItemShape::of(item, ShapeId(0), 2));
        let mut effects = Effects::default();
        world.graphs.admit(&opening, shapes, &mut effects).unwrap();
        world.follow(effects);
        world
    }

    fn append(&mut self, event: Event) -> Mark {
        let number = self.log.len() as u64 + 1;
        self.log.push(Record { number, at: Timestamp(number), cause: 0, correlation: 0, event });
        Mark { position: number, sequence: 1, at: Timestamp(number) }
    }

    /// A task's actor writes, and tells the scheduler.
    fn record(&mut self, task: TaskId, event: TaskEvent) {
        let step = match &event {
            TaskEvent::Granted { .. } => Step::Granted,
            TaskEvent::RetryAsked => Step::RetryAsked,
            TaskEvent::Finished(outcome) | TaskEvent::AttemptEnded { next: Next::Finish(outcome), .. } => {
                Step::Over(outcome.into())
            }
            _ => Step::Noted,
        };
        self.lives.get_mut(&task).unwrap().apply(&event);
        let mark = self.append(Event::Task { task, sequence: 1, previous: 0, event });
        self.steps.push_back((task, step, mark));
    }

    /// As [`Self::record`] of a task that the scheduler has woken for this alone: it hears of it at once.
    fn record_and_hear(&mut self, task: TaskId, events: Vec<TaskEvent>) {
        for event in events {
            self.record(task, event);
            let step = self.steps.pop_back().unwrap();
            self.heard(step);
        }
    }

    fn write(&mut self, task: TaskId, due: Due) {
        if !self.graphs.is_due(task, due) {
            return;
        }
        let life = &self.lives[&task];
        let events = match due {
            Due::Again => life.retry().map(|event| vec![event]),
            Due::End(ClosedBy::Skip(because)) => life.skip(because).map(|event| vec![event]),
            Due::End(ClosedBy::Cancel) => life.cancel(),
            Due::End(ClosedBy::Late(overrun)) => life.late(overrun).map(|event| vec![event]),
        };
        self.record_and_hear(task, events.expect("the task can do that"));
    }

    fn settle(&mut self, task: TaskId) {
        self.unwritten.of(task).into_iter().for_each(|due| self.write(task, due));
    }

    fn turn(&mut self, most: u32) {
        if let Some((tasks, due)) = self.unwritten.next(most) {
            tasks.iter().for_each(|task| self.write(task, due));
        }
    }

    fn follow(&mut self, effects: Effects) {
        self.unwritten.again(effects.revived);
        effects.closed.into_iter().for_each(|one| self.unwritten.end(one.tasks, one.by));
        self.graphs.check();
    }

    fn hear(&mut self) {
        if let Some(step) = self.steps.pop_front() {
            self.heard(step);
        }
    }

    fn heard(&mut self, (task, step, mark): (TaskId, Step, Mark)) {
        let mut effects = Effects::default();
        match step {
            Step::Granted => self.graphs.granted(task, AttemptNumber(1), mark, &mut effects),
            Step::Noted => self.graphs.noted(task, mark),
            Step::RetryAsked => self.graphs.retry(task, mark, &mut effects),
            Step::Over(state) => self.graphs.ended(task, state, mark, &mut effects),
        }
        self.follow(effects);
    }

    fn state(&self, task: TaskId) -> TaskState {
        self.graphs.entry(task).unwrap().state
    }

    /// One of those that stand so.
    fn pick(&self, which: usize, is_one: impl Fn(TaskState) -> bool) -> Option<TaskId> {
        let all: Vec<_> = self.lives.keys().copied().filter(|task| is_one(self.state(*task))).collect();
        (!all.is_empty()).then(|| all[which % all.len()])
    }

    /// As a node does: where the task's actor declines, it is put back.
    fn grant(&mut self, task: TaskId) {
        if !self.graphs.activate(task, &mut Effects::default()) {
            return;
        }
        let Ok(attempt) = self.lives[&task].may_grant() else {
            let mut effects = Effects::default();
            self.graphs.put_back(task, Timestamp(0), &mut effects);
            return self.follow(effects);
        };
        let (token, node, session) = (Token(self.log.len() as u64), "n".into(), NodeSession(1));
        let (request, indices, gang) = (RequestNumber::default(), Indices::new(), Vec::new());
        let waited = Vec::new();
        let granted = TaskEvent::Granted { token, attempt, node, session, request, indices, gang, waited };
        self.record(task, granted);
    }

    fn over(&mut self, task: TaskId, outcome: TaskOutcome) {
        let Some(token) = self.lives[&task].holder().map(|holder| holder.token) else { return };
        let outcome =
            if self.graphs.entry(task).unwrap().cancel_asked { TaskOutcome::Cancelled } else { outcome };
        let (ended, usage) = (AttemptOutcome::Exited(0), Usage::default());
        let next = Next::Finish(outcome);
        self.record(
            task,
            TaskEvent::AttemptEnded { token, outcome: ended, usage, order: 0, next, report: None },
        );
    }

    fn retry(&mut self, task: TaskId) {
        if self.graphs.may_retry(task).is_ok() {
            self.settle(task);
            let event = self.lives[&task].retry().expect("its end is on record");
            self.record_and_hear(task, vec![event]);
        }
    }

    fn cancel(&mut self, task: TaskId) {
        let mut effects = Effects::default();
        let cancelled = self.graphs.cancel_task(task, Timestamp(0), &mut effects);
        self.follow(effects);
        match cancelled {
            Cancelled::Told if self.lives[&task].holder().is_some() => {
                let events = self.lives[&task].cancel();
                events.into_iter().flatten().for_each(|event| self.record(task, event));
            }
            Cancelled::Closed => self.settle(task),
            _ => {}
        }
    }

    fn cancel_graph(&mut self) {
        let mut effects = Effects::default();
        if self.graphs.cancel_graph(GRAPH, Timestamp(0), &mut effects) {
            self.append(Event::Graph(GRAPH, GraphEvent::CancelAsked));
            self.follow(effects);
        }
    }

    /// It dies, and what it had not heard or written with it.
    fn restart(&mut self) {
        self.steps.clear();
        self.unwritten = Unwritten::default();
        let mut replay = Replay::new(Shapes::default());
        self.log.iter().for_each(|record| replay.apply(record.number, record).unwrap());
        let recovered = replay.finish();
        self.graphs = recovered.graphs;
        let (closed, revived) = (recovered.closed, recovered.revived);
        self.follow(Effects { closed, revived, ..Effects::default() });
    }

    fn act(&mut self, what: u8, which: usize) {
        match what {
            0..=24 => self.hear(),
            25..=49 => self.turn(1 + u32::try_from(which % 3).unwrap()),
            50..=64 => {
                let _ = self.pick(which, |state| state == Ready).map(|task| self.grant(task));
            }
            65..=71 => {
                let _ = self
                    .pick(which, |state| state == Active)
                    .map(|task| self.over(task, TaskOutcome::Succeeded));
            }
            72..=79 => {
                let failed = TaskOutcome::Failed(AttemptOutcome::Exited(1));
                let _ = self.pick(which, |state| state == Active).map(|task| self.over(task, failed));
            }
            80..=89 => {
                let _ = self.pick(which, TaskState::is_bad).map(|task| self.retry(task));
            }
            90..=93 => {
                let _ = self.pick(which, |state| !state.is_ended()).map(|task| self.cancel(task));
            }
            94..=96 => self.cancel_graph(),
            _ => self.restart(),
        }
    }

    fn come_to_rest(&mut self) {
        while !(self.steps.is_empty() && self.unwritten.is_empty()) {
            self.hear();
            self.turn(2);
        }
    }

    /// What the table, the tasks and the log say is the same: who has ended, and how.
    fn agree(&mut self) {
        // Which of an array's members has the place that is free depends on the order in which ends are heard of.
        let state = |state: TaskState| if state == Ready { Waiting } else { state };
        let states =
            |world: &Self| -> Vec<_> { world.lives.keys().map(|task| state(world.state(*task))).collect() };
        let (before, records) = (states(self), self.log.len());
        for ((task, life), state) in self.lives.iter().zip(&before) {
            let ended = if let State::Ended(outcome) = life.state() { Some(outcome.into()) } else { None };
            assert_eq!(state.is_ended().then_some(*state), ended, "{task} in {:#?}", self.log);
        }
        self.restart();
        self.come_to_rest();
        assert_eq!((states(self), self.log.len()), (before, records), "{:#?}", self.log);
    }

    fn fail(&mut self, task: u64) {
        self.grant(TaskId(task));
        self.come_to_rest();
        self.over(TaskId(task), TaskOutcome::Failed(AttemptOutcome::Exited(1)));
    }
}

#[test]
fn what_is_cancelled_before_its_return_was_written_comes_back_and_ends() {
    let mut world = World::new(&[one(&[]), one(&[0])]);
    world.fail(1);
    world.come_to_rest();
    world.retry(TaskId(1));
    world.hear();
    assert_eq!(world.state(TaskId(2)), Waiting, "its return is not written");
    world.cancel_graph();
    world.come_to_rest();
    assert_eq!(world.state(TaskId(2)), TaskState::Cancelled);
    world.agree();
}

#[test]
fn an_end_that_is_taken_back_before_it_was_written_never_was() {
    let mut world = World::new(&[one(&[]), one(&[0])]);
    world.fail(1);
    world.hear();
    assert_eq!(world.state(TaskId(2)), Skipped, "its end is not written");
    world.retry(TaskId(1));
    world.hear();
    world.come_to_rest();
    assert_eq!((world.state(TaskId(1)), world.state(TaskId(2))), (Ready, Waiting));
    world.agree();
}

#[test]
fn a_return_that_was_not_written_before_the_scheduler_died_is_written_after() {
    let mut world = World::new(&[one(&[]), one(&[0])]);
    world.fail(1);
    world.come_to_rest();
    world.retry(TaskId(1));
    world.restart();
    world.come_to_rest();
    world.grant(TaskId(1));
    world.over(TaskId(1), TaskOutcome::Succeeded);
    world.come_to_rest();
    world.grant(TaskId(2));
    world.come_to_rest();
    assert_eq!((world.state(TaskId(1)), world.state(TaskId(2))), (Succeeded, Active));
    world.agree();
}

#[test]
fn who_is_tried_again_and_cancelled_with_its_graph_at_once_is_cancelled() {
    let mut world = World::new(&[one(&[]), one(&[])]);
    world.fail(1);
    world.come_to_rest();
    assert_eq!(world.state(TaskId(1)), Failed);
    world.retry(TaskId(1));
    world.cancel_graph();
    world.come_to_rest();
    assert_eq!(world.state(TaskId(1)), TaskState::Cancelled);
    world.agree();
}

#[test]
fn all_that_is_due_of_one_task_is_taken_out_in_order_and_the_others_stay_in_theirs() {
    let mut unwritten = Unwritten::default();
    let range = |first, count| TaskRange { first: TaskId(first), count };
    unwritten.again(vec![range(1, 5)]);
    unwritten.end(range(2, 2), ClosedBy::Cancel);
    unwritten.again(vec![range(9, 1)]);
    assert_eq!(unwritten.counts(), (6, 2));
    assert_eq!(unwritten.of(TaskId(7)), []);
    assert_eq!(unwritten.of(TaskId(3)), [Due::Again, Due::End(ClosedBy::Cancel)]);
    let mut left = Vec::new();
    while let Some((tasks, due)) = unwritten.next(2) {
        left.extend(tasks.iter().map(|task| (task.0, due)));
    }
    let (again, end) = (Due::Again, Due::End(ClosedBy::Cancel));
    assert_eq!(left, [(1, again), (2, again), (4, again), (5, again), (2, end), (9, again)]);
}

#[test]
fn who_comes_back_is_not_ended_by_what_was_due_before() {
    let mut unwritten = Unwritten::default();
    let range = |first, count| TaskRange { first: TaskId(first), count };
    unwritten.end(range(1, 6), ClosedBy::Cancel);
    unwritten.again(vec![range(5, 1), range(3, 1)]);
    let left: Vec<_> = std::iter::from_fn(|| unwritten.next(9)).collect();
    let end = Due::End(ClosedBy::Cancel);
    let again = Due::Again;
    assert_eq!(
        left,
        [
            (range(1, 2), end),
            (range(4, 1), end),
            (range(6, 1), end),
            (range(3, 1), again),
            (range(5, 1), again)
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: once all is written and heard, table, tasks and log agree.
    #[test]
    fn table_tasks_and_log_agree_once_all_is_written(
        (plans, are_gangs) in (plans(), any::<bool>()),
        acts in prop::collection::vec((0..100u8, any::<usize>()), 1..150),
    ) {
        let mut world = if are_gangs { World::of_gangs(&plans) } else { World::new(&plans) };
        for (what, which) in acts {
            world.act(what, which);
        }
        world.come_to_rest();
        world.agree();
    }
}

//! The table's rules written down as plainly as possible, and a world that plays random changes on both
//! and on a log from which the table is made again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use crate::event::{ArraySpec, Event, GraphEvent, GraphHead, Item, Next, Record, SubmissionKey, TaskEvent};
use crate::graph::{Cancelled, Effects, Graphs, Mark, Replay, TaskState};
use crate::id::{AttemptNumber, GraphId, NodeSession, TaskId, TaskRange, Token};
use crate::placement::Shapes;
use crate::task::{AttemptOutcome, TaskOutcome, TaskSpec, Usage};
use crate::time::Timestamp;

use TaskState::{Active, BackingOff, Failed, Ready, Skipped, Succeeded, Waiting};

/// An item of a random graph: members, limit, dependencies.
pub(super) type Plan = (u32, Option<u32>, Vec<u32>);

pub(super) fn item(plan: &Plan) -> Item {
    let spec = TaskSpec { tenant: "all".into(), ..TaskSpec::new("one", vec!["true".into()]) };
    let array = ArraySpec { first: 0, count: u64::from(plan.0), parallel_limit: plan.1 };
    let array = (plan.0 > 1 || plan.1.is_some()).then_some(array);
    Item { dependencies: plan.2.clone(), array, ..Item::new(spec) }
}

pub(super) fn head(items: &[Item]) -> GraphHead {
    GraphHead {
        name: "graph".into(),
        key: SubmissionKey(7),
        items: u32::try_from(items.len()).unwrap(),
        tasks: items.iter().map(Item::tasks).sum(),
        digest: [1; 16],
        budget: crate::budget::Budget::default(),
    }
}

/// What the states of the tasks of one graph have to be.
#[derive(Debug)]
struct Model {
    items: Vec<(std::ops::Range<u32>, u32, Vec<u32>)>,
    states: Vec<TaskState>,
    again: BTreeSet<u32>,
}

impl Model {
    fn new(plans: &[Plan]) -> Self {
        let mut first = 0;
        let mut items = Vec::new();
        for (count, limit, dependencies) in plans {
            items.push((first..first + count, limit.unwrap_or(u32::MAX), dependencies.clone()));
            first += count;
        }
        Self { items, states: vec![Waiting; first as usize], again: BTreeSet::new() }
    }

    fn of(&self, item: u32) -> &[TaskState] {
        let range = &self.items[item as usize].0;
        &self.states[range.start as usize..range.end as usize]
    }

    fn settle(&mut self) {
        for _ in 0..=self.items.len() {
            for number in 0..self.items.len() {
                let (range, _, on) = self.items[number].clone();
                let bad = on.iter().any(|on| self.of(*on).iter().any(|state| state.is_bad()));
                let (from, to) = if bad { (Waiting, Skipped) } else { (Skipped, Waiting) };
                range
                    .filter(|one| self.states[*one as usize] == from)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .for_each(|one| self.states[one as usize] = to);
            }
        }
        for number in 0..self.items.len() {
            let (range, limit, on) = self.items[number].clone();
            if !on.iter().all(|on| self.of(*on).iter().all(|state| *state == Succeeded)) {
                continue;
            }
            loop {
                let out = range.clone().filter(|one| self.states[*one as usize].is_out()).count();
                let mut waiting: Vec<_> =
                    range.clone().filter(|one| self.states[*one as usize] == Waiting).collect();
                waiting.sort_by_key(|one| (!self.again.contains(one), *one));
                match waiting.first() {
                    Some(next) if out < limit as usize => self.states[*next as usize] = Ready,
                    _ => break,
                }
                self.again.remove(&waiting[0]);
            }
        }
    }
}

/// The table, the model and the log.
#[derive(Debug)]
pub(super) struct World {
    graphs: Graphs,
    effects: Effects,
    model: Model,
    cancelled: bool,
    told: BTreeSet<u32>,
    unrecorded: BTreeSet<u32>,
    log: Vec<(u64, Record)>,
    sequences: BTreeMap<u32, u32>,
    tokens: BTreeMap<u32, Token>,
}

const FIRST: u64 = 100;
const GRAPH: GraphId = GraphId(FIRST);

impl World {
    pub(super) fn new(plans: &[Plan]) -> Self {
        let items: Vec<_> = plans.iter().map(item).collect();
        let mut world = Self {
            graphs: Graphs::new(),
            effects: Effects::default(),
            model: Model::new(plans),
            cancelled: false,
            told: BTreeSet::new(),
            unrecorded: BTreeSet::new(),
            log: Vec::new(),
            sequences: BTreeMap::new(),
            tokens: BTreeMap::new(),
        };
        world.append(Event::Graph(GRAPH, GraphEvent::Admitted(head(&items))));
        for item in items {
            world.append(Event::Graph(GRAPH, GraphEvent::ItemAdmitted(item)));
        }
        // Replaying a fresh log is admission by another door.
        let recovered = world.replayed();
        world.graphs = recovered.graphs;
        world.model.settle();
        let ready: Vec<_> = recovered.ready.iter().map(|ready| ready.tasks).collect();
        assert_eq!(offsets(&ready), world.in_state(Ready));
        world
    }

    fn append(&mut self, event: Event) -> Mark {
        let number = self.log.len() as u64 + 1;
        let (position, at) = (number * 10, Timestamp(number));
        let sequence = if let Event::Task { sequence, .. } = &event { *sequence } else { 0 };
        self.log.push((position, Record { number, at, cause: 0, correlation: 0, event }));
        Mark { position, sequence, at }
    }

    fn append_task(&mut self, offset: u32, event: TaskEvent) -> Mark {
        let sequence = self.sequences.entry(offset).or_default();
        *sequence += 1;
        let sequence = *sequence;
        self.append(Event::Task { task: task(offset), sequence, previous: 0, event })
    }

    fn in_state(&self, state: TaskState) -> BTreeSet<u32> {
        (0..).zip(&self.model.states).filter(|(_, one)| **one == state).map(|(offset, _)| offset).collect()
    }

    fn pick(&self, states: &[TaskState], pick: usize) -> Option<u32> {
        let all: Vec<_> = states.iter().flat_map(|state| self.in_state(*state)).collect();
        (!all.is_empty()).then(|| all[pick % all.len()])
    }

    /// One change, drawn by `what`, of one of the tasks it can happen to, drawn by `which`.
    pub(super) fn step(&mut self, what: u8, which: usize) {
        let before = self.model.states.clone();
        let mut put_back = None;
        match what {
            0..=29 => self.grant(which),
            30..=33 => put_back = self.take_and_put_back(which),
            34..=59 => self.end(which, TaskOutcome::Succeeded),
            60..=66 => self.end(which, TaskOutcome::Failed(AttemptOutcome::Exited(1))),
            67..=72 => self.back_off(which),
            73..=78 => self.due(which),
            79..=84 => self.cancel_task(which),
            85 => self.cancel_graph(),
            86..=93 => self.retry(which),
            _ => self.record(which),
        }
        self.model.settle();
        self.compare(&before, put_back);
    }

    fn grant(&mut self, which: usize) {
        let Some(offset) = self.pick(&[Ready], which) else { return };
        assert!(self.graphs.activate(task(offset), &mut self.effects));
        let token = Token(self.log.len() as u64);
        let attempt =
            AttemptNumber(self.graphs.entry(task(offset)).unwrap().attempt.map_or(1, |last| last.0 + 1));
        let granted = TaskEvent::Granted { token, attempt, node: "n".into(), session: NodeSession(1) };
        let mark = self.append_task(offset, granted);
        self.graphs.granted(task(offset), attempt, mark, &mut self.effects);
        self.tokens.insert(offset, token);
        self.model.states[offset as usize] = Active;
    }

    fn take_and_put_back(&mut self, which: usize) -> Option<u32> {
        let offset = self.pick(&[Ready], which)?;
        assert!(self.graphs.activate(task(offset), &mut self.effects));
        assert!(!self.graphs.activate(task(offset), &mut self.effects), "an active task is not taken twice");
        assert!(self.graphs.put_back(task(offset), Timestamp(0), &mut self.effects));
        Some(offset)
    }

    fn attempt_ended(&mut self, offset: u32, next: Next) -> Mark {
        let token = self.tokens.remove(&offset).unwrap();
        let outcome = AttemptOutcome::Exited(0);
        self.append_task(
            offset,
            TaskEvent::AttemptEnded { token, outcome, usage: Usage::default(), order: 0, next, report: None },
        )
    }

    fn end(&mut self, which: usize, outcome: TaskOutcome) {
        let Some(offset) = self.pick(&[Active], which) else { return };
        let state = TaskState::from(&outcome);
        let mark = self.attempt_ended(offset, Next::Finish(outcome));
        self.graphs.ended(task(offset), state, mark, &mut self.effects);
        self.model.states[offset as usize] = state;
        self.told.remove(&offset);
    }

    fn back_off(&mut self, which: usize) {
        let Some(offset) = self.pick(&[Active], which) else { return };
        let mark = self.attempt_ended(offset, Next::RetryAfter(Duration::from_secs(1)));
        let goes_on = self.graphs.backs_off(task(offset), mark, &mut self.effects);
        let told = self.told.remove(&offset) || self.cancelled;
        assert_eq!(goes_on, !told);
        self.model.states[offset as usize] = if told { TaskState::Cancelled } else { BackingOff };
    }

    fn due(&mut self, which: usize) {
        let Some(offset) = self.pick(&[BackingOff], which) else { return };
        assert!(self.graphs.due(task(offset), &mut self.effects));
        self.model.states[offset as usize] = Ready;
    }

    fn cancel_task(&mut self, which: usize) {
        let offset = u32::try_from(which % self.model.states.len()).unwrap();
        let state = self.model.states[offset as usize];
        if !state.is_ended() {
            let mark = self.append_task(offset, TaskEvent::CancelAsked);
            self.graphs.noted(task(offset), mark);
        }
        let answer = self.graphs.cancel_task(task(offset), Timestamp(0), &mut self.effects);
        match answer {
            Cancelled::Told => {
                assert_eq!(state, Active);
                self.told.insert(offset);
            }
            Cancelled::Closed => self.model.states[offset as usize] = TaskState::Cancelled,
            Cancelled::Already(ended) => assert_eq!(ended, state),
            Cancelled::Unknown => panic!("it is known"),
        }
    }

    fn cancel_graph(&mut self) {
        if !self.graphs.cancel_graph(GRAPH, Timestamp(0), &mut self.effects) {
            return assert!(self.model.states.iter().all(|state| state.is_ended()));
        }
        self.append(Event::Graph(GRAPH, GraphEvent::CancelAsked));
        self.cancelled = true;
        let told: Vec<_> = self.effects.tell.clone();
        assert_eq!(offsets(&told), self.in_state(Active));
        for state in self.model.states.iter_mut().filter(|state| !state.is_ended() && **state != Active) {
            *state = TaskState::Cancelled;
        }
    }

    fn retry(&mut self, which: usize) {
        let Some(offset) = self.pick(&[Failed, TaskState::Cancelled], which) else { return };
        if self.graphs.may_retry(task(offset)).is_err() {
            return;
        }
        let mark = self.append_task(offset, TaskEvent::RetryAsked);
        self.graphs.retry(task(offset), mark, &mut self.effects);
        self.cancelled = false;
        self.unrecorded.remove(&offset);
        self.model.states[offset as usize] = Waiting;
        self.model.again.insert(offset);
    }

    fn record(&mut self, which: usize) {
        let Some(offset) = self.unrecorded.iter().nth(which % self.unrecorded.len().max(1)).copied() else {
            return;
        };
        let outcome = match self.model.states[offset as usize] {
            Skipped => TaskOutcome::Skipped(self.graphs.entry(task(offset)).unwrap().cause.unwrap()),
            _ => TaskOutcome::Cancelled,
        };
        let mark = self.append_task(offset, TaskEvent::Finished(outcome));
        self.graphs.recorded(task(offset), mark);
        self.unrecorded.remove(&offset);
    }

    fn compare(&mut self, before: &[TaskState], put_back: Option<u32>) {
        self.graphs.check();
        let changed = |holds: fn(TaskState) -> bool| -> BTreeSet<u32> {
            let pairs = (0..).zip(before.iter().zip(&self.model.states));
            pairs.filter(|(_, (old, new))| old != new && holds(**new)).map(|(offset, _)| offset).collect()
        };
        for (offset, state) in (0..).zip(&self.model.states) {
            assert_eq!(self.graphs.entry(task(offset)).unwrap().state, *state, "task {offset}");
        }
        let ready: Vec<_> = self.effects.ready.iter().map(|one| one.tasks).collect();
        let mut expected = changed(|state| state == Ready);
        put_back.into_iter().for_each(|one| assert!(!expected.remove(&one)));
        assert_eq!(offsets(&ready), expected, "newly ready");
        let closed: Vec<_> = self.effects.closed.iter().map(|one| one.tasks).collect();
        assert_eq!(
            offsets(&closed),
            changed(|state| matches!(state, Skipped | TaskState::Cancelled)),
            "closed"
        );
        self.unrecorded.extend(offsets(&closed));
        let mut revived = offsets(&self.effects.revived);
        for (offset, (old, new)) in (0..).zip(before.iter().zip(&self.model.states)) {
            if *old == Skipped && !new.is_ended() {
                assert_ne!(self.unrecorded.remove(&offset), revived.remove(&offset), "task {offset}");
            }
        }
        assert!(revived.is_empty());
        self.effects.clear();
    }

    fn replayed(&self) -> crate::graph::Recovered {
        let mut replay = Replay::new(Shapes::default());
        self.log.iter().for_each(|(position, record)| replay.apply(*position, record).unwrap());
        replay.finish()
    }

    /// The log alone says the same as the table.
    pub(super) fn compare_with_the_log(&self) {
        let recovered = self.replayed();
        recovered.graphs.check();
        for offset in 0..u32::try_from(self.model.states.len()).unwrap() {
            let mut live = self.graphs.entry(task(offset)).unwrap();
            // That a wait is over is known from the clock, not from a record.
            if live.state == Ready && recovered.backing_off.iter().any(|one| one.task == task(offset)) {
                live.state = BackingOff;
            }
            assert_eq!(recovered.graphs.entry(task(offset)), Some(live));
        }
        let live: BTreeMap<_, _> =
            recovered.live.iter().map(|grant| (offset(grant.task), grant.token)).collect();
        assert_eq!(live, self.tokens);
        let closed: Vec<_> = recovered.closed.iter().map(|one| one.tasks).collect();
        assert_eq!(offsets(&closed), self.unrecorded);
    }
}

fn task(offset: u32) -> TaskId {
    TaskId(FIRST + u64::from(offset))
}

fn offset(task: TaskId) -> u32 {
    u32::try_from(task.0 - FIRST).unwrap()
}

fn offsets(ranges: &[TaskRange]) -> BTreeSet<u32> {
    let all: Vec<_> = ranges.iter().flat_map(|range| range.iter()).map(offset).collect();
    let set: BTreeSet<_> = all.iter().copied().collect();
    assert_eq!(set.len(), all.len(), "nothing is named twice");
    set
}

/// Random graphs in which an item depends on some before it, numbered anyhow.
pub(super) fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let item =
        (1_u32..6, prop::option::of(1_u32..4), prop::collection::vec(any::<prop::sample::Index>(), 0..4));
    prop::collection::vec(item, 1..9).prop_map(|items| {
        let mut plans: Vec<Plan> = Vec::new();
        for (number, (count, limit, on)) in items.iter().enumerate() {
            let on =
                on.iter().filter(|_| number > 0).map(|on| u32::try_from(on.index(number)).unwrap()).collect();
            // Half of the items are single tasks.
            plans.push((if count % 2 == 0 { 1 } else { *count }, *limit, on));
        }
        plans
    })
}

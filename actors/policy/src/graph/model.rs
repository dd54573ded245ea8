//! The table's rules written down as plainly as possible, and a world that plays random changes on both
//! and on a log from which the table is made again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use strum::VariantArray;

use crate::claims::Indices;
use crate::dependency::{Dependency, Need};
use crate::event::{
    ArraySpec, Event, GraphEvent, GraphHead, GraphPart, Item, Next, Record, SubmissionKey, TaskEvent,
};
use crate::graph::{Cancelled, Effects, Graphs, ItemShape, Mark, Moved, Ready, Replay, TaskState, Urgency};
use crate::id::{AttemptNumber, GraphId, NodeSession, TaskId, TaskRange, Token};
use crate::placement::{ShapeId, Shapes};
use crate::task::{AttemptOutcome, Priority, TaskOutcome, TaskSpec, Usage};
use crate::time::Timestamp;

use TaskState::{Active, BackingOff, Failed, Skipped, Succeeded, Waiting};

/// An item of a random graph: members, limit, dependencies.
pub(super) type Plan = (u32, Option<u32>, Vec<Dependency>);

pub(super) fn item(plan: &Plan) -> Item {
    let priority = priority(plan);
    let spec = TaskSpec { tenant: "all".into(), priority, ..TaskSpec::new("one", vec!["true".into()]) };
    let array = ArraySpec { first: 0, count: u64::from(plan.0), parallel_limit: plan.1 };
    let array = (plan.0 > 1 || plan.1.is_some()).then_some(array);
    Item { dependencies: plan.2.clone(), array, ..Item::new(spec) }
}

/// How urgent an item is: some of each.
fn priority(plan: &Plan) -> Priority {
    Priority::VARIANTS[(plan.0 as usize + plan.2.len()) % 4]
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
#[derive(Debug, Default)]
struct Model {
    items: Vec<(std::ops::Range<u32>, u32, Vec<Dependency>)>,
    states: Vec<TaskState>,
    /// By item: its own.
    priorities: Vec<Priority>,
    /// They were tried again and go before their neighbours.
    again: BTreeSet<u32>,
    /// An attempt was granted once.
    begun: BTreeSet<u32>,
    /// Ended by consequence, without a record.
    unrecorded: BTreeSet<u32>,
    /// Items of which something was skipped, and items whose rest was cancelled.
    skipped: BTreeSet<usize>,
    cancelled: BTreeSet<usize>,
}

impl Model {
    fn add(&mut self, plans: &[Plan]) {
        self.priorities.extend(plans.iter().map(priority));
        for (count, limit, dependencies) in plans {
            let first = u32::try_from(self.states.len()).unwrap();
            self.items.push((first..first + count, limit.unwrap_or(u32::MAX), dependencies.clone()));
            self.states.resize((first + count) as usize, Waiting);
        }
    }

    /// As what each item is served: as the highest of its own and of all that wait for it, near or far.
    fn served(&self) -> Vec<Priority> {
        let mut served = self.priorities.clone();
        for _ in 0..self.items.len() {
            for (number, (range, _, on)) in self.items.iter().enumerate() {
                let waits = range.clone().any(|one| self.states[one as usize] == Waiting);
                if waits && on.iter().any(|on| !self.is_met(on)) {
                    let raise = |on: &Dependency| on.place().unwrap() as usize;
                    on.iter().map(raise).for_each(|on| served[on] = served[on].max(served[number]));
                }
            }
        }
        served
    }

    fn states_of(&self, on: &Dependency) -> impl Iterator<Item = (u32, TaskState)> + '_ {
        let range = self.items[on.place().unwrap() as usize].0.clone();
        range.map(|one| (one, self.states[one as usize]))
    }

    fn is_bad(&self, on: &Dependency) -> bool {
        self.states_of(on).any(|(_, state)| match on.needs {
            Need::Success => matches!(state, Failed | TaskState::Cancelled | Skipped),
            Need::End => matches!(state, TaskState::Cancelled | Skipped),
            Need::Always => false,
        })
    }

    fn is_met(&self, on: &Dependency) -> bool {
        self.states_of(on).all(|(one, state)| {
            let as_needed = match on.needs {
                Need::Success => state == Succeeded,
                Need::End => matches!(state, Succeeded | Failed),
                Need::Always => state.is_ended(),
            };
            as_needed && !self.unrecorded.contains(&one)
        })
    }

    fn settle(&mut self) {
        for _ in 0..=self.items.len() {
            (0..self.items.len()).for_each(|number| self.skip_or_revive(number));
        }
        (0..self.items.len()).for_each(|number| self.hand_out(number));
    }

    fn skip_or_revive(&mut self, number: usize) {
        let (range, _, on) = self.items[number].clone();
        let (met, bad) = (on.iter().all(|on| self.is_met(on)), on.iter().any(|on| self.is_bad(on)));
        for one in range {
            let state = &mut self.states[one as usize];
            if *state == TaskState::Ready && !met && !self.begun.contains(&one) {
                *state = Waiting;
                if self.cancelled.contains(&number) {
                    self.again.insert(one);
                } else {
                    self.again.remove(&one);
                }
            }
            if *state == Waiting && bad {
                *state = Skipped;
                self.unrecorded.insert(one);
                self.skipped.insert(number);
            } else if *state == Skipped && !bad {
                *state = Waiting;
                self.unrecorded.remove(&one);
            }
        }
        if !bad {
            self.skipped.remove(&number);
        }
    }

    fn hand_out(&mut self, number: usize) {
        let (range, limit, on) = self.items[number].clone();
        while on.iter().all(|on| self.is_met(on)) {
            let out = range.clone().filter(|one| self.states[*one as usize].is_out()).count();
            let waiting = range.clone().filter(|one| self.states[*one as usize] == Waiting);
            match waiting.min_by_key(|one| (!self.again.contains(one), *one)) {
                Some(next) if out < limit as usize => {
                    self.states[next as usize] = TaskState::Ready;
                    self.again.remove(&next);
                }
                _ => break,
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
    /// In which queue each is, by offset, as far as was told.
    queues: BTreeMap<u32, Priority>,
    cancelled: bool,
    told: BTreeSet<u32>,
    /// Taken out of their queues, and nothing granted yet.
    taken: BTreeSet<u32>,
    /// Whether one was taken for longer: then the log may let a neighbour go before it.
    took_long: bool,
    /// The ids of the tasks, by offset.
    ids: Vec<TaskId>,
    log: Vec<(u64, Record)>,
    sequences: BTreeMap<u32, u32>,
    tokens: BTreeMap<u32, Token>,
}

const FIRST: u64 = 100;
const GRAPH: GraphId = GraphId(FIRST);

impl World {
    pub(super) fn new(plans: &[Plan], lends: bool) -> Self {
        let items: Vec<_> = plans.iter().map(item).collect();
        let mut world = Self {
            graphs: Graphs::new(),
            effects: Effects::default(),
            model: Model::default(),
            queues: BTreeMap::new(),
            cancelled: false,
            told: BTreeSet::new(),
            taken: BTreeSet::new(),
            took_long: false,
            ids: Vec::new(),
            log: Vec::new(),
            sequences: BTreeMap::new(),
            tokens: BTreeMap::new(),
        };
        world.append(Event::Graph(GRAPH, GraphEvent::Admitted(head(&items))));
        for item in items {
            world.append(Event::Graph(GRAPH, GraphEvent::ItemAdmitted(item)));
        }
        world.model.add(plans);
        world.take_ids(FIRST);
        // Replaying a fresh log is admission by another door.
        let recovered = world.replayed();
        world.graphs = recovered.graphs;
        world.model.settle();
        if lends {
            world.graphs.lend(true, &mut world.effects);
        }
        let ready: Vec<_> = recovered.ready.iter().map(|ready| ready.tasks).collect();
        assert_eq!(world.offsets(&ready), world.in_state(TaskState::Ready));
        world.effects.ready = recovered.ready;
        world.carry_out();
        world
    }

    /// Moves tasks between queues as the effects say, in their order.
    fn carry_out(&mut self) {
        let effects = std::mem::take(&mut self.effects);
        let out = effects.withdrawn.iter().map(|one| (one.tasks, one.priority));
        let closed = effects.closed.iter().filter(|one| one.was == TaskState::Ready);
        for (tasks, priority) in out.chain(closed.map(|one| (one.tasks, one.priority))) {
            for task in tasks.iter() {
                assert_eq!(
                    self.queues.remove(&self.offset(task)),
                    Some(priority),
                    "it is where it is sought"
                );
            }
        }
        for Ready { tasks, priority, .. } in &effects.ready {
            for task in tasks.iter() {
                assert_eq!(self.queues.insert(self.offset(task), *priority), None, "it is in one queue");
            }
        }
        for Moved { ready: Ready { tasks, priority, .. }, from } in &effects.moved {
            for task in tasks.iter() {
                assert_eq!(
                    self.queues.insert(self.offset(task), *priority),
                    Some(*from),
                    "it goes from there"
                );
            }
        }
        let served = self.model.served();
        for (number, (range, ..)) in self.model.items.iter().enumerate() {
            for offset in range.clone() {
                let priority =
                    if self.graphs.lends() { served[number] } else { self.model.priorities[number] };
                let is_ready = self.model.states[offset as usize] == TaskState::Ready;
                let queue = self.queues.get(&offset).copied();
                assert_eq!(queue, is_ready.then_some(priority), "the queue of task {offset}");
            }
        }
    }

    /// Lends from now on, or no more.
    fn turn(&mut self) {
        self.graphs.lend(!self.graphs.lends(), &mut self.effects);
    }

    /// Says of an item, or of all of the graph, how urgent it is from now on.
    fn prioritise(&mut self, which: usize) {
        let priority = Priority::VARIANTS[which % 4];
        let offset = u32::try_from(which / 4 % self.model.states.len()).unwrap();
        let to_start = |states: &[TaskState]| {
            states.iter().filter(|state| matches!(state, Waiting | TaskState::Ready | BackingOff)).count()
                as u64
        };
        let is_whole = which & 1024 != 0;
        let urgency = if is_whole {
            self.graphs.urgency_of_graph(GRAPH).unwrap()
        } else {
            self.graphs.urgency_of_task(self.ids[offset as usize])
        };
        let number = self.model.items.iter().position(|(range, ..)| range.contains(&offset)).unwrap();
        let range = self.model.items[number].0.clone();
        let range =
            if is_whole { 0..self.model.states.len() } else { range.start as usize..range.end as usize };
        let waiting = to_start(&self.model.states[range]);
        let Ok(Urgency { parts, waiting: told, .. }) = urgency else { return assert_eq!(waiting, 0) };
        assert_eq!(told, waiting);
        let items = if is_whole { 0..self.model.items.len() } else { number..number + 1 };
        let differs = self.model.priorities[items.clone()].iter().any(|one| *one != priority);
        let mut changed = false;
        for tasks in parts {
            self.append(Event::Graph(GRAPH, GraphEvent::Prioritised { tasks, priority }));
            changed |= self.graphs.prioritise((GRAPH, tasks), priority, &mut self.effects);
        }
        assert_eq!(changed, differs);
        self.model.priorities[items].fill(priority);
    }

    fn take_ids(&mut self, first: u64) {
        let new = self.model.states.len() - self.ids.len();
        self.ids.extend((first..).take(new).map(TaskId));
    }

    fn offset(&self, task: TaskId) -> u32 {
        u32::try_from(self.ids.binary_search(&task).unwrap()).unwrap()
    }

    fn offsets(&self, ranges: &[TaskRange]) -> BTreeSet<u32> {
        let all: Vec<_> =
            ranges.iter().flat_map(|range| range.iter()).map(|task| self.offset(task)).collect();
        let set: BTreeSet<_> = all.iter().copied().collect();
        assert_eq!(set.len(), all.len(), "nothing is named twice");
        set
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
        self.append(Event::Task { task: self.ids[offset as usize], sequence, previous: 0, event })
    }

    fn in_state(&self, state: TaskState) -> BTreeSet<u32> {
        (0..).zip(&self.model.states).filter(|(_, one)| **one == state).map(|(offset, _)| offset).collect()
    }

    fn pick(&self, states: &[TaskState], pick: usize) -> Option<u32> {
        let all: Vec<_> = states.iter().flat_map(|state| self.in_state(*state)).collect();
        (!all.is_empty()).then(|| all[pick % all.len()])
    }

    fn running(&self, pick: usize) -> Option<u32> {
        self.tokens.keys().nth(pick % self.tokens.len().max(1)).copied()
    }

    /// One change, drawn by `what`, of one of the tasks it can happen to, drawn by `which`.
    pub(super) fn step(&mut self, what: u8, which: usize) {
        let before = (self.model.states.clone(), self.model.unrecorded.clone());
        let mut put_back = None;
        match what {
            0..=29 => self.grant(which),
            30..=31 => put_back = self.take_and_put_back(which),
            32 => self.take(which),
            33 => put_back = self.give_back(which),
            34..=59 => self.end(which, TaskOutcome::Succeeded),
            60..=66 => self.end(which, TaskOutcome::Failed(AttemptOutcome::Exited(1))),
            67..=72 => self.back_off(which),
            73..=78 => self.due(which),
            79..=84 => self.cancel_task(which),
            85 => self.cancel_graph(),
            86..=93 => self.retry(which),
            94..=95 => self.extend(which),
            96 => self.turn(),
            97..=98 => self.prioritise(which),
            _ => self.record(which),
        }
        self.model.settle();
        self.compare(before, put_back);
    }

    fn grant(&mut self, which: usize) {
        let Some(offset) = self.pick(&[TaskState::Ready], which) else { return };
        assert!(self.graphs.activate(self.ids[offset as usize], &mut self.effects));
        self.queues.remove(&offset);
        let token = Token(self.log.len() as u64);
        let attempt = AttemptNumber(
            self.graphs.entry(self.ids[offset as usize]).unwrap().attempt.map_or(1, |last| last.0 + 1),
        );
        let (node, session, indices, gang) = ("n".into(), NodeSession(1), Indices::new(), Vec::new());
        let request = crate::task::RequestNumber::default();
        let granted =
            TaskEvent::Granted { token, attempt, node, session, request, indices, gang, waited: Vec::new() };
        let mark = self.append_task(offset, granted);
        self.graphs.granted(self.ids[offset as usize], attempt, mark, &mut self.effects);
        self.tokens.insert(offset, token);
        self.model.begun.insert(offset);
        self.model.states[offset as usize] = Active;
    }

    fn take_and_put_back(&mut self, which: usize) -> Option<u32> {
        let offset = self.pick(&[TaskState::Ready], which)?;
        assert!(self.graphs.activate(self.ids[offset as usize], &mut self.effects));
        assert!(
            !self.graphs.activate(self.ids[offset as usize], &mut self.effects),
            "an active task is not taken twice"
        );
        assert!(self.graphs.put_back(self.ids[offset as usize], Timestamp(0), &mut self.effects));
        Some(offset)
    }

    fn take(&mut self, which: usize) {
        let Some(offset) = self.pick(&[TaskState::Ready], which) else { return };
        assert!(self.graphs.activate(self.ids[offset as usize], &mut self.effects));
        self.queues.remove(&offset);
        self.model.states[offset as usize] = Active;
        self.taken.insert(offset);
        self.took_long = true;
    }

    fn give_back(&mut self, which: usize) -> Option<u32> {
        let offset = self.taken.iter().nth(which % self.taken.len().max(1)).copied()?;
        self.taken.remove(&offset);
        let told = self.told.remove(&offset) || self.cancelled;
        let goes_on = self.graphs.put_back(self.ids[offset as usize], Timestamp(0), &mut self.effects);
        if told {
            self.model.states[offset as usize] = TaskState::Cancelled;
            self.model.unrecorded.insert(offset);
        } else {
            if goes_on {
                // Whoever gives it back puts it where it is now, before all that follows.
                let entry = self.graphs.entry(self.ids[offset as usize]).unwrap();
                self.queues.insert(offset, entry.runs_as);
            }
            self.model.states[offset as usize] = TaskState::Ready;
            let mut settled = std::mem::take(&mut self.model);
            settled.settle();
            assert_eq!(goes_on, settled.states[offset as usize] == TaskState::Ready);
            self.model = settled;
        }
        Some(offset)
    }

    /// Adds one or two items that depend on some of those there, and the first on the second.
    fn extend(&mut self, which: usize) {
        let finished = self.model.states.iter().all(|state| state.is_ended());
        let items = u32::try_from(self.model.items.len()).unwrap();
        if (self.cancelled && !finished) || items > 20 {
            return;
        }
        let needs = |bits: usize| Need::VARIANTS[bits % 3];
        let on =
            |bits: usize| Dependency::item(u32::try_from(bits % items as usize).unwrap(), needs(bits / 32));
        let mut plans: Vec<Plan> = vec![(1, None, vec![on(which), on(which / 64)])];
        if which & 1024 != 0 {
            plans[0].2.push(Dependency::item(items + 1, needs(which / 2048)));
            plans.push((3, Some(2), vec![on(which / 4096)]));
        }
        let new: Vec<_> = plans.iter().map(item).collect();
        let head = head(&new);
        // As if another graph had come between.
        let first = TaskId(self.graphs.next_task().0 + 3);
        let key = SubmissionKey(u128::from(first.0));
        let part = GraphPart { first, key, items: head.items, tasks: head.tasks, digest: [2; 16] };
        let mark = self.append(Event::Graph(GRAPH, GraphEvent::Extended(part.clone())));
        let positions: Vec<_> = new
            .iter()
            .map(|item| self.append(Event::Graph(GRAPH, GraphEvent::ItemAdmitted(item.clone()))).position)
            .collect();
        let shapes =
            new.iter().zip(positions).map(|(item, position)| ItemShape::of(item, ShapeId(0), position));
        self.graphs.extend(GRAPH, (&part, mark.at), shapes, &mut self.effects).unwrap();
        self.cancelled = false;
        self.model.add(&plans);
        self.take_ids(first.0);
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
        let Some(offset) = self.running(which) else { return };
        let state = TaskState::from(&outcome);
        let mark = self.attempt_ended(offset, Next::Finish(outcome));
        self.graphs.ended(self.ids[offset as usize], state, mark, &mut self.effects);
        self.model.states[offset as usize] = state;
        self.told.remove(&offset);
    }

    fn back_off(&mut self, which: usize) {
        let Some(offset) = self.running(which) else { return };
        let mark = self.attempt_ended(offset, Next::RetryAfter(Duration::from_secs(1)));
        let goes_on = self.graphs.backs_off(self.ids[offset as usize], mark, &mut self.effects);
        let told = self.told.remove(&offset) || self.cancelled;
        assert_eq!(goes_on, !told);
        self.model.states[offset as usize] = if told { TaskState::Cancelled } else { BackingOff };
        if told {
            self.model.unrecorded.insert(offset);
        }
    }

    fn due(&mut self, which: usize) {
        let Some(offset) = self.pick(&[BackingOff], which) else { return };
        let task = self.ids[offset as usize];
        let since = self.graphs.entry(task).expect("a task").position;
        assert!(!self.graphs.due(task, since + 1, &mut self.effects), "the end of another wait");
        assert!(self.graphs.due(task, since, &mut self.effects));
        self.model.states[offset as usize] = TaskState::Ready;
    }

    fn cancel_task(&mut self, which: usize) {
        let offset = u32::try_from(which % self.model.states.len()).unwrap();
        let state = self.model.states[offset as usize];
        if !state.is_ended() {
            let mark = self.append_task(offset, TaskEvent::CancelAsked);
            self.graphs.noted(self.ids[offset as usize], mark);
        }
        let answer = self.graphs.cancel_task(self.ids[offset as usize], Timestamp(0), &mut self.effects);
        match answer {
            Cancelled::Told => {
                assert_eq!(state, Active);
                self.told.insert(offset);
            }
            Cancelled::Closed => {
                self.model.states[offset as usize] = TaskState::Cancelled;
                self.model.unrecorded.insert(offset);
            }
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
        assert_eq!(self.offsets(&told), self.in_state(Active));
        let Model { items, states, unrecorded, skipped, cancelled, .. } = &mut self.model;
        for (number, (range, ..)) in items.iter().enumerate() {
            let open: Vec<_> = range.clone().filter(|one| !states[*one as usize].is_ended()).collect();
            if !open.is_empty() && !skipped.contains(&number) {
                cancelled.insert(number);
            }
            for one in open.into_iter().filter(|one| states[*one as usize] != Active).collect::<Vec<_>>() {
                states[one as usize] = TaskState::Cancelled;
                unrecorded.insert(one);
            }
        }
    }

    fn retry(&mut self, which: usize) {
        let Some(offset) = self.pick(&[Failed, TaskState::Cancelled], which) else { return };
        // Whoever asks for it has the end of it written first.
        if self.graphs.may_retry(self.ids[offset as usize]).is_err()
            || self.model.unrecorded.contains(&offset)
        {
            return;
        }
        let mark = self.append_task(offset, TaskEvent::RetryAsked);
        self.graphs.retry(self.ids[offset as usize], mark, &mut self.effects);
        self.cancelled = false;
        self.model.states[offset as usize] = Waiting;
        self.model.again.insert(offset);
    }

    fn record(&mut self, which: usize) {
        let unrecorded = &self.model.unrecorded;
        let Some(offset) = unrecorded.iter().nth(which % unrecorded.len().max(1)).copied() else { return };
        let task = self.ids[offset as usize];
        let outcome = match self.model.states[offset as usize] {
            Skipped => TaskOutcome::Skipped(self.graphs.entry(task).unwrap().cause.unwrap()),
            _ => TaskOutcome::Cancelled,
        };
        let mark = self.append_task(offset, TaskEvent::Finished(outcome));
        self.graphs.recorded(task, mark, &mut self.effects);
        self.model.unrecorded.remove(&offset);
    }

    fn compare(&mut self, (mut before, unrecorded): (Vec<TaskState>, BTreeSet<u32>), put_back: Option<u32>) {
        self.graphs.check();
        before.resize(self.model.states.len(), Waiting);
        let changed = |was: fn(TaskState) -> bool, is: fn(TaskState) -> bool| -> BTreeSet<u32> {
            let pairs = (0..).zip(before.iter().zip(&self.model.states));
            let pairs = pairs.filter(|(_, (old, new))| old != new && was(**old) && is(**new));
            pairs.map(|(offset, _)| offset).collect()
        };
        for (offset, state) in (0_u32..).zip(&self.model.states) {
            assert_eq!(self.graphs.entry(self.ids[offset as usize]).unwrap().state, *state, "task {offset}");
        }
        let tasks = |ready: &[Ready]| -> Vec<_> { ready.iter().map(|one| one.tasks).collect() };
        let mut expected = changed(|_| true, |state| state == TaskState::Ready);
        expected.retain(|one| put_back != Some(*one));
        assert_eq!(self.offsets(&tasks(&self.effects.ready)), expected, "newly ready");
        let withdrawn = changed(|was| was == TaskState::Ready, |is| matches!(is, Waiting | Skipped));
        assert_eq!(self.offsets(&tasks(&self.effects.withdrawn)), withdrawn, "withdrawn");
        let closed: Vec<_> = self.effects.closed.iter().map(|one| one.tasks).collect();
        assert_eq!(
            self.offsets(&closed),
            changed(|_| true, |state| matches!(state, Skipped | TaskState::Cancelled)),
            "closed"
        );
        let mut revived = self.offsets(&self.effects.revived);
        for (offset, (old, new)) in (0..).zip(before.iter().zip(&self.model.states)) {
            if *old == Skipped && !new.is_ended() {
                assert_ne!(unrecorded.contains(&offset), revived.remove(&offset), "task {offset}");
            }
        }
        assert!(revived.is_empty());
        if let Some(offset) = put_back {
            // It was in nobody's queue, and its end is not that of one that was.
            let task = self.ids[offset as usize];
            let of_it = |closed: &&mut crate::graph::Closed| closed.tasks.contains(task);
            self.effects.closed.iter_mut().filter(of_it).for_each(|closed| closed.was = Active);
        }
        self.carry_out();
    }

    fn replayed(&self) -> crate::graph::Recovered {
        let mut replay = Replay::new(Shapes::default());
        self.log.iter().for_each(|(position, record)| replay.apply(*position, record).unwrap());
        replay.finish()
    }

    /// The log alone says the same as the table.
    pub(super) fn compare_with_the_log(&self) {
        if self.took_long {
            return;
        }
        let mut recovered = self.replayed();
        if self.graphs.lends() {
            recovered.graphs.lend(true, &mut Effects::default());
        }
        recovered.graphs.check();
        for offset in 0..u32::try_from(self.model.states.len()).unwrap() {
            let mut live = self.graphs.entry(self.ids[offset as usize]).unwrap();
            // That a wait is over is known from the clock, not from a record.
            if live.state == TaskState::Ready
                && recovered.backing_off.iter().any(|one| one.task == self.ids[offset as usize])
            {
                live.state = BackingOff;
            }
            assert_eq!(recovered.graphs.entry(self.ids[offset as usize]), Some(live));
        }
        let live: BTreeMap<_, _> =
            recovered.live.iter().map(|grant| (self.offset(grant.task), grant.token)).collect();
        assert_eq!(live, self.tokens);
        let closed: Vec<_> = recovered.closed.iter().map(|one| one.tasks).collect();
        assert_eq!(self.offsets(&closed), self.model.unrecorded);
    }
}

/// Random graphs in which an item depends on some before it, numbered anyhow.
pub(super) fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let on = (any::<prop::sample::Index>(), prop::sample::select(Need::VARIANTS));
    let item = (1_u32..6, prop::option::of(1_u32..4), prop::collection::vec(on, 0..4));
    prop::collection::vec(item, 1..9).prop_map(|items| {
        let mut plans: Vec<Plan> = Vec::new();
        for (number, (count, limit, on)) in items.iter().enumerate() {
            let place = |on: &prop::sample::Index| u32::try_from(on.index(number)).unwrap();
            let on = on.iter().filter(|_| number > 0).map(|(on, needs)| Dependency::item(place(on), *needs));
            // Half of the items are single tasks.
            plans.push((if count % 2 == 0 { 1 } else { *count }, *limit, on.collect()));
        }
        plans
    })
}

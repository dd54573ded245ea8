//! The checks are checked: a history that keeps every promise is changed in one place, and the promise that
//! it then breaks must be named.

mod house;

use std::sync::Arc;

use policy::claims::{Claims, Mode};
use policy::constraint::Condition;
use policy::event::{Event, GraphEvent, Next, Record, SchedulerEvent, TaskEvent};
use policy::graph::TaskState;
use policy::id::{GraphId, TaskId, TaskRange, Token};
use policy::task::{TaskOutcome, TaskSpec};
use policy::time::Timestamp;

use crate::history::{Answer, Asked, History, Operation};
use crate::house::Crowd;
use actors::wire::client::Target;

/// The index of the first record whose task event `is` so.
fn find(history: &History, is: impl Fn(&TaskEvent) -> bool) -> usize {
    let that = |(_, record): &(u64, Record)| matches!(&record.event, Event::Task { event, .. } if is(event));
    history.records.iter().position(that).expect("the history is rich enough")
}

fn task_of(history: &History, place: usize) -> TaskId {
    let Event::Task { task, .. } = &history.records[place].1.event else { panic!("a task's record") };
    *task
}

fn event(history: &mut History, place: usize) -> &mut TaskEvent {
    let Event::Task { event, .. } = &mut history.records[place].1.event else { panic!("a task's record") };
    event
}

fn is_end(event: &TaskEvent) -> bool {
    matches!(event, TaskEvent::AttemptEnded { next: Next::Finish(TaskOutcome::Succeeded), .. })
}

fn is_grant(event: &TaskEvent) -> bool {
    matches!(event, TaskEvent::Granted { .. })
}

/// Puts a copy of a record behind itself, with numbers that fit.
fn repeat(history: &mut History, place: usize) {
    let copy = history.records[place].clone();
    history.records.insert(place + 1, copy);
    for (number, (_, record)) in (1..).zip(&mut history.records) {
        record.number = number;
    }
}

/// Has every task claim something.
fn claim_in_all(history: &mut History, claim: impl Fn(&mut Claims)) {
    for (_, record) in &mut history.records {
        if let Event::Graph(_, GraphEvent::ItemAdmitted(item)) = &mut record.event {
            let mut claims = Claims::default();
            claim(&mut claims);
            Arc::make_mut(&mut item.spec).claims = Some(Arc::new(claims));
        }
    }
}

/// A way to break a history, and the promise that this breaks.
type Mutant = (&'static str, &'static str, fn(&mut History));

const MUTANTS: &[Mutant] = &[
    ("an acknowledged graph is not in the log", "I1", |history| {
        let graph = GraphId(1_000_000);
        let operation = history.operations.iter_mut().find(|one| matches!(one.asked, Asked::Submit { .. }));
        let key = policy::event::SubmissionKey(7);
        let operation = operation.expect("somebody submits");
        operation.asked = Asked::Submit { key, digest: [0; 16] };
        operation.answer = Answer::Submitted { graph, at: Timestamp(1) };
    }),
    ("a graph that nobody submitted", "I1", |history| history.operations.clear()),
    ("an acknowledged cancellation is not in the log", "I1", |history| {
        let place = find(history, is_end);
        let (target, end) = (Target::Task(task_of(history, place)), history.records[place].1.at);
        let (invoked, answer) = (Timestamp(end.0 - 2), Answer::Done { at: Timestamp(end.0 - 1) });
        history.operations.push(Operation { asked: Asked::Cancel(target), invoked, answer, written: None });
    }),
    ("one key, two graphs", "I2", |history| {
        let heads = history.records.iter_mut().filter_map(|(_, record)| match &mut record.event {
            Event::Graph(_, GraphEvent::Admitted(head)) => Some(head),
            _ => None,
        });
        heads.for_each(|head| head.key = policy::event::SubmissionKey(1));
    }),
    ("a second grant beside the first", "I3", |history| {
        let place = find(history, is_grant);
        repeat(history, place);
    }),
    ("a token that does not grow", "I3", |history| {
        let place = find(history, is_grant);
        if let TaskEvent::Granted { token, .. } = event(history, place) {
            *token = Token(0);
        }
    }),
    ("a process that nobody granted", "I3", |history| history.processes[0].node = "nobody".into()),
    ("a second end", "I4", |history| {
        let place = find(history, is_end);
        repeat(history, place);
    }),
    ("a report under an old token is believed", "I4", |history| {
        let place = find(history, |event| matches!(event, TaskEvent::Started { .. }));
        if let TaskEvent::Started { token, .. } = event(history, place) {
            *token = Token(token.0 - 1);
        }
    }),
    ("two processes of a task at once", "I5", |history| {
        let mut other =
            history.processes.iter().find(|one| one.ended > Some(Timestamp(one.started.0 + 600_000)));
        let mut other = other.take().expect("a long process").clone();
        other.token = Token(other.token.0 + 1);
        history.processes.push(other);
    }),
    ("a process takes more than there is", "I6", |history| {
        let process = history.processes.iter_mut().find(|one| one.ended > Some(one.started));
        process.expect("a process").need.cpu_millis = 1_000_000;
    }),
    ("a task runs where it must not", "I6", |history| {
        let never = Condition::is("rack", "nowhere");
        for (_, record) in &mut history.records {
            if let Event::Graph(_, GraphEvent::ItemAdmitted(item)) = &mut record.event {
                let mut spec = TaskSpec::clone(&item.spec);
                spec.constraints.require.push(never.clone());
                item.spec = spec.into();
            }
        }
    }),
    ("an attempt takes another request than was granted", "I6", |history| {
        for (_, record) in &mut history.records {
            if let Event::Graph(_, GraphEvent::ItemAdmitted(item)) = &mut record.event {
                let mut spec = TaskSpec::clone(&item.spec);
                spec.resources.cpu_millis += 1;
                item.spec = spec.into();
            }
        }
    }),
    ("a lock that two hold", "I6", |history| {
        claim_in_all(history, |claims| {
            claims.locks.insert("everything".into(), Mode::Exclusive);
        })
    }),
    ("a window that lets in more than it may", "I6", |history| {
        claim_in_all(history, |claims| {
            claims.rates.insert("llm".into(), [("tokens".into(), 300)].into());
        })
    }),
    ("an index that two hold", "I6", |history| {
        claim_in_all(history, |claims| claims.pools = [("ports".into(), 1)].into());
        for (_, record) in &mut history.records {
            if let Event::Task { event: TaskEvent::Granted { indices, .. }, .. } = &mut record.event {
                *indices = [("ports".into(), vec!["9000".into()])].into();
            }
        }
    }),
    ("a task without an end", "I7", |history| {
        let place = history.records.len() - 1;
        let last = (0..=place).rev().find(
            |place| matches!(&history.records[*place].1.event, Event::Task { event, .. } if is_end(event)),
        );
        history.records.truncate(last.expect("something succeeds"));
    }),
    ("a process outlives its task", "I9", |history| history.processes[0].ended = None),
    ("a grant before the dependency is done", "I10", |history| {
        for (_, record) in &mut history.records {
            if let Event::Graph(_, GraphEvent::ItemAdmitted(item)) = &mut record.event {
                // Item 0 now waits for itself.
                item.dependencies = vec![0.into()];
            }
        }
    }),
    ("a record is missing", "I11", |history| {
        history.records.remove(3);
    }),
    ("a task's record is missing", "I11", |history| {
        let place = find(history, |event| matches!(event, TaskEvent::Started { .. }));
        if let Event::Task { sequence, .. } = &mut history.records[place].1.event {
            *sequence += 1;
        }
    }),
    ("the table says something else", "I12", |history| {
        history.rows.as_mut().expect("the table")[0].state = TaskState::Waiting
    }),
    ("a grant after the cancellation", "I13", |history| {
        let place = find(history, is_grant);
        repeat(history, place);
        *event(history, place) = TaskEvent::CancelAsked;
    }),
    ("an end that the retry policy does not know", "I14", |history| {
        let place = find(history, is_end);
        if let TaskEvent::AttemptEnded { next, .. } = event(history, place) {
            *next = Next::RetryAfter(std::time::Duration::ZERO);
        }
    }),
    ("a retry that does not wait", "I14", |history| {
        let place =
            find(history, |event| matches!(event, TaskEvent::AttemptEnded { next: Next::RetryAfter(_), .. }));
        let (task, at) = (task_of(history, place), history.records[place].1.at);
        let later = history.records.iter_mut().skip(place + 1).map(|(_, record)| record);
        let grants =
            later.filter(|record| matches!(&record.event, Event::Task { task: of, .. } if *of == task));
        grants.for_each(|record| record.at = at);
    }),
    ("a reign that began before", "I17", |history| {
        for (_, record) in &mut history.records {
            if let Event::Scheduler(SchedulerEvent::Started { epoch, .. }) = &mut record.event {
                *epoch = 0;
            }
        }
    }),
];

impl History {
    /// As it is, but nothing was told that it waits in vain; `None` where nothing was.
    pub(crate) fn silenced(&self) -> Option<Self> {
        let (mut silenced, mut told) = (self.clone(), false);
        for (_, record) in &mut silenced.records {
            if let Event::Graph(_, event @ GraphEvent::Unschedulable { .. }) = &mut record.event {
                *event = GraphEvent::Schedulable { tasks: TaskRange { first: TaskId(0), count: 0 } };
                told = true;
            }
        }
        told.then_some(silenced)
    }

    /// Every mutant that lives although it should be caught; empty where the checks are what they claim to
    /// be. For a history that keeps all promises and in which things were granted, retried and ended.
    pub(crate) fn surviving_mutants(&self) -> Vec<&'static str> {
        let survives = |(_, promise, mutate): &&Mutant| {
            let mut mutant = self.clone();
            mutate(&mut mutant);
            mutant.violations().iter().all(|violation| violation.promise != *promise)
        };
        MUTANTS.iter().chain(house::OF_ALL).filter(survives).map(|(name, ..)| *name).collect()
    }

    /// As it is, but for the promise that a crowd was made for, which is broken.
    pub(crate) fn broken_by(&self, crowd: Crowd) -> Self {
        let mut broken = self.clone();
        match crowd {
            Crowd::Fair => house::unfair(&mut broken),
            Crowd::Patient => house::impatient(&mut broken),
            Crowd::Stream => house::passed_over(&mut broken),
        }
        broken
    }
}

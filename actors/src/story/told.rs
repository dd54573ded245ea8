//! A task's item and its story, told for people: the same of what is and of what was.

use std::sync::Arc;

use policy::event::{Event, LogPosition, Next, Record, TaskEvent};
use policy::graph::TaskState;
use policy::id::{GraphId, TaskId};
use policy::stages::Step;
use policy::task::{Priority, TaskOutcome, TaskSpec, Usage};
use policy::time::Timestamp;

use crate::story::ItemRecord;
use crate::wire::client::{AttemptRow, StateName, TaskRow};

/// A task's item and its story, told for people.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) item: ItemRecord,
    /// Its index, where it is a member of an array.
    pub(crate) index: Option<u64>,
    pub(crate) records: Vec<(LogPosition, Record)>,
    pub(crate) attempts: Vec<AttemptRow>,
    outcome: Option<TaskOutcome>,
    /// Which of its commands its last attempt is at.
    step: Option<Step>,
    since: Timestamp,
}

impl Told {
    /// Of an item, or of the member with this index of one that is an array, with its records in order.
    pub(crate) fn new(item: ItemRecord, index: u64, records: Vec<(LogPosition, Record)>) -> Self {
        let since = records.last().map_or(item.at, |(_, record)| record.at);
        let index = item.item.array.map(|_| index);
        let (records_told, attempts, outcome, step) = (Vec::new(), Vec::new(), None, None);
        let mut told = Self { item, index, records: records_told, attempts, outcome, step, since };
        for (_, record) in &records {
            if let Event::Task { event, .. } = &record.event {
                told.hear(record.at, event);
            }
        }
        told.records = records;
        told
    }

    fn hear(&mut self, at: Timestamp, event: &TaskEvent) {
        match event {
            TaskEvent::StepBegan { step, .. } => self.step = Some(*step),
            TaskEvent::Granted { token, attempt, node, request, .. } => self.attempts.push(AttemptRow {
                number: *attempt,
                request: *request,
                token: *token,
                node: node.clone(),
                granted: at,
                started: None,
                pid: None,
                ended: None,
                outcome: None,
                usage: Usage::default(),
            }),
            TaskEvent::Started { pid, .. } => {
                if let Some(attempt) = self.attempts.last_mut() {
                    (attempt.started, attempt.pid) = (Some(at), Some(*pid));
                }
            }
            TaskEvent::AttemptEnded { outcome, usage, next, .. } => {
                self.step = None;
                if let Some(attempt) = self.attempts.last_mut() {
                    (attempt.ended, attempt.outcome, attempt.usage) =
                        (Some(at), Some(outcome.clone()), *usage);
                }
                if let Next::Finish(outcome) = next {
                    self.outcome = Some(outcome.clone());
                }
            }
            TaskEvent::Finished(outcome) => self.outcome = Some(outcome.clone()),
            TaskEvent::RetryAsked => self.outcome = None,
            TaskEvent::CancelAsked | TaskEvent::EvictAsked { .. } | TaskEvent::ReportIgnored { .. } => {}
        }
    }

    /// The task as it stands in lists, where the table says so of it.
    pub(crate) fn row(
        &self,
        (task, graph): (TaskId, GraphId),
        (state, priority): (TaskState, Priority),
    ) -> TaskRow {
        let spec: &TaskSpec = &self.item.item.spec;
        TaskRow {
            task,
            graph,
            name: name_of(spec, self.index),
            state: self.state(state),
            priority,
            tenant: Arc::clone(&spec.tenant),
            attempts: u32::try_from(self.attempts.len()).unwrap_or(u32::MAX),
            node: self.attempts.last().map(|attempt| attempt.node.clone()),
            since: self.since,
            outcome: self.outcome.clone(),
            in_use: None,
            progress: None,
            about: spec.about.clone(),
            step: self.step,
        }
    }

    fn state(&self, state: TaskState) -> StateName {
        match state {
            TaskState::Waiting => StateName::Waiting,
            TaskState::Ready => StateName::Ready,
            TaskState::BackingOff => StateName::BackingOff,
            TaskState::Active => match self.attempts.last() {
                Some(AttemptRow { started: Some(_), .. }) => StateName::Running,
                _ => StateName::Granted,
            },
            TaskState::Succeeded => StateName::Succeeded,
            TaskState::Failed => StateName::Failed,
            TaskState::Cancelled => StateName::Cancelled,
            TaskState::Skipped => StateName::Skipped,
        }
    }
}

fn name_of(spec: &TaskSpec, array_index: Option<u64>) -> Box<str> {
    match array_index {
        Some(index) => format!("{}[{index}]", spec.name).into(),
        None => spec.name.as_ref().into(),
    }
}

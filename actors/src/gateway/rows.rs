//! Rows for people, made from the scheduler's table and the tasks' records.

use policy::event::{Event, GraphEvent, LogPosition, Next, Record, TaskEvent};
use policy::graph::TaskState;
use policy::task::{TaskOutcome, TaskSpec, Usage};
use policy::time::Timestamp;

use crate::scheduler::{NamedAt, RawExplanation, RawRow};
use crate::side::Side;
use crate::story::{self, ItemRecord, StoryError};
use crate::wire::client::{
    AttemptRow, Blocker, Explanation, Found, PAGE_LIMIT, StateName, TaskDetail, TaskRow,
};

/// Rows of a list, in its order.
pub(super) fn all(side: &Side, raw: &[RawRow]) -> Result<Vec<TaskRow>, StoryError> {
    raw.iter().map(|raw| Told::read(side, raw).map(|told| told.row(raw))).collect()
}

/// Everything about one task.
pub(super) fn detail(side: &Side, raw: &RawRow) -> Result<TaskDetail, StoryError> {
    let told = Told::read(side, raw)?;
    let mut dependencies = Vec::new();
    for (position, needs) in &raw.dependencies {
        let on = story::read_item(&side.archive, *position)?;
        dependencies.push((on.item.spec.name.as_ref().into(), *needs));
    }
    Ok(TaskDetail {
        row: told.row(raw),
        array_index: told.index,
        spec: std::sync::Arc::clone(&told.item.item.spec),
        dependencies,
        waits_for: raw.waits_for.clone(),
        submitted: told.item.at,
        attempts: told.attempts,
        events: told.records,
    })
}

/// What a task waits for, with the names of what it depends on.
pub(super) fn explained(side: &Side, raw: RawExplanation) -> Result<Explanation, StoryError> {
    let mut blocked_by = Vec::with_capacity(raw.blocked_by.len());
    for (tasks, item) in &raw.blocked_by {
        let name = story::read_item(&side.archive, *item)?.item.spec.name.as_ref().into();
        blocked_by.push(Blocker { task: tasks.first, tasks: tasks.count, name });
    }
    Ok(Explanation {
        row: Told::read(side, &raw.row)?.row(&raw.row),
        verdict: raw.verdict,
        blocked_by,
        hindrances: raw.hindrances,
        holdings: raw.holdings,
        ahead: raw.ahead,
        usual: raw.usual,
        estimate: raw.estimate,
    })
}

/// What among the newest has this name.
pub(super) fn find(side: &Side, named: &[NamedAt], name: &str) -> Vec<Found> {
    let found = |at: &NamedAt| {
        let is = match side.archive.read(at.position).ok()?.event {
            Event::Graph(_, GraphEvent::Admitted(head)) => head.name,
            Event::Graph(_, GraphEvent::ItemAdmitted(item)) => std::sync::Arc::clone(&item.spec.name),
            _ => return None,
        };
        (*is == *name).then(|| Found { target: at.target, name: name.into() })
    };
    named.iter().filter_map(found).take(PAGE_LIMIT as usize).collect()
}

/// A task's item and its story, told for people.
struct Told {
    item: ItemRecord,
    /// Its index, where it is a member of an array.
    index: Option<u64>,
    records: Vec<(LogPosition, Record)>,
    attempts: Vec<AttemptRow>,
    outcome: Option<TaskOutcome>,
    since: Timestamp,
}

impl Told {
    fn read(side: &Side, raw: &RawRow) -> Result<Self, StoryError> {
        let item = story::read_item(&side.archive, raw.seat.item)?;
        let records = story::records(&side.archive, raw.seat.last)?;
        let since = records.last().map_or(item.at, |(_, record)| record.at);
        let index = item.item.array.map(|_| raw.seat.index);
        let mut told = Self { item, index, records: Vec::new(), attempts: Vec::new(), outcome: None, since };
        for (_, record) in &records {
            if let Event::Task { event, .. } = &record.event {
                told.hear(record.at, event);
            }
        }
        told.records = records;
        if let Some(position) = raw.unschedulable {
            let source = |source| StoryError::Unreadable { position, source };
            told.records.push((position, side.archive.read(position).map_err(source)?));
            told.records.sort_by_key(|(_, record)| record.number);
        }
        Ok(told)
    }

    fn hear(&mut self, at: Timestamp, event: &TaskEvent) {
        match event {
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
            TaskEvent::CancelAsked | TaskEvent::ReportIgnored { .. } => {}
        }
    }

    fn row(&self, raw: &RawRow) -> TaskRow {
        let spec: &TaskSpec = &self.item.item.spec;
        TaskRow {
            task: raw.seat.task,
            graph: raw.seat.graph,
            name: name_of(spec, self.index),
            state: self.state(raw),
            priority: spec.priority,
            tenant: std::sync::Arc::clone(&spec.tenant),
            attempts: u32::try_from(self.attempts.len()).unwrap_or(u32::MAX),
            node: self.attempts.last().map(|attempt| attempt.node.clone()),
            since: self.since,
            outcome: self.outcome.clone(),
        }
    }

    fn state(&self, raw: &RawRow) -> StateName {
        match raw.state {
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

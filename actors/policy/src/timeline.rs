//! What became of the tasks of a graph, in time: folded from its events, so that whoever has them can tell.
//!
//! The life of a task falls into [`Phase`]s without gaps: it waits for others, stands in a queue, is started, runs, and
//! waits for another attempt. Why it stood in its queue is what its grants say of it (`causes`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

use crate::causes::Waited;
use crate::event::{Event, GraphEvent, Item, Next, Record, TaskEvent};
use crate::id::{AttemptNumber, NodeId, TaskId, TaskRange};
use crate::stages::{Stage, Step};
use crate::task::{AttemptOutcome, TaskOutcome};
use crate::time::Timestamp;

/// Links of a chain of waits that are told: as many as a person follows.
const CHAIN_LIMIT: usize = 20;

/// What a task does for a while.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    Display,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Kind {
    /// Waits for tasks that it depends on.
    Dependencies,
    /// Ready, in its queue.
    Queue,
    /// A node was granted an attempt, whose process has not started yet.
    Start,
    /// What is done before its command is done.
    Before,
    /// Its process runs.
    Run,
    /// Its gate is asked.
    Gate,
    /// What is done after all that is done.
    After,
    /// Waits for its next attempt.
    BackOff,
    /// Had ended, until somebody asked for another try.
    Over,
}

/// A stretch of a task's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// What it does.
    pub kind: Kind,
    /// From when.
    pub from: Timestamp,
    /// Until when; now, where it still does.
    pub to: Timestamp,
    /// The attempt it belongs to; `None` for waits.
    pub attempt: Option<AttemptNumber>,
}

impl Phase {
    /// How long it is.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.to.since(self.from)
    }
}

/// How long a task did one thing, all together.
#[must_use]
pub fn spent(phases: &[Phase], kind: Kind) -> Duration {
    phases.iter().filter(|phase| phase.kind == kind).map(Phase::length).sum()
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which.
    pub number: AttemptNumber,
    /// Where.
    pub node: NodeId,
    /// When it was granted.
    pub granted: Timestamp,
    /// When its process ran.
    pub started: Option<Timestamp>,
    /// What its process does since when, where it does more than its command.
    pub steps: Vec<(Timestamp, Step)>,
    /// When it was over, and how.
    pub ended: Option<(Timestamp, AttemptOutcome)>,
    /// For which more urgent task it was to make room.
    pub evicted_for: Option<TaskId>,
    /// For what it had stood in its queue before.
    pub waited: Waited,
    /// When the wait after it is over, where another follows.
    again: Option<Timestamp>,
}

impl Attempt {
    /// For which more urgent task it made room, if that is how it ended.
    #[must_use]
    pub fn made_room_for(&self) -> Option<TaskId> {
        let is_preempted = self.ended.as_ref().is_some_and(|(_, outcome)| outcome.is_preempted());
        self.evicted_for.filter(|_| is_preempted)
    }
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Life {
    /// Its attempts, in order.
    pub attempts: Vec<Attempt>,
    /// When it ended, and how.
    pub finished: Option<(Timestamp, TaskOutcome)>,
    /// When it had ended before, and when somebody asked for another try.
    over: Vec<(Timestamp, Timestamp)>,
}

/// A task or an array.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    tasks: TaskRange,
    name: Arc<str>,
    /// The first index, where it is an array.
    array: Option<u64>,
    needs: Vec<u32>,
    admitted: Timestamp,
    /// How many have ended, and the last that did.
    ended: u32,
    last_end: Option<(Timestamp, TaskId)>,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    spans: Vec<Span>,
    lives: BTreeMap<TaskId, Life>,
    /// The id that the next item's first task has.
    next: u64,
}

impl Timeline {
    /// Takes in the next event of the graph.
    pub fn apply(&mut self, record: &Record) {
        match &record.event {
            Event::Graph(graph, GraphEvent::Admitted(_)) => self.next = graph.first_task().0,
            Event::Graph(_, GraphEvent::Extended(part)) => self.next = part.first.0,
            Event::Graph(_, GraphEvent::ItemAdmitted(item)) => self.admitted(item, record.at),
            Event::Task { task, event, .. } => self.task_event(*task, event, record.at),
            Event::Graph(..) | Event::Node(..) | Event::Scheduler(_) => {}
        }
    }

    fn admitted(&mut self, item: &Item, admitted: Timestamp) {
        let count = u32::try_from(item.tasks()).unwrap_or(u32::MAX);
        let tasks = TaskRange { first: TaskId(self.next), count };
        self.next = tasks.end().0;
        let needs = item.dependencies.iter().filter_map(crate::dependency::Dependency::place).collect();
        let array = item.array.map(|array| array.first);
        let name = Arc::clone(&item.spec.name);
        self.spans.push(Span { tasks, name, array, needs, admitted, ended: 0, last_end: None });
    }

    fn task_event(&mut self, task: TaskId, event: &TaskEvent, at: Timestamp) {
        let life = self.lives.entry(task).or_default();
        match event {
            TaskEvent::Granted { attempt, node, waited, .. } => life.attempts.push(Attempt {
                number: *attempt,
                node: node.clone(),
                granted: at,
                started: None,
                steps: Vec::new(),
                ended: None,
                evicted_for: None,
                waited: waited.clone(),
                again: None,
            }),
            TaskEvent::Started { .. } => {
                if let Some(last) = life.attempts.last_mut() {
                    last.started = Some(at);
                }
            }
            TaskEvent::AttemptEnded { outcome, next, .. } => {
                if let Some(last) = life.attempts.last_mut() {
                    last.ended = Some((at, outcome.clone()));
                    last.again = match next {
                        Next::RetryAfter(wait) => Some(at + *wait),
                        Next::Finish(_) => None,
                    };
                }
                if let Next::Finish(outcome) = next {
                    self.finished(task, outcome.clone(), at);
                }
            }
            TaskEvent::Finished(outcome) => self.finished(task, outcome.clone(), at),
            TaskEvent::RetryAsked => {
                if let Some((ended, _)) = life.finished.take() {
                    life.over.push((ended, at));
                    if let Some(span) = self.span_mut(task) {
                        span.ended = span.ended.saturating_sub(1);
                    }
                }
            }
            TaskEvent::EvictAsked { by, .. } => {
                if let Some(last) = life.attempts.last_mut() {
                    last.evicted_for = Some(*by);
                }
            }
            TaskEvent::StepBegan { step, .. } => {
                if let Some(last) = life.attempts.last_mut() {
                    last.steps.push((at, *step));
                }
            }
            TaskEvent::CancelAsked | TaskEvent::ReportIgnored { .. } => {}
        }
    }

    fn finished(&mut self, task: TaskId, outcome: TaskOutcome, at: Timestamp) {
        self.lives.entry(task).or_default().finished = Some((at, outcome));
        if let Some(span) = self.span_mut(task) {
            span.ended += 1;
            span.last_end = Some((at, task));
        }
    }

    fn place(&self, task: TaskId) -> Option<usize> {
        let after = self.spans.partition_point(|span| span.tasks.first <= task);
        after.checked_sub(1).filter(|place| self.spans[*place].tasks.contains(task))
    }

    fn span(&self, task: TaskId) -> Option<&Span> {
        self.place(task).map(|place| &self.spans[place])
    }

    fn span_mut(&mut self, task: TaskId) -> Option<&mut Span> {
        self.place(task).map(|place| &mut self.spans[place])
    }
}

/// What it tells.
impl Timeline {
    /// Every task, in the order of the ids.
    pub fn tasks(&self) -> impl Iterator<Item = TaskId> {
        self.spans.iter().flat_map(|span| span.tasks.iter())
    }

    /// A task's name, with its index where it is a member of an array.
    #[must_use]
    pub fn name(&self, task: TaskId) -> Option<String> {
        let span = self.span(task)?;
        let index = |first: u64| first + (task.0 - span.tasks.first.0);
        Some(
            span.array
                .map_or_else(|| span.name.to_string(), |first| format!("{}[{}]", span.name, index(first))),
        )
    }

    /// What is known of a task; nothing has happened to one that is not known.
    #[must_use]
    pub fn life(&self, task: TaskId) -> Option<&Life> {
        self.lives.get(&task)
    }

    /// For what a task stood in its queue, all its attempts together. What is left of the queue's phases was others' turn,
    /// a place in its array, or nobody looked.
    #[must_use]
    pub fn waited(&self, task: TaskId) -> Waited {
        let attempts = self.life(task).map(|life| life.attempts.as_slice()).unwrap_or_default();
        let mut sums = BTreeMap::new();
        for (cause, length) in attempts.iter().flat_map(|attempt| &attempt.waited) {
            *sums.entry(*cause).or_insert(Duration::ZERO) += *length;
        }
        sums.into_iter().collect()
    }

    /// The task for whose end a task waited longest: of those it depends on the last that ended. `None` where it
    /// depends on nothing, or one of them has not ended.
    #[must_use]
    pub fn waited_for(&self, task: TaskId) -> Option<(Timestamp, TaskId)> {
        let needs = &self.span(task)?.needs;
        let ends = needs.iter().map(|need| {
            let span = self.spans.get(*need as usize)?;
            span.last_end.filter(|_| span.ended == span.tasks.count)
        });
        ends.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// For which task each waited longest, from this one back, as far as a person follows.
    #[must_use]
    pub fn chain(&self, task: TaskId) -> Vec<(TaskId, TaskId)> {
        let link = |at: TaskId| self.waited_for(at).map(|(_, after)| (at, after));
        std::iter::successors(link(task), |(_, after)| link(*after)).take(CHAIN_LIMIT).collect()
    }

    /// The stretches of a task's life up to `now`, without gaps, none of them empty.
    #[must_use]
    pub fn phases(&self, task: TaskId, now: Timestamp) -> Vec<Phase> {
        let Some(span) = self.span(task) else { return Vec::new() };
        let nothing = Life::default();
        let life = self.life(task).unwrap_or(&nothing);
        let end = life.finished.as_ref().map_or(now, |(at, _)| *at);
        let mut path = Path { at: span.admitted, phases: Vec::new() };
        let first = life.attempts.first().map_or(end, |attempt| attempt.granted);
        let waits = if span.needs.is_empty() { span.admitted } else { first };
        let ready = self.waited_for(task).map_or(waits, |(at, _)| at.min(first));
        path.go(Kind::Dependencies, ready, None);
        let mut over = life.over.iter().peekable();
        for attempt in &life.attempts {
            while let Some((from, to)) = over.next_if(|(_, to)| *to <= attempt.granted) {
                path.go(Kind::Queue, *from, None);
                path.go(Kind::Over, *to, None);
            }
            path.go(Kind::Queue, attempt.granted, None);
            let number = Some(attempt.number);
            let ended = attempt.ended.as_ref().map_or(now, |(at, _)| *at);
            path.go(Kind::Start, attempt.started.unwrap_or(ended), number);
            path.run(attempt, ended);
            if let Some(again) = attempt.again {
                let next = life.attempts.iter().find(|next| next.number > attempt.number);
                path.go(Kind::BackOff, again.min(next.map_or(end, |next| next.granted)), None);
            }
        }
        for (from, to) in over {
            path.go(Kind::Queue, *from, None);
            path.go(Kind::Over, *to, None);
        }
        path.go(Kind::Queue, end, None);
        path.phases
    }
}

/// Phases, each from where the one before ends.
struct Path {
    at: Timestamp,
    phases: Vec<Phase>,
}

impl From<Stage> for Kind {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Before => Self::Before,
            Stage::Command => Self::Run,
            Stage::Gate => Self::Gate,
            Stage::After => Self::After,
        }
    }
}

impl Path {
    /// What an attempt did once it had begun, until it ended.
    fn run(&mut self, attempt: &Attempt, ended: Timestamp) {
        let begins = attempt.steps.first().is_some_and(|(_, step)| step.stage == Stage::Before);
        let mut kind = if begins { Kind::Before } else { Kind::Run };
        for (at, step) in &attempt.steps {
            self.go(kind, *at, Some(attempt.number));
            kind = step.stage.into();
        }
        self.go(kind, ended, Some(attempt.number));
    }

    fn go(&mut self, kind: Kind, to: Timestamp, attempt: Option<AttemptNumber>) {
        if to > self.at {
            self.phases.push(Phase { kind, from: self.at, to, attempt });
            self.at = to;
        }
    }
}

#[cfg(test)]
mod tests;

//! The task actor: awake from a node's reservation to the end of the attempt, or while a waiting task is
//! cancelled or skipped.
//!
//! **Role.** Owns its attempts and their tokens (P2): nothing happens to a task but through its `Life`.
//! **Decides with** `policy::lifecycle`. **Parent** tasks (dynamic, transient, sharded).
//! **Hears** node: `Reported`, `Lost`; lease: `LeaseExpired`; scheduler, through the node: `Cancel`, `Evict`.
//! **Tells** node: `Granted`, `Declined`, `StopAttempt`, `AttemptClosed`; scheduler: `Stepped`.
//! **On crash** it is started again from its records in the log; a report it lost comes again with the
//! node's next heartbeat.
//! **Invariant.** What leaves the process (a grant, an acknowledgement) follows a record that is on disk.

mod attempt;
mod ends;
mod message;
mod show;
mod stop;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use policy::bounds::Overrun;
use policy::breaker::Verdict;
use policy::event::{Event, Next, Record, TaskEvent};
use policy::graph::Mark;
use policy::id::{AttemptNumber, NodeId, NodeSession, TaskId, Token};
use policy::lifecycle::Holder;
use policy::task::{LossReason, TaskOutcome};
use policy::{planted, trap};
use supervision::{Actor, ActorError, Address, Fact, Me};

use crate::log::Appended;
use crate::node::{NodeMessage, Terms};
use crate::scheduler::SchedulerMessage;
use crate::side::Side;
use crate::story::{self, ItemRecord, Story, StoryError};
pub use crate::task::message::{Acknowledge, Seat, Step, TaskMessage};
use crate::wire::fleet::{Grant, StopCause};

/// Why a task is woken.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// A node has room for it.
    Grant {
        /// The node's actor.
        node: Address<NodeMessage>,
        /// The node.
        name: NodeId,
        /// Its session.
        session: NodeSession,
        /// What it grants.
        terms: Terms,
    },
    /// It holds a grant from before a restart.
    Resume {
        /// The node's actor.
        node: Address<NodeMessage>,
    },
    /// Somebody asks for its end.
    Cancel,
    /// A task it depends on did not succeed.
    Skip(TaskId),
    /// Somebody asks for another try.
    Retry,
    /// It has waited beyond a limit of time.
    Late(Overrun),
    /// Its graph has no retry left for it.
    GiveUp {
        /// How many the graph has in all.
        budget: u64,
    },
}

/// Everything a task needs to start.
#[derive(Debug, Clone)]
pub struct TaskArgs {
    /// Where it sits.
    pub seat: Seat,
    /// Whom it knows.
    pub side: Arc<Side>,
    /// Why it is woken.
    pub purpose: Purpose,
    life: Arc<Incarnations>,
}

/// What survives a restart of the actor.
#[derive(Debug)]
struct Incarnations {
    started: AtomicBool,
    last: AtomicU64,
    /// What the scheduler hears at once, while it wakes the task for that; none where it is told by message.
    heard: Mutex<Option<Vec<(Step, Mark)>>>,
}

impl TaskArgs {
    /// Wakes the task at `seat` for `purpose`.
    #[must_use]
    pub fn new(seat: Seat, side: Arc<Side>, purpose: Purpose) -> Self {
        let (started, last) = (AtomicBool::new(false), AtomicU64::new(seat.last));
        let life = Incarnations { started, last, heard: Mutex::new(None) };
        Self { seat, side, purpose, life: Arc::new(life) }
    }

    /// Whoever wakes it hears what its start has written.
    #[must_use]
    pub fn heard_at_once(self) -> (Self, Hearing) {
        *self.life.heard() = Some(Vec::new());
        let hearing = Hearing(Arc::clone(&self.life));
        (self, hearing)
    }
}

impl Incarnations {
    fn heard(&self) -> MutexGuard<'_, Option<Vec<(Step, Mark)>>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// To hear what a task has written when it was woken.
#[derive(Debug)]
pub struct Hearing(Arc<Incarnations>);

impl Hearing {
    /// The steps of its start, in order. What it writes from now on comes by message.
    #[must_use]
    pub fn end(self) -> Vec<(Step, Mark)> {
        self.0.heard().take().unwrap_or_default()
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct TaskActor {
    args: TaskArgs,
    item: ItemRecord,
    story: Story,
}

impl Actor for TaskActor {
    const KIND: &'static str = "task";
    type Message = TaskMessage;
    type Args = TaskArgs;

    fn start(args: TaskArgs, me: &Me<TaskMessage>) -> Result<Self, ActorError> {
        let item = args.side.items.get(&args.side.archive, args.seat.item)?;
        let story = story::so_far(&args.side.archive, args.life.last.load(Ordering::Relaxed))?;
        let again = args.life.started.swap(true, Ordering::Relaxed);
        let mut task = Self { args, item, story };
        if again {
            task.tell_last()?;
            task.resume(me);
        } else {
            task.begin(me);
        }
        Ok(task)
    }

    fn handle(&mut self, message: TaskMessage, me: &Me<TaskMessage>) -> Result<(), ActorError> {
        trap!(Task);
        match message {
            TaskMessage::Reported { token, phase, order, ran } => {
                self.reported(token, (phase, ran), order, me)
            }
            TaskMessage::LeaseExpired { token } => self.lost(token, LossReason::LeaseExpired, me),
            TaskMessage::Lost { token, reason } => self.lost(token, reason, me),
            TaskMessage::Cancel(acknowledge) => self.cancel(acknowledge, me),
            TaskMessage::Evict { by, is_recall } => self.evict(by, is_recall),
        }
        Ok(())
    }

    fn show(&self) -> Vec<Fact> {
        self.facts()
    }
}

impl TaskActor {
    fn begin(&mut self, me: &Me<TaskMessage>) {
        match self.args.purpose.clone() {
            Purpose::Grant { node, name, session, terms } => self.grant(&node, (&name, session), &terms, me),
            Purpose::Resume { .. } => self.resume(me),
            Purpose::Cancel => self.cancel(Acknowledge::nobody(), me),
            Purpose::Skip(because) => self.skip(because, me),
            Purpose::Late(overrun) => self.late(overrun, me),
            Purpose::Retry => self.retry(me),
            Purpose::GiveUp { budget } => self.give_up(budget, me),
        }
    }

    /// Says again what the last record has led to: the life before may have ended between writing and telling.
    /// Who has heard it sees that by the record's position.
    fn tell_last(&self) -> Result<(), StoryError> {
        let position = self.args.life.last.load(Ordering::Relaxed);
        let last = story::record(&self.args.side.archive, position)?;
        let Some(Record { number, at, event: Event::Task { sequence, event, .. }, .. }) = last else {
            return Ok(());
        };
        let step = match event {
            TaskEvent::Granted { attempt, .. } => Step::Granted(attempt),
            TaskEvent::AttemptEnded { token, outcome, usage, next, report, .. } => {
                self.close_attempt(token, Verdict::from(&outcome), number);
                self.over(next, &outcome, &usage, report)
            }
            TaskEvent::Finished(outcome) => Step::over(Next::Finish(outcome)),
            TaskEvent::RetryAsked => Step::RetryAsked,
            TaskEvent::Started { .. }
            | TaskEvent::CancelAsked
            | TaskEvent::EvictAsked { .. }
            | TaskEvent::ReportIgnored { .. }
            | TaskEvent::StepBegan { .. } => Step::Noted,
        };
        let (task, mark) = (self.args.seat.task, Mark { position, sequence, at });
        self.args.side.scheduler.tell(SchedulerMessage::Stepped { task, step, mark });
        if self.story.life.holder().is_some() {
            let step = Step::Resumed;
            self.args.side.scheduler.tell(SchedulerMessage::Stepped { task, step, mark });
        }
        Ok(())
    }

    /// Goes on after a restart: with the attempt, if it holds one.
    fn resume(&mut self, me: &Me<TaskMessage>) {
        if let Some(holder) = self.story.life.holder() {
            let attempt = AttemptNumber(self.story.life.attempts());
            let Holder { request, indices, gang, .. } = holder.clone();
            let terms = Terms { request, indices, gang, ..Terms::default() };
            let grant = self.grant_under(holder.token, attempt, &terms);
            let granted = NodeMessage::Granted { grant, task: me.address().clone() };
            return self.tell_node(granted);
        }
        if let Some(node) = self.node() {
            node.tell(NodeMessage::Declined { task: self.args.seat.task });
        }
        me.stop();
    }

    fn grant(
        &mut self,
        node: &Address<NodeMessage>,
        (name, session): (&NodeId, NodeSession),
        terms: &Terms,
        me: &Me<TaskMessage>,
    ) {
        let task = self.args.seat.task;
        let Ok(attempt) = self.story.life.may_grant() else {
            node.tell(NodeMessage::Declined { task });
            return me.stop();
        };
        let epoch = self.args.side.epoch();
        let appended = self.append(|number| TaskEvent::Granted {
            token: Token::numbered(epoch, number),
            attempt,
            node: name.clone(),
            session,
            request: terms.request,
            indices: terms.indices.clone(),
            gang: terms.gang.clone(),
            waited: terms.waited.clone(),
        });
        self.tell_scheduler(Step::Granted(attempt), appended);
        let grant = self.grant_under(Token::numbered(epoch, appended.number), attempt, terms);
        let (node, address) = (node.clone(), me.address().clone());
        if planted!(GrantBeforePersist) {
            return node.tell(NodeMessage::Granted { grant, task: address });
        }
        self.args.side.log.when_durable(appended.number, move || {
            node.tell(NodeMessage::Granted { grant, task: address });
        });
    }

    fn grant_under(&self, token: Token, attempt: AttemptNumber, terms: &Terms) -> Box<Grant> {
        let Seat { task, graph, index, .. } = self.args.seat;
        let array_index = self.item.item.array.map(|_| index);
        let (spec, stretch_percent) =
            (Arc::clone(&self.item.item.spec), self.args.side.mode().stretch_percent());
        let Terms { request, indices, gang, .. } = terms.clone();
        let submitted = self.item.at;
        let deadline = spec.bounds.as_deref().and_then(|bounds| bounds.deadline).map(|deadline| {
            let at = deadline.of(submitted);
            (at, at.since(submitted))
        });
        Box::new(Grant {
            token,
            task,
            graph,
            attempt,
            array_index,
            request,
            spec,
            indices,
            stretch_percent,
            deadline,
            gang,
        })
    }

    fn cancel(&mut self, acknowledge: Acknowledge, me: &Me<TaskMessage>) {
        let Ok(events) = self.story.life.cancel() else {
            // Asked before, or over: that is on disk or on its way there.
            self.after_last_record(acknowledge);
            if self.story.life.holder().is_none() {
                me.stop();
            }
            return;
        };
        for event in events {
            let appended = self.append(|_| event.clone());
            let ended = event == TaskEvent::Finished(TaskOutcome::Cancelled);
            let over = || Step::over(Next::Finish(TaskOutcome::Cancelled));
            self.tell_scheduler(if ended { over() } else { Step::Noted }, appended);
            if ended {
                me.stop();
            }
        }
        self.after_last_record(acknowledge);
        if let Some(holder) = self.story.life.holder() {
            self.stop_attempt(holder.token, StopCause::End);
        }
    }

    fn tell_scheduler(&self, step: Step, appended: Appended) {
        let mark = Mark { position: appended.position, sequence: self.story.sequence, at: appended.at };
        if let Some(heard) = &mut *self.args.life.heard() {
            return heard.push((step, mark));
        }
        self.args.side.scheduler.tell(SchedulerMessage::Stepped { task: self.args.seat.task, step, mark });
    }

    fn tell_node(&self, message: NodeMessage) {
        if let Some(node) = self.node() {
            node.tell(message);
        }
    }

    /// Logs what has happened and takes note of it.
    fn append(&mut self, event: impl Fn(u64) -> TaskEvent) -> Appended {
        self.story.sequence += u32::from(!planted!(SequenceStands));
        let (task, sequence) = (self.args.seat.task, self.story.sequence);
        let previous = self.args.life.last.load(Ordering::Relaxed);
        let cause = if self.story.number == 0 { self.item.number } else { self.story.number };
        let appended = self.args.side.log.append_numbered((cause, self.item.correlation), |number| {
            Event::Task { task, sequence, previous, event: event(number) }
        });
        let told = event(appended.number);
        self.story.life.apply(&told);
        self.story.number = appended.number;
        self.args.life.last.store(appended.position, Ordering::Relaxed);
        self.say(&told, appended.number);
        appended
    }

    /// What has happened, for the log of the program.
    fn say(&self, event: &TaskEvent, number: u64) {
        if tracing::enabled!(tracing::Level::DEBUG) {
            let (kind, task) = (<&str>::from(event), self.args.seat.task);
            let attempt = self.story.life.attempts();
            let node = self.story.life.holder().map(|holder| tracing::field::display(&holder.node));
            tracing::debug!(%task, attempt, node, number, kind, "recorded");
        }
    }

    fn after_last_record(&self, acknowledge: Acknowledge) {
        self.args.side.log.when_durable(self.story.number, move || acknowledge.now());
    }
}

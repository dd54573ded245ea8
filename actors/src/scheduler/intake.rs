//! What people ask for: graphs, ends, other tries.

use std::sync::Arc;

use policy::admission;
use policy::demand::Demand;
use policy::event::{Event, GraphEvent, GraphHead, Item};
use policy::graph::{Cancelled, Effects, ItemShape, Opening, TaskState};
use policy::id::{GraphId, TaskId, TaskRange};
use policy::placement::ShapeId;
use policy::planted;
use policy::submission::Submission;
use policy::time::Timestamp;
use supervision::Reply;

use crate::log::{Appended, Batch, LogHealth};
use crate::scheduler::heard::Heard;
use crate::scheduler::{SchedulerActor, addition, no_effects};
use crate::task::{Acknowledge, Purpose};
use crate::wire::client::{Response, Submitted, Target};

/// When to come back while the disk is behind or full.
const DISK_RETRY: std::time::Duration = std::time::Duration::from_secs(1);

impl SchedulerActor {
    pub(super) fn admit(&mut self, submission: &Submission, digest: [u8; 16], reply: Reply<Response>) {
        self.look_at_lending();
        let known = self.graphs.submitted(submission.key).filter(|_| !planted!(NoDedupe));
        if let Some(known) = known {
            return self.when_written(reply, addition::repeated(&known, digest));
        }
        let Checked { shapes, warnings } = match self.check_room(submission) {
            Ok(checked) => checked,
            Err(refusal) => return reply.send(refusal),
        };
        let graph = GraphId(self.graphs.next_task().0);
        let head = submission.head(digest);
        let appended = self.write(graph, &head, &submission.items);
        let items = submission.items.iter().zip(&shapes).zip(&appended[1..]);
        let items = items.map(|((item, shape), appended)| ItemShape::of(item, *shape, appended.position));
        let opening = Opening { graph, position: appended[0].position, at: appended[0].at, head: &head };
        let mut effects = no_effects();
        if let Err(malformed) = self.graphs.admit(&opening, items, &mut effects) {
            return reply.send(Response::Refused(malformed.to_string().into()));
        }
        self.note_bounds(graph.first_task(), &submission.items, appended[0].at);
        self.names.insert(graph, Arc::clone(&head.name));
        tracing::debug!(%graph, tasks = head.tasks, "admitted");
        self.guard.ledger.open(graph, head.budget);
        self.carry_out(effects);
        let answer = Response::Submitted(Submitted {
            graph,
            first: graph.first_task(),
            tasks: head.tasks,
            repeated: false,
            warnings,
        });
        self.when_written(reply, answer);
    }

    /// Whether it is taken in: the shapes of its items, and what of it no machine can run as things are.
    pub(super) fn check_room(&mut self, submission: &Submission) -> Result<Checked, Response> {
        self.check_pace(submission)?;
        self.check_space(submission)?;
        self.check_tenants(submission)?;
        self.check_guard(submission)?;
        let checked = self.intern(submission).and_then(|shapes| {
            let fits = self.check_fit(submission, &shapes);
            if fits.is_err() {
                shapes.iter().for_each(|shape| self.shapes.release(*shape));
            }
            Ok(Checked { shapes, warnings: fits? })
        });
        if checked.is_err() {
            self.not_taken_in(submission);
        }
        checked
    }

    /// Whether there is room for it on disk and in memory.
    fn check_space(&self, submission: &Submission) -> Result<(), Response> {
        if let LogHealth::Stalled { reason, .. } | LogHealth::Broken { reason } = self.side.log.health() {
            let reason = format!("nothing can be written to disk: {reason}").into();
            return Err(Response::Busy { reason, retry_after: DISK_RETRY });
        }
        if let Err(no_room) = self.side.log.check_room() {
            return Err(Response::Busy { reason: no_room.to_string().into(), retry_after: DISK_RETRY });
        }
        let counts = self.graphs.counts_of_all();
        let unended = counts.total() - counts.ended();
        let tasks = submission.tasks();
        if let Err(busy) = admission::room(unended, tasks, &self.side.limits().admission) {
            return Err(Response::Busy { reason: busy.to_string().into(), retry_after: busy.retry_after });
        }
        Ok(())
    }

    /// The shapes of its items.
    fn intern(&mut self, submission: &Submission) -> Result<Vec<ShapeId>, Response> {
        let mut shapes = Vec::with_capacity(submission.items.len());
        for item in &submission.items {
            match self.shapes.intern(&Demand::of(&item.spec)) {
                Ok(shape) => shapes.push(shape),
                Err(too_many) => {
                    shapes.into_iter().for_each(|shape| self.shapes.release(shape));
                    return Err(Response::Refused(too_many.to_string().into()));
                }
            }
        }
        Ok(shapes)
    }

    /// Writes the graph, a large one in pieces, so that it is not in memory once more as a whole. One that is
    /// not whole after a crash was never acknowledged and is passed over by the replay.
    fn write(&self, graph: GraphId, head: &GraphHead, items: &[Item]) -> Vec<Appended> {
        let (mut batch, mut appended) = (Batch::new(), Vec::with_capacity(items.len() + 1));
        batch.push(&Event::Graph(graph, GraphEvent::Admitted(head.clone())), 0, 0);
        for item in items {
            if batch.size() > PIECE_BYTES {
                appended.extend(self.side.log.append_batch(&std::mem::take(&mut batch)));
            }
            batch.push(&Event::Graph(graph, GraphEvent::ItemAdmitted(item.clone())), 0, graph.0);
        }
        appended.extend(self.side.log.append_batch(&batch));
        appended
    }

    /// Remembers what new tasks say of waiting; before any of them is ready.
    pub(super) fn note_bounds(&mut self, first: TaskId, items: &[Item], at: Timestamp) {
        let mut next = first;
        for item in items {
            let count = u32::try_from(item.tasks()).unwrap_or(u32::MAX);
            self.lateness.waits.admitted(TaskRange { first: next, count }, item.spec.bounds.as_deref(), at);
            next = TaskId(next.0 + u64::from(count));
        }
    }

    pub(super) fn cancel(&mut self, target: Target, reply: Reply<Response>) {
        match target {
            Target::Task(task) => self.cancel_task(task, reply),
            Target::Graph(graph) => self.cancel_graph(graph, reply),
        }
    }

    fn cancel_task(&mut self, task: TaskId, reply: Reply<Response>) {
        let (at, mut effects) = (self.side.clock.wall(), no_effects());
        let count = self.cancelled_with(task);
        let asked = |tasks| Response::CancelAsked { tasks };
        match self.graphs.cancel_task(task, at, &mut effects) {
            Cancelled::Unknown => reply.send(Response::NotFound(Target::Task(task))),
            Cancelled::Already(_) => self.when_written(reply, asked(0)),
            Cancelled::Told => {
                self.cancel_others(task, effects);
                let acknowledge = Acknowledge::with(move || reply.send(asked(count)));
                self.tell_cancel(task, acknowledge);
            }
            Cancelled::Closed => {
                self.carry_out(effects);
                // Here and now, so that it can be waited for.
                self.write_all_of(task);
                self.when_written(reply, asked(count));
            }
        }
    }

    /// How many tasks are cancelled with this one, itself among them: all of its gang that have not ended.
    fn cancelled_with(&self, task: TaskId) -> u64 {
        let members = if self.is_in_gang(task) { self.graphs.gang(task) } else { Vec::new() };
        (members.iter().filter(|(_, state)| !state.is_ended()).count() as u64).max(1)
    }

    /// What follows for the others of its gang when an active task is cancelled.
    pub(super) fn cancel_others(&mut self, task: TaskId, effects: Effects) {
        if self.is_in_gang(task) {
            self.carry_out(effects);
        }
    }

    fn cancel_graph(&mut self, graph: GraphId, reply: Reply<Response>) {
        let Some(view) = self.graphs.view(graph) else {
            return reply.send(Response::NotFound(Target::Graph(graph)));
        };
        let unended = view.counts.total() - view.counts.ended();
        let heard = Heard::with(move || reply.send(Response::CancelAsked { tasks: unended }));
        self.end_graph(graph, || heard.acknowledge());
        self.side.log.when_durable(self.side.log.last(), move || heard.written());
    }

    /// Cancels all of a graph; each of its active tasks acknowledges that it has heard so.
    pub(super) fn end_graph(&mut self, graph: GraphId, acknowledge: impl Fn() -> Acknowledge) {
        let mut effects = no_effects();
        if self.graphs.cancel_graph(graph, self.side.clock.wall(), &mut effects) {
            self.side.log.append(&Event::Graph(graph, GraphEvent::CancelAsked), 0, graph.0);
            let mut told = std::mem::take(&mut effects.tell);
            if planted!(CancelForgotten) {
                told.clear();
            }
            self.carry_out(effects);
            for tasks in told {
                tasks.iter().for_each(|task| self.tell_cancel(task, acknowledge()));
            }
        }
    }

    pub(super) fn retry(&mut self, target: Target, reply: Reply<Response>) {
        match target {
            Target::Task(task) if self.graphs.entry(task).is_none() => {
                reply.send(Response::NotFound(Target::Task(task)));
            }
            Target::Task(task) => match self.graphs.may_retry(task) {
                Ok(()) => {
                    self.retry_task(task);
                    self.when_written(reply, Response::RetryAsked { tasks: 1 });
                }
                Err(refused) => reply.send(Response::Refused(refused.to_string().into())),
            },
            Target::Graph(graph) => self.retry_graph(graph, reply),
        }
    }

    /// Every task of the graph that failed or was cancelled by itself; what was skipped follows.
    fn retry_graph(&mut self, graph: GraphId, reply: Reply<Response>) {
        if self.graphs.view(graph).is_none() {
            return reply.send(Response::NotFound(Target::Graph(graph)));
        }
        let mut tasks = 0;
        for state in [TaskState::Failed, TaskState::Cancelled] {
            let mut from = Some(graph.first_task());
            while let Some(first) = from {
                let page = self.graphs.tasks(first, Some(state), PAGE);
                let ended = page.tasks.iter().map(|entry| entry.task);
                let again: Vec<_> = ended.filter(|task| self.graphs.may_retry(*task).is_ok()).collect();
                tasks += again.len() as u64;
                again.into_iter().for_each(|task| self.retry_task(task));
                from = page.next;
            }
        }
        self.when_written(reply, Response::RetryAsked { tasks });
    }

    /// Tries a task again, unless another of its gang has brought it back by now.
    fn retry_task(&mut self, task: TaskId) {
        self.write_all_of(task);
        if self.graphs.may_retry(task).is_ok() {
            self.record(task, Purpose::Retry);
        }
    }

    /// Answers once everything written so far is on disk.
    pub(super) fn when_written<R: Send + 'static>(&self, reply: Reply<R>, answer: R) {
        self.side.log.when_durable(self.side.log.last(), move || reply.send(answer));
    }
}

/// What was found out about a submission that is taken in.
#[derive(Debug)]
pub(super) struct Checked {
    /// The shapes of its items.
    pub(super) shapes: Vec<ShapeId>,
    /// What of it no machine can run as things are.
    pub(super) warnings: Box<[Box<str>]>,
}

/// Bytes of a graph that are written at once: thousands of small tasks.
const PIECE_BYTES: usize = 1024 * 1024;

/// Tasks looked at in one go.
const PAGE: usize = 1000;

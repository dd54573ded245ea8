//! Adding to a graph: what the gateway has to know for it, and the addition itself.

use std::sync::Arc;

use policy::event::{Event, GraphEvent, GraphPart, Item};
use policy::event::{LogPosition, SubmissionKey};
use policy::graph::{ItemShape, Known};
use policy::id::{GraphId, TaskId};
use policy::submission::Submission;
use supervision::Reply;

use crate::log::{Appended, Batch};
use crate::scheduler::intake::Checked;
use crate::scheduler::{SchedulerActor, no_effects};
use crate::wire::client::{Response, Submitted, Target};

/// What is to be added to a graph.
#[derive(Debug, Clone)]
pub struct Addition {
    /// The graph.
    pub graph: GraphId,
    /// The items; what they depend on is named by the places in the graph.
    pub submission: Submission,
    /// How many items the graph had when these places were worked out.
    pub before: u32,
    /// Tells it from another one under the same key.
    pub digest: [u8; 16],
}

/// What was found out before an addition.
#[derive(Debug, Clone)]
pub enum Grounds {
    /// This is the answer already.
    Answered(Response),
    /// The items of the graph from the place asked for on: the first task of each, and where its record is.
    Items(Arc<[(TaskId, LogPosition)]>),
}

impl SchedulerActor {
    /// What names an addition to a graph could use, unless this key was used before.
    pub(super) fn grounds(
        &self,
        graph: GraphId,
        (key, digest): (SubmissionKey, [u8; 16]),
        from: usize,
        reply: Reply<Grounds>,
    ) {
        match self.may_extend(graph, key, digest) {
            // Their names are read from the log next.
            None => {
                let items: Arc<[_]> = self.graphs.items(graph, from).collect();
                self.when_written(reply, Grounds::Items(items));
            }
            Some(answer) => self.when_written(reply, Grounds::Answered(answer)),
        }
    }

    /// Adds to a graph. Answers `None` where the graph has got other items since the places were worked out.
    pub(super) fn extend(&mut self, addition: &Addition, reply: Reply<Option<Response>>) {
        let Addition { graph, submission, before, digest } = addition;
        self.look_at_lending();
        if let Some(answer) = self.may_extend(*graph, submission.key, *digest) {
            return self.when_written(reply, Some(answer));
        }
        if self.graphs.view(*graph).is_none_or(|view| view.items != *before) {
            return reply.send(None);
        }
        let Checked { shapes, warnings } = match self.check_room(submission) {
            Ok(checked) => checked,
            Err(refusal) => return reply.send(Some(refusal)),
        };
        let part = submission.part(self.graphs.next_task(), *digest);
        let appended = self.write_part(*graph, &part, &submission.items);
        let items = submission.items.iter().zip(&shapes).zip(&appended[1..]);
        let items = items.map(|((item, shape), appended)| ItemShape::of(item, *shape, appended.position));
        let mut effects = no_effects();
        if let Err(malformed) = self.graphs.extend(*graph, (&part, appended[0].at), items, &mut effects) {
            return reply.send(Some(Response::Refused(malformed.to_string().into())));
        }
        self.note_bounds(part.first, &submission.items, appended[0].at);
        self.carry_out(effects);
        let (first, tasks) = (part.first, part.tasks);
        self.when_written(
            reply,
            Some(Response::Submitted(Submitted { graph: *graph, first, tasks, repeated: false, warnings })),
        );
    }

    /// Why nothing is added, or what was added under this key before.
    fn may_extend(&self, graph: GraphId, key: SubmissionKey, digest: [u8; 16]) -> Option<Response> {
        if let Some(known) = self.graphs.submitted(key) {
            return Some(repeated(&known, digest));
        }
        let Some(view) = self.graphs.view(graph) else {
            return Some(Response::NotFound(Target::Graph(graph)));
        };
        (view.cancel_asked && view.finished_at.is_none()).then(|| {
            Response::Refused(format!("{graph} is still being cancelled: add to it when it has ended").into())
        })
    }

    fn write_part(&self, graph: GraphId, part: &GraphPart, items: &[Item]) -> Vec<Appended> {
        let mut batch = Batch::new();
        batch.push(&Event::Graph(graph, GraphEvent::Extended(part.clone())), 0, graph.0);
        for item in items {
            batch.push(&Event::Graph(graph, GraphEvent::ItemAdmitted(item.clone())), 0, graph.0);
        }
        self.side.log.append_batch(&batch)
    }
}

/// The answer to a key that was used before.
pub(super) fn repeated(known: &Known, digest: [u8; 16]) -> Response {
    let Known { graph, first, tasks, .. } = *known;
    if known.digest != digest {
        return Response::Conflict { graph };
    }
    let (tasks, warnings) = (u64::from(tasks), Box::default());
    Response::Submitted(Submitted { graph, first, tasks, repeated: true, warnings })
}

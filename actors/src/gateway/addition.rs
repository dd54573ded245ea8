//! Adding to a graph: names are looked up in the log, outside any actor, and the scheduler takes what was found
//! only where nobody has added to the graph meanwhile.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use policy::admission::{self, Existing};
use policy::event::LogPosition;
use policy::id::{GraphId, TaskId};
use policy::submission::Submission;

use crate::gateway::answer::{Answerer, not_now, off_loop};
use crate::scheduler::{Addition, Grounds, SchedulerMessage};
use crate::side::Side;
use crate::story;
use crate::wire::client::Response;

/// Additions to one graph that may come between before this one gives up for now.
const TRIES_LIMIT: usize = 16;
/// Graphs whose names are kept: those that agents add to at the same time.
const GRAPHS_LIMIT: usize = 16;
/// Items of all of them: some 100 bytes each.
const ITEMS_LIMIT: u32 = 200_000;

impl Answerer {
    /// Adds to a graph what was found sound by itself.
    pub(super) async fn add(
        &self,
        graph: GraphId,
        submission: Box<Submission>,
        digest: [u8; 16],
    ) -> Response {
        let (key, submission) = (submission.key, Arc::new(*submission));
        for _ in 0..TRIES_LIMIT {
            let existing = self.names.take(graph);
            let from = existing.items() as usize;
            let grounds = |reply| SchedulerMessage::Grounds { graph, submission: (key, digest), from, reply };
            let items = match self.ask(grounds).await {
                Ok(Grounds::Items(items)) => items,
                Ok(Grounds::Answered(answer)) | Err(answer) => return answer,
            };
            let (side, new) = (Arc::clone(&self.side), Arc::clone(&submission));
            let placed = off_loop(move || {
                let existing = grown(existing, &side, &items)?;
                let placed = admission::place(&new, &existing, &side.limits().admission);
                Ok::<_, story::StoryError>((existing, placed))
            });
            let (existing, items) = match placed.await {
                Some(Ok((existing, Ok(items)))) => (existing, items),
                Some(Ok((existing, Err(rejection)))) => {
                    self.names.keep(graph, existing);
                    return Response::Rejected(rejection);
                }
                Some(Err(why)) => return Response::Refused(why.to_string().into()),
                None => return not_now("the request was dropped"),
            };
            let before = existing.items();
            self.names.keep(graph, existing);
            let submission = Submission { items, ..Submission::clone(&submission) };
            let addition = Box::new(Addition { graph, submission, before, digest });
            match self.ask(|reply| SchedulerMessage::Extend { addition, reply }).await {
                Ok(Some(answer)) | Err(answer) => return answer,
                Ok(None) => {}
            }
        }
        not_now(&format!("others add to {graph} all the time"))
    }
}

/// With the items that came since.
fn grown(
    mut existing: Existing,
    side: &Side,
    items: &[(TaskId, LogPosition)],
) -> Result<Existing, story::StoryError> {
    for (first, position) in items {
        existing.push(*first, &story::read_item(&side.archive, *position)?.item);
    }
    Ok(existing)
}

/// The names of the graphs that were added to last: a graph that grows task by task is not read anew for each.
#[derive(Debug, Default)]
pub(super) struct NamesOfGraphs(Mutex<VecDeque<(GraphId, Existing)>>);

impl NamesOfGraphs {
    /// What is known of a graph, to be kept again.
    fn take(&self, graph: GraphId) -> Existing {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| *known == graph);
        at.and_then(|at| kept.remove(at)).map(|(_, existing)| existing).unwrap_or_default()
    }

    fn keep(&self, graph: GraphId, existing: Existing) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, _)| *known != graph);
        kept.push_back((graph, existing));
        let items = |kept: &VecDeque<(GraphId, Existing)>| -> u32 {
            kept.iter().fold(0, |sum, (_, existing)| sum.saturating_add(existing.items()))
        };
        while kept.len() > GRAPHS_LIMIT || items(&kept) > ITEMS_LIMIT {
            kept.pop_front();
        }
    }
}

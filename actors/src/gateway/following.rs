//! Following what happens: pages of records that somebody wants.

use std::time::Duration;

use policy::event::{Event, GraphEvent, Record};
use policy::id::{GraphId, TaskId, TaskRange};

use crate::gateway::answer::{Answerer, not_now, off_loop};
use crate::log::{Log, ReadError};
use crate::scheduler::SchedulerMessage;
use crate::wire::client::{EventFilter, EventsPage, Response, Target};
use crate::wire::codec;

/// Bytes of records in one page of events: half a frame, so that the page fits with all around it.
const EVENTS_BYTES_LIMIT: usize = crate::wire::FRAME_LIMIT_BYTES / 2;

/// Records looked at for one page at the most: about 20 ms of reading.
const EVENTS_SCAN_LIMIT: usize = 20_000;

/// Following what happens.
impl Answerer {
    pub(super) async fn events(
        &self,
        after: u64,
        filter: EventFilter,
        limit: u32,
        wait: Duration,
    ) -> Response {
        let filter = match self.filter(filter).await {
            Ok(filter) => filter,
            Err(refusal) => return refusal,
        };
        let mut durable = self.side.log.subscribe_durable();
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            durable.mark_unchanged();
            let (log, filter) = (self.side.log.clone(), filter.clone());
            match off_loop(move || page(&log, after, filter, limit as usize)).await {
                Some(Ok(page)) if page.records.is_empty() && page.next_after <= after => {
                    let more = tokio::time::timeout_at(deadline, durable.changed()).await;
                    if !matches!(more, Ok(Ok(()))) {
                        return Response::Events(page);
                    }
                }
                Some(Ok(page)) => return Response::Events(page),
                Some(Err(why)) => return Response::Refused(why.to_string().into()),
                None => return not_now("the request was dropped"),
            }
        }
    }

    pub(super) async fn filter(&self, filter: EventFilter) -> Result<Wanted, Response> {
        Ok(match filter {
            EventFilter::All => Wanted::All,
            EventFilter::Task(task) => match self.ask(|reply| SchedulerMessage::Row { task, reply }).await? {
                Some(_) => Wanted::Task(task),
                None => return Err(Response::NotFound(Target::Task(task))),
            },
            EventFilter::Graph(graph) => {
                let parts = self.ask(|reply| SchedulerMessage::Parts { graph, reply }).await?;
                if parts.is_empty() {
                    return Err(Response::NotFound(Target::Graph(graph)));
                }
                Wanted::Graph(graph, parts)
            }
        })
    }
}

/// Which records a follower wants.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    All,
    Task(TaskId),
    /// Of the graph, and of its tasks with these ids, in ascending order.
    Graph(GraphId, Vec<TaskRange>),
}

impl Wanted {
    /// Whether this is one of them. What is added to the graph belongs to it from then on.
    fn takes(&mut self, record: &Record) -> bool {
        match (self, &record.event) {
            (Self::All, _) => true,
            (Self::Task(wanted), Event::Task { task, .. }) => wanted == task,
            (
                Self::Task(wanted),
                Event::Graph(
                    _,
                    GraphEvent::Unschedulable { tasks, .. }
                    | GraphEvent::Schedulable { tasks }
                    | GraphEvent::Prioritised { tasks, .. },
                ),
            ) => tasks.contains(*wanted),
            (Self::Graph(_, parts), Event::Task { task, .. }) => {
                let after = parts.partition_point(|tasks| tasks.first <= *task);
                after.checked_sub(1).is_some_and(|at| parts[at].contains(*task))
            }
            (Self::Graph(wanted, parts), Event::Graph(graph, event)) if wanted == graph => {
                if let GraphEvent::Extended(part) = event
                    && parts.last().is_none_or(|last| last.first < part.first)
                {
                    parts.push(part.range());
                }
                true
            }
            (Self::Task(_) | Self::Graph(..), _) => false,
        }
    }
}

/// The next page of records after a number, of those that are wanted.
pub(super) fn page(log: &Log, after: u64, mut wanted: Wanted, limit: usize) -> Result<EventsPage, ReadError> {
    let (mut records, mut next_after, mut scanned, mut bytes) = (Vec::new(), after, 0, 0);
    let mut lost_before = 0;
    while records.len() < limit && scanned < EVENTS_SCAN_LIMIT && bytes < EVENTS_BYTES_LIMIT {
        let some = match log.records_from(next_after + 1, limit, EVENTS_BYTES_LIMIT - bytes) {
            Err(ReadError::Removed { number, .. }) => {
                (next_after, lost_before) = (number - 1, number);
                continue;
            }
            some => some?,
        };
        let Some((_, last)) = some.last() else { break };
        (next_after, scanned) = (last.number, scanned + some.len());
        for (_, record) in some.into_iter().filter(|(_, record)| wanted.takes(record)) {
            bytes += codec::encode(&record).len();
            records.push(record);
        }
    }
    Ok(EventsPage { records, next_after, lost_before })
}

//! Submitting and telling how it went, in one answer: for command lines that live for milliseconds.

use std::time::Duration;

use policy::event::{Event, Record, TaskEvent};
use policy::submission::Submission;

use crate::gateway::answer::{Answerer, off_loop};
use crate::gateway::following::page;
use crate::wire::client::{
    EventFilter, EventsPage, GraphRow, PAGE_LIMIT, RAN_OUTPUT_LIMIT_BYTES, Ran, Response, WAIT_LIMIT,
};
use crate::wire::fleet::{OutputFrom, OutputPiece, OutputRead};

impl Answerer {
    pub(super) async fn run(&self, submission: Box<Submission>, wait: Duration, report: bool) -> Response {
        let before = self.side.log.durable();
        let submitted = match self.submit(submission).await {
            Response::Submitted(submitted) => submitted,
            refused => return refused,
        };
        let row = match self.graph(submitted.graph, wait.min(WAIT_LIMIT)).await {
            Response::Graph(row) => *row,
            refused => return refused,
        };
        let mut ran = Ran { submitted, row, events: EventsPage::default(), output: None };
        // What was submitted before may have any number of events: its follower begins at the beginning.
        if report && !ran.submitted.repeated {
            ran.events = self.events_since(before, &ran.row).await;
            ran.output = self.whole_output(&ran).await;
        }
        Response::Ran(Box::new(ran))
    }

    /// What can be read now; who follows asks for the rest.
    async fn events_since(&self, before: u64, row: &GraphRow) -> EventsPage {
        let nothing = EventsPage { next_after: before, ..EventsPage::default() };
        let Ok(wanted) = self.filter(EventFilter::Graph(row.graph)).await else { return nothing };
        let log = self.side.log.clone();
        let read = off_loop(move || page(&log, before, wanted, PAGE_LIMIT as usize)).await;
        read.and_then(Result::ok).unwrap_or(nothing)
    }

    async fn whole_output(&self, ran: &Ran) -> Option<OutputPiece> {
        if ran.row.ended.is_none() || ran.row.tasks.total() != 1 || !is_one_attempt(&ran.events.records) {
            return None;
        }
        let (from, max_bytes) = (OutputFrom::Cursor(0), RAN_OUTPUT_LIMIT_BYTES);
        let read = OutputRead { from, max_bytes, wait: Duration::ZERO };
        match self.output(ran.row.graph.first_task(), None, read).await {
            Response::Output(Ok(piece)) if piece.complete => Some(piece),
            _ => None,
        }
    }
}

fn is_one_attempt(records: &[Record]) -> bool {
    let granted =
        |record: &&Record| matches!(record.event, Event::Task { event: TaskEvent::Granted { .. }, .. });
    records.iter().filter(granted).count() == 1
}

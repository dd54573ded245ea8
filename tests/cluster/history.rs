//! What the event history says, checked: each task's events without a gap, its attempts one after the
//! other, and exactly one end.

use std::collections::BTreeMap;

use actors::client::{Client, ClientError, Seen};
use actors::wire::client::EventFilter;
use policy::event::{Event, Next, Record, TaskEvent};
use policy::id::{TaskId, Token};
use policy::task::{AttemptOutcome, TaskOutcome};

/// One attempt as the history tells it.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) token: Token,
    pub(crate) outcome: AttemptOutcome,
}

/// One task as the history tells it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Story {
    events: u32,
    open: Option<Token>,
    last_token: Option<Token>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) end: Option<TaskOutcome>,
}

/// All records from the first one on.
pub(crate) async fn all_records(client: Client) -> Result<Vec<Record>, ClientError> {
    let last = client.hello().await?.durable;
    let mut watch = client.events(0, EventFilter::All);
    let mut records = Vec::new();
    while watch.fetched() < last || records.len() < usize::try_from(last).unwrap_or(usize::MAX) {
        match watch.next_past().await? {
            Some(Seen::Record(record)) => records.push(record),
            Some(Seen::Gap { resumes_at }) => panic!("records before {resumes_at} are missing"),
            None => break,
        }
    }
    Ok(records)
}

/// The stories of all tasks; panics where the history breaks a rule.
pub(crate) fn stories(records: &[Record]) -> BTreeMap<TaskId, Story> {
    let mut stories = BTreeMap::<TaskId, Story>::new();
    for (place, record) in records.iter().enumerate() {
        assert_eq!(record.number, place as u64 + 1, "the log's numbers have a gap");
        if let Event::Task { task, sequence, event, .. } = &record.event {
            let story = stories.entry(*task).or_default();
            story.events += 1;
            assert_eq!(
                *sequence, story.events,
                "the events of {task} have a gap at record {}",
                record.number
            );
            story.hear(*task, event);
        }
    }
    stories
}

impl Story {
    fn hear(&mut self, task: TaskId, event: &TaskEvent) {
        match event {
            TaskEvent::RetryAsked => assert!(self.end.take().is_some(), "{task}: a retry before the end"),
            _ => assert!(self.end.is_none(), "{task}: {event:?} after its end"),
        }
        match event {
            TaskEvent::Granted { token, .. } => {
                assert_eq!(self.open, None, "{task}: a second attempt at the same time");
                assert!(Some(*token) > self.last_token, "{task}: the token did not grow");
                (self.open, self.last_token) = (Some(*token), Some(*token));
            }
            TaskEvent::Started { token, .. } => {
                assert_eq!(self.open, Some(*token), "{task}: an attempt started under another token");
            }
            TaskEvent::AttemptEnded { token, outcome, next, .. } => {
                assert_eq!(self.open.take(), Some(*token), "{task}: an attempt ended under another token");
                self.attempts.push(Attempt { token: *token, outcome: outcome.clone() });
                if let Next::Finish(end) = next {
                    self.end = Some(end.clone());
                }
            }
            TaskEvent::Finished(end) => {
                assert_eq!(self.open, None, "{task}: ended with an attempt under way");
                self.end = Some(end.clone());
            }
            TaskEvent::CancelAsked
            | TaskEvent::EvictAsked { .. }
            | TaskEvent::RetryAsked
            | TaskEvent::ReportIgnored { .. }
            | TaskEvent::StepBegan { .. } => {}
        }
    }
}

//! The client against a service in the same process, over connections that break where a test wants it.

use std::collections::VecDeque;
use std::sync::Mutex as Lock;

use policy::event::{Event, GraphEvent, Item, Record, SubmissionKey};
use policy::layout::Layout;
use policy::output::Stream;
use policy::task::TaskSpec;
use policy::time::Timestamp;
use supervision::First;

use super::transport::{BoxFuture, TransportError};
use super::*;
use crate::wire::client::{StateName, TaskCounts};
use crate::wire::fleet::{OutputFrom, OutputPart};
use crate::wire::inspect::{CHANGES_SINCE, Look, Sight};

type Answering = dyn Fn(Request) -> Response + Send + Sync;

/// Answers with a function and remembers what was asked.
struct Script {
    asked: Lock<Vec<Request>>,
    answer: Box<Answering>,
}

impl Service for Script {
    fn handle(&self, _: &policy::trust::Caller, request: Request) -> BoxFuture<'static, Response> {
        self.asked.lock().unwrap().push(request.clone());
        let response = (self.answer)(request);
        Box::pin(async move { response })
    }
}

fn script(answer: impl Fn(Request) -> Response + Send + Sync + 'static) -> (Client, Arc<Script>) {
    let script = Arc::new(Script { asked: Lock::default(), answer: Box::new(answer) });
    (Client::in_process(script.clone(), Clock::system()), script)
}

/// What happens to the next calls and dials; when the list is used up everything works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    DialFails,
    LostBefore,
    LostAfter,
}

#[derive(Debug)]
struct Flaky {
    inner: InProcess,
    fates: Lock<VecDeque<Fate>>,
    layout: Layout,
}

impl Flaky {
    fn meets(&self, fate: Fate) -> bool {
        let mut fates = self.fates.lock().unwrap();
        let met = fates.front() == Some(&fate);
        if met {
            fates.pop_front();
        }
        met
    }
}

#[derive(Debug)]
struct FlakyDial(Arc<Flaky>);

#[derive(Debug)]
struct FlakyConnection(Arc<Flaky>);

impl Dial for FlakyDial {
    fn dial(&self, _: Duration) -> BoxFuture<'_, Result<Arc<dyn Transport>, TransportError>> {
        let fails = self.0.meets(Fate::DialFails);
        let connection: Arc<dyn Transport> = Arc::new(FlakyConnection(self.0.clone()));
        let refused = TransportError::NotThere { why: "connection refused".into() };
        Box::pin(async move { if fails { Err(refused) } else { Ok(connection) } })
    }

    fn place(&self) -> String {
        "the daemon at test".into()
    }
}

impl Transport for FlakyConnection {
    fn layout(&self) -> Layout {
        self.0.layout
    }

    fn call(&self, frame: Vec<u8>, deadline: Duration) -> BoxFuture<'_, Result<Vec<u8>, TransportError>> {
        let closed = || TransportError::Closed { why: "reset".into() };
        Box::pin(async move {
            if self.0.meets(Fate::LostBefore) {
                return Err(closed());
            }
            let answer = self.0.inner.call(frame, deadline).await;
            if self.0.meets(Fate::LostAfter) { Err(closed()) } else { answer }
        })
    }
}

fn flaky(answer: impl Fn(Request) -> Response + Send + Sync + 'static) -> (Client, Arc<Flaky>) {
    let service = Arc::new(Script { asked: Lock::default(), answer: Box::new(answer) });
    let inner = InProcess::new(service, Clock::system());
    let flaky = Arc::new(Flaky { inner, fates: Lock::default(), layout: Layout::CURRENT });
    (Client::new(Arc::new(FlakyDial(flaky.clone()))), flaky)
}

fn submission(tasks: usize, argument_bytes: usize) -> Submission {
    let spec = Arc::new(TaskSpec {
        tenant: "t".into(),
        ..TaskSpec::new("a", vec!["echo".into(), "x".repeat(argument_bytes).into()])
    });
    let item = Item::new(spec);
    Submission::new(SubmissionKey(1), "g", vec![item; tasks])
}

fn graph_row(graph: u64, ended: bool) -> GraphRow {
    GraphRow {
        graph: GraphId(graph),
        name: "g".into(),
        submitted: Timestamp(1),
        ended: ended.then_some(Timestamp(2)),
        tasks: TaskCounts::default(),
        budget: None,
        unschedulable: 0,
    }
}

fn record(number: u64) -> Record {
    let event = Event::Graph(GraphId(1), GraphEvent::CancelAsked);
    Record { number, at: Timestamp(number), cause: 0, correlation: 0, event }
}

/// Answers events 1..=last, three at a time.
fn events(after: u64, last: u64) -> Response {
    let records: Vec<_> = (after + 1..=last).take(3).map(record).collect();
    let next_after = records.last().map_or(after, |record| record.number);
    Response::Events(EventsPage { records, next_after, lost_before: 0 })
}

#[tokio::test]
async fn a_submission_larger_than_a_frame_arrives_whole() {
    let (client, script) = script(|request| match request {
        Request::Submit(submission) => {
            let tasks = submission.items.len() as u64;
            Response::Submitted(Submitted {
                graph: GraphId(1),
                first: TaskId(1),
                tasks,
                repeated: false,
                warnings: Box::default(),
            })
        }
        other => panic!("{other:?}"),
    });
    let large = submission(40, 100_000);
    assert_eq!(client.submit(large.clone()).await.unwrap().tasks, 40);
    assert_eq!(*script.asked.lock().unwrap(), [Request::Submit(Box::new(large))]);
}

#[tokio::test]
async fn what_an_agent_awaits_can_be_spawned() {
    let (client, _) = script(|request| match request {
        Request::Submit(_) => Response::Busy { reason: "full".into(), retry_after: Duration::from_secs(1) },
        other => panic!("{other:?}"),
    });
    let submitting =
        tokio::spawn(async move { client.submit_patiently(submission(1, 1), Duration::ZERO).await });
    assert!(matches!(submitting.await.unwrap(), Err(ClientError::Busy { .. })));
}

#[tokio::test]
async fn lists_are_fetched_page_by_page() {
    let (client, script) = script(|request| match request {
        Request::Graphs { before, limit } => {
            let newest = before.map_or(2500, |before| before.0 - 1);
            let rows = (1..=newest).rev().take(limit as usize).map(|graph| graph_row(graph, true));
            Response::Graphs(rows.collect())
        }
        other => panic!("{other:?}"),
    });
    let rows = client.graphs(usize::MAX).await.unwrap();
    assert!(rows.iter().map(|row| row.graph.0).eq((1..=2500).rev()));
    assert_eq!(script.asked.lock().unwrap().len(), 4);
    assert_eq!(client.graphs(10).await.unwrap().len(), 10);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_into_a_frame_is_refused_by_the_server() {
    let (client, _) = script(|_| Response::Refused("x".repeat(2_000_000).into()));
    let refused = client.status().await.unwrap_err();
    assert_eq!(refused.to_string(), "the answer does not fit into a frame; ask for fewer rows at once");
}

#[tokio::test]
async fn refusals_become_errors_that_say_what_to_do() {
    let (client, _) = script(|request| match request {
        Request::Cancel(target) => Response::NotFound(target),
        Request::Retry(_) => Response::Refused("t3 has not ended".into()),
        Request::Status => Response::Nodes(Vec::new()),
        _ => Response::Busy { reason: "the disk is full".into(), retry_after: Duration::from_secs(2) },
    });
    let target = Target::Task(TaskId(3));
    assert_eq!(
        client.cancel(target).await.unwrap_err().to_string(),
        "there is no task t3; `crab list` shows the graphs, `crab status GRAPH` their tasks"
    );
    assert_eq!(client.retry(target).await.unwrap_err().to_string(), "t3 has not ended");
    assert_eq!(
        client.nodes().await.unwrap_err().to_string(),
        "the scheduler takes nothing now: the disk is full; try again in 2s"
    );
    assert!(matches!(client.status().await, Err(ClientError::Protocol(_))));
}

#[tokio::test(start_paused = true)]
async fn a_busy_scheduler_is_asked_again_for_as_long_as_there_is_patience() {
    let (client, script) =
        script(|_| Response::Busy { reason: "full".into(), retry_after: Duration::from_secs(2) });
    let refused = client.submit_patiently(submission(1, 1), Duration::from_secs(9)).await.unwrap_err();
    assert!(matches!(refused, ClientError::Busy { .. }));
    assert_eq!(script.asked.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn a_scheduler_that_is_not_there_is_an_error_at_once() {
    let (client, flaky) = flaky(|_| Response::Nodes(Vec::new()));
    flaky.fates.lock().unwrap().push_back(Fate::DialFails);
    assert_eq!(
        client.wait(GraphId(1), None).await.unwrap_err().to_string(),
        "cannot reach the daemon at test: connection refused; start it with `crabd`, or name another with \
         --address HOST:PORT"
    );
}

#[tokio::test]
async fn a_lost_connection_is_replaced_and_the_request_sent_again() {
    let (client, flaky) = flaky(|_| Response::Nodes(Vec::new()));
    client.nodes().await.unwrap();
    flaky.fates.lock().unwrap().extend([Fate::LostBefore]);
    assert_eq!(client.nodes().await, Ok(Vec::new()));
    flaky.fates.lock().unwrap().extend([Fate::LostBefore, Fate::LostBefore]);
    assert!(matches!(client.nodes().await, Err(ClientError::Unreachable { .. })));
    assert_eq!(client.nodes().await, Ok(Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_ends_at_its_deadline() {
    struct Silent;
    impl Service for Silent {
        fn handle(&self, _: &policy::trust::Caller, _: Request) -> BoxFuture<'static, Response> {
            Box::pin(std::future::pending())
        }
    }
    let client = Client::in_process(Arc::new(Silent), Clock::system());
    let error = client.status().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the scheduler in this process did not answer within 15s; ask again, or see `crab status`"
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_sees_every_event_once_through_lost_connections() {
    let (client, flaky) = flaky(|request| match request {
        Request::Events { after, .. } => events(after, 10),
        other => panic!("{other:?}"),
    });
    let mut watch = client.events(0, EventFilter::All);
    let mut seen = Vec::new();
    while seen.len() < 10 {
        match seen.len() {
            2 => flaky.fates.lock().unwrap().extend([Fate::LostBefore, Fate::DialFails, Fate::DialFails]),
            5 => flaky.fates.lock().unwrap().extend([Fate::LostAfter, Fate::LostBefore, Fate::LostAfter]),
            _ => {}
        }
        let Seen::Record(record) = watch.next().await.unwrap() else { panic!("no gap") };
        seen.push(record.number);
    }
    assert_eq!(seen, (1..=10).collect::<Vec<_>>());
    assert_eq!(watch.position(), 10);
    assert_eq!(watch.next_past().await, Ok(None));
    let mut resumed = client.events(7, EventFilter::All);
    assert_eq!(resumed.next().await, Ok(Seen::Record(record(8))));
}

#[tokio::test]
async fn events_that_are_gone_show_as_a_gap() {
    let (client, _) = script(|request| match request {
        Request::Events { after, .. } => {
            let Response::Events(page) = events(after.max(7), 9) else { unreachable!() };
            Response::Events(EventsPage { lost_before: 8, ..page })
        }
        other => panic!("{other:?}"),
    });
    let mut watch = client.events(0, EventFilter::All);
    assert_eq!(watch.next().await, Ok(Seen::Gap { resumes_at: 8 }));
    assert_eq!(watch.next().await, Ok(Seen::Record(record(8))));
    assert_eq!(watch.next().await, Ok(Seen::Record(record(9))));
    assert_eq!(watch.next_past().await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn waiting_goes_on_until_the_graph_ends_or_the_limit_is_over() {
    let (client, script) = script(|request| match request {
        Request::Graph { graph: GraphId(1), .. } => Response::Graph(Box::new(graph_row(1, true))),
        Request::Graph { graph, .. } => Response::Graph(Box::new(graph_row(graph.0, false))),
        other => panic!("{other:?}"),
    });
    assert!(client.wait(GraphId(1), None).await.unwrap().ended.is_some());
    let row = client.wait(GraphId(2), Some(Duration::ZERO)).await.unwrap();
    assert_eq!(row.ended, None);
    assert_eq!(script.asked.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn output_is_followed_to_its_end_through_lost_connections() {
    let (client, flaky) = flaky(|request| match request {
        Request::Output { read: OutputRead { from: OutputFrom::Cursor(at), .. }, .. } => {
            let bytes = vec![u8::try_from(at).unwrap()];
            let part = OutputPart { at: Timestamp(at), stream: Stream::Stdout, bytes, omitted: 0 };
            Response::Output(Ok(OutputPiece { parts: vec![part], next: at + 1, complete: at == 3 }))
        }
        other => panic!("{other:?}"),
    });
    let mut follow = client.output(TaskId(1), AttemptNumber(1));
    let mut seen = Vec::new();
    while let Some(piece) = follow.next().await.unwrap() {
        flaky.fates.lock().unwrap().extend([Fate::LostAfter]);
        seen.extend(piece.parts.into_iter().flat_map(|part| part.bytes));
    }
    assert_eq!(seen, [0, 1, 2, 3]);
}

#[test]
fn only_four_states_are_ends() {
    use strum::VariantArray;
    let ends: Vec<_> = StateName::VARIANTS.iter().filter(|state| state.has_ended()).collect();
    assert_eq!(ends.len(), 4);
}

#[tokio::test]
async fn a_daemon_of_the_version_before_is_asked_for_all_rows_and_not_for_items() {
    let answer = |request| match request {
        Request::Inspect { look: Look::Actors { .. }, .. } => {
            Response::Inspected(Box::new(Sight::Actors { rows: Vec::new(), more: 1 }))
        }
        Request::Inspect { look: Look::Changes { .. }, .. } => {
            Response::Inspected(Box::new(Sight::Changes(Box::default())))
        }
        Request::Oldest(_) => Response::Oldest(Vec::new()),
        other => Response::Refused(format!("{other:?}").into()),
    };
    let asked = |layout| async move {
        let service = Arc::new(Script { asked: Lock::default(), answer: Box::new(answer) });
        let inner = InProcess::new(service, Clock::system());
        let client =
            Client::new(Arc::new(FlakyDial(Arc::new(Flaky { inner, fates: Lock::default(), layout }))));
        let look = Look::Changes { subscriber: 1, after: 0, only: None, first: First::Oldest, limit: 9 };
        let sight = client.inspect(None, look).await.unwrap();
        (matches!(sight, Sight::Changes(_)), client.oldest(5).await.unwrap().is_some())
    };
    assert_eq!(asked(Layout::CURRENT).await, (true, true));
    assert_eq!(asked(Layout::of_protocol((CHANGES_SINCE - 1).into())).await, (false, false));
}

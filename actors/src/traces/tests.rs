//! Spans from records written by hand, and a receiver on loopback that takes them, or does not.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span as Told};
use policy::dependency::Dependency;
use policy::event::{Event, GraphEvent, GraphHead, Item, Next, SubmissionKey, TaskEvent};
use policy::id::{AttemptNumber, GraphId, NodeId, NodeSession, TaskId, Token};
use policy::lease::LeaseTerms;
use policy::task::{AttemptOutcome, TaskOutcome, TaskSpec, Usage};
use prost::Message as _;
use supervision::{Address, Child, Intensity, Running, Strategy, SupervisorArgs};

use super::*;
use crate::archive::Place as ArchivePlace;
use crate::clock::Clock;
use crate::config::Limits;
use crate::config::amount::Length;
use crate::log::LogLimits;
use crate::log::disk::SimulatedDisk;

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);
const GRAPH: GraphId = GraphId(1);

fn side() -> Arc<Side> {
    let disk = SimulatedDisk::new().hold().expect("nobody has it");
    let log = Log::open(disk, LogLimits::default(), Clock::system()).expect("it opens");
    Side::new(log, ArchivePlace::Memory, Clock::system(), LeaseTerms::default(), Limits::default())
}

fn of_task(side: &Side, task: u64, event: TaskEvent) {
    let event = Event::Task { task: TaskId(task), sequence: 1, previous: 0, event };
    side.log.append(&event, 0, GRAPH.0);
}

/// Two tasks, the second after the first, as `release`.
fn admit(side: &Side) {
    let head = GraphHead {
        name: "release".into(),
        key: SubmissionKey(7),
        items: 2,
        tasks: 2,
        digest: [0; 16],
        budget: policy::budget::Budget::default(),
    };
    side.log.append(&Event::Graph(GRAPH, GraphEvent::Admitted(head)), 0, 0);
    let build = Item::new(TaskSpec::new("build", vec!["true".into()]));
    let test = Item {
        dependencies: vec![Dependency::from(0)],
        ..Item::new(TaskSpec::new("test", vec!["true".into()]))
    };
    for item in [build, test] {
        side.log.append(&Event::Graph(GRAPH, GraphEvent::ItemAdmitted(item)), 0, GRAPH.0);
    }
}

/// One attempt of a task, from its grant to its end.
fn attempt(side: &Side, task: u64, (number, node): (u32, &str), (code, next): (i32, Next)) {
    let token = Token(task * 10 + u64::from(number));
    of_task(
        side,
        task,
        TaskEvent::Granted {
            token,
            attempt: AttemptNumber(number),
            node: NodeId::from(node),
            session: NodeSession(1),
            request: Default::default(),
            indices: Default::default(),
            gang: Vec::new(),
            waited: Vec::new(),
        },
    );
    of_task(side, task, TaskEvent::Started { token, pid: 42, order: 1 });
    let outcome = AttemptOutcome::Exited(code);
    let usage = Usage::default();
    of_task(side, task, TaskEvent::AttemptEnded { token, outcome, usage, order: 2, next, report: None });
}

fn run_all(side: &Side) {
    admit(side);
    attempt(side, 1, (1, "mac-1"), (1, Next::RetryAfter(Duration::from_millis(1))));
    attempt(side, 1, (2, "mac-2"), (0, Next::Finish(TaskOutcome::Succeeded)));
    attempt(side, 2, (1, "mac-1"), (0, Next::Finish(TaskOutcome::Succeeded)));
}

/// Answers each request with this, and hands its body over.
fn receiver(answer: &'static [u8]) -> (Endpoint, mpsc::Receiver<Vec<u8>>) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("there is room");
    let endpoint = format!("http://{}", socket.local_addr().expect("it has one"));
    let (told, bodies) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in socket.incoming().flatten() {
            let mut stream = stream;
            let (mut bytes, mut some) = (Vec::new(), [0; 4096]);
            let body = loop {
                let Ok(read @ 1..) = stream.read(&mut some) else { break None };
                bytes.extend_from_slice(&some[..read]);
                let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
                let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
                assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
                assert!(head.contains("content-type: application/x-protobuf"), "{head}");
                let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
                let length: usize = length.and_then(|length| length.parse().ok()).expect("it says how long");
                if bytes.len() >= end + 4 + length {
                    break Some(bytes[end + 4..].to_vec());
                }
            };
            let Some(body) = body else { continue };
            let _ = stream.write_all(answer);
            if told.send(body).is_err() {
                return;
            }
        }
    });
    (endpoint.parse().expect("it is one"), bodies)
}

async fn start(side: &Arc<Side>, endpoint: &Endpoint, telemetry: TelemetryConfig) -> Running {
    let args =
        TracesArgs { side: Arc::clone(side), name: "one".into(), endpoint: endpoint.clone(), telemetry };
    let address = Address::<TracesMessage>::new("traces", "");
    let traces = Child::worker::<TracesActor>("traces", &address, move || args.clone());
    let tree = SupervisorArgs::new("house", Strategy::OneForOne, Intensity::new(3, SECOND), vec![traces]);
    supervision::supervisor::start_behind(Address::new("supervisor", "house"), tree).await.expect("it starts")
}

fn words(span: &Told, key: &str) -> String {
    let found = span.attributes.iter().find(|one| one.key == key).and_then(|one| one.value.clone()?.value);
    match found {
        Some(Any::StringValue(text)) => text,
        Some(Any::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// Everything up to the graph's own span, by resource.
fn until_the_graph(bodies: &mpsc::Receiver<Vec<u8>>) -> Vec<ResourceSpans> {
    let mut all = Vec::new();
    loop {
        let body = bodies.recv_timeout(PATIENCE).expect("spans come");
        let request = ExportTraceServiceRequest::decode(&*body).expect("it is a request");
        all.extend(request.resource_spans);
        let mut spans = all.iter().flat_map(|one| &one.scope_spans).flat_map(|one| &one.spans);
        if spans.any(|span| span.name.starts_with("graph ")) {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graph_is_one_trace_over_all_machines_and_each_attempt_a_part_of_it() {
    let side = side();
    let (endpoint, bodies) = receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let mut tree = start(&side, &endpoint, TelemetryConfig::default()).await;
    run_all(&side);
    let told = tokio::task::spawn_blocking(move || until_the_graph(&bodies)).await.expect("it ends");
    tree.stop().await;
    let spans: Vec<&Told> = told.iter().flat_map(|one| &one.scope_spans).flat_map(|one| &one.spans).collect();
    let named = |name: &str| -> Vec<&&Told> { spans.iter().filter(|span| span.name == name).collect() };
    let root = named("graph release")[0];
    assert!(spans.iter().all(|span| span.trace_id == root.trace_id), "one trace");
    assert!(root.parent_span_id.is_empty() && named("submission")[0].parent_span_id == root.span_id);
    let (build, test) = (named("task build")[0], named("task test")[0]);
    assert_eq!((&build.parent_span_id, &test.links[0].span_id), (&root.span_id, &build.span_id));
    let attempts = named("attempt 1");
    assert_eq!((attempts.len(), named("attempt 2").len()), (2, 1));
    let second = named("attempt 2")[0];
    assert_eq!((words(second, "crab.task").as_str(), words(second, "crab.node").as_str()), ("t1", "mac-2"));
    assert_eq!(words(second, "process.exit.code"), "0");
    let first = attempts.iter().find(|span| words(span, "crab.task") == "t1").expect("it is there");
    assert_eq!(first.status.as_ref().map(|status| status.code), Some(2), "it failed");
    assert_eq!(first.parent_span_id, build.span_id);
    let run = named("run").into_iter().find(|run| run.parent_span_id == second.span_id).expect("it ran");
    assert!(run.end_time_unix_nano >= run.start_time_unix_nano && words(run, "process.pid") == "42");
    assert_eq!(named("dependencies").len(), 1, "of the second task");
    assert!(spans.iter().all(|span| span.end_time_unix_nano >= span.start_time_unix_nano));
    let hosts: std::collections::BTreeSet<_> = told
        .iter()
        .flat_map(|one| one.resource.iter().flat_map(|resource| &resource.attributes))
        .filter(|one| one.key == "host.name")
        .filter_map(|one| match one.value.as_ref()?.value.as_ref()? {
            Any::StringValue(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(hosts.into_iter().collect::<Vec<_>>(), ["mac-1", "mac-2", "one"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_takes_is_dropped_and_counted_and_nobody_waits_for_it() {
    let side = side();
    // It accepts, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("there is room");
    let endpoint = format!("http://{}", silent.local_addr().expect("it has one")).parse().expect("it is one");
    let telemetry = TelemetryConfig {
        queue: Some(64),
        batch: Some(1),
        deadline: Some(Length(SECOND)),
        ..TelemetryConfig::default()
    };
    let mut tree = start(&side, &endpoint, telemetry).await;
    let before = side.clock.now();
    run_all(&side);
    for _ in 0..100 {
        attempt(&side, 2, (3, "mac-1"), (0, Next::RetryAfter(Duration::ZERO)));
    }
    assert!(side.clock.now().since(before) < Duration::from_secs(5), "writing waits for nobody");
    let counted = async {
        while side.meters.read().spans_dropped < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("they are counted");
    assert_eq!(side.meters.read().spans_sent, 0);
    tree.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graph_that_was_open_before_is_told_to_its_end_and_nothing_of_it_twice() {
    let side = side();
    admit(&side);
    attempt(&side, 1, (1, "mac-1"), (0, Next::Finish(TaskOutcome::Succeeded)));
    side.log.settle().expect("durable");
    let (endpoint, bodies) = receiver(b"HTTP/1.1 200 OK\r\n\r\n");
    let mut tree = start(&side, &endpoint, TelemetryConfig::default()).await;
    attempt(&side, 2, (1, "mac-1"), (0, Next::Finish(TaskOutcome::Succeeded)));
    let told = tokio::task::spawn_blocking(move || until_the_graph(&bodies)).await.expect("it ends");
    tree.stop().await;
    let names: Vec<_> = told
        .iter()
        .flat_map(|one| &one.scope_spans)
        .flat_map(|one| &one.spans)
        .map(|span| &*span.name)
        .collect();
    assert!(names.contains(&"task test") && !names.contains(&"task build"), "{names:?}");
}

#[test]
fn a_graph_beyond_the_limit_is_counted_and_not_followed() {
    let head = GraphHead {
        name: "huge".into(),
        key: SubmissionKey(1),
        items: u32::try_from(spans::ITEMS_LIMIT).expect("it fits") + 1,
        tasks: 5,
        digest: [0; 16],
        budget: policy::budget::Budget::default(),
    };
    let record = policy::event::Record {
        number: 1,
        at: policy::time::Timestamp(1),
        cause: 0,
        correlation: 0,
        event: Event::Graph(GRAPH, GraphEvent::Admitted(head)),
    };
    let (mut fold, mut over) = (Fold::default(), Vec::new());
    fold.take(&record, &mut over);
    assert_eq!((over.len(), fold.take_missed(), fold.take_missed()), (0, 6, 0));
}

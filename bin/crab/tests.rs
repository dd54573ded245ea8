//! The command line: what can be typed, and whole commands against a scheduler that follows a script.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actors::client::Client;
use actors::client::service::Service;
use actors::client::transport::BoxFuture;
use actors::clock::Clock;
use actors::wire::client::{
    EventsPage, Found, GraphRow, Ran, Request, Response, Submitted, Target, TaskCounts,
};
use actors::wire::fleet::{OutputPart, OutputPiece};
use clap::{CommandFactory, Parser};
use policy::bounds::{Overrun, TimeLimit};
use policy::claims::Indices;
use policy::event::{ArraySpec, Event, Next, Record, TaskEvent};
use policy::id::{AttemptNumber, GraphId, NodeSession, TaskId, Token};
use policy::output::Stream;
use policy::task::{AttemptOutcome, Priority, RequestNumber, SpawnFailure, TaskOutcome, Usage};
use policy::time::Timestamp;

use crate::cli::args::later::Later;
use crate::cli::args::{Cli, Command};
use crate::cli::exit::Exit;
use crate::cli::run::run_scripted;
use crate::cli::screen::Screen;
use crate::cli::session::Opened;
use crate::cli::{target, wait, work};

fn parse(line: &[&str]) -> Result<Command, String> {
    let all = ["crab"].iter().chain(line);
    Cli::try_parse_from(all).map(|cli| cli.command).map_err(|error| error.to_string())
}

fn work_of(line: &[&str]) -> anyhow::Result<policy::submission::Submission> {
    match parse(line) {
        Ok(Command::Submit(Later(submit))) => work::submission(submit.work),
        Ok(Command::Run(Later(run))) => work::submission(run.work),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definition_of_the_arguments_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn a_single_command_takes_all_that_a_task_has() {
    let submission = work_of(&[
        "submit",
        "--name",
        "t",
        "--priority",
        "high",
        "--tenant",
        "ann",
        "--cpus",
        "0.5",
        "--memory",
        "4 GiB",
        "--gpu",
        "1",
        "--resource",
        "disk=3",
        "--env",
        "A=b=c",
        "--directory",
        "/work",
        "--timeout",
        "5m",
        "--grace",
        "1s",
        "--retries",
        "2",
        "--array",
        "1-1000%10",
        "--key",
        "k",
        "--",
        "sh",
        "-c",
        "exit 1",
    ])
    .unwrap();
    let item = &submission.items[0];
    assert_eq!(item.array, Some(ArraySpec { first: 1, count: 1000, parallel_limit: Some(10) }));
    let spec = &item.spec;
    assert_eq!((&*spec.name, &*spec.tenant, spec.priority), ("t", "ann", Priority::High));
    assert_eq!(spec.argv, ["sh".into(), "-c".into(), "exit 1".into()]);
    assert_eq!(spec.environment, [("A".into(), "b=c".into())]);
    assert_eq!(spec.directory, Some("/work".into()));
    let resources = &spec.resources;
    assert_eq!((resources.cpu_millis, resources.memory_bytes, resources.gpu_slots), (500, 4 << 30, 1));
    assert_eq!(resources.amount("disk"), 3);
    assert_eq!((spec.timeout, spec.grace), (Some(Duration::from_secs(300)), Duration::from_secs(1)));
    assert_eq!(spec.retry.max_attempts, 3);
    assert_eq!(submission.key, actors::client::key_of("k"));
}

#[test]
fn what_is_not_said_has_a_sensible_value() {
    let one = work_of(&["run", "--", "/usr/bin/make", "-j2"]).unwrap();
    let two = work_of(&["run", "--", "/usr/bin/make", "-j2"]).unwrap();
    assert_eq!((&*one.name, one.items[0].spec.resources.cpu_millis), ("make", 1000));
    assert_eq!(
        one.items[0].spec.directory,
        Some(actors::taskfile::path_text(&std::env::current_dir().unwrap()))
    );
    assert_ne!(one.key, two.key);
}

#[test]
fn wrong_arguments_are_refused_with_what_they_must_be() {
    let refused = |line: &[&str]| parse(line).map(|_| ()).unwrap_err();
    assert!(refused(&["submit"]).contains("required"));
    assert!(refused(&["submit", "--cpus", "0", "--", "x"]).contains("must be between 0.001 and 1,000,000"));
    assert!(refused(&["submit", "--array", "9-1", "--", "x"]).contains("must be the first and last index"));
    assert!(refused(&["submit", "--resource", "disk", "--", "x"]).contains("such as license=1"));
    assert!(refused(&["wait"]).contains("required"));
    assert!(refused(&["submit", "a.toml", "--", "x"]).contains("cannot be used with"));
    let refused = work_of(&["submit", "--cpus", "1", "a.toml"]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "--cpus is for a command; a task file says it itself (see `crab schema`)"
    );
    let refused = work_of(&["submit", "--env", "SURELY_NOT_SET", "--", "x"]).unwrap_err();
    assert_eq!(refused.to_string(), "--env SURELY_NOT_SET: is not set here; write NAME=VALUE");
    assert_eq!(Exit::of(&refused, Exit::FAILURE), Exit::USAGE);
}

/// One graph, `g1`, that goes as its events say.
struct Script {
    events: Vec<Event>,
    counts: TaskCounts,
    asked: Mutex<Vec<Request>>,
}

impl Script {
    fn answer(&self, request: &Request) -> Response {
        match request {
            Request::Run { submission, .. } => {
                let tasks = submission.items.iter().map(policy::event::Item::tasks).sum();
                let submitted = Submitted {
                    graph: GraphId(1),
                    first: TaskId(1),
                    tasks,
                    repeated: false,
                    warnings: Box::default(),
                };
                let Response::Graph(row) =
                    self.answer(&Request::Graph { graph: GraphId(1), wait: Duration::ZERO })
                else {
                    unreachable!()
                };
                let (events, output) = (EventsPage::default(), None);
                Response::Ran(Box::new(Ran { submitted, row: *row, events, output }))
            }
            Request::Events { after, .. } => {
                let numbered = (1..).zip(&self.events).skip(usize::try_from(*after).unwrap());
                let records: Vec<Record> = numbered
                    .map(|(number, event)| Record {
                        number,
                        at: Timestamp(number * 1_000_000),
                        cause: 0,
                        correlation: 0,
                        event: event.clone(),
                    })
                    .collect();
                let next_after = records.last().map_or(*after, |record| record.number);
                Response::Events(EventsPage { records, next_after, lost_before: 0 })
            }
            Request::Graph { graph, .. } => Response::Graph(Box::new(GraphRow {
                graph: *graph,
                name: "g".into(),
                submitted: Timestamp(0),
                ended: (graph.0 == 1).then_some(Timestamp(2_000_000)),
                tasks: self.counts,
                budget: None,
                unschedulable: 0,
            })),
            Request::Output { task, .. } => {
                let part = |stream, bytes: &[u8]| OutputPart {
                    at: Timestamp(0),
                    stream,
                    bytes: bytes.into(),
                    omitted: 0,
                };
                let out = format!("out of {task}\n");
                let parts =
                    vec![part(Stream::Stdout, out.as_bytes()), part(Stream::Stderr, b"\x1b[31merr\x1b[0m\n")];
                Response::Output(Ok(OutputPiece { parts, next: 1, complete: true }))
            }
            Request::Find(name) if &**name == "two" => {
                let found = |target| Found { target, name: "two".into() };
                Response::Found(vec![found(Target::Graph(GraphId(9))), found(Target::Task(TaskId(7)))])
            }
            Request::Find(_) => Response::Found(Vec::new()),
            other => panic!("{other:?}"),
        }
    }
}

impl Service for Script {
    fn handle(&self, _: &policy::trust::Caller, request: Request) -> BoxFuture<'static, Response> {
        let response = self.answer(&request);
        self.asked.lock().unwrap().push(request);
        Box::pin(async move { response })
    }
}

fn scripted(events: Vec<Event>, counts: TaskCounts) -> Opened {
    let script = Script { events, counts, asked: Mutex::default() };
    Opened::daemon(Client::in_process(Arc::new(script), Clock::system()))
}

fn task(task: u64, event: TaskEvent) -> Event {
    Event::Task { task: TaskId(task), sequence: 1, previous: 0, event }
}

/// Granted, started, and ended so.
fn attempt(id: u64, outcome: &AttemptOutcome) -> [Event; 3] {
    let token = Token(id);
    let end = match outcome {
        AttemptOutcome::Exited(0) => TaskOutcome::Succeeded,
        AttemptOutcome::Cancelled => TaskOutcome::Cancelled,
        other => TaskOutcome::Failed(other.clone()),
    };
    let (attempt, session) = (AttemptNumber(1), NodeSession(1));
    let usage = Usage { wall: Duration::from_millis(1500), ..Usage::default() };
    [
        task(
            id,
            TaskEvent::Granted {
                token,
                attempt,
                node: "mac1".into(),
                session,
                request: RequestNumber::default(),
                indices: Indices::new(),
                gang: Vec::new(),
                waited: Vec::new(),
            },
        ),
        task(id, TaskEvent::Started { token, pid: 1, order: 1 }),
        task(
            id,
            TaskEvent::AttemptEnded {
                token,
                outcome: outcome.clone(),
                usage,
                order: 2,
                next: Next::Finish(end),
                report: None,
            },
        ),
    ]
}

async fn run(opened: &Opened, line: &[&str]) -> (Exit, String, String) {
    let Ok(Command::Run(Later(args))) = parse(line) else { panic!("{line:?}") };
    let (mut screen, [out, err]) = Screen::remembering(false);
    let exit = run_scripted(opened, &mut screen, args).await.unwrap();
    (exit, out.text(), err.text())
}

#[tokio::test]
async fn a_command_passes_its_output_and_exit_code_through() {
    for (outcome, code) in [
        (AttemptOutcome::Exited(0), 0),
        (AttemptOutcome::Exited(7), 7),
        (AttemptOutcome::Signalled(9), 137),
        (
            AttemptOutcome::TimedOut(Box::new(Overrun {
                limit: TimeLimit::Timeout,
                allowed: Duration::from_secs(60),
                used: Duration::from_secs(61),
            })),
            124,
        ),
        (AttemptOutcome::SpawnFailed(SpawnFailure::of_task("command not found: \"x\"")), 127),
        (AttemptOutcome::SpawnFailed(SpawnFailure::of_task("not executable: \"x\"")), 126),
    ] {
        let opened = scripted(attempt(1, &outcome).into(), TaskCounts::default());
        let (exit, out, err) = run(&opened, &["run", "--", "x"]).await;
        assert_eq!((exit.0, out.as_str()), (code, "out of t1\n"));
        assert!(err.starts_with("\x1b[31merr\x1b[0m\n"), "byte for byte: {err:?}");
    }
}

#[tokio::test]
async fn a_graph_is_told_line_by_line_and_failures_at_the_end() {
    let mut events = Vec::from(attempt(1, &AttemptOutcome::Exited(0)));
    events.extend(attempt(2, &AttemptOutcome::Exited(3)));
    let counts = TaskCounts { succeeded: 1, failed: 1, ..TaskCounts::default() };
    let opened = scripted(events, counts);
    let (exit, out, _) = run(&opened, &["run", "--name", "a", "--array", "1-2", "--", "x"]).await;
    assert_eq!(exit, Exit::FAILURE);
    let lines: Vec<&str> = out.lines().map(|line| line.get(10..).unwrap_or(line)).collect();
    assert_eq!(
        lines[..4],
        [
            "a[1] started on mac1 (t1)",
            "a[1] succeeded after 1.5s (t1)",
            "a[2] started on mac1 (t2)",
            "a[2] failed: exited with 3 after 1.5s (t2)",
        ]
    );
    assert!(
        out.ends_with(
            "\na[2] (t2) exited with 3\n  | out of t2\n  | err\ng1 g: 1 failed, 1 succeeded in 2.0s\n"
        ),
        "{out}"
    );
}

#[tokio::test]
async fn a_graph_that_succeeds_is_success() {
    let counts = TaskCounts { succeeded: 1, ..TaskCounts::default() };
    let opened = scripted(attempt(1, &AttemptOutcome::Exited(0)).into(), counts);
    let (exit, out, _) = run(&opened, &["run", "--array", "1-1", "--", "x"]).await;
    assert_eq!(exit, Exit::SUCCESS);
    assert!(out.ends_with("  | out of t1\n  | err\ng1 g: 1 task succeeded in 2.0s\n"), "{out}");
}

#[tokio::test]
async fn waiting_tells_success_failure_and_a_limit_apart() {
    for (graph, failed, exit) in [(1, 0, Exit::SUCCESS), (1, 1, Exit::FAILURE), (2, 0, Exit::CONDITION)] {
        let opened = scripted(Vec::new(), TaskCounts { failed, ..TaskCounts::default() });
        let (mut screen, _) = Screen::remembering(true);
        let done = wait::graph(&opened.client, &mut screen, GraphId(graph), Some(Duration::ZERO)).await;
        assert_eq!(done.unwrap(), exit);
    }
}

#[tokio::test]
async fn a_name_must_mean_one_thing() {
    let opened = scripted(Vec::new(), TaskCounts::default());
    let error = target::find(&opened.client, "two").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"two\" is the name of 2 things, newest first: graph g9, task t7; name one of them"
    );
    let error = target::find(&opened.client, "none").await.unwrap_err();
    assert_eq!(Exit::of(&error, Exit::FAILURE), Exit::NOT_FOUND);
}

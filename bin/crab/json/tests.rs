//! The views word for word: what stands here is promised to scripts.

use std::time::Duration;

use actors::wire::client::{
    AttemptRow, Directed, NodeHealth, NodeRow, PressureRow, ServerInfo, StateName, Status,
    TaskDetail as Detail, TaskRow,
};
use actors::wire::fleet::OutputPart;
use policy::bounds::{Overrun, TimeLimit};
use policy::breaker::Seen;
use policy::dependency::Need;
use policy::directive::{Author, Directive, Scope};
use policy::event::{Event as Happened, Next, Record, TaskEvent};
use policy::graph::ReadyItem;
use policy::id::{AttemptNumber, GraphId, TaskId, Token};
use policy::output::Stream;
use policy::pressure::Mode;
use policy::task::{
    AttemptOutcome, Priority, RequestNumber, RetryPolicy, SpawnFailure, TaskOutcome, TaskSpec, Usage,
};
use policy::time::Timestamp;

use super::*;
use crate::cli::status;

/// 2026-01-01T00:00:00Z and so many seconds.
fn at(seconds: u64) -> Timestamp {
    Timestamp(1_767_225_600_000_000) + Duration::from_secs(seconds)
}

fn json(view: &impl Serialize) -> String {
    serde_json::to_string(view).unwrap()
}

fn resources() -> Resources {
    let named = [("license".into(), 1)].into();
    Resources { cpu_millis: 1500, memory_bytes: 1024, gpu_slots: 0, disk_bytes: 0, named }
}

fn task_row() -> TaskRow {
    TaskRow {
        task: TaskId(12),
        graph: GraphId(10),
        name: "test[2]".into(),
        state: StateName::BackingOff,
        priority: Priority::High,
        tenant: "ann".into(),
        attempts: 1,
        node: Some("mac1".into()),
        since: at(3),
        outcome: Some(TaskOutcome::Failed(AttemptOutcome::Exited(7))),
        in_use: None,
        progress: None,
        about: None,
        step: None,
    }
}

#[test]
fn a_submission() {
    let submitted = Submitted {
        graph: GraphId(12),
        first: TaskId(12),
        tasks: 3,
        repeated: false,
        warnings: Box::default(),
    };
    assert_eq!(
        json(&Submission::from(&submitted)),
        r#"{"v":1,"graph":"g12","tasks":3,"first_task":"t12","repeated":false,"warnings":[]}"#
    );
}

#[test]
fn a_graph() {
    let tasks = TaskCounts { succeeded: 2, failed: 1, ..TaskCounts::default() };
    let row = GraphRow {
        graph: GraphId(12),
        name: "build".into(),
        submitted: at(0),
        ended: Some(at(90)),
        tasks,
        budget: None,
        unschedulable: 0,
    };
    assert_eq!(
        json(&Graph::from(&row)),
        concat!(
            r#"{"v":1,"graph":"g12","name":"build","submitted":"2026-01-01T00:00:00Z","#,
            r#""ended":"2026-01-01T00:01:30Z","duration_s":90.0,"tasks":{"total":3,"waiting":0,"ready":0,"#,
            r#""backing_off":0,"active":0,"succeeded":2,"failed":1,"cancelled":0,"skipped":0},"budget":null,"#,
            r#""unschedulable":0}"#
        )
    );
}

#[test]
fn a_task() {
    assert_eq!(
        json(&Task::from(&task_row())),
        concat!(
            r#"{"v":1,"task":"t12","graph":"g10","name":"test[2]","state":"backing-off","priority":"high","#,
            r#""tenant":"ann","attempts":1,"node":"mac1","since":"2026-01-01T00:00:03Z","outcome":"#,
            r#"{"kind":"exited","exit_code":7,"signal":null,"reason":null}}"#
        )
    );
}

#[test]
fn a_task_in_detail() {
    let spec = TaskSpec {
        directory: Some("/work".into()),
        environment: vec![("A".into(), "1".into())],
        resources: resources(),
        priority: Priority::High,
        tenant: "ann".into(),
        retry: RetryPolicy { max_attempts: 3, ..RetryPolicy::default() },
        timeout: Some(Duration::from_secs(60)),
        ..TaskSpec::new("test", vec!["cargo".into(), "test".into()])
    };
    let attempt = AttemptRow {
        number: AttemptNumber(1),
        request: RequestNumber::default(),
        token: Token(7),
        node: "mac1".into(),
        granted: at(1),
        started: Some(at(2)),
        pid: Some(4711),
        ended: None,
        outcome: None,
        usage: Usage::default(),
    };
    let detail = Detail {
        row: task_row(),
        array_index: Some(2),
        spec: spec.into(),
        dependencies: vec![("build".into(), Need::End)],
        waits_for: None,
        submitted: at(0),
        attempts: vec![attempt],
        events: Vec::new(),
    };
    let text = json(&TaskDetail::from(&detail));
    let more = text.split_once(r#""reason":null},"#).unwrap().1;
    assert_eq!(
        more,
        format!(
            concat!(
                r#""array_index":2,"submitted":"2026-01-01T00:00:00Z","dependencies":[{{"task":"build","needs":"end"}}],"waits_for":null,"spec":{{"#,
                r#""argv":["cargo","test"],"handler":null,"directory":"/work","workspace":null,"secrets":{{}},"jobserver":false,"sandbox":null,"gate":null,"hooks":{{"before":[],"after":[]}},"env":{{"A":"1"}},"resources":{{"cpu_millis":1500,"#,
                r#""memory_bytes":1024,"gpu":0,"disk_bytes":0,"named":{{"license":1}}}},"alternatives":[],"require":[],"prefer":[],"avoid_failed":"prefer","group":null,"spread":[],"apart":[],"prefer_apart":[],"preemptible":false,"gang":null,"evaluation":null,"qos":"default","timeout_s":60.0,"soft_timeout_s":null,"#,
                r#""idle_timeout_s":null,"queue_timeout_s":null,"deadline":null,"memory_limit_bytes":null,"process_limit":null,"open_files":null,"grace_s":5.0,"#,
                r#""max_attempts":3}},"result":{{}},"attempt_list":[{{"number":1,"alternative":1,"token":"{}","node":"mac1","#,
                r#""granted":"2026-01-01T00:00:01Z","started":"2026-01-01T00:00:02Z","ended":null,"pid":4711,"#,
                r#""outcome":null,"usage":{{"wall_s":0.0,"cpu_s":0.0,"peak_memory_bytes":0,"stdout_bytes":0,"#,
                r#""stderr_bytes":0}}}}],"events":[]}}"#
            ),
            Token(7)
        )
    );
}

#[test]
fn outcomes() {
    let not_started = AttemptOutcome::SpawnFailed(SpawnFailure::of_task("command not found"));
    assert_eq!(
        json(&Outcome::from(&TaskOutcome::Failed(not_started))),
        r#"{"kind":"not-started","exit_code":null,"signal":null,"reason":"command not found"}"#
    );
    assert_eq!(
        json(&Outcome::from(&TaskOutcome::Skipped(TaskId(3)))),
        r#"{"kind":"skipped","exit_code":null,"signal":null,"reason":"t3 did not succeed"}"#
    );
    assert_eq!(
        json(&Outcome::from(&AttemptOutcome::Signalled(9))),
        r#"{"kind":"signalled","exit_code":null,"signal":9,"reason":null}"#
    );
}

#[test]
fn an_event() {
    let outcome = AttemptOutcome::TimedOut(Box::new(Overrun {
        limit: TimeLimit::Timeout,
        allowed: Duration::from_secs(60),
        used: Duration::from_secs(61),
    }));
    let (token, usage) = (Token(7), Usage { wall: Duration::from_millis(1500), ..Usage::default() });
    let next = Next::RetryAfter(Duration::from_millis(250));
    let event = TaskEvent::AttemptEnded { token, outcome, usage, order: 1, next, report: None };
    let event = Happened::Task { task: TaskId(12), sequence: 4, previous: 99, event };
    let record = Record { number: 40, at: at(0), cause: 38, correlation: 0, event };
    assert_eq!(
        json(&Event::from(&record)),
        format!(
            concat!(
                r#"{{"v":1,"number":40,"at":"2026-01-01T00:00:00Z","cause":38,"correlation":null,"graph":null,"#,
                r#""task":"t12","node":null,"event":"task.attempt-ended","token":"{}","outcome":{{"kind":"#,
                r#""timed-out","exit_code":null,"signal":null,"reason":"ran for 61s, timeout is 60s","limit":"timeout","#,
                r#""limit_s":60.0,"used_s":61.0}},"usage":{{"wall_s":1.5,"cpu_s":0.0,"#,
                r#""peak_memory_bytes":0,"stdout_bytes":0,"stderr_bytes":0}},"retry_after_s":0.25}}"#
            ),
            Token(7)
        )
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one of everything there is to tell")]
fn everything() {
    let node = NodeRow {
        node: "mac1".into(),
        health: NodeHealth::Up,
        capacity: resources(),
        allocated: Resources::cpus(500),
        running: 1,
        staged: 0,
        heard: at(5),
        labels: vec![("os".into(), "macos".into())],
        version: "0.1.0".into(),
        breakers: vec![(None, Seen::Open(Duration::from_secs(40)))],
        directed: Directed { draining: true, drain_deadline: Some(at(60)), ..Directed::default() },
        strain: Default::default(),
    };
    let server =
        ServerInfo { version: "0.1.0".into(), name: "mac1".into(), started: at(0), epoch: 2, durable: 99 };
    let author = |reason: &str| Author { by: "bob@mac".into(), reason: reason.into(), at: at(3) };
    let status = Status {
        server,
        tasks: TaskCounts { ready: 4, ..TaskCounts::default() },
        queued: [1, 3, 0, 0],
        tenants: vec![TenantRow {
            tenant: "ann".into(),
            weight: 2,
            waiting: [1, 3, 0, 0],
            running: [0, 1, 0, 0],
            share_ppm: [0, 250_000, 0, 0],
            budget: None,
        }],
        graphs: 1,
        nodes: vec![node],
        awake: 2,
        warnings: vec!["the disk is nearly full".into()],
        pressure: PressureRow { mode: Mode::High, depth: 900, limit: 1000, shed: 3 },
        halted: false,
        paused: vec![Scope::Priority(Priority::Low), Scope::Tenant("ann".into())],
        said: vec![
            (Directive::Pause(Scope::Priority(Priority::Low)), author("people wait")),
            (Directive::Pause(Scope::Tenant("ann".into())), author("")),
        ],
    };
    let array = ReadyItem { first: TaskId(12), last: TaskId(14), indices: Some((2, 4)), tasks: 2 };
    assert_eq!(
        json(&Overview::from(&status::Seen {
            status,
            oldest: vec![
                Waiting { row: task_row(), why: Some("no node is up".into()), array: None },
                Waiting { row: task_row(), why: None, array: Some(("test".into(), array)) },
            ],
            running: Vec::new()
        })),
        concat!(
            r#"{"v":1,"name":"mac1","version":"0.1.0","started":"2026-01-01T00:00:00Z","epoch":2,"last_event":99,"#,
            r#""graphs":1,"tasks":{"total":4,"waiting":0,"ready":4,"backing_off":0,"active":0,"succeeded":0,"#,
            r#""failed":0,"cancelled":0,"skipped":0},"queued":{"low":1,"normal":3,"high":0,"critical":0},"#,
            r#""tenants":[{"tenant":"ann","weight":2,"waiting":{"low":1,"normal":3,"high":0,"critical":0},"#,
            r#""running":{"low":0,"normal":1,"high":0,"critical":0},"#,
            r#""share":{"low":0.0,"normal":0.25,"high":0.0,"critical":0.0},"budget":null}],"awake":2,"#,
            r#""pressure":{"mode":"high","depth":900,"limit":1000,"shed":3},"#,
            r#""halted":false,"halted_said":null,"paused":[{"priority":"low","tenant":null,"#,
            r#""said":{"by":"bob@mac","at":"2026-01-01T00:00:03Z","reason":"people wait"}},{"priority":null,"#,
            r#""tenant":"ann","said":{"by":"bob@mac","at":"2026-01-01T00:00:03Z","reason":""}}],"#,
            r#""warnings":["the disk is nearly full"],"nodes":[{"v":1,"node":"mac1","health":"up","capacity":"#,
            r#"{"cpu_millis":1500,"memory_bytes":1024,"gpu":0,"disk_bytes":0,"named":{"license":1}},"allocated":{"cpu_millis":500,"#,
            r#""memory_bytes":0,"gpu":0,"disk_bytes":0,"named":{}},"running":1,"staged":0,"heard":"2026-01-01T00:00:05Z","#,
            r#""labels":{"os":"macos"},"labels_put":{},"version":"0.1.0","#,
            r#""breakers":[{"kind":null,"state":"open","wait_s":40.0}],"cordoned":false,"draining":true,"#,
            r#""drain_deadline":"2026-01-01T00:01:00Z","drained":false,"halted":false,"halted_here":false,"said":null,"strain":"normal","strain_reason":null}],"#,
            r#""oldest":[{"task":"t12","name":"test[2]","priority":"high","since":"2026-01-01T00:00:03Z","#,
            r#""waits_for":"no node is up","tasks":1,"last_task":"t12","indices":null},"#,
            r#"{"task":"t12","name":"test[2]","priority":"high","since":"2026-01-01T00:00:03Z","#,
            r#""waits_for":null,"tasks":2,"last_task":"t14","indices":[2,4]}]}"#
        )
    );
}

#[test]
fn trouble_and_output() {
    assert_eq!(json(&Trouble::of(6, "x".into())), r#"{"v":1,"exit_code":6,"error":"x"}"#);
    assert_eq!(json(&Asked::of("g1".into(), 2)), r#"{"v":1,"target":"g1","tasks":2}"#);
    let part = OutputPart { at: at(0), stream: Stream::Stdout, bytes: b"hi\n".to_vec(), omitted: 0 };
    assert_eq!(
        json(&Output::of(TaskId(1), AttemptNumber(1), &part)),
        r#"{"v":1,"task":"t1","attempt":1,"at":"2026-01-01T00:00:00Z","stream":"stdout","text":"hi\n","omitted_bytes":0}"#
    );
}

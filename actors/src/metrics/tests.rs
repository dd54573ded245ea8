//! Both forms word for word, the server over a real socket, and that dashboard and alerts name what there is.

use std::time::Duration;

use policy::bounds::{Overrun, TimeLimit};
use policy::pressure::Mode;
use policy::resources::Resources;
use policy::task::{AttemptOutcome, LossReason, Priority, TaskOutcome};
use policy::time::Timestamp;

use super::json::Metrics;
use crate::meters::{Meters, NodeNews};
use crate::wire::client::{
    ActorRow, Directed, NodeHealth, NodeRow, PressureRow, Sample, ServerInfo, Status, TaskCounts,
};

/// 2026-01-01T00:00:00Z and so many seconds.
fn at(seconds: u64) -> Timestamp {
    Timestamp(1_767_225_600_000_000) + Duration::from_secs(seconds)
}

fn node(name: &str, health: NodeHealth) -> NodeRow {
    let capacity =
        Resources { cpu_millis: 8000, memory_bytes: 1 << 30, gpu_slots: 1, ..Resources::default() };
    NodeRow {
        node: name.into(),
        health,
        capacity,
        allocated: Resources { cpu_millis: 3000, memory_bytes: 1 << 28, ..Resources::default() },
        running: 3,
        staged: 1,
        heard: at(99),
        labels: Vec::new(),
        version: "0.1.0".into(),
        breakers: Vec::new(),
        directed: Directed::default(),
        strain: Default::default(),
    }
}

fn server() -> ServerInfo {
    ServerInfo { version: "0.1.0".into(), name: "mac-1".into(), started: at(0), epoch: 2, durable: 99 }
}

fn sample() -> Sample {
    let meters = Meters::default();
    meters.started(Priority::High, Duration::from_millis(64));
    meters.started(Priority::High, Duration::from_secs(7200));
    for outcome in [
        TaskOutcome::Succeeded,
        TaskOutcome::Failed(AttemptOutcome::Exited(1)),
        TaskOutcome::Failed(AttemptOutcome::Lost(LossReason::Rebooted)),
        TaskOutcome::OutOfRetries {
            last: AttemptOutcome::TimedOut(Box::new(Overrun {
                limit: TimeLimit::Timeout,
                allowed: Duration::from_secs(60),
                used: Duration::from_secs(61),
            })),
            budget: 3,
        },
        TaskOutcome::Cancelled,
    ] {
        meters.ended(&outcome);
    }
    meters.retried();
    meters.aged(2);
    (0..3).for_each(|_| meters.evicted());
    meters.tripped();
    meters.node(NodeNews::Joined);
    meters.node(NodeNews::Recovered);
    let status = Status {
        server: server(),
        tasks: TaskCounts { waiting: 2, ready: 4, active: 6, ..TaskCounts::default() },
        queued: [1, 3, 0, 0],
        tenants: Vec::new(),
        graphs: 1,
        nodes: vec![node("a", NodeHealth::Up), node("b", NodeHealth::Suspect), node("c", NodeHealth::Lost)],
        awake: 6,
        warnings: Vec::new(),
        pressure: PressureRow { mode: Mode::Moderate, depth: 600, limit: 1000, shed: 5 },
        halted: false,
        paused: Vec::new(),
        said: Vec::new(),
    };
    let scheduler = ActorRow {
        name: "scheduler".into(),
        depth: 2,
        handled: 1000,
        busy: Some(Duration::from_millis(1500)),
        restarts: 1,
    };
    Sample {
        at: at(100),
        server: server(),
        status: Some(Box::new(status)),
        meters: meters.read(),
        actors: vec![scheduler],
        log_trouble: None,
    }
}

#[test]
fn the_json_is_what_was_promised() {
    assert_eq!(
        serde_json::to_string(&Metrics::from(&sample())).expect("it can be written"),
        concat!(
            r#"{"v":1,"timestamp":"2026-01-01T00:01:40Z","#,
            r#""queue":{"total":4,"critical":0,"high":0,"normal":3,"low":1},"#,
            r#""workers":{"healthy":1,"stale":1,"lost":1,"recovered":1},"#,
            r#""resources":{"cpu_percent":37.5,"memory_percent":25.0,"metal_percent":0.0},"#,
            r#""scheduling":{"runnable_latency_ms":112563.0,"starvation_mitigations":2,"circuit_breaker_trips":1,"evictions":3},"#,
            r#""task_outcomes":{"completed":1,"failed":1,"abandoned":2,"cancelled":1,"skipped":0,"retried":1}}"#
        )
    );
}

#[test]
fn without_the_scheduler_what_it_knows_is_null_and_the_rest_is_told() {
    let silent = Sample { status: None, log_trouble: Some("no room".into()), ..sample() };
    let json = serde_json::to_value(Metrics::from(&silent)).expect("it can be written");
    assert!(json["queue"].is_null() && json["workers"].is_null() && json["resources"].is_null());
    assert_eq!(json["task_outcomes"]["completed"], 1);
    let text = super::text::text(&silent);
    assert!(
        text.contains("knittingcrab_scheduler_answers 0.0\n")
            && text.contains("knittingcrab_log_writable 0.0\n")
    );
    assert!(text.contains("knittingcrab_tasks_ended_total{outcome=\"succeeded\"} 1\n"));
    assert!(!text.contains("knittingcrab_queued_tasks"), "what is not known is not told");
}

#[test]
fn the_text_is_what_was_promised() {
    let text = super::text::text(&sample());
    let golden = include_str!("samples/metrics.txt");
    let differs = text.lines().zip(golden.lines()).find(|(one, other)| one != other);
    assert!(text == golden, "first difference: {differs:?}\n{text}");
}

#[test]
fn dashboard_and_alerts_name_what_there_is() {
    let golden = include_str!("samples/metrics.txt");
    let known: Vec<&str> = golden.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let known: Vec<&str> = known.iter().filter_map(|line| line.split(' ').next()).collect();
    let is_known = |name: &str| {
        let suffixes = ["", "_total", "_bucket", "_sum", "_count"];
        suffixes.iter().any(|suffix| name.strip_suffix(suffix).is_some_and(|name| known.contains(&name)))
    };
    assert!(is_known("knittingcrab_tasks_ended_total") && !is_known("knittingcrab_tasks_endedd_total"));
    for (file, text) in [
        ("grafana-dashboard.json", include_str!("../../examples/grafana-dashboard.json")),
        ("alerts.yml", include_str!("../../examples/alerts.yml")),
    ] {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let named: Vec<&str> = words.filter(|word| word.starts_with("knittingcrab_")).collect();
        assert!(named.len() > 5, "{file} names {named:?}");
        let unknown: Vec<_> = named.iter().filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
}

//! Lines, stages and lints without a daemon; what a daemon answers is tested with one in tests/cluster/top.rs.

use std::time::Duration;

use policy::breaker::Seen;
use policy::time::Timestamp;
use supervision::{ChildState, ProbeId};

use super::ask::top::Change;
use super::lint::{self, Code};
use super::pipe::apply;
use super::reply::{Cell, Kind, Reply};
use super::syntax::parse;
use crate::wire::client::{NodeHealth, NodeRow};
use crate::wire::inspect::ActorRow;

fn reply() -> Reply {
    let columns = [("task", Kind::Id, 0), ("state", Kind::State, 0), ("for", Kind::Length, 0)];
    let mut reply = Reply::new("task", &columns);
    for (task, state, seconds) in [("t1", "running", 7), ("t2", "ready", 90), ("t3", "running", 600)] {
        reply.rows.push(vec![
            Cell::text(task),
            Cell::text(state),
            Cell::length(Duration::from_secs(seconds)),
        ]);
    }
    reply
}

fn through(line: &str) -> Result<Reply, String> {
    let parsed = parse(line).map_err(|fault| fault.shown(line))?.expect("there is a verb");
    apply(reply(), &parsed.stages).map_err(|fault| fault.shown(line))
}

fn first_cells(reply: &Reply) -> Vec<String> {
    reply.rows.iter().map(|row| reply.columns[0].text(&row[0])).collect()
}

#[test]
fn rows_are_left_out_ordered_counted_and_grouped() {
    let of = |line: &str| first_cells(&through(line).expect("it makes sense"));
    assert_eq!(of("tasks | where state=running"), ["t1", "t3"]);
    assert_eq!(of("tasks | where for > 1m | sort -for"), ["t3", "t2"]);
    assert_eq!(of("tasks | where for<=90s"), ["t1", "t2"]);
    assert_eq!(of("tasks | where state !~ run"), ["t2"]);
    assert_eq!(of("tasks | sort -task | head 1"), ["t3"]);
    assert_eq!(of("tasks | count"), ["3"]);
    assert_eq!(of("tasks | by state"), ["running", "ready"]);
    let selected = through("tasks | select for, task").expect("it makes sense");
    assert_eq!(
        selected.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(),
        ["for", "task"]
    );
}

#[test]
fn a_stage_that_makes_no_sense_says_where_and_what_is_possible() {
    let fault = |line: &str| through(line).expect_err("it makes no sense");
    assert!(fault("tasks | where sate=x").contains("did you mean state?"));
    assert!(fault("tasks | where for > soon").contains("a length of time"));
    assert!(fault("tasks | wehre for > 1s").contains("did you mean where?"));
    assert!(fault("tasks | head many").contains("head [N]"));
    assert!(fault("tasks |").contains("something should stand behind |"));
    assert!(fault("tasks | sort colour").contains("possible: task state for"));
}

#[test]
fn json_has_the_same_rows_with_units_in_the_names() {
    let lines = through("tasks | head 1 | json").expect("it makes sense").json_lines();
    let row: serde_json::Value = serde_json::from_str(&lines).expect("one object");
    assert_eq!(
        row,
        serde_json::json!({"v": 1, "what": "task", "task": "t1", "state": "running", "for_s": 7.0})
    );
    assert!(super::reply::schema().contains("\"columns\""));
}

pub(super) fn actor() -> ActorRow {
    ActorRow {
        probe: ProbeId(7),
        level: 1,
        kind: "node".into(),
        name: "mac".into(),
        is_supervisor: false,
        state: ChildState::Running,
        answered: true,
        more: 0,
        mailbox: 0,
        high_water: 0,
        enqueued: 0,
        handled: 0,
        undelivered: 0,
        dropped: 0,
        restarts: 0,
        restarted: Vec::new(),
        waits: [Duration::ZERO; 2],
        handlings: [Duration::ZERO; 2],
        current: None,
    }
}

fn codes(row: ActorRow, [coming, going]: [u64; 2], growth: i64) -> Vec<Code> {
    let change = Change { row, machine: None, coming, going, growth };
    lint::of_actors(&[change]).into_iter().map(|lint| lint.code).collect()
}

#[test]
fn an_actor_that_is_well_has_no_lint_and_each_trouble_has_its_own() {
    assert_eq!(codes(actor(), [1000, 1000], 0), []);
    assert_eq!(codes(ActorRow { mailbox: 99, ..actor() }, [9, 1], 8), [], "a few may wait");
    assert_eq!(codes(ActorRow { mailbox: 500, ..actor() }, [9, 1], 8), [Code::GrowingMailbox]);
    let second = Duration::from_secs(1);
    let long = Some(("Dispatch".into(), second * 12));
    assert_eq!(codes(ActorRow { current: long, ..actor() }, [0, 0], 0), [Code::StuckHandler]);
    assert_eq!(codes(ActorRow { restarted: vec![second; 3], ..actor() }, [0, 0], 0), [Code::RestartStorm]);
    assert_eq!(codes(ActorRow { restarted: vec![second * 100; 8], ..actor() }, [0, 0], 0), []);
    assert_eq!(codes(ActorRow { answered: false, ..actor() }, [0, 0], 0), [Code::SilentSupervisor]);
}

#[test]
fn a_busy_actor_is_told_in_the_words_of_its_counters() {
    let current = Some(("Dispatch".into(), Duration::from_millis(12_400)));
    let row = ActorRow { mailbox: 41, current, ..actor() };
    assert_eq!(super::ask::actors::busy(&row), "busy 12s in Dispatch, 41 waiting");
}

#[test]
fn machines_that_are_late_lost_or_left_alone_have_lints() {
    let row = |health, breakers| NodeRow {
        node: "mac".into(),
        health,
        capacity: Default::default(),
        allocated: Default::default(),
        running: 0,
        staged: 0,
        heard: Timestamp(0),
        labels: Vec::new(),
        version: "1".into(),
        breakers,
        directed: Default::default(),
        strain: Default::default(),
    };
    let of = |health, breakers| {
        let lints = lint::of_nodes(&[row(health, breakers)], Timestamp(8_000_000));
        lints.into_iter().map(|lint| (lint.code, lint.fix)).collect::<Vec<_>>()
    };
    assert_eq!(of(NodeHealth::Up, Vec::new()), []);
    assert_eq!(of(NodeHealth::Suspect, Vec::new())[0].0, Code::NodeSuspect);
    assert_eq!(of(NodeHealth::Lost, Vec::new())[0].0, Code::NodeLost);
    let open = vec![(Some("build".into()), Seen::Open(Duration::from_secs(9)))];
    assert_eq!(of(NodeHealth::Up, open), [(Code::BreakerOpen, "breaker reset mac kind=build".to_owned())]);
}

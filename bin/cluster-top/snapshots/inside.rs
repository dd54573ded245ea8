//! The actors of the scripted fleet: one is stuck, one was started again and again, and a machine that does not answer.

use std::time::Duration;

use actors::wire::inspect::{ActorRow, Look, Sight};
use policy::id::NodeId;
use supervision::{ChildState, Fact, ProbeId, Traced};

fn actor(probe: u64, level: u8, kind: &str, name: &str) -> ActorRow {
    ActorRow {
        probe: ProbeId(probe),
        level,
        kind: kind.into(),
        name: name.into(),
        is_supervisor: kind == "supervisor" || kind == "shard",
        state: ChildState::Running,
        answered: true,
        more: 0,
        mailbox: 0,
        high_water: 3,
        enqueued: 1000 + probe,
        handled: 1000 + probe,
        undelivered: 0,
        dropped: 0,
        restarts: 0,
        restarted: Vec::new(),
        waits: [Duration::from_micros(64), Duration::from_micros(512)],
        handlings: [Duration::from_micros(16), Duration::from_micros(256)],
        current: None,
    }
}

fn scheduler_side() -> Vec<ActorRow> {
    let stuck = Some(("Picked".into(), Duration::from_millis(12_400)));
    let dispatcher =
        ActorRow { mailbox: 41, high_water: 1200, current: stuck, ..actor(3, 2, "scheduler", "") };
    let second = Duration::from_secs(1);
    let queue = ActorRow { restarts: 3, restarted: vec![second; 3], ..actor(4, 2, "queue", "normal") };
    vec![
        actor(1, 0, "supervisor", "scheduler-side"),
        actor(2, 1, "supervisor", "core"),
        dispatcher,
        queue,
        actor(5, 2, "node", "studio-1"),
        actor(6, 2, "supervisor", "tasks"),
        actor(7, 3, "shard", "tasks-0"),
        actor(8, 4, "task", "t3"),
        actor(9, 3, "shard", "tasks-1"),
        actor(10, 4, "task", "t2"),
        actor(11, 2, "lease", "1.21"),
    ]
}

pub(super) fn inspected(machine: Option<&NodeId>, look: &Look) -> Sight {
    match (look, machine.map(|machine| &*machine.0)) {
        (Look::Actors { only, .. }, None) => {
            Sight::Actors { rows: only_some(scheduler_side(), only.as_deref()), more: 0 }
        }
        (Look::Actors { only, .. }, Some("studio-1")) => {
            let rows = vec![
                actor(1, 0, "supervisor", "machine-side"),
                actor(2, 1, "worker", "studio-1"),
                actor(3, 1, "attempt", "1.21"),
            ];
            Sight::Actors { rows: only_some(rows, only.as_deref()), more: 0 }
        }
        (Look::State(ProbeId(3)), None) => Sight::Busy(Box::new(scheduler_side().swap_remove(2))),
        (Look::State(ProbeId(11)), None) => Sight::State(vec![
            Fact::new("task", "t2"),
            Fact::new("token", "1.21"),
            Fact::new("ends in", "14s"),
        ]),
        (Look::State(_), None) => Sight::State(vec![
            Fact::new("held by", "studio-1 under token 1.21"),
            Fact::new("lease ends in", "14s"),
        ]),
        (Look::Trace { .. }, None) => {
            let message = |number, kind: &str, from| Traced {
                number,
                cause: number - 1,
                kind: kind.into(),
                from,
                after: Duration::from_millis(number * 3),
                waited: Duration::from_micros(40),
                took: Duration::from_micros(90),
            };
            let messages =
                vec![message(81, "NodeChanged studio-1", Some(ProbeId(5))), message(82, "Beat", None)];
            Sight::Traced { messages, missed: 0 }
        }
        _ => Sight::Unseen("its connection is not there".into()),
    }
}

fn only_some(rows: Vec<ActorRow>, only: Option<&str>) -> Vec<ActorRow> {
    let Some(only) = only else { return rows };
    let is = |row: &ActorRow| {
        row.is_supervisor
            || *row.kind == *only
            || *row.name == *only
            || format!("{}/{}", row.kind, row.name) == only
    };
    rows.into_iter().filter(is).collect()
}

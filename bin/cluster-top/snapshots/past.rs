//! What has happened in the scripted fleet.

use std::time::Duration;

use policy::budget::Budget;
use policy::causes::Cause;
use policy::event::{Event, GraphEvent, GraphHead, Item, Next, NodeEvent, SubmissionKey, TaskEvent};
use policy::id::{AttemptNumber, Epoch, GraphId, Incarnation, NodeSession, TaskId, Token};
use policy::resources::Resources;
use policy::task::{AttemptOutcome, TaskOutcome, TaskSpec, Usage};

const GIB: u64 = 1 << 30;

fn token(number: u64) -> Token {
    Token::numbered(Epoch(1), number)
}

pub(super) fn events() -> Vec<Event> {
    let head = GraphHead {
        name: "release".into(),
        key: SubmissionKey(1),
        items: 2,
        tasks: 2,
        digest: [0; 16],
        budget: Budget::default(),
    };
    let item = |name: &str| {
        Event::Graph(
            GraphId(1),
            GraphEvent::ItemAdmitted(Item::new(TaskSpec::new(name, vec!["cargo".into()]))),
        )
    };
    let of = |task, sequence, event| Event::Task { task: TaskId(task), sequence, previous: 0, event };
    let granted = |number, waited| TaskEvent::Granted {
        token: token(number),
        attempt: AttemptNumber(1),
        node: "studio-1".into(),
        session: NodeSession(1),
        request: Default::default(),
        indices: Default::default(),
        gang: Vec::new(),
        waited,
    };
    let joined = NodeEvent::Joined {
        session: NodeSession(1),
        incarnation: Incarnation(1),
        capacity: Resources { memory_bytes: 64 * GIB, ..Resources::cpus(12_000) },
    };
    let ended = TaskEvent::AttemptEnded {
        token: token(20),
        outcome: AttemptOutcome::Exited(0),
        usage: Usage::default(),
        order: 2,
        next: Next::Finish(TaskOutcome::Succeeded),
        report: None,
    };
    vec![
        Event::Node("studio-1".into(), joined),
        Event::Graph(GraphId(1), GraphEvent::Admitted(head)),
        item("build"),
        item("cargo nextest run --workspace[17]"),
        of(1, 1, granted(20, Vec::new())),
        of(1, 2, TaskEvent::Started { token: token(20), pid: 48_120, order: 1 }),
        of(1, 3, ended),
        of(
            2,
            1,
            granted(
                21,
                vec![(Cause::Lock, Duration::from_secs(2)), (Cause::Resources, Duration::from_secs(1))],
            ),
        ),
        of(2, 2, TaskEvent::Started { token: token(21), pid: 48_121, order: 3 }),
        Event::Node("mac-mini-3".into(), NodeEvent::Suspected),
    ]
}

//! What a life falls into, and that nothing of it is left out or counted twice.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::budget::Budget;
use crate::claims::Indices;
use crate::dependency::{Dependency, Need};
use crate::event::{ArraySpec, GraphHead, SubmissionKey};
use crate::id::{GraphId, NodeSession, Token};
use crate::task::{LossReason, RequestNumber, TaskSpec, Usage};

fn record(seconds: u64, event: Event) -> Record {
    Record { number: 1, at: Timestamp(seconds * 1_000_000), cause: 0, correlation: 0, event }
}

fn item(name: &str, needs: &[u32], count: Option<u64>) -> Event {
    let item = Item {
        dependencies: needs.iter().map(|place| Dependency::item(*place, Need::Success)).collect(),
        array: count.map(|count| ArraySpec { first: 1, count, parallel_limit: None }),
        ..Item::new(TaskSpec::new(name, vec!["true".into()]))
    };
    Event::Graph(GraphId(1), GraphEvent::ItemAdmitted(item))
}

fn head() -> Event {
    let head = GraphHead {
        name: "g".into(),
        key: SubmissionKey(1),
        items: 2,
        tasks: 3,
        digest: [0; 16],
        budget: Budget::default(),
    };
    Event::Graph(GraphId(1), GraphEvent::Admitted(head))
}

fn task(id: u64, event: TaskEvent) -> Event {
    Event::Task { task: TaskId(id), sequence: 1, previous: 0, event }
}

fn granted(attempt: u32) -> TaskEvent {
    let (token, attempt) = (Token(1), AttemptNumber(attempt));
    TaskEvent::Granted {
        token,
        attempt,
        node: "a".into(),
        session: NodeSession(1),
        indices: Indices::default(),
        gang: Vec::new(),
        waited: Vec::new(),
        request: RequestNumber::default(),
    }
}

fn ended(next: Next) -> TaskEvent {
    let (token, outcome, usage) = (Token(1), AttemptOutcome::Exited(1), Usage::default());
    TaskEvent::AttemptEnded { token, outcome, usage, order: 0, next, report: None }
}

const STARTED: TaskEvent = TaskEvent::Started { token: Token(1), pid: 1, order: 1 };

fn fold(events: &[(u64, Event)]) -> Timeline {
    let mut timeline = Timeline::default();
    events.iter().for_each(|(at, event)| timeline.apply(&record(*at, event.clone())));
    timeline
}

/// As `dependencies 5, queue 2`, in seconds.
fn told(timeline: &Timeline, id: u64, now: u64) -> String {
    let phases = timeline.phases(TaskId(id), Timestamp(now * 1_000_000));
    let one = |phase: &Phase| format!("{} {}", phase.kind, phase.to.since(phase.from).as_secs());
    phases.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[test]
fn an_attempt_with_stages_falls_into_them() {
    let began = |step: Step| task(1, TaskEvent::StepBegan { token: Token(1), step, pid: 1 });
    let before = |place| Step::hook(Stage::Before, false, place);
    let events = [
        (0, head()),
        (0, item("a", &[], None)),
        (1, task(1, granted(1))),
        (2, task(1, STARTED)),
        (2, began(before(0))),
        (4, began(before(1))),
        (5, began(Step::COMMAND)),
        (9, began(Step::GATE)),
        (12, began(Step::hook(Stage::After, true, 0))),
    ];
    assert_eq!(told(&fold(&events), 1, 13), "queue 1, start 1, before 2, before 1, run 4, gate 3, after 1");
    let gate_alone = [&events[..4], &events[7..8]].concat();
    assert_eq!(told(&fold(&gate_alone), 1, 10), "queue 1, start 1, run 7, gate 1");
}

#[test]
fn a_life_falls_into_its_phases_through_a_retry_and_another_try() {
    let again = Next::RetryAfter(Duration::from_secs(3));
    let timeline = fold(&[
        (0, head()),
        (0, item("build", &[], Some(2))),
        (0, item("test", &[0], None)),
        (1, task(1, granted(1))),
        (2, task(1, STARTED)),
        (4, task(1, ended(Next::Finish(TaskOutcome::Succeeded)))),
        (5, task(2, granted(1))),
        (9, task(2, ended(Next::Finish(TaskOutcome::Succeeded)))),
        (11, task(3, granted(1))),
        (12, task(3, STARTED)),
        (20, task(3, ended(again))),
        (25, task(3, granted(2))),
        (26, task(3, STARTED)),
        (30, task(3, ended(Next::Finish(TaskOutcome::Failed(AttemptOutcome::Exited(1)))))),
        (40, task(3, TaskEvent::RetryAsked)),
        (41, task(3, granted(3))),
    ]);
    assert_eq!(told(&timeline, 1, 100), "queue 1, start 1, run 2");
    assert_eq!(told(&timeline, 2, 100), "queue 5, start 4", "it never said that it ran");
    assert_eq!(
        told(&timeline, 3, 50),
        "dependencies 9, queue 2, start 1, run 8, back-off 3, queue 2, start 1, run 4, over 10, queue 1, start 9"
    );
    assert_eq!(timeline.waited_for(TaskId(3)), Some((Timestamp(9_000_000), TaskId(2))));
    assert_eq!(timeline.name(TaskId(2)).as_deref(), Some("build[2]"));
    assert_eq!(timeline.tasks().count(), 3);
}

#[test]
fn for_whom_an_attempt_made_room_is_told_where_that_is_how_it_ended() {
    let evicted = TaskEvent::EvictAsked { token: Token(1), by: TaskId(9), is_recall: false };
    let over = |outcome| TaskEvent::AttemptEnded {
        token: Token(1),
        outcome,
        usage: Usage::default(),
        order: 0,
        next: Next::RetryAfter(Duration::ZERO),
        report: None,
    };
    for (outcome, by) in [
        (AttemptOutcome::Lost(LossReason::Preempted), Some(TaskId(9))),
        (AttemptOutcome::Lost(LossReason::HostDied), None),
    ] {
        let timeline = fold(&[
            (0, head()),
            (0, item("build", &[], None)),
            (1, task(1, granted(1))),
            (1, task(1, STARTED)),
            (3, task(1, evicted.clone())),
            (4, task(1, over(outcome))),
        ]);
        assert_eq!(told(&timeline, 1, 6), "queue 1, run 3, queue 2");
        assert_eq!(timeline.life(TaskId(1)).expect("it ran").attempts[0].made_room_for(), by);
    }
}

#[test]
fn what_waits_waits_until_now_or_its_end() {
    let mut events = vec![(0, head()), (0, item("build", &[], None)), (0, item("test", &[0], None))];
    assert_eq!(told(&fold(&events), 2, 7), "dependencies 7");
    assert_eq!(told(&fold(&events), 1, 7), "queue 7");
    assert_eq!(fold(&events).waited_for(TaskId(2)), None);
    events.push((3, task(2, TaskEvent::Finished(TaskOutcome::Cancelled))));
    assert_eq!(told(&fold(&events), 2, 7), "dependencies 3");
    assert_eq!(told(&fold(&events), 9, 7), "", "nobody knows it");
}

proptest! {
    #[test]
    fn phases_follow_each_other_from_admission_to_the_end(
        steps in proptest::collection::vec((0_u64..5, 0_u8..6), 0..40),
        later in 0_u64..10,
    ) {
        let mut timeline = fold(&[(0, head()), (0, item("a", &[], None)), (0, item("b", &[0], None))]);
        let (mut at, mut attempts) = (0, 0);
        for (wait, step) in steps {
            at += wait;
            let event = match step {
                0 => {
                    attempts += 1;
                    granted(attempts)
                }
                1 => STARTED,
                2 => ended(Next::RetryAfter(Duration::from_secs(wait))),
                3 => ended(Next::Finish(TaskOutcome::Succeeded)),
                4 => TaskEvent::RetryAsked,
                _ => TaskEvent::Finished(TaskOutcome::Cancelled),
            };
            timeline.apply(&record(at, task(2, event)));
        }
        let now = Timestamp((at + later) * 1_000_000);
        let phases = timeline.phases(TaskId(2), now);
        let end = timeline.life(TaskId(2)).and_then(|life| life.finished.as_ref()).map_or(now, |(at, _)| *at);
        let mut last = Timestamp(0);
        for phase in &phases {
            prop_assert_eq!(phase.from, last);
            prop_assert!(phase.to > phase.from);
            last = phase.to;
        }
        prop_assert!(last >= end && last <= now, "{:?} up to {:?}", phases, now);
    }
}

//! Which tasks are moved by an operator's word, and which words are refused.

use super::*;
use crate::event::{ArraySpec, Item as Submitted};
use crate::graph::effects::{Mark, Moved, Ready};
use crate::graph::{ItemShape, Opening};
use crate::id::AttemptNumber;
use crate::placement::ShapeId;
use crate::task::TaskSpec;

const GRAPH: GraphId = GraphId(10);
const ONE: TaskId = TaskId(10);

/// A task, and an array of three behind it.
fn table() -> (Graphs, Effects) {
    let spec = || TaskSpec::new("one", vec!["true".into()]);
    let array = ArraySpec { first: 0, count: 3, parallel_limit: None };
    let items = [Submitted::new(spec()), Submitted { array: Some(array), ..Submitted::new(spec()) }];
    let head = crate::graph::model::head(&items);
    let (mut graphs, mut effects) = (Graphs::new(), Effects::default());
    let opening = Opening { graph: GRAPH, position: 1, at: Timestamp(0), head: &head };
    let shapes = items.iter().map(|item| ItemShape::of(item, ShapeId(0), 2));
    graphs.admit(&opening, shapes, &mut effects).unwrap();
    (graphs, Effects::default())
}

fn range(first: u64, count: u32) -> TaskRange {
    TaskRange { first: TaskId(first), count }
}

#[test]
fn a_waiting_task_goes_into_the_queue_that_was_said() {
    let (mut graphs, mut effects) = table();
    let urgency = graphs.urgency_of_task(ONE).unwrap();
    assert_eq!(urgency, Urgency { graph: GRAPH, parts: vec![range(10, 1)], waiting: 1 });
    assert!(!graphs.serves_otherwise());
    assert!(graphs.prioritise((GRAPH, range(10, 1)), Priority::High, &mut effects));
    let ready = Ready { tasks: range(10, 1), priority: Priority::High, shape: ShapeId(0) };
    assert_eq!(effects.moved, [Moved { ready, from: Priority::Normal }]);
    let entry = graphs.entry(ONE).unwrap();
    assert_eq!((entry.priority, entry.runs_as), (Priority::High, Priority::High));
    assert_eq!(graphs.counts(Priority::High).total(), 1);
    assert!(graphs.serves_otherwise());
    effects.clear();
    assert!(!graphs.prioritise((GRAPH, range(10, 1)), Priority::High, &mut effects), "it is so already");
    assert!(effects.is_empty());
    graphs.check();
}

#[test]
fn a_member_speaks_for_its_array_and_a_graph_for_all_of_its_items() {
    let (mut graphs, mut effects) = table();
    let urgency = graphs.urgency_of_task(TaskId(12)).unwrap();
    assert_eq!((urgency.parts, urgency.waiting), (vec![range(11, 3)], 3));
    let urgency = graphs.urgency_of_graph(GRAPH).unwrap().unwrap();
    assert_eq!((urgency.parts, urgency.waiting), (vec![range(10, 4)], 4));
    assert!(graphs.prioritise((GRAPH, range(10, 4)), Priority::Low, &mut effects));
    assert_eq!(graphs.counts(Priority::Low).total(), 4);
    graphs.check();
}

#[test]
fn what_has_started_or_ended_is_refused_with_what_can_be_done() {
    let (mut graphs, mut effects) = table();
    let refused = |graphs: &Graphs| graphs.urgency_of_task(ONE).unwrap_err();
    assert_eq!(graphs.urgency_of_task(TaskId(99)), Err(UrgencyRefused::Unknown(TaskId(99))));
    assert_eq!(graphs.urgency_of_graph(GraphId(99)), None);
    let mark = |sequence: u32| Mark { position: u64::from(sequence) * 10, sequence, at: Timestamp(5) };
    graphs.activate(ONE, &mut effects);
    graphs.granted(ONE, AttemptNumber(1), mark(1), &mut effects);
    assert_eq!(refused(&graphs), UrgencyRefused::Started(ONE));
    assert!(refused(&graphs).to_string().contains("`requeue t10`"), "{}", refused(&graphs));
    graphs.ended(ONE, TaskState::Failed, mark(2), &mut effects);
    assert_eq!(refused(&graphs), UrgencyRefused::Ended(ONE, TaskState::Failed));
    assert!(refused(&graphs).to_string().starts_with("t10 is failed:"), "{}", refused(&graphs));
    for (task, sequence) in [(11, 1), (12, 1), (13, 1)] {
        graphs.activate(TaskId(task), &mut effects);
        graphs.ended(TaskId(task), TaskState::Succeeded, mark(sequence), &mut effects);
    }
    assert_eq!(graphs.urgency_of_task(TaskId(13)), Err(UrgencyRefused::Succeeded(TaskId(13))));
    assert_eq!(graphs.urgency_of_graph(GRAPH), Some(Err(UrgencyRefused::NothingWaits(GRAPH))));
    graphs.check();
}

#[test]
fn what_lends_its_priority_lends_what_was_said_from_then_on() {
    let on_first = vec![crate::dependency::Dependency::item(0, crate::dependency::Need::Success)];
    let items = [Vec::new(), on_first].map(|dependencies| Submitted {
        dependencies,
        ..Submitted::new(TaskSpec::new("one", vec!["true".into()]))
    });
    let head = crate::graph::model::head(&items);
    let (mut graphs, mut effects) = (Graphs::new(), Effects::default());
    graphs.lend(true, &mut effects);
    let opening = Opening { graph: GRAPH, position: 1, at: Timestamp(0), head: &head };
    let shapes = items.iter().map(|item| ItemShape::of(item, ShapeId(0), 2));
    graphs.admit(&opening, shapes, &mut effects).unwrap();
    effects.clear();
    assert!(graphs.prioritise((GRAPH, range(11, 1)), Priority::Critical, &mut effects));
    let ready = Ready { tasks: range(10, 1), priority: Priority::Critical, shape: ShapeId(0) };
    assert_eq!(effects.moved, [Moved { ready, from: Priority::Normal }], "it waits for the first");
    graphs.check();
    effects.clear();
    assert!(graphs.prioritise((GRAPH, range(11, 1)), Priority::Low, &mut effects));
    assert_eq!(effects.moved.len(), 1, "nobody is urgent any more");
    assert_eq!(graphs.entry(ONE).unwrap().runs_as, Priority::Normal);
    graphs.check();
}

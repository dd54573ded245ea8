//! Records folded one after the other. That the fold of real records is what a daemon showed when they were
//! written is tested with one, in tests/cluster/top.rs.

use policy::budget::Budget;
use policy::event::{Event, GraphEvent, GraphHead, Item, Next, NodeEvent, Record, SubmissionKey, TaskEvent};
use policy::id::{AttemptNumber, Epoch, GraphId, Incarnation, NodeSession, TaskId, Token};
use policy::resources::Resources;
use policy::task::{AttemptOutcome, TaskOutcome, TaskSpec, Usage};
use policy::time::Timestamp;

use super::{Past, open_journal};
use crate::clock::Clock;
use crate::log::{Log, LogLimits};
use crate::wire::client::{NodeHealth, StateName, TaskFilter};

fn events() -> Vec<Event> {
    let (graph, task) = (GraphId(1), TaskId(1));
    let (token, session) = (Token::numbered(Epoch(1), 4), NodeSession(3));
    let head = GraphHead {
        name: "release".into(),
        key: SubmissionKey(1),
        items: 1,
        tasks: 1,
        digest: [0; 16],
        budget: Budget::default(),
    };
    let item = Item::new(TaskSpec::new("build", vec!["true".into()]));
    let of_task = |sequence, event| Event::Task { task, sequence, previous: 0, event };
    let ended = TaskEvent::AttemptEnded {
        token,
        outcome: AttemptOutcome::Exited(0),
        usage: Usage::default(),
        order: 2,
        next: Next::Finish(TaskOutcome::Succeeded),
        report: None,
    };
    vec![
        Event::Graph(graph, GraphEvent::Admitted(head)),
        Event::Graph(graph, GraphEvent::ItemAdmitted(item)),
        Event::Node(
            "mac".into(),
            NodeEvent::Joined { session, incarnation: Incarnation(1), capacity: Resources::cpus(2000) },
        ),
        of_task(
            1,
            TaskEvent::Granted {
                token,
                attempt: AttemptNumber(1),
                node: "mac".into(),
                session,
                request: Default::default(),
                indices: Default::default(),
                gang: Vec::new(),
                waited: Vec::new(),
            },
        ),
        of_task(2, TaskEvent::Started { token, pid: 9, order: 1 }),
        of_task(3, ended),
        Event::Node("mac".into(), NodeEvent::Lost { session }),
    ]
}

fn past() -> Past {
    let record = |(at, event): (usize, Event)| {
        let number = at as u64 + 1;
        Record { number, at: Timestamp(number * 1_000_000), cause: 0, correlation: 0, event }
    };
    Past::of(events().into_iter().enumerate().map(record).collect())
}

fn state(past: &mut Past, number: u64) -> Option<StateName> {
    let fold = past.seek(number).expect("it is there");
    fold.tasks(&TaskFilter::default(), 9).first().map(|row| row.state)
}

#[test]
fn a_task_is_at_each_event_what_it_was_then() {
    let mut past = past();
    let forth: Vec<_> = (1..=7).map(|number| state(&mut past, number)).collect();
    use StateName::{Granted, Ready, Running, Succeeded};
    let expected =
        [None, Some(Ready), Some(Ready), Some(Granted), Some(Running), Some(Succeeded), Some(Succeeded)];
    assert_eq!(forth, expected);
    let back: Vec<_> = (1..=7).rev().map(|number| state(&mut past, number)).collect();
    assert_eq!(back.into_iter().rev().collect::<Vec<_>>(), forth, "it is the same from either side");
}

#[test]
fn machines_have_what_runs_there() {
    let mut past = past();
    let node =
        |past: &mut Past, number| past.seek(number).expect("it is there").nodes().pop().expect("it joined");
    let running = node(&mut past, 5);
    assert_eq!((running.health, running.running, running.allocated.cpu_millis), (NodeHealth::Up, 1, 1000));
    assert_eq!((node(&mut past, 7).health, node(&mut past, 7).running), (NodeHealth::Lost, 0));
}

#[test]
fn moments_are_found_by_number_and_by_time() {
    let mut past = past();
    assert_eq!((past.by(Timestamp(3_500_000)), past.by(Timestamp(0))), (3, 0));
    assert!(past.seek(8).is_err() && past.seek(0).is_err());
    let _ = past.seek(5).expect("it is there");
    assert_eq!(past.fold().at(), Timestamp(5_000_000));
}

#[test]
fn a_copy_of_the_log_is_read_and_not_changed() {
    let directory = tempfile::tempdir().expect("there is room");
    let log = Log::open_directory(directory.path(), LogLimits::default(), Clock::system()).expect("it opens");
    for event in events() {
        log.append(&event, 0, 0);
    }
    log.settle().expect("it is written");
    let files = || {
        let entries = std::fs::read_dir(directory.path()).expect("it is there").flatten();
        let mut all: Vec<_> = entries
            .map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap_or_default()))
            .collect();
        all.sort();
        all
    };
    let before = files();
    // The log is open elsewhere, and has a torn tail as a copy may have.
    let records = open_journal(directory.path()).expect("it is a log");
    assert_eq!(records.iter().map(|record| record.event.clone()).collect::<Vec<_>>(), events());
    assert_eq!(files(), before);
    log.close();
    assert!(open_journal(&directory.path().join("nothing")).is_err());
}

#[test]
fn a_torn_tail_of_a_copy_is_left_as_it_is() {
    let directory = tempfile::tempdir().expect("there is room");
    let log = Log::open_directory(directory.path(), LogLimits::default(), Clock::system()).expect("it opens");
    events().iter().for_each(|event| {
        log.append(event, 0, 0);
    });
    log.close();
    let segment = std::fs::read_dir(directory.path())
        .expect("it is there")
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name != "lock"))
        .expect("there is a segment");
    let mut bytes = std::fs::read(&segment).expect("it is readable");
    bytes.extend_from_slice(b"torn");
    std::fs::write(&segment, &bytes).expect("there is room");
    assert_eq!(open_journal(directory.path()).expect("it is a log").len(), events().len());
    assert_eq!(std::fs::read(&segment).expect("it is readable"), bytes);
}

//! The archive against a log with small segments.

use policy::event::{GraphEvent, GraphHead, Item, SubmissionKey, TaskEvent};
use policy::id::{GraphId, TaskId, TaskRange};
use policy::task::{TaskOutcome, TaskSpec};

use super::*;
use crate::clock::Clock;
use crate::log::LogLimits;

const SMALL: LogLimits =
    LogLimits { segment_bytes: 4096, pending_bytes: 1 << 20, durability: crate::log::disk::Durability::Os };

fn item(name: &str, argument_bytes: usize) -> Item {
    let spec = TaskSpec::new(name, vec!["true".into(), "x".repeat(argument_bytes).into()]);
    Item::new(spec)
}

/// Writes a graph of one task that is cancelled; where its records are.
fn write(log: &Log, graph: u64, argument_bytes: usize) -> Vec<LogPosition> {
    let head = GraphHead {
        name: "g".into(),
        key: SubmissionKey(u128::from(graph)),
        items: 1,
        tasks: 1,
        digest: [0; 16],
        budget: policy::budget::Budget::default(),
    };
    let id = GraphId(graph);
    let admitted = log.append(&Event::Graph(id, GraphEvent::Admitted(head)), 0, 0);
    let item = log.append(&Event::Graph(id, GraphEvent::ItemAdmitted(item("t", argument_bytes))), 0, 0);
    let event = TaskEvent::Finished(TaskOutcome::Cancelled);
    let ended = Event::Task { task: TaskId(graph), sequence: 1, previous: 0, event };
    let ended = log.append(&ended, 0, 0);
    // Segments close between syncs only.
    log.settle().expect("durable");
    vec![admitted.position, item.position, ended.position]
}

fn fold_all(archive: &Archive, known: &Known) {
    while archive.fold(known, 0).expect("folds").records > 0 {}
}

fn replayed(archive: &Archive) -> Vec<(LogPosition, Record)> {
    let take = |all: &mut Vec<_>, position, record| all.push((position, record));
    archive.replay(Vec::new, take).expect("replays").0
}

#[test]
fn what_is_of_use_outlives_its_segment_and_the_rest_does_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = Log::open_directory(directory.path().join("log"), SMALL, Clock::system()).expect("opens");
    let archive = Archive::new(log.clone(), Place::Directory(directory.path().join("snapshots")));
    assert!(replayed(&archive).is_empty());
    let positions: Vec<_> = (1..=200).map(|graph| write(&log, graph, 30)).collect();
    let before = replayed(&archive);

    let odd =
        Known::new((1..=200).filter(|graph| graph % 2 == 1).map(|graph| TaskRange::from(TaskId(graph))));
    fold_all(&archive, &odd);
    assert!(log.first_position() > positions[100][0], "segments are gone");

    for (graph, positions) in (1..).zip(&positions) {
        for position in positions {
            let is_kept = graph % 2 == 1 || *position >= log.first_position();
            assert_eq!(archive.read(*position).is_ok(), is_kept, "record of g{graph} at {position}");
        }
    }
    let after = replayed(&archive);
    assert!(after.is_sorted_by_key(|(position, _)| *position), "in the order of the log");
    let wanted = |all: &[(LogPosition, Record)]| -> Vec<_> {
        all.iter().filter(|(_, record)| odd.wants(record)).cloned().collect()
    };
    assert_eq!(wanted(&after), wanted(&before));
    assert!(after.len() < before.len() * 2 / 3, "{} of {} records are left", after.len(), before.len());
}

#[test]
fn a_graph_that_is_forgotten_later_leaves_the_store() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = Log::open_directory(directory.path().join("log"), SMALL, Clock::system()).expect("opens");
    let archive = Archive::new(log.clone(), Place::Memory);
    replayed(&archive);
    let first = write(&log, 1, 30);
    (2..=100).for_each(|graph| drop(write(&log, graph, 30)));
    fold_all(&archive, &Known::new([TaskRange::from(TaskId(1))]));
    assert!(archive.read(first[0]).is_ok());

    (101..=200).for_each(|graph| drop(write(&log, graph, 30)));
    fold_all(&archive, &Known::new([]));
    assert!(archive.read(first[0]).is_err());
}

#[test]
fn a_record_too_long_for_one_value_is_kept_in_parts() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = Log::open_directory(directory.path().join("log"), SMALL, Clock::system()).expect("opens");
    let archive = Archive::new(log.clone(), Place::Directory(directory.path().join("snapshots")));
    replayed(&archive);
    let positions = write(&log, 1, 180_000);
    (2..=100).for_each(|graph| drop(write(&log, graph, 30)));
    let before = archive.read(positions[1]).expect("in the log");
    fold_all(&archive, &Known::new([TaskRange::from(TaskId(1))]));
    assert!(log.first_position() > positions[2], "its segment is gone");
    assert_eq!(archive.read(positions[1]).expect("in the store"), before);
    assert!(replayed(&archive).contains(&(positions[1], before)));
}

#[test]
fn a_snapshot_that_is_none_has_the_store_made_again_and_no_record_is_told_twice() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = Log::open_directory(directory.path().join("log"), SMALL, Clock::system()).expect("opens");
    let archive = Archive::new(log.clone(), Place::Directory(directory.path().join("snapshots")));
    replayed(&archive);
    (1..=100).for_each(|graph| drop(write(&log, graph, 30)));
    fold_all(&archive, &Known::new((1..=100).map(|graph| TaskRange::from(TaskId(graph)))));
    let before = replayed(&archive);
    let junk = Snapshot::new(1, vec![1, 255, 255, 255]);
    let junk = Change::Put(part_key(before[150].0, 0), junk);
    archive.shared().expect("it is open").put_batch(&[junk]).expect("it takes it");

    let take = |all: &mut Vec<_>, position, record| all.push((position, record));
    let (after, how) = archive.replay(Vec::new, take).expect("replays");
    assert!(how.rebuilt.is_some_and(|reason| reason.contains("damaged")));
    assert_eq!(after, before);
}

#[test]
fn what_operators_have_said_outlives_its_segment_until_it_is_taken_back() {
    use policy::directive::{Directive, Directives, Scope};
    let directory = tempfile::tempdir().expect("a directory");
    let log = Log::open_directory(directory.path().join("log"), SMALL, Clock::system()).expect("opens");
    let archive = Archive::new(log.clone(), Place::Memory);
    replayed(&archive);
    let say = |directive| {
        let event = SchedulerEvent::Directed { directive, by: "ann".into(), reason: "".into() };
        log.append(&Event::Scheduler(event), 0, 0);
    };
    let pass = |from: u64| (from..from + 100).for_each(|graph| drop(write(&log, graph, 30)));
    let known = || {
        log.settle().expect("durable");
        let mut all = Directives::default();
        for (_, record) in replayed(&archive) {
            if let Event::Scheduler(SchedulerEvent::Directed { directive, .. }) = &record.event {
                all.apply(directive);
            }
        }
        all
    };
    say(Directive::Cordon("a".into()));
    say(Directive::Cordon("b".into()));
    say(Directive::Pause(Scope::All));
    pass(1);
    fold_all(&archive, &Known::default());
    say(Directive::Uncordon("b".into()));
    pass(101);
    fold_all(&archive, &Known::default());
    let all = known();
    assert!(all.is_cordoned(&"a".into()) && !all.names(&"b".into()) && all.paused() == [Scope::All]);
    say(Directive::Remove("a".into()));
    say(Directive::Resume(Scope::All));
    assert_eq!(known(), Directives::default());
}

#[test]
fn the_last_start_is_known_after_its_segment_is_gone() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = Log::open_directory(directory.path().join("log"), SMALL, Clock::system()).expect("opens");
    let archive = Archive::new(log.clone(), Place::Memory);
    replayed(&archive);
    for epoch in [1, 2] {
        let started = SchedulerEvent::Started { epoch, version: "0".into() };
        log.append(&Event::Scheduler(started), 0, 0);
    }
    (1..=100).for_each(|graph| drop(write(&log, graph, 30)));
    fold_all(&archive, &Known::default());
    let epochs: Vec<u32> = replayed(&archive)
        .iter()
        .filter_map(|(_, record)| match record.event {
            Event::Scheduler(SchedulerEvent::Started { epoch, .. }) => Some(epoch),
            _ => None,
        })
        .collect();
    assert_eq!(epochs, [2]);
}

#[test]
fn of_the_sums_of_what_a_tenant_has_used_the_last_is_kept_in_its_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = Log::open_directory(directory.path().join("log"), SMALL, Clock::system()).expect("opens");
    let archive = Archive::new(log.clone(), Place::Memory);
    replayed(&archive);
    let sum = |tenant: &str, attempts| {
        let spent = policy::budget::Spent { attempts, ..policy::budget::Spent::default() };
        let since = policy::time::Timestamp(0);
        let spending = policy::budget::Spending { tenant: tenant.into(), since, spent, reached: None };
        log.append(&Event::Scheduler(SchedulerEvent::TenantSpent(spending)), 0, 0).position
    };
    let (other, _) = (sum("bob", 7), sum("ann", 1));
    for graph in 1..=300 {
        write(&log, graph, 30);
        if graph == 150 {
            fold_all(&archive, &Known::default());
        }
        if graph % 100 == 0 {
            sum("ann", graph);
        }
    }
    let last = sum("ann", 400);
    (301..=400).for_each(|graph| drop(write(&log, graph, 30)));
    fold_all(&archive, &Known::default());
    assert!(log.first_position() > last, "segments are gone");
    let kept: Vec<LogPosition> = replayed(&archive)
        .into_iter()
        .filter(|(_, record)| matches!(record.event, Event::Scheduler(SchedulerEvent::TenantSpent(_))))
        .map(|(position, _)| position)
        .collect();
    assert_eq!(kept, [other, last]);
}

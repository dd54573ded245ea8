//! What a crash leaves is a prefix that holds everything reported durable.

use proptest::prelude::*;

use super::*;
use crate::log::Step;

#[derive(Debug, Clone)]
enum Act {
    Append { batch: u32, size: usize },
    Sync,
    Crash,
    Kill,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1..6_u32, 0..400_usize).prop_map(|(batch, size)| Act::Append { batch, size }),
        3 => Just(Act::Sync),
        1 => Just(Act::Crash),
        1 => Just(Act::Kill),
    ]
}

/// What was appended: each record, and the number of the last of its batch.
type Model = Vec<(Appended, Event, u64)>;

fn append(log: &Log, model: &mut Model, batch: u32, size: usize) {
    let mut events = Batch::new();
    let listed: Vec<_> = (0..batch).map(|mark| event(mark, size)).collect();
    listed.iter().for_each(|event| events.push(event, 1, 2));
    let given = log.append_batch(&events);
    let last = given.last().unwrap().number;
    model.extend(given.into_iter().zip(listed).map(|(given, event)| (given, event, last)));
}

/// The log holds a prefix of the model, with all of `durable` and no batch in part. The rest is forgotten.
fn check_prefix(log: &Log, model: &mut Model, durable: u64) {
    let found = all(log);
    assert!(found.len() as u64 >= durable, "{} records where {durable} were durable", found.len());
    assert!(found.len() <= model.len());
    for ((position, record), (given, event, _)) in found.iter().zip(model.iter()) {
        assert_eq!((*position, record.number, record.at), (given.position, given.number, given.at));
        assert_eq!(&record.event, event);
        assert_eq!(&log.read_at(*position).unwrap(), record);
    }
    if let Some((given, _, last_of_batch)) = found.len().checked_sub(1).map(|last| &model[last]) {
        assert_eq!(given.number, *last_of_batch, "a torn batch");
    }
    assert_eq!(log.durable(), found.len() as u64);
    model.truncate(found.len());
}

fn run(acts: Vec<Act>, seed: u64) {
    let disk = SimulatedDisk::new();
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut log = driven(&disk);
    let mut model = Model::new();
    for act in acts {
        match act {
            Act::Append { batch, size } => append(&log, &mut model, batch, size),
            Act::Sync => {
                assert_ne!(log.sync_now(), Step::Broken);
                assert_eq!(log.durable(), model.len() as u64);
            }
            Act::Crash | Act::Kill => {
                let durable = log.durable();
                if matches!(act, Act::Crash) {
                    disk.crash(&mut chance)
                } else {
                    disk.kill()
                }
                log = driven(&disk);
                check_prefix(&log, &mut model, durable);
            }
        }
    }
    log.close();
    check_prefix(&driven(&disk), &mut model, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_crash_leaves_a_prefix_with_everything_durable(acts in prop::collection::vec(act(), 1..60), seed: u64) {
        run(acts, seed);
    }
}

/// A crash in the middle of writing: some operations of a step happened, the next ones did not.
#[test]
fn a_crash_at_every_operation_of_a_step_leaves_a_prefix() {
    use crate::log::disk::simulated::Fault;
    for seed in 0..200_u64 {
        let disk = SimulatedDisk::new();
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut model = Model::new();
        let log = driven(&disk);
        append(&log, &mut model, 3, 200);
        log.sync_now();
        append(&log, &mut model, 4, 100);
        append(&log, &mut model, 2, 300);
        let durable = log.durable();
        disk.fail_after(seed % 8, if seed.is_multiple_of(3) { Fault::Full } else { Fault::Broken });
        log.sync_now();
        let durable = durable.max(log.durable());
        disk.crash(&mut chance);
        // Opening may be interrupted as well.
        disk.fail_after(seed % 5, Fault::Broken);
        drop(try_driven(&disk));
        disk.crash(&mut chance);
        check_prefix(&driven(&disk), &mut model, durable);
    }
}

/// After a failed sync the file shows what the disk does not have; who opens it must not believe that.
#[test]
fn what_is_durable_after_a_failed_sync_survives_the_next_crash() {
    use crate::log::disk::simulated::Fault;
    for (seed, operations) in (0..60).map(|seed| (seed, seed % 6)) {
        let disk = SimulatedDisk::new();
        let mut model = Model::new();
        let log = driven(&disk);
        append(&log, &mut model, 3, 20);
        disk.fail_after(operations, Fault::Broken);
        log.sync_now();
        disk.kill();
        let log = driven(&disk);
        check_prefix(&log, &mut model, 0);
        append(&log, &mut model, 2, 20);
        log.sync_now();
        let durable = log.durable();
        disk.crash(&mut fastrand::Rng::with_seed(seed));
        check_prefix(&driven(&disk), &mut model, durable);
    }
}

#[test]
fn an_empty_last_segment_is_made_anew() {
    let disk = SimulatedDisk::new();
    let log = driven(&disk);
    log.append(&event(1, 700), 0, 0);
    log.sync_now();
    let next = log.durable_end();
    drop(log);
    let directory = disk.hold().unwrap();
    directory.create(&crate::log::segment::Segment::name(next)).unwrap();
    directory.release();
    let log = driven(&disk);
    assert_eq!(log.durable(), 1);
    log.append(&event(2, 10), 0, 0);
    log.sync_now();
    drop(log);
    assert_eq!(all(&driven(&disk)).len(), 2);
}

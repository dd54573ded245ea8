//! Records are found again: by place, by number, in order; and removed from the front.

use super::*;
use crate::log::ReadError;

fn filled() -> (SimulatedDisk, Log, Vec<Appended>) {
    let disk = SimulatedDisk::new();
    let log = driven(&disk);
    let mut given = Vec::new();
    for _ in 0..20 {
        given.extend(append_many(&log, 5));
        given.push(log.append(&event(1, 900), 7, 8));
        log.sync_now();
    }
    (disk, log, given)
}

#[test]
fn a_record_is_read_at_its_position_durable_or_not() {
    let (_, log, mut given) = filled();
    given.extend(append_many(&log, 3));
    for one in given {
        let record = log.read_at(one.position).unwrap();
        assert_eq!((record.number, record.at), (one.number, one.at));
    }
}

#[test]
fn there_is_no_record_in_the_middle_of_one() {
    let (_, log, given) = filled();
    let pending = append_many(&log, 1)[0].position;
    for position in [1, 64, given[0].position + 1, given[30].position - 1, pending + 1, pending + 1000] {
        assert!(matches!(log.read_at(position), Err(ReadError::NotFound(_))), "{position}");
    }
}

#[test]
fn a_follower_gets_every_record_once_within_its_bounds() {
    let (disk, log, given) = filled();
    drop(log);
    let log = driven(&disk);
    let (mut next, mut pieces) = (1, 0);
    loop {
        let records = log.records_from(next, 7, 500).unwrap();
        if records.is_empty() {
            break;
        }
        assert!(records.len() <= 7);
        for (position, record) in records {
            assert_eq!((record.number, position), (next, given[usize::try_from(next).unwrap() - 1].position));
            next += 1;
        }
        pieces += 1;
    }
    assert_eq!(next, given.len() as u64 + 1);
    assert!(pieces >= 20, "a long record fills an answer: {pieces}");
}

#[test]
fn a_follower_does_not_see_what_is_not_durable() {
    let (_, log, given) = filled();
    append_many(&log, 3);
    assert_eq!(log.records_from(given.len() as u64 + 1, 10, 1000).unwrap(), []);
}

#[test]
fn replay_begins_where_it_is_told() {
    let (_, log, given) = filled();
    let mut numbers = Vec::new();
    let last = log.replay(given[50].position, |_, record| numbers.push(record.number)).unwrap();
    assert_eq!(numbers, (51..=120).collect::<Vec<_>>());
    assert_eq!(last, 120);
    assert_eq!(log.replay(log.durable_end(), |_, _| panic!("nothing is there")).unwrap(), 0);
    assert!(log.replay(given[50].position + 1, |_, _| {}).is_err());
}

#[test]
fn what_was_removed_is_said_to_be() {
    let (disk, log, given) = filled();
    let boundary = given[60].position;
    assert!(log.remove_segments_before(boundary).unwrap() > 0);
    let check = |log: &Log| {
        let first = log.first_position();
        assert!(first > 0 && first <= boundary);
        assert!(
            matches!(log.read_at(given[0].position), Err(ReadError::Removed { position, .. }) if position == first)
        );
        assert!(matches!(log.records_from(1, 1, 1), Err(ReadError::Removed { .. })));
        assert!(matches!(log.replay(0, |_, _| {}), Err(ReadError::Removed { .. })));
        assert_eq!(log.read_at(boundary).unwrap().number, 61);
        assert_eq!(all(log).last().unwrap().1.number, 120);
    };
    check(&log);
    drop(log);
    let log = driven(&disk);
    check(&log);
    log.append(&lost(1), 0, 0);
    log.sync_now();
    assert_eq!(log.durable(), 121);
    assert!(log.remove_segments_before(u64::MAX).unwrap() > 0, "all but the last");
    assert_eq!(all(&log).last().unwrap().1.number, 121);
}

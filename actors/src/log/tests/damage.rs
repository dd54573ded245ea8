//! Whatever happens to the bytes: a prefix where it can have been a torn write, otherwise a refusal.

use proptest::prelude::*;

use super::*;
use crate::log::disk::Disk;
use crate::log::segment::Segment;

/// A log of several segments; the numbers of the records in the last group.
fn sample() -> (SimulatedDisk, Vec<Record>, std::ops::RangeInclusive<u64>) {
    let disk = SimulatedDisk::new();
    let log = driven(&disk);
    for size in [10, 300, 50, 200, 400, 20, 30, 100] {
        let mut batch = batch_of(2);
        batch.push(&event(9, size), 0, 0);
        log.append_batch(&batch);
        log.sync_now();
    }
    let first = log.append(&event(10, 40), 0, 0).number;
    let last = log.append_batch(&batch_of(3)).last().unwrap().number;
    log.sync_now();
    let records = all(&log).into_iter().map(|(_, record)| record).collect();
    drop(log);
    (disk, records, first..=last)
}

/// Opens and reads everything; `None` where either refuses.
fn read(disk: &SimulatedDisk) -> Option<Vec<Record>> {
    let log = try_driven(disk).ok()?;
    let mut records = Vec::new();
    log.replay(log.first_position(), |_, record| records.push(record)).ok()?;
    Some(records)
}

fn check(found: Option<Vec<Record>>, records: &[Record], last_group: &std::ops::RangeInclusive<u64>) {
    let Some(found) = found else { return };
    assert_eq!(found[..], records[..found.len()], "not a prefix");
    let lost = records.len() - found.len();
    assert!(lost as u64 <= last_group.end() - last_group.start() + 1, "{lost} durable records silently lost");
}

fn segments(disk: &SimulatedDisk) -> Vec<String> {
    with_directory(disk, |directory| directory.list().unwrap())
}

pub(super) fn with_directory<R>(disk: &SimulatedDisk, act: impl FnOnce(&dyn Disk) -> R) -> R {
    let directory = disk.hold().unwrap();
    let result = act(directory.as_ref());
    directory.release();
    result
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_flipped_bit_is_cut_off_at_the_end_or_refused(file: prop::sample::Index, byte: prop::sample::Index, bit in 0..8_u32) {
        let (disk, records, last_group) = sample();
        let names = segments(&disk);
        let name: &String = file.get(&names);
        disk.damage(name, |bytes| {
            let at = byte.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
        });
        check(read(&disk), &records, &last_group);
    }

    #[test]
    fn bytes_overwritten_cut_or_added_never_panic(
        file: prop::sample::Index, at: prop::sample::Index, length in 0..700_usize, filler: u8, cut: bool,
    ) {
        let (disk, records, _) = sample();
        let names = segments(&disk);
        let name: &String = file.get(&names);
        disk.damage(name, |bytes| {
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else {
                bytes.resize(bytes.len().max(at + length), 0);
                bytes[at..at + length].fill(filler);
            }
        });
        if let Some(found) = read(&disk) {
            assert_eq!(found[..], records[..found.len()]);
            assert!(Some(name) == names.last() || found.len() == records.len());
        }
    }
}

#[test]
fn damage_in_front_of_something_durable_names_the_file_and_the_place() {
    let disk = SimulatedDisk::new();
    let log = driven(&disk);
    let first = append_many(&log, 2);
    log.sync_now();
    append_many(&log, 2);
    log.sync_now();
    drop(log);
    let name = segments(&disk).pop().unwrap();
    let offset = first[1].position;
    disk.damage(&name, |bytes| bytes[usize::try_from(offset).unwrap() + 9] ^= 1);
    let refusal = try_driven(&disk).unwrap_err();
    assert!(matches!(refusal, OpenError::Damaged { offset: at, .. } if at == offset), "{refusal}");
    assert!(refusal.to_string().contains(&name), "{refusal}");
}

#[test]
fn a_missing_segment_is_noticed() {
    let (disk, ..) = sample();
    let names = segments(&disk);
    with_directory(&disk, |directory| directory.remove(&names[1]).unwrap());
    assert!(matches!(try_driven(&disk), Err(OpenError::Damaged { .. })));
}

#[test]
fn a_segment_of_another_log_is_noticed() {
    let (disk, ..) = sample();
    let name = segments(&disk).pop().unwrap();
    disk.damage(&name, |bytes| {
        let mut header = crate::log::frame::Header::decode(bytes).unwrap();
        header.log_id += 1;
        bytes[..64].copy_from_slice(&header.encode());
    });
    assert!(matches!(try_driven(&disk), Err(OpenError::Damaged { .. })));
}

#[test]
fn a_newer_format_is_refused() {
    let (disk, ..) = sample();
    let name = segments(&disk).pop().unwrap();
    disk.damage(&name, |bytes| {
        bytes[8] = 2;
        let checksum = crc32fast::hash(&bytes[..60]);
        bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
    });
    assert!(matches!(try_driven(&disk), Err(OpenError::Newer { found: 2, known: 1, .. })));
}

#[test]
fn the_stored_sample_of_format_1_still_loads() {
    const SAMPLE: &[u8] = include_bytes!("../samples/format-1.segment");
    let disk = SimulatedDisk::new();
    let name = Segment::name(0);
    with_directory(&disk, |directory| drop(directory.create(&name).unwrap()));
    disk.damage(&name, |bytes| *bytes = SAMPLE.to_vec());
    let found: Vec<_> = all(&driven(&disk)).into_iter().map(|(_, record)| record.event).collect();
    let mut expected: Vec<_> = vec![event(7, 3), lost(8)];
    expected.extend([event(0, 20), event(1, 20)]);
    assert_eq!(found, expected);
}

/// Writes the sample again, for when a new format makes a new one: `cargo test -- --ignored writes_a_sample`.
#[test]
#[ignore = "makes the sample that the test above reads"]
fn writes_a_sample() {
    let disk = SimulatedDisk::new();
    let log = driven(&disk);
    log.append(&event(7, 3), 0, 0);
    log.sync_now();
    log.append(&lost(8), 1, 1);
    log.append_batch(&batch_of(2));
    log.close();
    disk.damage(&Segment::name(0), |bytes| {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/log/samples/format-1.segment"), bytes)
            .unwrap();
    });
}

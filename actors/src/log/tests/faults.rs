//! A full disk stalls, anything else breaks; nothing is acknowledged that isn't durable.

use std::sync::Mutex;

use super::*;
use crate::log::disk::simulated::Fault;
use crate::log::{LogHealth, Step};

fn acknowledgements(log: &Log, numbers: impl IntoIterator<Item = u64>) -> Arc<Mutex<Vec<u64>>> {
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for number in numbers {
        let acknowledged = Arc::clone(&acknowledged);
        log.when_durable(number, move || acknowledged.lock().unwrap().push(number));
    }
    acknowledged
}

#[test]
fn a_full_disk_stalls_until_there_is_room() {
    for operations in 0..4 {
        let disk = SimulatedDisk::new();
        let log = driven(&disk);
        append_many(&log, 3);
        let acknowledged = acknowledgements(&log, 1..=4);
        disk.fail_after(operations, Fault::Full);
        let first = log.sync_now();
        if first == Step::Stalled {
            assert!(matches!(log.health(), LogHealth::Stalled { .. }));
            assert!(acknowledged.lock().unwrap().is_empty());
            assert_eq!(log.sync_now(), Step::Stalled);
            assert_eq!(log.read_at(log.append(&event(9, 9), 0, 0).position).unwrap().number, 4);
            disk.heal();
            assert_eq!(log.sync_now(), Step::Wrote);
            assert_eq!(log.sync_now(), Step::Wrote);
            assert_eq!(*acknowledged.lock().unwrap(), [1, 2, 3, 4]);
        }
        assert_eq!(log.health(), LogHealth::Good);
        let count = all(&log).len();
        drop(log);
        assert_eq!(all(&driven(&disk)).len(), count);
    }
}

#[test]
fn a_stalled_log_refuses_more_when_its_limit_is_reached() {
    let disk = SimulatedDisk::new();
    let log = driven(&disk);
    disk.fail_after(0, Fault::Full);
    assert_eq!(log.check_room(), Ok(()));
    log.append(&event(1, 5000), 0, 0);
    log.sync_now();
    let refusal = log.check_room().unwrap_err();
    assert!(refusal.pending > 5000 && refusal.limit == 4096, "{refusal}");
}

#[test]
fn an_error_breaks_the_log_and_nothing_is_acknowledged() {
    for operations in 0..5 {
        let disk = SimulatedDisk::new();
        let log = driven(&disk);
        append_many(&log, 3);
        let acknowledged = acknowledgements(&log, 1..=3);
        disk.fail_after(operations, Fault::Broken);
        if operations == 4 {
            // Creating, two syncs and a write went well, so did the group's write; its sync did not.
            assert_eq!(log.sync_now(), Step::Broken, "after {operations}");
        } else {
            log.sync_now();
        }
        disk.heal();
        assert_eq!(log.sync_now(), Step::Broken, "a broken log stays so");
        assert!(matches!(log.health(), LogHealth::Broken { .. }));
        assert!(acknowledged.lock().unwrap().is_empty());
        assert!(acknowledgements(&log, [1, 2, 3]).lock().unwrap().is_empty());
        assert_eq!(log.durable(), 0);
        let number = log.append(&event(1, 1), 0, 0).number;
        assert!(acknowledgements(&log, [number]).lock().unwrap().is_empty());
    }
}

#[test]
fn a_closed_log_takes_nothing_more() {
    let disk = SimulatedDisk::new();
    let log = driven(&disk);
    append_many(&log, 2);
    log.close();
    assert_eq!(log.health(), LogHealth::Closed);
    let number = log.append(&event(1, 1), 0, 0).number;
    let acknowledged = acknowledgements(&log, [1, number]);
    assert_eq!(*acknowledged.lock().unwrap(), [1], "what is durable is, also now");
    assert_eq!(all(&driven(&disk)).len(), 2);
}

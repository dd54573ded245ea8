//! The log with its thread, on the disk of this machine and under an actor.

use std::sync::mpsc;

use supervision::{Address, actor::spawn};

use super::*;
use crate::log::actor::{LogActor, LogArgs};
use crate::log::disk::simulated::Fault;
use crate::log::{LogHealth, OpenError};

fn open(directory: &std::path::Path) -> Result<Log, OpenError> {
    Log::open_directory(
        directory,
        LogLimits { segment_bytes: 8 << 10, ..LogLimits::default() },
        Clock::system(),
    )
}

#[test]
fn what_many_threads_append_is_there_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).unwrap();
    let (done, durable) = mpsc::channel();
    for thread in 0..8 {
        let (log, done) = (log.clone(), done.clone());
        std::thread::spawn(move || {
            for _ in 0..200 {
                let given = log.append(&event(1, 30), 0, 0);
                assert_eq!(log.read_at(given.position).unwrap().number, given.number);
                let done = done.clone();
                log.when_durable(given.number, move || done.send((thread, given.number)).unwrap());
            }
        });
    }
    drop(done);
    let heard: Vec<(u32, u64)> = durable.iter().collect();
    for thread in 0..8 {
        let own = heard.iter().filter(|(from, _)| *from == thread).map(|(_, number)| *number);
        assert!(own.clone().is_sorted() && own.count() == 200, "whoever asks in order hears in order");
    }
    let numbers: std::collections::BTreeSet<u64> = heard.iter().map(|(_, number)| *number).collect();
    assert!(numbers.into_iter().eq(1..=1600), "each once, without gaps");
    let before = all(&log);
    log.close();
    let again = open(directory.path()).unwrap();
    assert_eq!(all(&again), before);
    assert_eq!(again.opening().last_number, 1600);
    assert_eq!(again.opening().cut, None);
}

#[test]
fn those_who_append_together_share_a_sync() {
    let disk = SimulatedDisk::new();
    let log = Log::open(disk.hold().unwrap(), LogLimits::default(), Clock::system()).unwrap();
    let (done, durable) = mpsc::channel();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let log = log.clone();
            std::thread::spawn(move || append_many(&log, 2000))
        })
        .collect();
    threads.into_iter().for_each(|thread| drop(thread.join().unwrap()));
    log.when_durable(8000, move || done.send(()).unwrap());
    durable.recv_timeout(PATIENCE).unwrap();
    assert!(disk.syncs() < 8000, "{} syncs", disk.syncs());
}

#[test]
fn a_second_log_in_one_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).unwrap();
    assert!(matches!(open(directory.path()), Err(OpenError::Hold(_))));
    log.close();
    open(directory.path()).unwrap();
}

#[test]
fn a_continuation_may_append_and_wait_and_drop_the_last_handle() {
    let disk = SimulatedDisk::new();
    let log = Log::open(disk.hold().unwrap(), LogLimits::default(), Clock::system()).unwrap();
    let (done, durable) = mpsc::channel();
    let number = log.append(&event(1, 1), 0, 0).number;
    let inner = log.clone();
    log.when_durable(number, move || {
        let number = inner.append(&event(2, 1), 0, 0).number;
        let last = inner.clone();
        inner.when_durable(number, move || {
            drop(last);
            done.send(()).unwrap();
        });
    });
    drop(log);
    durable.recv_timeout(PATIENCE).unwrap();
}

#[tokio::test]
async fn whoever_follows_hears_of_each_step() {
    let log = Log::open(SimulatedDisk::new().hold().unwrap(), LogLimits::default(), Clock::system()).unwrap();
    let mut durable = log.subscribe_durable();
    append_many(&log, 5);
    tokio::time::timeout(PATIENCE, durable.wait_for(|number| *number == 5)).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_keeper_drives_a_log_without_a_thread() {
    let disk = SimulatedDisk::new();
    let log = driven(&disk);
    append_many(&log, 1);
    let (actor, ended) =
        spawn::<LogActor>(LogArgs { log: log.clone() }, Address::new("log", ""), None).await.unwrap();
    let mut durable = log.subscribe_durable();
    durable.wait_for(|number| *number == 1).await.unwrap();
    append_many(&log, 2);
    durable.wait_for(|number| *number == 3).await.unwrap();
    disk.fail_after(0, Fault::Full);
    append_many(&log, 1);
    let mut health = log.subscribe_health();
    health.wait_for(|health| matches!(health, LogHealth::Stalled { .. })).await.unwrap();
    disk.heal();
    durable.wait_for(|number| *number == 4).await.unwrap();
    actor.stop(None);
    ended.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broken_log_ends_its_keeper() {
    let disk = SimulatedDisk::new();
    let log = driven(&disk);
    let (_, ended) =
        spawn::<LogActor>(LogArgs { log: log.clone() }, Address::new("log", ""), None).await.unwrap();
    disk.fail_after(0, Fault::Broken);
    append_many(&log, 1);
    ended.await.unwrap();
    assert!(matches!(log.health(), LogHealth::Broken { .. }));
    assert!(
        spawn::<LogActor>(LogArgs { log }, Address::new("log", ""), None).await.is_err(),
        "nor does it start"
    );
}

//! The log against its guarantees, mostly on a simulated disk.

mod crash;
mod damage;
mod faults;
mod kept;
mod layout;
mod machine;
mod reading;

use std::sync::Arc;
use std::time::Duration;

use policy::event::{Event, LogPosition, Record, SchedulerEvent};
use policy::id::{NodeId, NodeSession};

use crate::clock::Clock;
use crate::log::disk::SimulatedDisk;
use crate::log::{Appended, Batch, Log, LogLimits, OpenError};

/// Segments so small that tests have many.
const SMALL: LogLimits =
    LogLimits { segment_bytes: 600, pending_bytes: 4096, durability: super::Durability::Full };

/// An event that is `size` bytes long, more or less, and told apart by `mark`.
fn event(mark: u32, size: usize) -> Event {
    Event::Scheduler(SchedulerEvent::Started { epoch: mark, version: "v".repeat(size).into() })
}

/// An event of the size most have.
fn lost(mark: u64) -> Event {
    Event::Node(NodeId::from("mac-1"), policy::event::NodeEvent::Lost { session: NodeSession(mark) })
}

fn driven(disk: &SimulatedDisk) -> Log {
    try_driven(disk).unwrap()
}

fn try_driven(disk: &SimulatedDisk) -> Result<Log, OpenError> {
    Log::open_driven(disk.hold()?, SMALL, Clock::system())
}

/// Everything durable.
fn all(log: &Log) -> Vec<(LogPosition, Record)> {
    let mut records = Vec::new();
    log.replay(log.first_position(), |position, record| records.push((position, record))).unwrap();
    records
}

fn append_many(log: &Log, count: u32) -> Vec<Appended> {
    (0..count).map(|mark| log.append(&event(mark, 10), 0, 0)).collect()
}

fn batch_of(count: u32) -> Batch {
    let mut batch = Batch::new();
    (0..count).for_each(|mark| batch.push(&event(mark, 20), 0, 0));
    batch
}

/// Far longer than anything here takes; only a bug waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

//! What is kept has the layout that was stored with its number; logs of every layout are read.

use policy::breaker::Change;
use policy::budget::{Meter, OnReached};
use policy::claims::Mode as LockMode;
use policy::constraint::{AvoidFailed, Test};
use policy::dependency::{Need, On};
use policy::directive::{Directive, Scope};
use policy::event::{GraphEvent, Next, TaskEvent};
use policy::layout::Layout;
use policy::pressure::Mode;
use policy::task::{AttemptOutcome, LossReason, Priority, Signals, TaskOutcome};
use serde_reflection::{Tracer, TracerConfig};

use super::damage::with_directory;
use super::*;
use crate::log::segment::Segment;
use crate::store::{Covered, Key, Snapshot};
use crate::wire::{codec, spoken};

/// Every kept type: its fields and variants, in order.
fn traced() -> Result<String, serde_reflection::Error> {
    let mut tracer = Tracer::new(TracerConfig::default().is_human_readable(false));
    tracer.trace_simple_type::<Key>()?;
    tracer.trace_simple_type::<Snapshot>()?;
    tracer.trace_simple_type::<Covered>()?;
    tracer.trace_simple_type::<Record>()?;
    tracer.trace_simple_type::<Event>()?;
    tracer.trace_simple_type::<GraphEvent>()?;
    tracer.trace_simple_type::<TaskEvent>()?;
    tracer.trace_simple_type::<policy::event::NodeEvent>()?;
    tracer.trace_simple_type::<SchedulerEvent>()?;
    tracer.trace_simple_type::<Next>()?;
    tracer.trace_simple_type::<AttemptOutcome>()?;
    tracer.trace_simple_type::<TaskOutcome>()?;
    tracer.trace_simple_type::<LossReason>()?;
    tracer.trace_simple_type::<Priority>()?;
    tracer.trace_simple_type::<policy::task::Qos>()?;
    tracer.trace_simple_type::<Signals>()?;
    tracer.trace_simple_type::<Need>()?;
    tracer.trace_simple_type::<On>()?;
    tracer.trace_simple_type::<AvoidFailed>()?;
    tracer.trace_simple_type::<Test>()?;
    tracer.trace_simple_type::<LockMode>()?;
    tracer.trace_simple_type::<Mode>()?;
    tracer.trace_simple_type::<Meter>()?;
    tracer.trace_simple_type::<OnReached>()?;
    tracer.trace_simple_type::<Directive>()?;
    tracer.trace_simple_type::<Scope>()?;
    tracer.trace_simple_type::<Change>()?;
    tracer.trace_simple_type::<policy::bounds::TimeLimit>()?;
    tracer.trace_simple_type::<policy::bounds::Deadline>()?;
    tracer.trace_simple_type::<policy::excess::UseLimit>()?;
    tracer.trace_simple_type::<policy::workspace::Source>()?;
    tracer.trace_simple_type::<policy::workspace::Keep>()?;
    tracer.trace_simple_type::<policy::workspace::WhyKept>()?;
    spoken::lines(tracer)
}

#[test]
fn what_is_kept_has_the_layout_of_its_number() {
    let changes = spoken::changes(&traced(), include_str!("../samples/layout-6.types"));
    assert!(changes.is_empty(), "kept types changed; how they may is said in policy::layout: {changes:#?}");
}

#[test]
fn logs_of_every_layout_are_read() {
    let samples: [&[u8]; Layout::CURRENT.number() as usize] = [
        include_bytes!("../samples/layout-1.segment"),
        include_bytes!("../samples/layout-2.segment"),
        include_bytes!("../samples/layout-3.segment"),
        include_bytes!("../samples/layout-4.segment"),
        include_bytes!("../samples/layout-5.segment"),
        include_bytes!("../samples/layout-6.segment"),
    ];
    for (sample, number) in samples.into_iter().zip(1..) {
        let disk = SimulatedDisk::new();
        let name = Segment::name(0);
        with_directory(&disk, |directory| drop(directory.create(&name).unwrap()));
        disk.damage(&name, |bytes| *bytes = sample.to_vec());
        let found: Vec<_> = all(&driven(&disk)).into_iter().map(|(_, record)| record.event).collect();
        let layout = Layout::known(number).unwrap();
        assert_eq!(found, kept::events(layout), "layout {number}");
        // Written for a program of that version it is what that program has written.
        for event in found {
            let written = codec::encode_as(layout, &event);
            assert!(
                sample.windows(written.len()).any(|bytes| bytes == written),
                "layout {number}: {event:?}"
            );
        }
    }
}

/// For a new layout: `cargo test -p knittingcrab-actors --lib -- --ignored writes_the_current_layout`.
#[test]
#[ignore = "writes what the tests above read"]
fn writes_the_current_layout() {
    let number = Layout::CURRENT.number();
    let path = |ending| format!("{}/src/log/samples/layout-{number}.{ending}", env!("CARGO_MANIFEST_DIR"));
    std::fs::write(path("types"), traced().unwrap()).unwrap();
    let disk = SimulatedDisk::new();
    let limits = LogLimits { segment_bytes: 1 << 20, ..SMALL };
    let log = Log::open_driven(disk.hold().unwrap(), limits, Clock::system()).unwrap();
    for event in kept::events(Layout::CURRENT) {
        log.append(&event, 1, 7);
        log.sync_now();
    }
    log.close();
    disk.damage(&Segment::name(0), |bytes| std::fs::write(path("segment"), bytes).unwrap());
}

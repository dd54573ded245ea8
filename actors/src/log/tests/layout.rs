//! What is kept has the layout that was stored with its number; logs of every layout are read.

use policy::layout::Layout;

use super::damage::with_directory;
use super::*;
use crate::log::segment::Segment;
use crate::store::{Covered, Key, Snapshot};
use crate::wire::{codec, spoken};

/// Every kept type: its fields and variants, in order.
fn traced() -> Result<String, serde_reflection::Error> {
    let mut tracer = spoken::tracer();
    tracer.trace_simple_type::<Key>()?;
    tracer.trace_simple_type::<Snapshot>()?;
    tracer.trace_simple_type::<Covered>()?;
    spoken::trace_records(&mut tracer)?;
    spoken::lines(tracer)
}

#[test]
fn what_is_kept_has_the_layout_of_its_number() {
    let changes = spoken::changes(&traced(), include_str!("../samples/layout-20.types"));
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
        include_bytes!("../samples/layout-7.segment"),
        include_bytes!("../samples/layout-8.segment"),
        include_bytes!("../samples/layout-9.segment"),
        include_bytes!("../samples/layout-10.segment"),
        include_bytes!("../samples/layout-11.segment"),
        include_bytes!("../samples/layout-12.segment"),
        include_bytes!("../samples/layout-13.segment"),
        include_bytes!("../samples/layout-14.segment"),
        include_bytes!("../samples/layout-15.segment"),
        include_bytes!("../samples/layout-16.segment"),
        include_bytes!("../samples/layout-17.segment"),
        include_bytes!("../samples/layout-18.segment"),
        include_bytes!("../samples/layout-19.segment"),
        include_bytes!("../samples/layout-20.segment"),
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

//! Snapshots and the tail of the log come to the same state as the whole log, whatever happens between.

use std::collections::BTreeMap;

use policy::event::{Event, LogPosition, NodeEvent, Record};
use policy::id::{NodeId, NodeSession};
use proptest::prelude::*;

use super::*;
use crate::clock::Clock;
use crate::log::disk::simulated::Fault;
use crate::log::disk::{Durability, SimulatedDisk};
use crate::log::{Log, LogLimits};

const LIMITS: LogLimits = LogLimits { segment_bytes: 300, pending_bytes: 4096, durability: Durability::Full };
const NODE: Kind = Kind(1);

/// Counts what happened to each node; a node that left is forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Counts(BTreeMap<String, u64>);

impl Counts {
    fn count(&mut self, record: &Record) -> String {
        let Event::Node(node, event) = &record.event else { panic!("only nodes here") };
        let name = node.to_string();
        match event {
            NodeEvent::Left { .. } => drop(self.0.remove(&name)),
            _ => *self.0.entry(name.clone()).or_default() += record.number,
        }
        name
    }
}

impl Restorer for Counts {
    fn load(&mut self, key: Key, snapshot: Snapshot) -> Result<(), CodecError> {
        let name = String::from_utf8(key.id).unwrap();
        self.0.insert(name, codec::decode(&snapshot.bytes, 100)?);
        Ok(())
    }

    fn apply(&mut self, _: LogPosition, record: Record) {
        self.count(&record);
    }
}

struct Folding {
    counts: Counts,
    touched: Vec<String>,
}

impl Folder for Folding {
    fn apply(&mut self, _: LogPosition, record: &Record) {
        self.touched.push(self.counts.count(record));
    }

    fn finish(mut self) -> Vec<(Key, Option<Vec<u8>>)> {
        self.touched.sort();
        self.touched.dedup();
        let state = |name: &String| self.counts.0.get(name).map(codec::encode);
        self.touched.iter().map(|name| (Key::of_name(NODE, name), state(name))).collect()
    }
}

fn fold(log: &Log, store: &dyn SnapshotStore, upto: LogPosition) -> Result<Checkpointed, CheckpointError> {
    let mut counts = Counts::default();
    store.scan(&mut |key, snapshot| {
        if key.kind == NODE {
            counts.load(key, snapshot).unwrap();
        }
    })?;
    checkpoint(log, store, upto, Folding { counts, touched: Vec::new() })
}

fn open(disk: &SimulatedDisk) -> Log {
    Log::open_driven(disk.hold().unwrap(), LIMITS, Clock::system()).unwrap()
}

fn recovered(log: &Log, store: &MemoryStore) -> Recovered<MemoryStore, Counts> {
    let open = |how| {
        if how == Open::Afresh {
            store.clear();
        }
        Ok(store.clone())
    };
    recover(log, open, Counts::default).unwrap()
}

fn append(log: &Log, node: u8, is_leaving: bool) -> Event {
    let session = NodeSession(0);
    let what = if is_leaving { NodeEvent::Left { session } } else { NodeEvent::Suspected };
    let event = Event::Node(NodeId::from(format!("node-{node}").as_str()), what);
    log.append(&event, 0, 0);
    event
}

#[derive(Debug, Clone)]
enum Act {
    Append(u8, bool),
    Sync,
    Fold(prop::sample::Index),
    InterruptedFold,
    Retire(prop::sample::Index),
    FailingRetire(u64),
    DamageStore,
    LoseStore,
    Crash,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        20 => (0..4_u8, prop::bool::weighted(0.2)).prop_map(|(node, leaves)| Act::Append(node, leaves)),
        6 => Just(Act::Sync),
        3 => any::<prop::sample::Index>().prop_map(Act::Fold),
        2 => Just(Act::InterruptedFold),
        2 => any::<prop::sample::Index>().prop_map(Act::Retire),
        1 => (0..8_u64).prop_map(Act::FailingRetire),
        1 => Just(Act::DamageStore),
        1 => Just(Act::LoseStore),
        3 => Just(Act::Crash),
    ]
}

/// A store that is interrupted before it flushes.
#[derive(Debug)]
struct NeverFlushed(MemoryStore);

impl SnapshotStore for NeverFlushed {
    fn get(&self, key: &Key) -> Result<Option<Snapshot>, StoreError> {
        self.0.get(key)
    }

    fn put_batch(&self, changes: &[Change]) -> Result<(), StoreError> {
        self.0.put_batch(changes)
    }

    fn scan(&self, take: &mut dyn FnMut(Key, Snapshot)) -> Result<(), StoreError> {
        self.0.scan(take)
    }

    fn flush_durably(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A log, a store, and all that was ever appended.
struct World {
    disk: SimulatedDisk,
    store: MemoryStore,
    log: Log,
    appended: Vec<Event>,
    chance: fastrand::Rng,
}

impl World {
    fn place(&self, index: prop::sample::Index) -> LogPosition {
        let end = usize::try_from(self.log.durable_end()).unwrap();
        index.index(end + 1) as LogPosition
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Append(node, leaves) => self.appended.push(append(&self.log, node, leaves)),
            Act::Sync => drop(self.log.sync_now()),
            Act::Fold(index) => drop(fold(&self.log, &self.store, self.place(index)).unwrap()),
            Act::InterruptedFold => {
                fold(&self.log, &NeverFlushed(self.store.clone()), LogPosition::MAX).unwrap();
                self.crash();
            }
            Act::Retire(index) => drop(retire(&self.log, &self.store, self.place(index)).unwrap()),
            Act::FailingRetire(operations) => {
                self.disk.fail_after(operations, Fault::Broken);
                let _ = retire(&self.log, &self.store, LogPosition::MAX);
                self.crash();
            }
            Act::DamageStore => {
                self.store.damage();
                self.recover();
            }
            Act::LoseStore => {
                self.store.clear();
                self.recover();
            }
            Act::Crash => self.crash(),
        }
    }

    fn crash(&mut self) {
        self.disk.crash(&mut self.chance);
        self.store.crash(&mut self.chance);
        self.log = open(&self.disk);
        self.recover();
    }

    /// The state that is recovered is that of all records, also of those that are gone.
    fn recover(&mut self) {
        self.appended.truncate(usize::try_from(self.log.last()).unwrap());
        let recovered = recovered(&self.log, &self.store);
        let mut expected = Counts::default();
        for (event, number) in self.appended.iter().zip(1..=self.log.durable()) {
            let record =
                Record { number, at: Default::default(), cause: 0, correlation: 0, event: event.clone() };
            expected.count(&record);
        }
        assert_eq!(recovered.restored, expected);
        assert_eq!(recovered.last_number, self.log.durable());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn snapshots_and_tail_come_to_what_the_whole_log_does(acts in prop::collection::vec(act(), 1..120), seed: u64) {
        let disk = SimulatedDisk::new();
        let log = open(&disk);
        let chance = fastrand::Rng::with_seed(seed);
        let mut world = World { disk, store: MemoryStore::new(), log, appended: Vec::new(), chance };
        acts.iter().for_each(|act| world.act(act));
        world.crash();
    }
}

fn filled(disk: &SimulatedDisk) -> Log {
    let log = open(disk);
    for node in 0..60 {
        append(&log, node % 5, false);
        log.sync_now();
    }
    log
}

#[test]
fn a_checkpoint_lets_segments_go_and_says_what_it_did() {
    let disk = SimulatedDisk::new();
    let log = filled(&disk);
    let whole = recovered(&log, &MemoryStore::new()).restored;
    let store = MemoryStore::new();
    assert_eq!(retire(&log, &store, LogPosition::MAX).unwrap(), 0, "nothing is covered yet");
    let done = fold(&log, &store, LogPosition::MAX).unwrap();
    assert_eq!(done.covered, covered(&store).unwrap());
    assert_eq!(done.covered.position, log.closed_end());
    assert!(done.records > 30 && done.changes == 5, "{done:?}");
    assert!(retire(&log, &store, LogPosition::MAX).unwrap() > 3);
    assert_eq!(log.first_position(), done.covered.position);
    assert_eq!(fold(&log, &store, LogPosition::MAX).unwrap().records, 0, "nothing new");
    let again = recovered(&log, &store);
    assert_eq!((again.restored, again.rebuilt), (whole.clone(), None));
    store.damage();
    let again = recovered(&log, &store);
    assert_eq!(again.restored, whole);
    assert!(again.rebuilt.unwrap().contains("damaged"));
}

#[test]
fn a_snapshot_that_is_too_large_is_refused() {
    let store = MemoryStore::new();
    let snapshot = Snapshot::new(1, vec![0; SNAPSHOT_LIMIT_BYTES + 1]);
    let refusal = store.put_batch(&[Change::Put(Key::of_number(NODE, 1), snapshot)]).unwrap_err();
    assert!(matches!(refusal, StoreError::TooLarge { .. }), "{refusal}");
}

fn put(node: &str, number: u64) -> Change {
    Change::Put(Key::of_name(NODE, node), Snapshot::new(number, codec::encode(&number)))
}

#[test]
fn sled_keeps_what_it_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("snapshots");
    let store = SledStore::open(&path, Open::Existing).unwrap();
    store.put_batch(&[put("b", 2), put("a", 1), put("c", 3)]).unwrap();
    store.remove(&Key::of_name(NODE, "c")).unwrap();
    store.flush_durably().unwrap();
    drop(store);
    let store = SledStore::open(&path, Open::Existing).unwrap();
    let mut numbers = Vec::new();
    store.scan(&mut |_, snapshot| numbers.push(snapshot.number)).unwrap();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(store.get(&Key::of_name(NODE, "c")).unwrap(), None);
}

#[test]
fn a_damaged_sled_is_moved_aside_and_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("snapshots");
    let log = filled(&SimulatedDisk::new());
    let store = SledStore::open(&path, Open::Existing).unwrap();
    fold(&log, &store, LogPosition::MAX).unwrap();
    retire(&log, &store, LogPosition::MAX).unwrap();
    drop(store);
    let file = path.join("db");
    let length = std::fs::metadata(&file).unwrap().len();
    std::fs::write(&file, vec![0xA5; usize::try_from(length).unwrap()]).unwrap();
    let again = recover(&log, |how| SledStore::open(&path, how), Counts::default).unwrap();
    assert_eq!(again.restored.0.len(), 5);
    assert!(again.rebuilt.is_some());
    assert!(directory.path().join("snapshots.damaged").exists());
    drop(again);
    let again = recover(&log, |how| SledStore::open(&path, how), Counts::default).unwrap();
    assert_eq!((again.restored.0.len(), again.rebuilt), (5, None));
}

#[test]
fn a_lost_store_and_a_damaged_base_are_refused() {
    let disk = SimulatedDisk::new();
    let log = filled(&disk);
    let store = MemoryStore::new();
    let done = fold(&log, &store, LogPosition::MAX).unwrap();
    retire(&log, &store, LogPosition::MAX).unwrap();
    disk.damage(&format!("{:020}.base", done.covered.position), |bytes| bytes[40] ^= 1);
    let refusal = recover(&log, |_| Ok(MemoryStore::new()), Counts::default).unwrap_err();
    assert!(refusal.to_string().contains("restore the data directory"), "{refusal}");
}

#[test]
fn the_stored_samples_of_every_layout_still_load() {
    let kept = |number, layout| Snapshot { number, bytes: vec![1, 2, 3], layout };
    assert_eq!(decode(&[1, 7, 1, 2, 3]).unwrap(), kept(7, Layout::FIRST));
    assert_eq!(decode(&encode(&kept(7, Layout::CURRENT))).unwrap(), kept(7, Layout::CURRENT));
    let known = Layout::CURRENT.number();
    let newer = decode(&[known + 1, 7]).unwrap_err();
    assert!(matches!(newer, StoreError::Newer { found, known: k } if found == known + 1 && k == known));
    let samples: [&[u8]; Layout::CURRENT.number() as usize] = [
        include_bytes!("samples/layout-1.base"),
        include_bytes!("samples/layout-2.base"),
        include_bytes!("samples/layout-3.base"),
        include_bytes!("samples/layout-4.base"),
        include_bytes!("samples/layout-5.base"),
        include_bytes!("samples/layout-6.base"),
        include_bytes!("samples/layout-7.base"),
        include_bytes!("samples/layout-8.base"),
        include_bytes!("samples/layout-9.base"),
        include_bytes!("samples/layout-10.base"),
        include_bytes!("samples/layout-11.base"),
        include_bytes!("samples/layout-12.base"),
        include_bytes!("samples/layout-13.base"),
        include_bytes!("samples/layout-14.base"),
        include_bytes!("samples/layout-15.base"),
        include_bytes!("samples/layout-16.base"),
        include_bytes!("samples/layout-17.base"),
        include_bytes!("samples/layout-18.base"),
        include_bytes!("samples/layout-19.base"),
        include_bytes!("samples/layout-20.base"),
    ];
    for (sample, layout) in samples.into_iter().zip(1..) {
        let (covered, snapshots) = base::parse(sample).unwrap();
        assert_eq!(covered, Covered { position: 5000, number: 42 });
        let kept = kept(42, Layout::known(layout).unwrap());
        assert_eq!(snapshots, [(Key::of_number(NODE, 9), kept)]);
    }
}

/// Writes the sample of the current layout: `cargo test -p knittingcrab-actors --lib -- --ignored writes_the_current_layout`.
#[test]
#[ignore = "makes the sample that the test above reads"]
fn writes_the_current_layout_of_snapshots() {
    let (disk, store) = (SimulatedDisk::new(), MemoryStore::new());
    let snapshot = Snapshot::new(42, vec![1, 2, 3]);
    store.put_batch(&[Change::Put(Key::of_number(NODE, 9), snapshot)]).unwrap();
    let covered = Covered { position: 5000, number: 42 };
    base::write(&open(&disk), &store, covered).unwrap();
    disk.damage(&format!("{:020}.base", 5000), |bytes| {
        let number = Layout::CURRENT.number();
        let path = format!("{}/src/store/samples/layout-{number}.base", env!("CARGO_MANIFEST_DIR"));
        std::fs::write(path, bytes).unwrap();
    });
}

//! What looks wrong with what the fleet shares: claims, memory and disks, clocks, traces.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::claims::{ClaimsView, HolderView};
use policy::event::{Event, Record, SchedulerEvent};
use policy::id::NodeId;
use policy::time::Timestamp;

use crate::console::lint::{Code, Lint};
use crate::say;
use crate::wire::client::{NodeHealth, NodeRow, Sample, TaskRow};

/// A machine that has less of its disk for tasks can hardly build anything.
const DISK_LEAST_BYTES: u64 = 1 << 30;
/// How far clocks may be apart: the way to the daemon and back, and what NTP leaves.
const SKEW_MOST: Duration = Duration::from_secs(2);

fn lint(code: Code, about: String, evidence: String, fix: impl Into<String>) -> Lint {
    Lint { code, about, since: None, evidence, fix: fix.into() }
}

/// Locks and indices that more hold than may.
pub(super) fn of_claims(claims: &ClaimsView) -> Vec<Lint> {
    let two = |about: String, holders: &[&HolderView]| {
        let names: Vec<_> = holders.iter().map(|one| format!("{} on {}", one.task, one.node)).collect();
        (holders.len() > 1).then(|| lint(Code::TwoHolders, about, names.join(", "), "locks"))
    };
    let exclusive = claims.locks.iter().filter(|lock| lock.mode == policy::claims::Mode::Exclusive);
    let locks = exclusive
        .filter_map(|lock| two(format!("lock {}", lock.name), &lock.holders.iter().collect::<Vec<_>>()));
    let indices = claims.pools.iter().flat_map(|pool| {
        let mut held: BTreeMap<&str, Vec<&HolderView>> = BTreeMap::new();
        pool.held.iter().for_each(|(index, holder)| held.entry(index).or_default().push(holder));
        held.into_iter()
            .filter_map(|(index, holders)| two(format!("{} of {}", index, pool.name), &holders))
            .collect::<Vec<_>>()
    });
    locks.chain(indices).collect()
}

/// Urgent tasks that still wait for what a less urgent one held.
pub(super) fn of_inversions(records: &[Record], ready: &[TaskRow], now: Timestamp) -> Vec<Lint> {
    let mut lints: Vec<Lint> = Vec::new();
    for record in records.iter().rev() {
        let Event::Scheduler(SchedulerEvent::PriorityInverted {
            task, what, holder, holder_priority, ..
        }) = &record.event
        else {
            continue;
        };
        let Some(row) = ready.iter().find(|row| row.task == *task) else { continue };
        let about = format!("{task} {}", row.name);
        if lints.iter().all(|lint| lint.about != about) {
            let evidence = format!("waits for {what}, which {holder} held, of {holder_priority} priority");
            let found = lint(Code::Inversion, about, evidence, format!("why {task}"));
            lints.push(Lint { since: Some(now.since(record.at)), ..found });
        }
    }
    lints
}

/// What tasks use, beside what their machines have for them.
pub(super) fn of_use(nodes: &[NodeRow], running: &[TaskRow]) -> Vec<Lint> {
    let mut used: BTreeMap<&NodeId, u64> = BTreeMap::new();
    for row in running {
        if let (Some(node), Some(sample)) = (&row.node, &row.in_use) {
            *used.entry(node).or_default() += sample.memory_bytes;
        }
    }
    let mut lints = Vec::new();
    for row in nodes.iter().filter(|row| row.health != NodeHealth::Lost) {
        let (used, has) = (used.get(&row.node).copied().unwrap_or(0), row.capacity.memory_bytes);
        if used > has {
            let evidence = format!("its tasks use {}, and it has {}", say::size(used), say::size(has));
            lints.push(lint(Code::Memory, row.node.to_string(), evidence, format!("node {}", row.node)));
        }
        if row.capacity.disk_bytes < DISK_LEAST_BYTES {
            let evidence = format!("it has {} for tasks", say::size(row.capacity.disk_bytes));
            let fix = "make room where its data directory is, and start its crabd again";
            lints.push(lint(Code::Disk, row.node.to_string(), evidence, fix));
        }
    }
    lints
}

/// What the scheduler's daemon measures.
pub(super) fn of_sample(sample: &Sample, now: Timestamp) -> Vec<Lint> {
    let mut lints = Vec::new();
    let (apart, which) = match sample.at > now {
        true => (sample.at.since(now), "ahead of"),
        false => (now.since(sample.at), "behind"),
    };
    if apart > SKEW_MOST {
        let evidence = format!("the scheduler's clock is {} {which} this machine's", say::length(apart));
        lints.push(lint(Code::ClockSkew, "scheduler".to_owned(), evidence, "set both clocks by NTP"));
    }
    let (sent, dropped) = (sample.meters.spans_sent, sample.meters.spans_dropped);
    if dropped > 0 {
        let evidence = format!("{dropped} spans dropped since the daemon was started, {sent} sent");
        lints.push(lint(Code::DroppedTelemetry, "traces".to_owned(), evidence, "state traces"));
    }
    lints
}

#[cfg(test)]
mod tests {
    use policy::claims::{LockView, Mode, PoolView};
    use policy::id::TaskId;
    use policy::resources::Resources;
    use policy::task::Priority;

    use super::*;
    use crate::wire::client::{MetersRow, ServerInfo, StateName};

    fn codes(lints: &[Lint]) -> Vec<Code> {
        lints.iter().map(|lint| lint.code).collect()
    }

    fn holder(task: u64) -> HolderView {
        HolderView {
            task: TaskId(task),
            node: "mac".into(),
            priority: Priority::Normal,
            held_for: Duration::ZERO,
        }
    }

    #[test]
    fn what_is_for_one_has_one_holder() {
        let lock = |mode, tasks: &[u64]| LockView {
            name: "repo".into(),
            mode,
            holders: tasks.iter().copied().map(holder).collect(),
        };
        let of = |locks, pools| of_claims(&ClaimsView { locks, pools, ..ClaimsView::default() });
        assert_eq!(of(vec![lock(Mode::Exclusive, &[1]), lock(Mode::Shared, &[1, 2])], Vec::new()), []);
        let two = of(vec![lock(Mode::Exclusive, &[1, 2])], Vec::new());
        assert_eq!((codes(&two), two[0].evidence.as_str()), (vec![Code::TwoHolders], "t1 on mac, t2 on mac"));
        let pool = |held| PoolView { name: "ports".into(), size: 9, free: 7, held };
        assert_eq!(
            of(Vec::new(), vec![pool(vec![("9000".into(), holder(1)), ("9001".into(), holder(2))])]),
            []
        );
        let two = of(Vec::new(), vec![pool(vec![("9000".into(), holder(1)), ("9000".into(), holder(2))])]);
        assert_eq!(two[0].about, "9000 of ports");
    }

    fn row_of(task: u64, memory_bytes: u64) -> TaskRow {
        let sample = policy::sample::Sample {
            at: Timestamp(0),
            cpu: Duration::ZERO,
            memory_bytes,
            peak_memory_bytes: memory_bytes,
            processes: 1,
            output_bytes: 0,
        };
        TaskRow {
            task: TaskId(task),
            graph: policy::id::GraphId(task),
            name: "x".into(),
            state: StateName::Running,
            priority: Priority::Critical,
            tenant: "default".into(),
            attempts: 1,
            node: Some("mac".into()),
            since: Timestamp(0),
            outcome: None,
            in_use: Some(Box::new(sample)),
            progress: None,
            about: None,
            step: None,
        }
    }

    #[test]
    fn an_urgent_task_that_still_waits_for_a_less_urgent_one_is_told_once() {
        let inverted = |number, task| Record {
            number,
            at: Timestamp(number * 1_000_000),
            cause: 0,
            correlation: 0,
            event: Event::Scheduler(SchedulerEvent::PriorityInverted {
                task: TaskId(task),
                priority: Priority::Critical,
                what: "lock repo".into(),
                holder: TaskId(9),
                holder_priority: Priority::Low,
            }),
        };
        let records = [inverted(1, 1), inverted(2, 1), inverted(3, 2)];
        let lints = of_inversions(&records, &[row_of(1, 0)], Timestamp(5_000_000));
        assert_eq!((codes(&lints), lints[0].since), (vec![Code::Inversion], Some(Duration::from_secs(3))));
    }

    #[test]
    fn a_machine_without_room_is_told() {
        let node = |memory_bytes, disk_bytes| NodeRow {
            node: "mac".into(),
            health: NodeHealth::Up,
            capacity: Resources { memory_bytes, disk_bytes, ..Resources::default() },
            allocated: Resources::default(),
            running: 1,
            staged: 0,
            heard: Timestamp(0),
            labels: Vec::new(),
            version: "1".into(),
            breakers: Vec::new(),
            directed: Default::default(),
            strain: Default::default(),
        };
        let of = |row| codes(&of_use(&[row], &[row_of(1, 3 << 30), row_of(2, 2 << 30)]));
        assert_eq!(of(node(8 << 30, 8 << 30)), []);
        assert_eq!(of(node(4 << 30, 8 << 30)), [Code::Memory]);
        assert_eq!(of(node(8 << 30, 1 << 20)), [Code::Disk]);
    }

    #[test]
    fn clocks_apart_and_dropped_spans_are_told() {
        let sample = |at: u64, spans_dropped| Sample {
            at: Timestamp(at * 1_000_000),
            server: ServerInfo {
                version: "1".into(),
                name: "one".into(),
                started: Timestamp(0),
                epoch: 1,
                durable: 0,
            },
            status: None,
            meters: MetersRow { spans_dropped, ..crate::meters::Meters::default().read() },
            actors: Vec::new(),
            log_trouble: None,
        };
        let now = Timestamp(100_000_000);
        assert_eq!(of_sample(&sample(99, 0), now), []);
        assert_eq!(codes(&of_sample(&sample(110, 3), now)), [Code::ClockSkew, Code::DroppedTelemetry]);
        assert!(
            of_sample(&sample(90, 0), now)[0].evidence.contains("10.0s behind")
                || of_sample(&sample(90, 0), now)[0].evidence.contains("10s behind")
        );
    }
}

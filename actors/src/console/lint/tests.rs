//! Every lint by its trouble: it is told while that is there, with why and what helps, and is gone with it.

use std::collections::BTreeSet;
use std::time::Duration;

use policy::breaker::Seen;
use policy::budget::{Budget, Meter, Reached, Spent};
use policy::claims::{ClaimsView, HolderView, LockView, Mode};
use policy::event::{Event, Record, SchedulerEvent};
use policy::explain::Verdict;
use policy::id::{GraphId, TaskId};
use policy::resources::Resources;
use policy::sample::Sample as Usage;
use policy::strain::{Sign, Strain, Symptom};
use policy::task::Priority;
use policy::time::Timestamp;
use strum::VariantArray;

use super::*;
use crate::console::tests::actor;
use crate::session::owner::Owner;
use crate::wire::client::{BudgetRow, Explanation, MetersRow, PressureRow, Sample, ServerInfo, TaskCounts};
use crate::wire::inspect::ActorRow;

const NOW: Timestamp = Timestamp(1_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn node() -> NodeRow {
    NodeRow {
        node: "mac".into(),
        health: NodeHealth::Up,
        capacity: Resources { memory_bytes: 8 << 30, disk_bytes: 8 << 30, ..Resources::cpus(4000) },
        allocated: Resources::default(),
        running: 0,
        staged: 0,
        heard: NOW,
        labels: Vec::new(),
        version: "1".into(),
        breakers: Vec::new(),
        directed: Default::default(),
        strain: Strain::default(),
    }
}

fn server() -> ServerInfo {
    ServerInfo { version: "1".into(), name: "one".into(), started: Timestamp(0), epoch: 1, durable: 9 }
}

fn status(nodes: Vec<NodeRow>, warnings: &[&str]) -> Status {
    Status {
        server: server(),
        tasks: TaskCounts::default(),
        queued: [0; 4],
        tenants: Vec::new(),
        graphs: 0,
        nodes,
        awake: 0,
        warnings: warnings.iter().map(|one| (*one).into()).collect(),
        pressure: PressureRow::default(),
        halted: false,
        paused: Vec::new(),
        said: Vec::new(),
    }
}

fn task(memory_bytes: u64) -> TaskRow {
    let sample = Usage {
        at: NOW,
        cpu: Duration::ZERO,
        memory_bytes,
        peak_memory_bytes: memory_bytes,
        processes: 1,
        output_bytes: 0,
    };
    TaskRow {
        task: TaskId(1),
        graph: GraphId(1),
        name: "x".into(),
        state: StateName::Running,
        priority: Priority::Critical,
        tenant: "default".into(),
        attempts: 1,
        node: Some("mac".into()),
        since: NOW,
        outcome: None,
        in_use: Some(Box::new(sample)),
        progress: None,
        about: None,
        step: None,
    }
}

fn graph(reached: Option<Reached>) -> GraphRow {
    let budget =
        BudgetRow { budget: Budget { attempts: 5, ..Budget::default() }, spent: Spent::default(), reached };
    GraphRow {
        graph: GraphId(1),
        name: "g".into(),
        submitted: NOW,
        ended: None,
        tasks: TaskCounts::default(),
        unschedulable: 0,
        budget: Some(Box::new(budget)),
    }
}

fn record(event: SchedulerEvent) -> Record {
    Record { number: 1, at: NOW, cause: 0, correlation: 0, event: Event::Scheduler(event) }
}

fn sample(at: Timestamp, spans_dropped: u64) -> Sample {
    let meters = MetersRow { spans_dropped, ..crate::meters::Meters::default().read() };
    Sample { at, server: server(), status: None, meters, actors: Vec::new(), log_trouble: None }
}

fn holder(task: u64) -> HolderView {
    HolderView { task: TaskId(task), node: "mac".into(), priority: Priority::Normal, held_for: SECOND }
}

fn explanation() -> Explanation {
    Explanation {
        row: task(0),
        verdict: Verdict::WaitsForOthers,
        blocked_by: Vec::new(),
        hindrances: Vec::new(),
        evicting: None,
        makes_room_for: None,
        lent: None,
        evicted: None,
        holdings: Vec::new(),
        ahead: None,
        usual: None,
        estimate: None,
    }
}

/// Two looks at one actor.
fn looked(row: ActorRow, growth: i64) -> Vec<Lint> {
    of_actors(&[Change { row, machine: None, coming: u64::from(growth > 0) * 9, going: 1, growth }])
}

fn side(machine: Option<&str>, rows: Result<Vec<ActorRow>, String>) -> Gathered {
    Gathered { machine: machine.map(Into::into), rows, more: 0 }
}

fn nodes(row: NodeRow) -> Vec<Lint> {
    of_nodes(&[row], NOW)
}

/// What is told while there is this trouble, and when it is over.
#[expect(clippy::too_many_lines, reason = "one arm for each lint")]
fn trouble(code: Code) -> [Vec<Lint>; 2] {
    let named = |kind: &str, name: &str| ActorRow { kind: kind.into(), name: name.into(), ..actor() };
    match code {
        Code::GrowingMailbox => [looked(ActorRow { mailbox: 500, ..actor() }, 8), looked(actor(), 0)],
        Code::StuckHandler => {
            let current = Some(("Picked".into(), SECOND * 12));
            [looked(ActorRow { current, ..actor() }, 0), looked(actor(), 0)]
        }
        Code::RestartStorm => {
            let restarts = |ago| ActorRow { restarted: vec![ago; 3], ..actor() };
            [looked(restarts(SECOND), 0), looked(restarts(SECOND * 100), 0)]
        }
        Code::SilentSupervisor => [looked(ActorRow { answered: false, ..actor() }, 0), looked(actor(), 0)],
        Code::UnseenMachine => [
            of_sides(&[side(Some("mac"), Err("no connection".to_owned()))]),
            of_sides(&[side(Some("mac"), Ok(Vec::new()))]),
        ],
        Code::SilentScheduler => [vec![silent_scheduler()], of_status(&status(Vec::new(), &[]))],
        Code::BreakerOpen => {
            [nodes(NodeRow { breakers: vec![(None, Seen::Open(SECOND))], ..node() }), nodes(node())]
        }
        Code::NodeSuspect => [nodes(NodeRow { health: NodeHealth::Suspect, ..node() }), nodes(node())],
        Code::NodeLost => [nodes(NodeRow { health: NodeHealth::Lost, ..node() }), nodes(node())],
        Code::Strained => {
            let seen = Some(Symptom { sign: Sign::MemoryFree, value: 3, limit: 4 });
            let strain = Strain { level: Level::Critical, seen, heavy_percent: 50 };
            [nodes(NodeRow { strain, ..node() }), nodes(node())]
        }
        Code::VersionSkew => [
            of_status(&status(vec![NodeRow { version: "0".into(), ..node() }], &[])),
            of_status(&status(vec![node()], &[])),
        ],
        Code::Unschedulable => [
            of_status(&status(Vec::new(), &["1 task waits in vain: no node is up"])),
            of_status(&status(Vec::new(), &[])),
        ],
        Code::LogStalled => [
            of_status(&status(Vec::new(), &["the log cannot be written: no space"])),
            of_status(&status(Vec::new(), &[])),
        ],
        Code::Starvation => {
            let event = SchedulerEvent::AgedBoost {
                task: TaskId(1),
                priority: Priority::Low,
                served_as: Priority::Critical,
                waited: SECOND * 300,
                is_late: true,
            };
            [of_events(&[record(event.clone())], &[task(0)], NOW), of_events(&[record(event)], &[], NOW)]
        }
        Code::GraphPaused => {
            let reached = Reached { meter: Meter::Attempts, used: 5, limit: 5 };
            [of_graphs(&[graph(Some(reached))]), of_graphs(&[graph(None)])]
        }
        Code::TwoHolders => {
            let lock = |holders| ClaimsView {
                locks: vec![LockView { name: "repo".into(), mode: Mode::Exclusive, holders }],
                ..ClaimsView::default()
            };
            [fleet::of_claims(&lock(vec![holder(1), holder(2)])), fleet::of_claims(&lock(vec![holder(1)]))]
        }
        Code::Inversion => {
            let event = SchedulerEvent::PriorityInverted {
                task: TaskId(1),
                priority: Priority::Critical,
                what: "lock repo".into(),
                holder: TaskId(9),
                holder_priority: Priority::Low,
            };
            let on = crate::wire::client::Blocker {
                task: TaskId(9),
                tasks: 1,
                name: "slow".into(),
                priority: Priority::Low,
                runs_as: None,
            };
            let mut told = fleet::of_inversions(&[record(event.clone())], &[task(0)], NOW);
            told.push(inversion::of_dependency(&explanation(), &on));
            [told, fleet::of_inversions(&[record(event)], &[], NOW)]
        }
        Code::OrphanLease => {
            let told = |awake: &[&'static str]| {
                let awake = awake.iter().copied().collect();
                orphan::of(&named("lease", "1.7"), "t3", &awake).into_iter().collect()
            };
            [told(&["t4"]), told(&["t3", "t4"])]
        }
        Code::OrphanProcess => {
            let sides = |leases: &[&str]| {
                let leases = leases.iter().map(|name| named("lease", name)).collect();
                [side(None, Ok(leases)), side(Some("mac"), Ok(vec![named("attempt", "1.7")]))]
            };
            let (gone, well) = (sides(&[]), sides(&["1.7"]));
            [orphan::attempts(&gone, &gone), orphan::attempts(&well, &well)]
        }
        Code::GhostSession => {
            let told =
                |owner| ghost::of(&"mac".into(), "aivcs__r__t7-ab__runner", owner).into_iter().collect();
            [told(Owner::Ghost(TaskId(7))), told(Owner::Task(TaskId(7)))]
        }
        Code::Disk => {
            let small = Resources { memory_bytes: 8 << 30, disk_bytes: 1 << 20, ..Resources::default() };
            [fleet::of_use(&[NodeRow { capacity: small, ..node() }], &[]), fleet::of_use(&[node()], &[])]
        }
        Code::Memory => {
            [fleet::of_use(&[node()], &[task(9 << 30)]), fleet::of_use(&[node()], &[task(1 << 30)])]
        }
        Code::ClockSkew => {
            [fleet::of_sample(&sample(NOW + SECOND * 9, 0), NOW), fleet::of_sample(&sample(NOW, 0), NOW)]
        }
        Code::DroppedTelemetry => {
            [fleet::of_sample(&sample(NOW, 3), NOW), fleet::of_sample(&sample(NOW, 0), NOW)]
        }
    }
}

#[test]
fn every_lint_is_told_by_its_trouble_with_why_and_what_helps_and_goes_with_it() {
    let mut whys = BTreeSet::new();
    for code in Code::VARIANTS {
        let [while_it_lasts, afterwards] = trouble(*code);
        assert!(!while_it_lasts.is_empty(), "{code:?}");
        for lint in while_it_lasts {
            assert_eq!(lint.code, *code, "{lint:?}");
            let said = [&lint.about, &lint.evidence, &lint.fix];
            assert!(said.into_iter().all(|said| !said.is_empty()), "{lint:?}");
        }
        assert_eq!(afterwards, [], "{code:?} is over");
        assert!(whys.insert(code.why()), "{code:?} has a reason of its own");
        assert!(["error", "warning"].contains(&code.severity()));
    }
}

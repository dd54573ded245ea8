//! Records of many kinds as they were kept in each layout: what must be read for ever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use policy::artifact::{Artifacts, Summary};
use policy::bounds::{Deadline, Overrun, TimeBounds, TimeLimit};
use policy::budget::{Budget, Exceeded, Meter, OnReached, Reached};
use policy::causes::Cause;
use policy::claims::{Claims, Mode, RateUsage, WindowUsage};
use policy::constraint::{AvoidFailed, Company, Condition, Constraints, Distance, Preference, Spread, Test};
use policy::dependency::{Dependency, Need};
use policy::directive::{Directive, Scope};
use policy::event::{
    ArraySpec, Event, GraphEvent, GraphHead, Item, Next, NodeEvent, SchedulerEvent, SubmissionKey, TaskEvent,
};
use policy::excess::{Excess, UseLimit, UseLimits};
use policy::id::{AttemptNumber, GraphId, Incarnation, NodeId, NodeSession, TaskId, TaskRange, Token};
use policy::layout::Layout;
use policy::provision::{Provision, Sandbox, Secret};
use policy::resources::Resources;
use policy::stages::{Stage, Stages, Step, StepEnd, StepFailure, StepOutcome};
use policy::strain::{Level, Sign, Strain, Symptom};
use policy::task::{
    About, AttemptOutcome, Death, Evaluation, LossReason, Parked, Priority, Qos, RateUse, RequestNumber,
    RetryPolicy, Signals, SpawnFailure, TaskOutcome, TaskReport, TaskSpec, Usage,
};
use policy::time::Timestamp;
use policy::workspace::{Keep, Source, WhyKept, Workspace, WorkspaceEnd};

const SECOND: Duration = Duration::from_secs(1);

/// What is kept in the sample of a layout.
pub(super) fn events(layout: Layout) -> Vec<Event> {
    let mut all = vec![
        Event::Scheduler(SchedulerEvent::Started { epoch: 3, version: "0.1.0".into() }),
        Event::Node("mac-1".into(), joined()),
        Event::Graph(GraphId(7), GraphEvent::Admitted(head())),
        Event::Graph(GraphId(7), GraphEvent::ItemAdmitted(item(layout))),
    ];
    all.extend(task_events(layout).into_iter().zip(1..).map(|(event, sequence)| Event::Task {
        task: TaskId(7),
        sequence,
        previous: 1 << 33,
        event,
    }));
    all.extend(others());
    all.extend(later().into_iter().filter(|(since, _)| layout.number() >= *since).map(|(_, event)| event));
    all
}

fn joined() -> NodeEvent {
    let mut capacity = Resources::cpus(12_000);
    capacity.memory_bytes = 36 << 30;
    capacity.gpu_slots = 1;
    capacity.named = BTreeMap::from([("fast-disk".into(), 200)]);
    NodeEvent::Joined { session: NodeSession(9), incarnation: Incarnation(1 << 50), capacity }
}

fn head() -> GraphHead {
    GraphHead {
        name: "nightly".into(),
        key: SubmissionKey(u128::MAX - 1),
        items: 1,
        tasks: 1000,
        digest: [5; 16],
        budget: Budget { cost: 90, retries: 4, on_reached: OnReached::Cancel, ..Budget::default() },
    }
}

fn item(layout: Layout) -> Item {
    Item {
        spec: Arc::new(spec(layout)),
        dependencies: vec![Dependency::item(0, Need::Always), Dependency::item(300, Need::Success)],
        array: Some(ArraySpec { first: 1, count: 1000, parallel_limit: Some(8) }),
    }
}

fn spec(layout: Layout) -> TaskSpec {
    let mut spec = TaskSpec::new("build", vec!["cargo".into(), "build é".into()]);
    spec.directory = Some("/src".into());
    spec.environment = vec![("PATH".into(), "/bin".into())];
    spec.alternatives = vec![Resources { disk_bytes: 1 << 40, ..Resources::cpus(500) }];
    spec.constraints = constraints();
    spec.priority = Priority::High;
    spec.tenant = "agent-7".into();
    spec.retry = RetryPolicy {
        max_attempts: 3,
        retryable_exit_codes: vec![-1, 75],
        signals: Signals::These(vec![9, 11]),
        spawn_failures: true,
        ..RetryPolicy::default()
    };
    spec.timeout = Some(300 * SECOND);
    spec.bounds = Some(Box::new(TimeBounds {
        soft_timeout: Some(200 * SECOND),
        deadline: Some(Deadline::At(Timestamp(1 << 50))),
        ..TimeBounds::default()
    }));
    let open_files = (layout.number() >= 7).then_some(512);
    spec.limits = Some(Box::new(UseLimits { memory_bytes: Some(8 << 30), processes: None, open_files }));
    spec.grace = 10 * SECOND;
    spec.kind = Some("build".into());
    spec.claims = Some(Arc::new(Claims {
        locks: BTreeMap::from([("repo".into(), Mode::Exclusive)]),
        rates: BTreeMap::from([("llm".into(), BTreeMap::from([("tokens".into(), 4000)]))]),
        pools: BTreeMap::from([("ports".into(), 2)]),
        amounts: BTreeMap::from([("licences".into(), 1)]),
    }));
    if layout.number() >= 4 {
        spec.qos = Qos::Background;
    }
    spec.gang = (layout.number() >= 10).then_some(2);
    spec.provision = (layout.number() >= 14).then(|| {
        let (secrets, sandbox) = (vec![Secret::new("npm-token")], Some(Sandbox::Workspace));
        Box::new(Provision { secrets, jobserver: true, sandbox })
    });
    spec.about = (layout.number() >= 16).then(|| {
        let evaluation = Some(Evaluation {
            run: Some("r7".into()),
            rubric: Some("rubric.md".into()),
            is_gate: true,
            phase: Some(3),
        });
        Box::new(About {
            labels: [("team".into(), "red".into())].into(),
            goal: Some("green".into()),
            evaluation,
        })
    });
    spec.stages = has_stages(layout).then(|| {
        let (before, gate) = (vec![vec!["./setup".into()]], Some(vec!["cargo".into(), "test".into()]));
        Box::new(Stages { before, gate, after: vec![vec!["./clean".into()]; 2] })
    });
    spec.artifacts = has_artifacts(layout)
        .then(|| Box::new(Artifacts::parse(["coverage:out/**", "target/report.xml"]).unwrap()));
    spec.is_preemptible = layout.number() >= 2;
    spec.workspace = has_workspaces(layout).then(|| {
        let source = Source::Worktree { repository: "/repo".into(), commit: "main".into() };
        Box::new(Workspace { source, keep: Keep::OnFailure, private_home: true })
    });
    spec
}

fn has_workspaces(layout: Layout) -> bool {
    layout.number() >= 6
}

fn has_stages(layout: Layout) -> bool {
    layout.number() >= 17
}

fn has_artifacts(layout: Layout) -> bool {
    layout.number() >= 20
}

fn steps() -> Vec<StepEnd> {
    let end = |step, end, said: &str| StepEnd {
        step,
        at: Timestamp(1 << 50),
        took: SECOND,
        end,
        said: said.into(),
    };
    vec![
        end(Step::hook(Stage::Before, true, 0), StepOutcome::Exited(0), ""),
        end(Step::COMMAND, StepOutcome::Signalled(11), "core dumped"),
        end(Step::hook(Stage::After, false, 1), StepOutcome::NotStarted("not found".into()), ""),
        end(Step::hook(Stage::After, true, 0), StepOutcome::Stopped("timed out".into()), ""),
    ]
}

fn constraints() -> Constraints {
    let on = Condition { label: "xcode".into(), test: Test::AtLeast("16".into()) };
    Constraints {
        require: vec![Condition { label: "os".into(), test: Test::In(vec!["macos".into()]) }],
        prefer: vec![Preference { on, weight: 50 }],
        avoid_failed: AvoidFailed::Require,
        company: Some(Arc::new(Company {
            group: Some("web".into()),
            spread: vec![Spread { per: "node".into(), max: 2 }],
            apart: vec!["db".into()],
            prefer_apart: vec![Distance { group: "noisy".into(), weight: 3 }],
        })),
    }
}

fn ended(layout: Layout, outcome: AttemptOutcome, next: Next) -> TaskEvent {
    let usage = Usage { wall: 90 * SECOND, cpu: 80 * SECOND, peak_memory_bytes: 1 << 33, ..Usage::default() };
    let mut report = TaskReport {
        used: vec![RateUse { rate: "llm".into(), unit: "tokens".into(), amount: 3999 }],
        parked: vec![Parked { rate: "llm".into(), wait: 30 * SECOND }],
        cost: 12,
        faults: vec!["line 3: no number".into()],
        workspace: has_workspaces(layout).then(|| {
            let kept = Some(("/spaces/77".into(), WhyKept::Unsaved { changed: 3, commits: 1 }));
            Box::new(WorkspaceEnd { prepared: SECOND, kept })
        }),
        ..TaskReport::default()
    };
    if layout.number() >= 3 {
        report.add_result("branch", "\"fix-7\"");
        report.advance(Some(0.5), Some("linking"));
    }
    if has_stages(layout) {
        report.steps = steps();
    }
    if has_artifacts(layout) {
        let fault = Some("no space left on device".into());
        report.artifacts = Some(Box::new(Summary { files: 2, bytes: 1 << 20, left_out: 3, fault }));
    }
    TaskEvent::AttemptEnded {
        token: Token(77),
        outcome,
        usage,
        order: 5,
        next,
        report: Some(Box::new(report)),
    }
}

fn task_events(layout: Layout) -> Vec<TaskEvent> {
    let granted = TaskEvent::Granted {
        token: Token(77),
        attempt: AttemptNumber(2),
        node: "mac-1".into(),
        session: NodeSession(9),
        request: RequestNumber(1),
        indices: BTreeMap::from([("ports".into(), vec!["9000".into(), "9001".into()])]),
        gang: if layout.number() >= 10 { vec!["mac-1".into(), "mac-2".into()] } else { Vec::new() },
        waited: if layout.number() >= 15 {
            vec![(Cause::Lock, 3 * SECOND), (Cause::Resources, Duration::from_millis(250))]
        } else {
            Vec::new()
        },
    };
    let overrun =
        Overrun { limit: TimeLimit::IdleTimeout, allowed: 60 * SECOND, used: Duration::from_millis(60_250) };
    let excess = Excess { limit: UseLimit::ProcessLimit, allowed: 100, used: 101 };
    let death = Death { attempt: AttemptNumber(1), node: "mac-2".into(), reason: LossReason::HostDied };
    let over = AttemptOutcome::OverLimit(Box::new(excess));
    let mut all = vec![
        granted,
        TaskEvent::Started { token: Token(77), pid: 4711, order: 4 },
        TaskEvent::CancelAsked,
        ended(layout, AttemptOutcome::TimedOut(Box::new(overrun)), Next::RetryAfter(SECOND)),
        ended(layout, AttemptOutcome::Exited(-3), Next::RetryAfter(SECOND)),
        ended(layout, AttemptOutcome::Lost(LossReason::Drained), Next::RetryAfter(Duration::ZERO)),
        ended(layout, over.clone(), Next::Finish(TaskOutcome::Failed(over))),
        TaskEvent::Finished(TaskOutcome::Skipped(TaskId(6))),
        TaskEvent::RetryAsked,
        TaskEvent::Finished(TaskOutcome::Poisoned([death].into())),
        TaskEvent::Finished(TaskOutcome::OutOfRetries {
            last: AttemptOutcome::SpawnFailed(SpawnFailure::of_node("no memory")),
            budget: 4,
        }),
        TaskEvent::ReportIgnored { token: Token(77), faults: vec!["no such rate".into()] },
    ];
    if layout.number() >= 2 {
        all.push(TaskEvent::EvictAsked { token: Token(78), by: TaskId(8), is_recall: false });
        all.push(ended(
            layout,
            AttemptOutcome::Lost(LossReason::Preempted),
            Next::RetryAfter(Duration::ZERO),
        ));
    }
    if layout.number() >= 10 {
        all.push(TaskEvent::EvictAsked { token: Token(79), by: TaskId(8), is_recall: true });
        let recalled = AttemptOutcome::Lost(LossReason::Recalled);
        all.push(ended(layout, recalled, Next::RetryAfter(Duration::ZERO)));
    }
    if has_stages(layout) {
        all.push(TaskEvent::StepBegan { token: Token(79), step: Step::GATE, pid: 4712 });
        let (step, end, said) = (Step::GATE, StepOutcome::Exited(1), "3 tests failed".into());
        let failed = AttemptOutcome::StepFailed(Box::new(StepFailure { step, end, said }));
        all.push(ended(layout, failed, Next::RetryAfter(SECOND)));
    }
    all
}

/// What there is since a layout, by its number.
fn later() -> Vec<(u8, Event)> {
    let lent = SchedulerEvent::PriorityLent {
        task: TaskId(7),
        tasks: 3,
        priority: Priority::Low,
        served_as: Priority::Critical,
        by: TaskId(1 << 40),
    };
    let tasks = TaskRange { first: TaskId(7), count: 3 };
    let urged = GraphEvent::Prioritised { tasks, priority: Priority::High };
    let (directive, by) = (Directive::Cordon("mac-2".into()), "ann".into());
    let explained = SchedulerEvent::Directed { directive, by, reason: "new disk".into() };
    let labels = vec![("rack".into(), Some("left".into()))];
    let directive = Directive::Label { node: "mac-2".into(), labels };
    let labelled = SchedulerEvent::Directed { directive, by: "ann".into(), reason: "".into() };
    let seen = Some(Symptom { sign: Sign::MemoryFree, value: 3, limit: 4 });
    let strain = Strain { level: Level::Critical, seen, heavy_percent: 50 };
    let silent = Some(Symptom { sign: Sign::Unanswered, value: 1, limit: 1 });
    let silent = Strain { level: Level::Warn, seen: silent, heavy_percent: 50 };
    let relieved = NodeEvent::Relieved { task: TaskId(7), token: Token(70), strain };
    vec![
        (5, Event::Scheduler(lent)),
        (8, Event::Graph(GraphId(7), urged)),
        (9, Event::Scheduler(explained)),
        (11, Event::Node("mac-1".into(), NodeEvent::Strained(strain))),
        (11, Event::Node("mac-1".into(), relieved)),
        (12, Event::Node("mac-1".into(), NodeEvent::Strained(silent))),
        (19, Event::Scheduler(labelled)),
    ]
}

fn others() -> Vec<Event> {
    let reached = Reached { meter: Meter::Cost, used: 91, limit: 90 };
    let exceeded = Exceeded {
        tenant: "agent-7".into(),
        reached,
        follows: OnReached::Pause,
        until: Some(Timestamp(1 << 50)),
    };
    let window = WindowUsage { unit: "tokens".into(), length: 60 * SECOND, used: vec![(Timestamp(1), 9)] };
    let usage = RateUsage { rate: "llm".into(), parked: None, windows: vec![window] };
    let directed = |directive| SchedulerEvent::Directed { directive, by: "ann".into(), reason: "".into() };
    let node: NodeId = "mac-1".into();
    let opened = policy::breaker::Change::Opened { failures: 5, wait: 60 * SECOND };
    let schedulers = [
        SchedulerEvent::TenantBudgetReached(exceeded),
        SchedulerEvent::RatesUsed(vec![usage]),
        directed(Directive::Drain { node: node.clone(), deadline: Some(Timestamp(7)) }),
        directed(Directive::Pause(Scope::Tenant("agent-7".into()))),
        SchedulerEvent::AgedBoost {
            task: TaskId(7),
            priority: Priority::Low,
            served_as: Priority::Critical,
            waited: 600 * SECOND,
            is_late: true,
        },
        SchedulerEvent::Audited { who: "ann".into(), what: "cancel".into(), refused: None, untold: 2 },
    ];
    let nodes = [
        NodeEvent::Breaker { kind: Some("build".into()), change: opened },
        NodeEvent::StaleReport { task: TaskId(7), token: Token(70) },
        NodeEvent::Lost { session: NodeSession(9) },
    ];
    let graphs = [
        GraphEvent::BudgetReached { reached, follows: OnReached::Pause },
        GraphEvent::Resumed { budget: Budget::default() },
    ];
    let nodes = nodes.into_iter().map(move |event| Event::Node(node.clone(), event));
    let graphs = graphs.into_iter().map(|event| Event::Graph(GraphId(7), event));
    schedulers.into_iter().map(Event::Scheduler).chain(nodes).chain(graphs).collect()
}

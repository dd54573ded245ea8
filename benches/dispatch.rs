//! How fast can tasks be scheduled, durably, when running them takes no time?
//!
//! The real scheduler side on a real log, every task an actor while it lives, and a worker that ends at once
//! whatever it is told to run. The limit it is compared with: appending and syncing as many records alone.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use actors::client::Client;
use actors::clock::Clock;
use actors::config::Limits;
use actors::head::{Head, HeadOptions, hear_worker};
use actors::log::LogLimits;
use actors::log::disk::Durability;
use actors::outlet::Outlet;
use actors::side::Side;
use actors::wire::fleet::{FromWorker, Phase, Registration, Report, ToWorker};
use policy::event::{ArraySpec, Item, SubmissionKey};
use policy::id::{Incarnation, NodeId, NodeSession};
use policy::lease::LeaseTerms;
use policy::resources::Resources;
use policy::submission::Submission;
use policy::task::{AttemptOutcome, Priority, RetryPolicy, TaskSpec, Usage};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let count: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    runtime.block_on(run(count));
}

async fn run(count: usize) {
    for array in [false, true] {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = Clock::system();
        let options = HeadOptions {
            directory: directory.path().to_owned(),
            name: "bench".into(),
            clock,
            terms: LeaseTerms::default(),
            limits: Limits::default(),
            log: LogLimits { durability: Durability::Full, ..LogLimits::default() },
        };
        let head = Head::start(options, |_, _| Vec::new()).await.expect("the scheduler side starts");
        let worker = InstantWorker::join(head.side(), "w1", 16);
        let client = Client::in_process(head.service(), clock);
        let submission = submission(count, array);
        let start = Instant::now();
        let submitted = client.submit(submission).await.expect("admitted");
        let admitted = start.elapsed();
        let row = client.wait(submitted.graph, None).await.expect("it ends");
        let took = start.elapsed();
        assert_eq!(row.tasks.succeeded, count as u64, "{:?}", row.tasks);
        println!(
            "{} {count}: submit {:.1} ms, {:.0} tasks/s",
            if array { "array" } else { "tasks" },
            admitted.as_secs_f64() * 1e3,
            count as f64 / took.as_secs_f64()
        );
        drop(worker);
        drop(client);
        head.stop().await;
    }
}

fn submission(count: usize, array: bool) -> Submission {
    let spec = Arc::new(TaskSpec {
        name: "t".into(),
        argv: vec!["/bin/true".into()],
        directory: None,
        environment: Vec::new(),
        resources: Resources::cpus(1000),
        priority: Priority::Normal,
        tenant: "bench".into(),
        retry: RetryPolicy::default(),
        timeout: None,
        grace: Duration::from_secs(5),
    });
    let items = if array {
        let array = Some(ArraySpec { first: 0, count: count as u64, parallel_limit: None });
        vec![Item { spec, dependencies: Vec::new(), array }]
    } else {
        (0..count)
            .map(|n| {
                let spec = Arc::new(TaskSpec { name: format!("t{n}").into(), ..TaskSpec::clone(&spec) });
                Item { spec, dependencies: Vec::new(), array: None }
            })
            .collect()
    };
    Submission { key: SubmissionKey(u128::from(array)), name: "bench".into(), items }
}

/// Ends at once whatever it is told to run.
struct InstantWorker {
    _outlet: Outlet<ToWorker>,
}

impl InstantWorker {
    fn join(side: &Arc<Side>, name: &str, cores: u64) -> Self {
        let node = NodeId::from(name);
        let (of_outlet, side_of_outlet) = (node.clone(), Arc::downgrade(side));
        let myself: Arc<Mutex<Option<Outlet<ToWorker>>>> = Arc::default();
        let back = Arc::clone(&myself);
        let outlet = Outlet::new(move |message| {
            let (Some(side), Some(outlet)) = (side_of_outlet.upgrade(), back.lock().expect("lock").clone())
            else {
                return false;
            };
            if let ToWorker::Run { session, grants } = message {
                let reports = grants
                    .into_iter()
                    .flat_map(|grant| {
                        let (token, task) = (grant.token, grant.task);
                        [
                            Report { token, task, phase: Phase::Running { pid: 1 } },
                            Report {
                                token,
                                task,
                                phase: Phase::Ended {
                                    outcome: AttemptOutcome::Exited(0),
                                    usage: Usage::default(),
                                },
                            },
                        ]
                    })
                    .collect();
                hear_worker(&side, &of_outlet, FromWorker::Reports { session, reports }, &outlet);
            }
            true
        });
        *myself.lock().expect("lock") = Some(outlet.clone());
        let registration = Registration {
            node: node.clone(),
            incarnation: Incarnation(1),
            boot: "b".into(),
            capacity: Resources::cpus(cores * 1000),
            labels: Vec::new(),
            version: "0".into(),
            inventory: Vec::new(),
        };
        hear_worker(side, &node, FromWorker::Register(registration), &outlet);
        let _ = NodeSession(0);
        Self { _outlet: outlet }
    }
}

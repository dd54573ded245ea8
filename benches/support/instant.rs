//! The real scheduler side in this process, with a worker that runs nothing.

use std::sync::{Arc, Mutex};

use actors::client::Client;
use actors::clock::Clock;
use actors::config::Limits;
use actors::head::{Head, HeadOptions, hear_worker};
use actors::log::LogLimits;
use actors::log::disk::Durability;
use actors::outlet::Outlet;
use actors::side::Side;
use actors::wire::fleet::{FromWorker, Phase, Registration, Report, ToWorker};
use policy::id::{Incarnation, NodeId};
use policy::lease::LeaseTerms;
use policy::resources::Resources;
use policy::task::{AttemptOutcome, Usage};
use tempfile::TempDir;

/// Slots of the worker: what a machine of the fleet has.
const SLOTS: u64 = 16;

/// A scheduler side on a real log, every record synced, and its worker.
pub(crate) struct Fleet {
    pub(crate) client: Client,
    head: Head,
    worker: InstantWorker,
    _directory: TempDir,
}

impl Fleet {
    /// Starts both.
    pub(crate) async fn start() -> Self {
        Self::whose_worker(Manner::EndsAtOnce).await
    }

    /// Starts both, with a worker that starts what it is told to run and ends nothing.
    pub(crate) async fn start_full() -> Self {
        Self::whose_worker(Manner::NeverEnds).await
    }

    async fn whose_worker(manner: Manner) -> Self {
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
        let worker = InstantWorker::join(head.side(), "w1", SLOTS, manner);
        let client = Client::in_process(head.service(), clock);
        Self { client, head, worker, _directory: directory }
    }

    /// Stops both.
    pub(crate) async fn stop(self) {
        drop(self.client);
        drop(self.worker);
        self.head.stop().await;
    }
}

/// As the daemon runs its actors.
pub(crate) fn block_on<R>(part: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(part)
}

/// What a worker does with what it is told to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It ends at once.
    EndsAtOnce,
    /// It runs on.
    NeverEnds,
}

/// A worker that runs nothing.
pub(crate) struct InstantWorker {
    _outlet: Outlet<ToWorker>,
}

impl InstantWorker {
    /// Registers a worker of that name with so many cores.
    pub(crate) fn join(side: &Arc<Side>, name: &str, cores: u64, manner: Manner) -> Self {
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
                        let ended = Phase::ended(AttemptOutcome::Exited(0), Usage::default());
                        let ended = Some(ended).filter(|_| manner == Manner::EndsAtOnce);
                        let phases =
                            [Some(Phase::Running { pid: 1, step: None }), ended].into_iter().flatten();
                        phases.map(move |phase| Report { token, task, phase })
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
            capacity: Resources { memory_bytes: cores << 32, ..Resources::cpus(cores * 1000) },
            labels: Vec::new(),
            version: "0".into(),
            inventory: Vec::new(),
        };
        hear_worker(side, &node, FromWorker::Register(registration), &outlet);
        Self { _outlet: outlet }
    }
}

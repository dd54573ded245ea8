//! (n) How soon is a failure noticed and made good? A fleet of a head and two machines on loopback, with the usual leases.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use actors::client::Client;
use actors::wire::client::{EventFilter, StateName};
use nix::sys::signal::Signal;
use policy::event::{Event, Item, NodeEvent};
use policy::id::TaskId;
use policy::task::TaskSpec;

use crate::support::daemon::{Daemon, block_on};
use crate::support::{report, work};

/// Of the machines.
const NAMES: [&str; 2] = ["one", "two"];
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// What is given up after.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn ask() {
    report::title("(n) failures: until they are made good", "leases as they are by default");
    of("worker killed: its task runs elsewhere", |fleet| fleet.worker_gone(Daemon::kill));
    of("worker silent: its task runs elsewhere", |fleet| {
        fleet.worker_gone(|worker| worker.signal(Signal::SIGSTOP))
    });
    of("worker killed, back: until it has joined", Fleet::worker_back);
    of("head killed, back: until a new task has ended", Fleet::head_back);
    of("head killed, back: until its machines joined", Fleet::redial);
}

fn of(what: &str, once: impl Fn(&mut Fleet) -> Duration) {
    let rounds = report::size(3, 1);
    let took: Vec<f64> = (0..rounds).map(|_| once(&mut Fleet::start()).as_secs_f64() * 1e3).collect();
    let (middle, worst) = (report::median(&took), report::quantile(&took, 1.0));
    report::row(what, &format!("{middle:.0} ms"), &format!("worst {worst:.0} ms"));
}

struct Fleet {
    head: Daemon,
    members: Vec<Daemon>,
}

impl Fleet {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address").to_string();
        drop(free);
        let head = Daemon::head(&address);
        let members = NAMES.map(|name| Daemon::member(&head, &address, name)).into();
        let fleet = Self { head, members };
        fleet.joined(0, &NAMES);
        fleet
    }

    /// From the failure of the worker that runs a task until the other one runs it.
    fn worker_gone(&mut self, fail: impl Fn(&mut Daemon)) -> Duration {
        let (task, place) = self.running();
        let start = Instant::now();
        fail(&mut self.members[place]);
        self.until("it runs elsewhere", &async |client| {
            let row = client.task(task).await.ok()?.row;
            let node = row.node.filter(|_| row.state == StateName::Running)?.to_string();
            (node == NAMES[1 - place]).then_some(())
        });
        start.elapsed()
    }

    /// From its start until it has joined.
    fn worker_back(&mut self) -> Duration {
        let (_, place) = self.running();
        let known = self.known();
        self.members[place].kill();
        let start = Instant::now();
        self.members[place].start_again();
        self.joined(known, &[NAMES[place]]);
        start.elapsed()
    }

    /// From its start until a task that came then has ended.
    fn head_back(&mut self) -> Duration {
        let start = self.restart_head();
        self.head.run(work::array(work::spec(Path::new("/bin/true")), 1));
        start.elapsed()
    }

    /// From its start until both machines have joined it again.
    fn redial(&mut self) -> Duration {
        let known = self.known();
        let start = self.restart_head();
        self.joined(known, &NAMES);
        start.elapsed()
    }

    fn restart_head(&mut self) -> Instant {
        self.head.kill();
        let start = Instant::now();
        self.head.start_again();
        self.head.until_it_answers();
        start
    }

    /// A task that runs, and the place of its machine.
    fn running(&self) -> (TaskId, usize) {
        let sleep = TaskSpec { argv: vec!["sleep".into(), "600".into()], ..work::spec(Path::new("sleep")) };
        let submission = work::graph(vec![Item::new(sleep)]);
        let task = block_on(async {
            let submitted = self.head.client().submit(submission).await.expect("admitted");
            submitted.first
        });
        self.until("it runs", &async |client| {
            let row = client.task(task).await.ok()?.row;
            let node = row.node.filter(|_| row.state == StateName::Running)?.to_string();
            Some((task, usize::from(node == NAMES[1])))
        })
    }

    /// The number of the last event.
    fn known(&self) -> u64 {
        block_on(async { self.head.client().hello().await.expect("it answers").durable })
    }

    /// Until machines of these names have joined after that event.
    fn joined(&self, known: u64, names: &[&str]) {
        self.until("they have joined", &async |client| {
            let page = client.events_page(known, EventFilter::All, Duration::ZERO).await.ok()?;
            let joined = |event: &Event, name: &str| matches!(event, Event::Node(node, NodeEvent::Joined { .. }) if node.to_string() == name);
            let all = names.iter().all(|name| page.records.iter().any(|record| joined(&record.event, name)));
            all.then_some(())
        });
    }

    fn until<T>(&self, what: &str, look: &impl AsyncFn(&Client) -> Option<T>) -> T {
        let start = Instant::now();
        block_on(async {
            let client = self.head.client();
            loop {
                if let Some(found) = look(&client).await {
                    return found;
                }
                assert!(start.elapsed() < PATIENCE, "{what}: waited in vain");
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
    }
}

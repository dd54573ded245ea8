//! The two agents of the fleet: one submits and cancels, the other watches all that happens, each over the network
//! with a certificate of its own.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actors::client::{Client, ClientError, Endpoint, Seen, random_key};
use actors::clock::Clock;
use actors::wire::client::{EventFilter, Target};
use policy::dependency::{Dependency, Need};
use policy::event::{Item, Record};
use policy::id::GraphId;
use policy::submission::Submission;
use policy::task::{Priority, RetryPolicy};

use super::probe;
use crate::promises::{Answer, Asked, Operation};

const PRIORITIES: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

/// Who submits, and the tenant that all is for.
pub(super) const SUBMITTER: &str = "agent1";

/// Graphs that are submitted and not known to have ended, at the most: enough for all machines, and few enough to end
/// soon.
const OPEN_GRAPHS: usize = 30;

/// Between two looks at how many those are.
const LOOK: Duration = Duration::from_millis(100);

/// Who asks, and from where.
#[derive(Debug, Clone)]
pub(super) struct Agent {
    pub(super) address: String,
    pub(super) data: PathBuf,
    pub(super) probes: PathBuf,
}

impl Agent {
    fn client(&self) -> Client {
        Client::connect_with(Endpoint::Address(self.address.clone()), self.data.clone())
    }

    /// Submits and cancels until it is over. What was asked, and what the answers were.
    pub(super) async fn work(&self, seed: u64, is_over: &AtomicBool) -> Vec<Operation> {
        let (client, mut random) = (self.client(), fastrand::Rng::with_seed(seed));
        let (mut operations, mut graphs) = (Vec::new(), Vec::<GraphId>::new());
        let mut look = tokio::time::interval(LOOK);
        for number in 0.. {
            while !is_over.load(Ordering::Relaxed) && !has_room(&client, &mut graphs).await {
                look.tick().await;
            }
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let submission = self.graph(number, &mut random);
            let operation = submit(&client, &submission, is_over).await;
            if let Answer::Submitted { graph, .. } = operation.answer {
                graphs.push(graph);
            }
            operations.push(operation);
            if random.u32(..8) == 0
                && let Some(graph) = graphs.last()
            {
                operations.push(cancel(&client, *graph).await);
            }
        }
        operations
    }

    fn graph(&self, number: u64, random: &mut fastrand::Rng) -> Submission {
        let mut items: Vec<Item> = Vec::new();
        for place in 0..random.u32(1..6) {
            let mut item = self.task(format!("g{number}-{place}"), random);
            if place > 0 && random.bool() {
                item.dependencies.push(Dependency::item(random.u32(..place), Need::Success));
            }
            items.push(item);
        }
        Submission::new(random_key(), format!("g{number}"), items)
    }

    fn task(&self, name: String, random: &mut fastrand::Rng) -> Item {
        let length = match random.u32(..10) {
            0..5 => random.u64(1..100),
            5..9 => random.u64(100..2_000),
            _ => random.u64(2_000..8_000),
        };
        let code = u8::from(random.u32(..10) == 0);
        let mut item = probe::task(name, &self.probes, length, code);
        let spec = std::sync::Arc::make_mut(&mut item.spec);
        spec.priority = PRIORITIES[random.usize(..4)];
        spec.tenant = SUBMITTER.into();
        spec.grace = Duration::from_secs(1);
        spec.retry = RetryPolicy { max_attempts: random.u32(1..4), ..RetryPolicy::default() };
        // Short of what the longest run, so that some are stopped for it.
        spec.timeout = (random.u32(..6) == 0).then(|| Duration::from_millis(random.u64(1_000..6_000)));
        item
    }

    /// All events from the first one on, through everything that happens, until so many are on record.
    pub(super) async fn watch(&self, last: tokio::sync::watch::Receiver<Option<u64>>) -> Vec<Record> {
        let (mut records, mut last) = (Vec::new(), last);
        let client = self.client();
        let mut watch = client.events(0, EventFilter::All);
        loop {
            let end = *last.borrow_and_update();
            if end.is_some_and(|end| watch.position() >= end) {
                return records;
            }
            tokio::select! {
                seen = watch.next() => match seen {
                    Ok(Seen::Record(record)) => records.push(record),
                    Ok(Seen::Gap { resumes_at }) => panic!("records before {resumes_at} are missing"),
                    // It stayed away for longer than a watch waits: another one goes on from there.
                    Err(_) => watch = client.events(watch.position(), EventFilter::All),
                },
                _ = last.changed() => {}
            }
        }
    }
}

/// Forgets those of the graphs that have ended. Whether there is room for another.
async fn has_room(client: &Client, open: &mut Vec<GraphId>) -> bool {
    while open.len() >= OPEN_GRAPHS {
        let Ok(first) = client.graph(open[0]).await else { return false };
        if first.ended.is_none() {
            open.rotate_left(1);
            return false;
        }
        open.swap_remove(0);
    }
    true
}

/// Again under the same key until it is known what became of it, or all is over.
async fn submit(client: &Client, submission: &Submission, is_over: &AtomicBool) -> Operation {
    let clock = Clock::system();
    let (invoked, mut look) = (clock.wall(), tokio::time::interval(LOOK));
    let answer = loop {
        match client.submit(submission.clone()).await {
            Ok(submitted) => break Answer::Submitted { graph: submitted.graph, at: clock.wall() },
            Err(_) if is_over.load(Ordering::Relaxed) => break Answer::Unknown,
            Err(_) => drop(look.tick().await),
        }
    };
    // The digest is the gateway's own matter.
    let asked = Asked::Submit { key: submission.key, digest: [0; 16] };
    Operation { asked, invoked, answer, written: None }
}

async fn cancel(client: &Client, graph: GraphId) -> Operation {
    let clock = Clock::system();
    let invoked = clock.wall();
    let answer = match client.cancel(Target::Graph(graph)).await {
        Ok(_) => Answer::Done { at: clock.wall() },
        Err(ClientError::Refused(_)) => Answer::Refused,
        Err(_) => Answer::Unknown,
    };
    Operation { asked: Asked::Cancel(Target::Graph(graph)), invoked, answer, written: None }
}

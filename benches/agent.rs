//! (o) Can one Rust agent submit 100,000 tasks and see every event of them, though it is cut off twice?
//!
//! Its connection goes through a relay that drops everything at a third and at two thirds of the tasks. Events are
//! numbered without gaps, so that one which is skipped or comes twice ends the benchmark.

use std::path::{Path, PathBuf};
use std::time::Instant;

use actors::client::{Client, Endpoint, Seen};
use actors::wire::client::EventFilter;
use policy::event::{Event, Next, TaskEvent};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast;

use crate::support::daemon::Daemon;
use crate::support::{instant, report, work};

/// Tasks of one submission.
const TOGETHER: usize = 1_000;
/// Cuts that a relay still has to make known at the most.
const CUTS: usize = 4;

pub(crate) fn ask() {
    report::title("(o) agent: submit and watch, cut off twice", "nothing skipped, nothing twice");
    let count = report::size(100_000, 4_000);
    let daemon = Daemon::with_two_slots();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("relay.sock");
    instant::block_on(async move {
        let cut = broadcast::Sender::new(CUTS);
        let listener = UnixListener::bind(&path).expect("a socket");
        tokio::spawn(relay(listener, daemon.directory().join("crabd.sock"), cut.clone()));
        let client = Client::connect(Endpoint::Socket(path));
        let before = client.hello().await.expect("it answers").durable;
        let start = Instant::now();
        let submitting = tokio::spawn(submit(client.clone(), count));
        let (events, cuts) = watch(&client, (before, count), &cut).await;
        let took = start.elapsed();
        submitting.await.expect("all were submitted");
        report::row("tasks", &format!("{:.0}/s", report::per_second(count, took)), &format!("{count} ended"));
        let seen = format!("{events} seen, in order, through {cuts} cuts");
        report::row("events", &format!("{:.0}/s", report::per_second(events, took)), &seen);
    });
}

async fn submit(client: Client, count: usize) {
    let spec = work::spec(Path::new("/bin/true"));
    for _ in 0..count / TOGETHER {
        let submission = work::separate(&spec, TOGETHER);
        // The one way to submit that outlives a cut in the middle of it.
        client.run_patiently(submission, Default::default(), Default::default()).await.expect("admitted");
    }
}

/// Sees all events until so many tasks have ended; how many events, and how often it was cut off.
async fn watch(
    client: &Client,
    (before, count): (u64, usize),
    cut: &broadcast::Sender<()>,
) -> (usize, usize) {
    let mut watch = client.events(before, EventFilter::All);
    let (mut last, mut ended, mut cuts) = (before, 0, 0);
    while ended < count {
        let record = match watch.next().await.expect("it is found again") {
            Seen::Record(record) => record,
            Seen::Gap { resumes_at } => panic!("events before {resumes_at} were not seen"),
        };
        assert_eq!(record.number, last + 1, "skipped or seen twice");
        last = record.number;
        let is_end =
            |event: &TaskEvent| matches!(event, TaskEvent::AttemptEnded { next: Next::Finish(_), .. });
        ended += usize::from(matches!(&record.event, Event::Task { event, .. } if is_end(event)));
        if ended > count * (cuts + 1) / 3 && cuts < 2 {
            cuts += 1;
            cut.send(()).expect("the relay listens");
        }
    }
    (usize::try_from(last - before).expect("a count"), cuts)
}

/// Passes on what comes, until it is to cut everything that there is.
async fn relay(listener: UnixListener, to: PathBuf, cut: broadcast::Sender<()>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let (to, mut cut) = (to.clone(), cut.subscribe());
        tokio::spawn(async move {
            let mut far = UnixStream::connect(to).await.expect("the daemon listens");
            tokio::select! {
                _ = cut.recv() => {}
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
            }
        });
    }
}

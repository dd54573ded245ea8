//! Nothing is lost: thousands of tasks through a fleet whose scheduler and workers are killed again and
//! again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actors::client::{Client, ClientError, Endpoint, random_key};
use policy::event::Item;
use policy::id::{GraphId, TaskId};
use policy::submission::Submission;
use policy::task::{AttemptOutcome, TaskOutcome, TaskSpec};

use super::fleet::Fleet;
use super::history::{Story, all_records, stories};
use crate::support::place::Place;
use crate::support::waiting::until;

const TASKS: u64 = 5_000;
/// Tasks of one submission.
const GRAPH: u64 = 50;
/// Of so many tasks one leaves a line in a file, the others only end.
const PROBE_EVERY: u64 = 10;
/// Tasks that are submitted and have not ended, at the most: so that submissions, too, meet the kills.
const UNDER_WAY: u64 = 800;
const SCHEDULER_KILLS: usize = 5;
const WORKER_KILLS: usize = 3;
/// The same kills in each run, unless `CRAB_SEED` says otherwise.
const SEED: u64 = 20_261_122;
/// For all of it on a busy machine.
const DEADLINE: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Scheduler,
    /// A worker's daemon; its tasks go on in its host.
    Worker(usize),
    /// A worker's daemon together with its host.
    Machine(usize),
}

#[test]
fn every_acknowledged_task_ends_exactly_once_whatever_is_killed() {
    let seed = std::env::var("CRAB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    let mut fleet = Fleet::start(2);
    let lines = fleet.scheduler.file("lines", "");
    let endpoint = Endpoint::of_data_dir(&fleet.scheduler.data());
    let started = Instant::now();
    let failed = AtomicBool::new(false);
    let graphs = std::thread::scope(|scope| {
        let submitting = scope.spawn(|| submit_all(endpoint, &lines, &failed));
        let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| inflict(&mut fleet, seed)));
        failed.store(broken.is_err(), Ordering::Relaxed);
        let graphs = submitting.join().expect("all are submitted");
        broken.map_err(|_| fleet.logs()).expect("the faults happened");
        graphs
    });
    wait_for_all(&fleet, &graphs);
    let took = started.elapsed();
    let records = fleet.scheduler.ask(all_records).expect("the history can be read");
    let stories = stories(&records);
    check(&graphs, &stories, &lines);
    fleet.nothing_runs();
    report(seed, took, &stories);
    fleet.stop();
    fleet.workers.iter().for_each(Place::wait_gone);
}

/// Submits each graph until it is acknowledged, and tells the graphs.
fn submit_all(endpoint: Endpoint, lines: &Path, failed: &AtomicBool) -> Vec<GraphId> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = Client::connect(endpoint);
        let mut graphs = Vec::new();
        let mut look = tokio::time::interval(Duration::from_millis(20));
        for number in 0..TASKS / GRAPH {
            let submission = graph(number, lines);
            loop {
                assert!(!failed.load(Ordering::Relaxed), "given up");
                let room = ended(&client).await.is_ok_and(|ended| number * GRAPH < ended + UNDER_WAY);
                // The same key: what was acknowledged to nobody is not submitted twice.
                if room && let Ok(submitted) = client.submit(submission.clone()).await {
                    assert_eq!(submitted.tasks, GRAPH);
                    graphs.push(submitted.graph);
                    break;
                }
                look.tick().await;
            }
        }
        graphs
    })
}

async fn ended(client: &Client) -> Result<u64, ClientError> {
    Ok(client.status().await?.tasks.ended())
}

fn graph(number: u64, lines: &Path) -> Submission {
    let items = (0..GRAPH).map(|place| task(number * GRAPH + place, lines)).collect();
    Submission::new(random_key(), format!("graph{number}"), items)
}

/// A task that ends at once, and leaves a line where it is a probe.
pub(crate) fn task(number: u64, lines: &Path) -> Item {
    let probe = r#"echo "$CRAB_TASK $CRAB_TOKEN" >> "$LINES""#;
    let argv = match number % PROBE_EVERY {
        0 => vec!["/bin/sh".into(), "-c".into(), probe.into()],
        _ => vec!["/bin/true".into()],
    };
    let spec = TaskSpec {
        directory: Some("/".into()),
        environment: vec![("LINES".into(), lines.display().to_string().into())],
        tenant: "test".into(),
        grace: Duration::from_secs(1),
        ..TaskSpec::new(format!("n{number}"), argv)
    };
    Item::new(spec)
}

/// Kills at moments that the seed chooses, each when so many tasks have ended.
fn inflict(fleet: &mut Fleet, seed: u64) {
    for (moment, fault) in faults(seed) {
        until("so many tasks have ended", DEADLINE, || {
            let ended = fleet.scheduler.ask(|client| async move { ended(&client).await });
            ended.ok().filter(|ended| *ended >= moment)
        });
        match fault {
            Fault::Scheduler => {
                fleet.kill_scheduler();
                fleet.start_scheduler();
            }
            Fault::Worker(number) => {
                fleet.kill_worker(number);
                fleet.start_worker(number);
            }
            Fault::Machine(number) => {
                fleet.workers[number].kill_host();
                fleet.kill_worker(number);
                fleet.start_worker(number);
            }
        }
    }
}

fn faults(seed: u64) -> Vec<(u64, Fault)> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut kinds = vec![Fault::Scheduler; SCHEDULER_KILLS];
    kinds.extend((1..WORKER_KILLS).map(|_| Fault::Worker(random.usize(0..2))));
    kinds.push(Fault::Machine(random.usize(0..2)));
    random.shuffle(&mut kinds);
    let mut moments: Vec<u64> = kinds.iter().map(|_| random.u64(TASKS / 50..TASKS * 9 / 10)).collect();
    moments.sort_unstable();
    moments.into_iter().zip(kinds).collect()
}

fn wait_for_all(fleet: &Fleet, graphs: &[GraphId]) {
    assert_eq!(graphs.len() as u64, TASKS / GRAPH);
    until("every task has ended", DEADLINE, || {
        let status = fleet.scheduler.ask(|client| async move { client.status().await }).ok()?;
        (status.tasks.ended() >= TASKS).then_some(())
    });
    // The status may be ahead of the disk, which is what is read next; this answer is not.
    for graph in graphs {
        let row = fleet.scheduler.ask(|client| async move { client.wait(*graph, None).await });
        assert!(row.expect("it has ended").ended.is_some());
    }
}

fn check(graphs: &[GraphId], stories: &BTreeMap<TaskId, Story>, lines: &Path) {
    let acknowledged: Vec<u64> = graphs.iter().flat_map(|graph| graph.0..graph.0 + GRAPH).collect();
    let mut known: Vec<u64> = stories.keys().map(|task| task.0).collect();
    known.sort_unstable();
    let mut sorted = acknowledged.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, known, "the tasks of the history are those that were acknowledged");
    let text = fs::read_to_string(lines).expect("the probes' file");
    let mut ran = BTreeMap::<String, u32>::new();
    for line in text.lines() {
        *ran.entry(line.to_owned()).or_default() += 1;
    }
    for (place, task) in acknowledged.iter().enumerate() {
        let story = &stories[&TaskId(*task)];
        assert_eq!(story.end, Some(TaskOutcome::Succeeded), "t{task}: {story:?}");
        if (place as u64).is_multiple_of(PROBE_EVERY) {
            let last = story.attempts.last().expect("it succeeded");
            let count = ran.remove(&format!("t{task} {}", last.token.0));
            assert_eq!(count, Some(1), "t{task} wrote its line once: {story:?}");
            for lost in &story.attempts[..story.attempts.len() - 1] {
                ran.remove(&format!("t{task} {}", lost.token.0));
            }
        }
    }
    assert!(ran.is_empty(), "what no attempt of the history wrote, or twice: {ran:?}");
}

fn report(seed: u64, took: Duration, stories: &BTreeMap<TaskId, Story>) {
    let attempts = || stories.values().flat_map(|story| &story.attempts);
    let lost = attempts().filter(|attempt| matches!(attempt.outcome, AttemptOutcome::Lost(_))).count();
    println!(
        "seed {seed}: {} tasks ended once in {took:.1?}; scheduler killed {SCHEDULER_KILLS} times, workers \
         {WORKER_KILLS} times (once with the host); {} granted again, {lost} attempts lost",
        stories.len(),
        stories.values().filter(|story| story.attempts.len() > 1).count(),
    );
}

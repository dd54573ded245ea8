//! What clients do: submit seeded graphs, again where they do not know, cancel, and ask for other tries.

use std::sync::Arc;
use std::time::Duration;

use actors::scheduler::{Addition, SchedulerMessage};
use actors::side::Side;
use actors::wire::client::{Response, Target};
use fastrand::Rng;
use policy::bounds::{Deadline, TimeBounds};
use policy::constraint::{AvoidFailed, Company, Condition, Constraints, Distance, Preference, Spread};
use policy::dependency::{Dependency, Need};
use policy::event::{ArraySpec, Item, SubmissionKey};
use policy::id::{GraphId, TaskId};
use policy::preempt::EVICTIONS_LIMIT;
use policy::resources::Resources;
use policy::submission::Submission;
use policy::task::{Priority, RetryPolicy, TaskSpec};
use supervision::Reply;

use super::agents;
use super::claims;
use super::gangs;
use super::keeper::see_to_its_end;
use super::program::Program;
use super::steps;
use super::world::World;
use crate::history::{Answer, Asked, Operation};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

const PRIORITIES: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

/// What one task needs at the most, so that every node but the smallest can run it.
const CPU_MILLIS: u64 = 2000;

fn spec(rng: &mut Rng, name: String) -> TaskSpec {
    let length = match rng.u32(..10) {
        0..4 => rng.u64(1..80),
        4..8 => rng.u64(100..4000),
        _ => rng.u64(5000..40_000),
    };
    let fails = if rng.u32(..4) == 0 { rng.u32(1..4) } else { 0 };
    let obeys_after = (rng.u32(..5) > 0).then(|| rng.u64(0..800));
    let program = Program { length, fails, obeys_after, is_missing: rng.u32(..40) == 0, kills: false };
    let retry = RetryPolicy {
        max_attempts: rng.u32(1..5),
        backoff: Duration::from_millis(rng.u64(10..3000)),
        factor_percent: rng.u32(100..300),
        backoff_limit: Duration::from_secs(8),
        retryable_exit_codes: if rng.u32(..8) == 0 { vec![75] } else { Vec::new() },
        ..RetryPolicy::default()
    };
    // Long ones would keep the others from what they hold for longer than a run lasts.
    let claims = claims::claims(&mut Rng::with_seed(rng.clone().u64(..))).filter(|_| length < 4000);
    TaskSpec {
        claims,
        resources: Resources {
            cpu_millis: 250 * rng.u64(1..=CPU_MILLIS / 250),
            memory_bytes: rng.u64(..4) << 30,
            gpu_slots: u64::from(rng.u32(..12) == 0),
            ..Resources::default()
        },
        alternatives: alternatives(&mut rng.clone()),
        // Of chance of their own, so that all else in a seed stays as it is.
        constraints: constraints(&mut rng.clone()),
        priority: PRIORITIES[rng.usize(..4)],
        tenant: format!("tenant-{}", rng.u32(..3)).into(),
        retry,
        timeout: (rng.u32(..4) == 0).then(|| Duration::from_millis(rng.u64(500..20_000))),
        bounds: bounds(&mut rng.clone()),
        grace: Duration::from_millis(rng.u64(0..3000)),
        ..TaskSpec::new(name, program.argv())
    }
}

/// What some tasks say of time, all of it shorter than any timeout.
fn bounds(rng: &mut Rng) -> Option<Box<TimeBounds>> {
    let some = |rng: &mut Rng| (rng.u32(..6) == 0).then(|| Duration::from_millis(rng.u64(100..500)));
    let (soft_timeout, idle_timeout) = (some(rng), some(rng));
    let long = |rng: &mut Rng| Duration::from_millis(rng.u64(1_000..120_000));
    let queue_timeout = (rng.u32(..12) == 0).then(|| long(rng));
    let deadline = (rng.u32(..12) == 0).then(|| Deadline::After(long(rng)));
    let bounds = TimeBounds { soft_timeout, idle_timeout, queue_timeout, deadline };
    (!bounds.is_empty()).then(|| Box::new(bounds))
}

/// Conditions that tasks name: each holds on the first node, which can run everything.
const CONDITIONS: [&str; 6] =
    ["rack=left", "rack!=right", "rack in left,middle", "generation>=2.10", "!gone", "node=n0"];

/// What some tasks ask of their node.
fn constraints(rng: &mut Rng) -> Constraints {
    let condition =
        |rng: &mut Rng| -> Condition { CONDITIONS[rng.usize(..CONDITIONS.len())].parse().expect("ours") };
    let require = if rng.u32(..8) == 0 { vec![condition(rng)] } else { Vec::new() };
    let prefer =
        if rng.u32(..8) == 0 { vec![Preference { on: condition(rng), weight: 5 }] } else { Vec::new() };
    let avoid_failed = [AvoidFailed::No, AvoidFailed::Prefer, AvoidFailed::Require][rng.usize(..3)];
    let company = company(&mut Rng::with_seed(rng.u64(..))).map(Arc::new);
    Constraints { require, prefer, avoid_failed, company }
}

/// Groups of the whole world.
const GROUPS: [&str; 3] = ["web", "builds", "benchmarks"];

/// What some tasks say of those beside them: each may run on the first node, where nobody is in the way.
fn company(rng: &mut Rng) -> Option<Company> {
    if rng.u32(..4) > 0 {
        return None;
    }
    let group = |rng: &mut Rng| -> Arc<str> { GROUPS[rng.usize(..GROUPS.len())].into() };
    let own = group(rng);
    let rule = |per: &str, max| Spread { per: per.into(), max };
    let spread = match rng.u32(..4) {
        0 => vec![rule("node", rng.u32(1..3))],
        1 => vec![rule("rack", rng.u32(1..4)), rule("node", 2)],
        _ => Vec::new(),
    };
    let apart = if rng.u32(..3) == 0 { vec![group(rng)] } else { Vec::new() };
    let prefer_apart = vec![Distance { group: group(rng), weight: 3 }];
    Some(Company { group: Some(own), spread, apart, prefer_apart })
}

/// What else does for some tasks: more of one thing or another, and no more than the first node has.
fn alternatives(rng: &mut Rng) -> Vec<Resources> {
    let other = |rng: &mut Rng| Resources {
        memory_bytes: rng.u64(..3) << 30,
        gpu_slots: rng.u64(..2),
        ..Resources::cpus(250 * rng.u64(1..=4))
    };
    (0..[0, 0, 0, 1, 2][rng.usize(..5)]).map(|_| other(rng)).collect()
}

/// Milliseconds after which somebody notices that a task waits in vain, and cancels it.
const NOTICED: std::ops::Range<u64> = 5_000..40_000;

/// A task that no node can ever run.
fn too_large(rng: &mut Rng, number: u64) -> Item {
    let mut spec = spec(rng, format!("g{number}-large"));
    spec.resources.cpu_millis = 64_000;
    spec.alternatives.clear();
    Item::new(Arc::new(spec))
}

/// Where tasks make room for urgent ones, half of all let others.
fn let_others(submission: &mut Submission, world: &World) {
    if !world.core().nature.preempts {
        return;
    }
    let mut rng =
        Rng::with_seed(u64::try_from(submission.key.0 & u128::from(u64::MAX)).expect("it is masked"));
    for item in submission.items.iter_mut().filter(|_| rng.bool()) {
        Arc::make_mut(&mut item.spec).is_preemptible = true;
    }
}

/// How long all of it takes where one waits for the other and everything that may fail does.
fn longest(submission: &Submission) -> Duration {
    let of = |item: &Item| {
        let TaskSpec { argv, retry, grace, .. } = &*item.spec;
        let around = steps::longest(&item.spec);
        let attempt = Duration::from_millis(Program::of(argv).length) + *grace + retry.backoff_limit + around;
        let tasks = u32::try_from(item.tasks()).expect("few tasks");
        let evictions = if item.spec.is_preemptible { EVICTIONS_LIMIT } else { 0 };
        attempt * (retry.max_attempts + evictions) * tasks
    };
    submission.items.iter().map(of).sum()
}

/// A graph of a few tasks and arrays.
fn submission(rng: &mut Rng, number: u64) -> Submission {
    let count = rng.usize(1..9);
    let items = (0..count).map(|place| {
        let array = (rng.u32(..5) == 0).then(|| ArraySpec {
            first: rng.u64(..5),
            count: rng.u64(1..12),
            parallel_limit: rng.bool().then(|| rng.u32(1..4)),
        });
        let before = 0..u32::try_from(place).expect("few items");
        let before: Vec<u32> = before.filter(|_| rng.u32(..3) == 0).collect();
        let dependencies = before.into_iter().map(|on| Dependency::item(on, need(rng))).collect();
        let spec = Arc::new(spec(rng, format!("g{number}-{place}")));
        Item { dependencies, array, ..Item::new(spec) }
    });
    let mut items: Vec<Item> = items.collect();
    if rng.u32(..5) == 0 {
        items.push(too_large(rng, number));
    }
    Submission::new(SubmissionKey(u128::from(rng.u64(..))), format!("graph {number}"), items)
}

fn need(rng: &mut Rng) -> Need {
    match rng.u32(..6) {
        0 => Need::End,
        1 => Need::Always,
        _ => Need::Success,
    }
}

/// A task more for a graph of `items` items, which depends on one or two of them.
fn addition(rng: &mut Rng, (graph, items): (GraphId, u32), number: u64) -> Addition {
    let on: Vec<Dependency> =
        (0..rng.u32(1..3)).map(|_| Dependency::item(rng.u32(..items), need(rng))).collect();
    let item = Item { dependencies: on, ..Item::new(spec(rng, format!("g{number}-more"))) };
    let key = SubmissionKey(u128::from(rng.u64(..)));
    let submission = Submission { into: Some(graph), ..Submission::new(key, "more", vec![item]) };
    Addition { graph, submission, before: items, digest: [255; 16] }
}

/// Adds to a graph, and asks until it is known whether that is there or refused.
async fn add(world: &World, rng: &mut Rng, (graph, submission): (GraphId, &Submission), number: u64) {
    tokio::time::sleep(Duration::from_millis(rng.u64(..20_000))).await;
    let items = u32::try_from(submission.items.len()).expect("few items");
    let mut addition = addition(rng, (graph, items), number);
    world.house().dress(&mut addition.submission, number | 1 << 32);
    agents::address(&mut addition.submission, world);
    world.core().work += longest(&addition.submission);
    let asked = Asked::Submit { key: addition.submission.key, digest: addition.digest };
    loop {
        let addition = Box::new(addition.clone());
        match insist(world, asked, |reply| SchedulerMessage::Extend { addition, reply }).await {
            Answer::Unknown => tokio::time::sleep(Duration::from_millis(rng.u64(50..3000))).await,
            _ => return,
        }
    }
}

/// Submits a graph, until it is known to be there.
pub(super) async fn submit(
    world: &World,
    rng: &mut Rng,
    submission: &Submission,
    digest: [u8; 16],
) -> GraphId {
    let asked = Asked::Submit { key: submission.key, digest };
    let attempts = submission.items.iter().map(|item| item.spec.retry.max_attempts).sum();
    let work = longest(submission) + world.house().delays(attempts);
    world.core().work += work;
    loop {
        let submission = Box::new(submission.clone());
        let ask = |reply| SchedulerMessage::Admit { submission, digest, reply };
        match insist(world, asked, ask).await {
            Answer::Submitted { graph, .. } => return graph,
            answer => tokio::time::sleep(pause(world, rng, answer)).await,
        }
    }
}

/// How long a client waits until it asks again: at least as long as it was told.
fn pause(world: &World, rng: &mut Rng, answer: Answer) -> Duration {
    let usual = Duration::from_millis(rng.u64(50..3000));
    match answer {
        Answer::Busy { retry_after } if world.house().sends_away() => retry_after.max(usual),
        _ => usual,
    }
}

/// One graph's client: submits at `at` milliseconds, insists until it knows, and later changes its mind.
pub(super) async fn client(world: World, mut rng: Rng, number: u64, at: u64) {
    tokio::time::sleep(Duration::from_millis(at)).await;
    let mut submission = submission(&mut rng, number);
    let_others(&mut submission, &world);
    world.house().dress(&mut submission, number);
    gangs::form(&mut submission, &world);
    steps::surround(&mut submission, &world);
    agents::address(&mut submission, &world);
    let budget = submission.budget;
    let digest = [u8::try_from(number % 251).expect("below 251"); 16];
    let asked = Asked::Submit { key: submission.key, digest };
    let graph = submit(&world, &mut rng, &submission, digest).await;
    if submission.items.last().is_some_and(|item| item.spec.resources.cpu_millis > CPU_MILLIS) {
        // Another try of all would have it wait again.
        give_up_on_the_last(&world, &mut rng, TaskId(graph.0 + submission.tasks() - 1)).await;
    } else {
        // Of chance of its own, and beside all else: so all else in a seed stays as it is.
        let urges = urge(&world, Rng::with_seed(rng.clone().u64(..)), (graph, submission.tasks()));
        let minds = change_of_mind(&world, &mut rng, (graph, submission, asked), (number, digest));
        tokio::join!(minds, urges);
    }
    if !budget.is_unlimited() {
        see_to_its_end(&world, rng, graph).await;
    }
}

/// Some say anew how urgent a task of theirs is, or all of a graph, once or twice, and insist.
async fn urge(world: &World, mut rng: Rng, (graph, tasks): (GraphId, u64)) {
    for _ in 0..[0, 0, 1, 2][rng.usize(..4)] {
        tokio::time::sleep(Duration::from_millis(rng.u64(..10_000))).await;
        let one = Target::Task(TaskId(graph.0 + rng.u64(..tasks)));
        let target = if rng.u32(..4) == 0 { Target::Graph(graph) } else { one };
        let priority = PRIORITIES[rng.usize(..4)];
        let ask = |reply| SchedulerMessage::Prioritise(target, priority, reply);
        while insist(world, Asked::Prioritise(target, priority), ask).await == Answer::Unknown {
            tokio::time::sleep(Duration::from_millis(rng.u64(50..3000))).await;
        }
    }
}

/// What its owner still does with a graph that was taken in.
async fn change_of_mind(
    world: &World,
    rng: &mut Rng,
    (graph, submission, asked): (GraphId, Submission, Asked),
    (number, digest): (u64, [u8; 16]),
) {
    let tasks: u64 = submission.tasks();
    let again = rng.u32(..4) == 0;
    let adds = rng.u32(..3) == 0;
    let cancels = rng.u32(..5) == 0;
    let retries = rng.u32(..6) == 0;
    if again {
        tokio::time::sleep(Duration::from_millis(rng.u64(..20_000))).await;
        let submission = Box::new(submission.clone());
        insist(world, asked, |reply| SchedulerMessage::Admit { submission, digest, reply }).await;
    }
    if adds {
        add(world, rng, (graph, &submission), number).await;
    }
    if cancels {
        tokio::time::sleep(Duration::from_millis(rng.u64(..15_000))).await;
        let one = Target::Task(TaskId(graph.0 + rng.u64(..tasks)));
        let target = if rng.bool() { Target::Graph(graph) } else { one };
        insist(world, Asked::Cancel(target), |reply| SchedulerMessage::Cancel { target, reply }).await;
    }
    if retries {
        tokio::time::sleep(Duration::from_millis(rng.u64(..40_000))).await;
        let target = Target::Graph(graph);
        // By now there may be one more.
        world.core().work += longest(&submission) * 2;
        insist(world, Asked::Retry(target), |reply| SchedulerMessage::Retry { target, reply }).await;
    }
}

/// Tasks in each array of the flood, and arrays of each priority.
const FLOOD: (u64, usize) = (25, 3);

/// More than can run, at all priorities, all of one shape: who is served shows in the order of the grants.
fn crowd(rng: &mut Rng) -> Submission {
    // In turns, so that arrays of one priority are not one stretch of tasks.
    let items = (0..FLOOD.1).flat_map(|_| PRIORITIES).map(|priority| {
        let argv = Program {
            length: rng.u64(150..400),
            fails: 0,
            obeys_after: Some(0),
            is_missing: false,
            kills: false,
        }
        .argv();
        let array = Some(ArraySpec { first: 0, count: FLOOD.0, parallel_limit: None });
        let spec = TaskSpec {
            argv,
            priority,
            tenant: "crowd".into(),
            claims: None,
            resources: Resources::cpus(500),
            alternatives: Vec::new(),
            constraints: Constraints::default(),
            ..spec(rng, "crowd".into())
        };
        Item { spec: Arc::new(TaskSpec { timeout: None, ..spec }), dependencies: Vec::new(), array }
    });
    let items = items.collect();
    Submission::new(SubmissionKey(u128::from(rng.u64(..))), "crowd", items)
}

/// Submits the crowd, in the middle of everything.
pub(super) async fn flood(world: World, mut rng: Rng) {
    tokio::time::sleep(Duration::from_millis(rng.u64(5000..40_000))).await;
    let crowd = crowd(&mut rng);
    submit(&world, &mut rng, &crowd, [255; 16]).await;
}

/// Notices after a while that a task waits in vain, and insists that it is cancelled.
async fn give_up_on_the_last(world: &World, rng: &mut Rng, task: TaskId) {
    tokio::time::sleep(Duration::from_millis(rng.u64(NOTICED))).await;
    let target = Target::Task(task);
    let ask = |reply| SchedulerMessage::Cancel { target, reply };
    while !matches!(insist(world, Asked::Cancel(target), ask).await, Answer::Done { .. }) {
        tokio::time::sleep(Duration::from_millis(rng.u64(50..3000))).await;
    }
}

/// Asks once and notes what came of it.
pub(super) async fn insist<R: Into<Option<Response>> + Send + 'static>(
    world: &World,
    asked: Asked,
    question: impl FnOnce(Reply<R>) -> SchedulerMessage,
) -> Answer {
    let place = {
        let mut core = world.core();
        let invoked = core.clock.wall();
        core.operations.push(Operation { asked, invoked, answer: Answer::Unknown, written: None });
        core.operations.len() - 1
    };
    let Some((life, side)) = world.side() else { return Answer::Unknown };
    let response = ask(&side, question).await.map(Into::into);
    let written = side.log.last();
    let mut core = world.core();
    let at = core.clock.wall();
    // An answer of a dead scheduler side has not reached anybody.
    let answer = match response {
        _ if core.head_life != life => Answer::Unknown,
        Some(Some(Response::Submitted(submitted))) => Answer::Submitted { graph: submitted.graph, at },
        Some(Some(
            Response::CancelAsked { .. }
            | Response::RetryAsked { .. }
            | Response::Resumed { .. }
            | Response::Prioritised { .. },
        )) => Answer::Done { at },
        Some(Some(Response::Busy { retry_after, .. })) => Answer::Busy { retry_after },
        Some(_) => Answer::Refused,
        None => Answer::Unknown,
    };
    let operation = &mut core.operations[place];
    (operation.answer, operation.written) = (answer, Some(written));
    answer
}

/// Asks the scheduler; `None` where there is no answer.
pub(super) async fn ask<R: Send + 'static>(
    side: &Side,
    question: impl FnOnce(Reply<R>) -> SchedulerMessage,
) -> Option<R> {
    side.scheduler.ask(PATIENCE, question).await.ok()
}

//! Real actors on tokio's paused clock. The rules themselves are tested in the machine; here it is that
//! ractor's events reach it, and that what it wants done is done.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc;

use super::*;
use crate::describe::ChildState;
use crate::spec::{Backoff, Kind, Restart, Shutdown, SpecError};
use crate::testing::{Scene, Worker, WorkerArgs, WorkerMessage, until_idle};

const SECOND: Duration = Duration::from_secs(1);
const PLENTY: Intensity = Intensity::new(10, Duration::from_secs(60));

fn tree(strategy: Strategy, intensity: Intensity, children: Vec<Child>) -> SupervisorArgs {
    SupervisorArgs::new("root", strategy, intensity, children)
}

async fn start_ok(args: SupervisorArgs) -> Running {
    start(args).await.expect("starts")
}

fn bad_starts(scene: &Scene, name: &'static str, times: u32, panics: bool) -> WorkerArgs {
    WorkerArgs { bad_starts: Arc::new(AtomicU32::new(times)), panics, ..scene.args(name) }
}

async fn states(running: &Running) -> Vec<(String, ChildState)> {
    let children = running.which_children(Inquiry::default()).await.expect("the root answers");
    children.into_iter().map(|child| (child.name, child.state)).collect()
}

#[tokio::test(start_paused = true)]
async fn children_start_in_order_and_stop_in_reverse() {
    let mut scene = Scene::new();
    let children = ["a", "b", "c"].map(|name| scene.worker(name));
    let (children, addresses): (Vec<_>, Vec<_>) = children.into_iter().unzip();
    let mut running = start_ok(tree(Strategy::OneForOne, PLENTY, children)).await;
    assert_eq!(scene.all().await, "+a +b +c");
    assert!(addresses.iter().all(Address::is_bound));
    assert_eq!(running.stop().await, Ending::Stopped);
    assert_eq!(scene.all().await, "-c -b -a");
    assert!(!addresses.iter().any(Address::is_bound), "no child lives after the stop");
    assert_eq!(running.join().await, Ending::Stopped, "may be asked again");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_ready_later_holds_up_the_next() {
    let mut scene = Scene::new();
    let (late, args) = (Scene::address("late"), scene.args("late"));
    let children =
        vec![Child::worker::<Worker<true>>("late", &late, move || args.clone()), scene.worker("b").0];
    let starting = tokio::spawn(start(tree(Strategy::OneForOne, PLENTY, children)));
    assert_eq!(scene.all().await, "+late");
    late.tell(WorkerMessage::BeReady);
    let mut running = starting.await.expect("no panic").expect("starts");
    assert_eq!(scene.all().await, "+b");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_or_panicking_start_stops_the_earlier_ones_and_is_told() {
    for panics in [false, true] {
        let mut scene = Scene::new();
        let bad = scene.worker_with(bad_starts(&scene, "bad", 1, panics)).0;
        let children = vec![scene.worker("a").0, scene.worker("b").0, bad, scene.worker("c").0];
        let error = start(tree(Strategy::OneForOne, PLENTY, children)).await.expect_err("bad does not start");
        let text = error.to_string();
        assert!(text.starts_with("bad failed to start") && text.contains("cannot start"), "{text}");
        assert_eq!(text.contains("panicked"), panics, "{text}");
        assert_eq!(scene.all().await, "+a +b !bad -b -a");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_list_is_refused_before_anything_starts() {
    let mut scene = Scene::new();
    let children = vec![scene.worker("a").0, scene.worker("a").0];
    let error = start(tree(Strategy::OneForOne, PLENTY, children)).await.expect_err("two of one name");
    assert_eq!(error, StartError::Spec(SpecError::DuplicateName("a".to_owned())));
    assert_eq!(scene.all().await, "");
}

/// Every way to end × every restart rule: started again or not.
#[tokio::test(start_paused = true)]
async fn restarts_follow_how_the_child_ended() {
    type Way = fn() -> WorkerMessage;
    let ways: [(Way, bool); 4] = [
        (|| WorkerMessage::End, true),
        (|| WorkerMessage::Fail, false),
        (|| WorkerMessage::Panic, false),
        (|| WorkerMessage::Kill, false),
    ];
    for (way, orderly) in ways {
        for (restart, again) in
            [(Restart::Permanent, true), (Restart::Transient, !orderly), (Restart::Temporary, false)]
        {
            let mut scene = Scene::new();
            let (child, address) = scene.worker("a");
            let children = vec![child.restart(restart), scene.worker("b").0];
            let mut running = start_ok(tree(Strategy::OneForOne, PLENTY, children)).await;
            scene.all().await;
            address.tell(way());
            let expected = format!("{}{}", if orderly { "-a " } else { "" }, if again { "+a" } else { "" });
            assert_eq!(scene.all().await, expected.trim(), "{restart:?} {orderly}");
            assert_eq!((address.is_bound(), address.probe().restarts()), (again, u32::from(again)));
            let state = if again { ChildState::Running } else { ChildState::Ended };
            assert_eq!(states(&running).await[0], ("a".to_owned(), state));
            assert_eq!(running.stop().await, Ending::Stopped);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_for_all_stops_all_in_reverse_and_starts_all_in_order() {
    let mut scene = Scene::new();
    let (b, address) = scene.worker("b");
    let children = vec![scene.worker("a").0, b, scene.worker("c").0];
    let mut running = start_ok(tree(Strategy::OneForAll, PLENTY, children)).await;
    scene.all().await;
    address.tell(WorkerMessage::Fail);
    assert_eq!(scene.all().await, "-c -a +a +b +c");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_leaves_the_earlier_ones_alone() {
    let mut scene = Scene::new();
    let (b, address) = scene.worker("b");
    let children = vec![scene.worker("a").0, b, scene.worker("c").0, scene.worker("d").0];
    let mut running = start_ok(tree(Strategy::RestForOne, PLENTY, children)).await;
    scene.all().await;
    address.tell(WorkerMessage::Panic);
    assert_eq!(scene.all().await, "-d -c +b +c +d");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_storm_ends_the_supervisor_after_its_children() {
    let mut scene = Scene::new();
    let (a, address) = scene.worker("a");
    let intensity = Intensity::new(2, 5 * SECOND);
    let mut running = start_ok(tree(Strategy::OneForOne, intensity, vec![scene.worker("z").0, a])).await;
    for _ in 0..3 {
        until_idle().await;
        address.tell(WorkerMessage::Fail);
    }
    let exit = Exit::Failed("told to fail".to_owned());
    let expected = Ending::GaveUp { child: "a".to_owned(), exit, restarts: 2, period: 5 * SECOND };
    assert_eq!(running.join().await, expected);
    assert_eq!(scene.all().await, "+z +a +a +a -z");
}

#[tokio::test(start_paused = true)]
async fn restarts_spread_over_time_do_not_add_up() {
    let mut scene = Scene::new();
    let (a, address) = scene.worker("a");
    let mut running = start_ok(tree(Strategy::OneForOne, Intensity::new(1, SECOND), vec![a])).await;
    for _ in 0..5 {
        tokio::time::advance(2 * SECOND).await;
        address.tell(WorkerMessage::Fail);
        until_idle().await;
    }
    assert_eq!(scene.all().await, "+a +a +a +a +a +a");
    assert_eq!(running.stop().await, Ending::Stopped);
}

#[tokio::test(start_paused = true)]
async fn failed_restarts_wait_longer_each_time_and_a_stop_is_heard_between() {
    let mut scene = Scene::new();
    let args = bad_starts(&scene, "a", 0, false);
    let bad = Arc::clone(&args.bad_starts);
    let (a, address) = scene.worker_with(args);
    let backoff = Backoff { first: SECOND, most: 60 * SECOND, healthy_after: 60 * SECOND };
    let mut running = start_ok(tree(Strategy::OneForOne, PLENTY, vec![a.backoff(backoff)])).await;
    scene.all().await;
    bad.store(3, std::sync::atomic::Ordering::Relaxed);
    let failed = Instant::now();
    address.tell(WorkerMessage::Fail);
    let mut waits = Vec::new();
    for _ in 0..3 {
        assert_eq!(scene.next(1).await, ["!a"]);
        waits.push(failed.elapsed().as_secs());
    }
    assert_eq!(waits, [1, 3, 7]);
    assert_eq!(states(&running).await, [("a".to_owned(), ChildState::Restarting)]);
    assert_eq!(running.stop().await, Ending::Stopped);
    assert!(failed.elapsed() < 8 * SECOND, "the stop did not wait for the delay");
    assert_eq!(scene.all().await, "");
}

#[tokio::test(start_paused = true)]
async fn an_address_survives_restarts_and_counts_what_found_nobody() {
    let mut scene = Scene::new();
    let (a, address) = scene.worker("a");
    let backoff = Backoff { first: SECOND, most: SECOND, healthy_after: SECOND };
    let mut running = start_ok(tree(Strategy::OneForOne, PLENTY, vec![a.backoff(backoff)])).await;
    address.tell(WorkerMessage::Fail);
    address.tell(WorkerMessage::BeReady);
    until_idle().await;
    assert_eq!(address.ask(SECOND, WorkerMessage::Echo).await, Err(AskError::Nobody));
    scene.next(2).await;
    assert_eq!(address.ask(SECOND, WorkerMessage::Echo).await, Ok(()));
    let reading = address.probe().read();
    assert_eq!((reading.undelivered, reading.dropped, reading.restarts, reading.depth()), (1, 1, 1, 0));
    running.stop().await;
    assert!(!address.try_tell(WorkerMessage::End));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_restarted_while_stopping() {
    let mut scene = Scene::new();
    let (a, first) = scene.worker("a");
    let (b, second) = scene.worker("b");
    let mut running = start_ok(tree(Strategy::OneForAll, PLENTY, vec![a, b])).await;
    scene.all().await;
    running.address().tell(SupervisorMessage::Stop);
    second.tell(WorkerMessage::Fail);
    first.tell(WorkerMessage::Panic);
    assert_eq!(running.join().await, Ending::Stopped);
    assert!(!scene.all().await.contains('+'));
}

#[tokio::test(start_paused = true)]
async fn a_nested_supervisor_that_gives_up_is_a_failed_child_of_its_parent() {
    let mut scene = Scene::new();
    let (inner, address) = scene.worker("inner");
    let nested =
        SupervisorArgs::new("nested", Strategy::OneForOne, Intensity::NONE, vec![scene.worker("n").0, inner]);
    let children = vec![scene.worker("a").0, Child::supervisor(nested), scene.worker("c").0];
    let mut running = start_ok(tree(Strategy::RestForOne, Intensity::new(1, 60 * SECOND), children)).await;
    assert_eq!(scene.all().await, "+a +n +inner +c");
    address.tell(WorkerMessage::Panic);
    assert_eq!(scene.all().await, "-n -c +n +inner +c");
    address.tell(WorkerMessage::Panic);
    let ending = running.join().await;
    let Ending::GaveUp { child, exit: Exit::Failed(reason), .. } = ending else { panic!("{ending:?}") };
    assert_eq!(child, "nested");
    assert!(reason.contains("inner panicked: told to panic"), "{reason}");
    assert_eq!(scene.all().await, "-n -c -a");
}

#[tokio::test(start_paused = true)]
async fn a_nested_tree_stops_from_the_last_leaf_to_the_first() {
    let mut scene = Scene::new();
    let nested = |name: &'static str, leaves: [&'static str; 2]| {
        let leaves = leaves.map(|leaf| scene.worker(leaf).0).to_vec();
        Child::supervisor(SupervisorArgs::new(name, Strategy::OneForOne, PLENTY, leaves))
    };
    let children = vec![nested("left", ["a", "b"]), nested("right", ["c", "d"])];
    let mut running = start_ok(tree(Strategy::OneForOne, PLENTY, children)).await;
    assert_eq!(scene.all().await, "+a +b +c +d");
    assert_eq!(running.stop().await, Ending::Stopped);
    assert_eq!(scene.all().await, "-d -c -b -a");
}

#[tokio::test(start_paused = true)]
async fn a_nested_start_that_fails_fails_the_whole_start() {
    let mut scene = Scene::new();
    let bad = scene.worker_with(bad_starts(&scene, "bad", 1, false)).0;
    let nested = SupervisorArgs::new("nested", Strategy::OneForOne, PLENTY, vec![scene.worker("n").0, bad]);
    let children = vec![scene.worker("a").0, Child::supervisor(nested)];
    let error = start(tree(Strategy::OneForOne, PLENTY, children)).await.expect_err("nested does not start");
    assert!(error.to_string().starts_with("nested failed to start: bad failed to start"), "{error}");
    assert_eq!(scene.all().await, "+a +n !bad -n -a");
}

#[tokio::test(start_paused = true)]
async fn the_tree_describes_itself_down_to_the_leaves() {
    let scene = Scene::new();
    let nested = SupervisorArgs::new("nested", Strategy::OneForOne, PLENTY, vec![scene.worker("leaf").0]);
    let children = vec![scene.worker("a").0, Child::supervisor(nested)];
    let mut running = start_ok(tree(Strategy::OneForOne, PLENTY, children)).await;
    let described = running.which_children(Inquiry::default()).await.expect("the root answers");
    let mut seen = Vec::new();
    for child in &described {
        child.visit(&mut |child| seen.push((child.name.clone(), child.kind, child.state, child.answered)));
    }
    let line = |name: &str, kind| (name.to_owned(), kind, ChildState::Running, true);
    assert_eq!(seen, [line("a", Kind::Worker), line("nested", Kind::Supervisor), line("leaf", Kind::Worker)]);
    let counts = running.count_children(SECOND).await.expect("the root answers");
    assert_eq!(counts, Counts { specs: 2, active: 2, supervisors: 1, workers: 1 });
    running.stop().await;
    assert_eq!(running.count_children(SECOND).await, Err(AskError::Nobody));
}

/// Order comes from messages alone: the same failures give the same journal.
#[test]
fn the_same_failures_give_the_same_history() {
    let history = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("builds").block_on(async {
            let mut scene = Scene::new();
            let (leaf, first) = scene.worker("leaf");
            let nested =
                SupervisorArgs::new("nested", Strategy::OneForAll, PLENTY, vec![scene.worker("n").0, leaf]);
            let (c, second) = scene.worker("c");
            let backoff = Backoff { first: SECOND, most: 9 * SECOND, healthy_after: 9 * SECOND };
            let children =
                vec![scene.worker("a").0, Child::supervisor(nested), c.backoff(backoff), scene.worker("d").0];
            let mut running = start_ok(tree(Strategy::RestForOne, PLENTY, children)).await;
            for _ in 0..3 {
                first.tell(WorkerMessage::Panic);
                second.tell(WorkerMessage::Fail);
                tokio::time::sleep(3 * SECOND).await;
            }
            running.stop().await;
            scene.all().await
        })
    };
    let once = history();
    assert!(once.contains("+leaf") && once.ends_with("-leaf -n -a"), "{once}");
    for _ in 0..10 {
        assert_eq!(history(), once);
    }
}

/// The handler blocks its thread: the supervisor lives on the other one, in real time.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_child_that_cannot_be_killed_is_left_behind_and_said() {
    let mut scene = Scene::new();
    let (a, address) = scene.worker("a");
    let a = a.shutdown(Shutdown::Deadline(Duration::from_millis(20)));
    let mut running = start_ok(tree(Strategy::OneForOne, PLENTY, vec![scene.worker("z").0, a])).await;
    let (hold, until) = mpsc::channel();
    scene.block(&running, &address, until).await;
    assert_eq!(running.stop().await, Ending::Stuck { child: "a".to_owned() });
    assert_eq!(scene.next(1).await, ["-z"]);
    drop(hold);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_child_busy_beyond_its_deadline_is_killed_when_its_handler_returns() {
    let mut scene = Scene::new();
    let (a, address) = scene.worker("a");
    let a = a.shutdown(Shutdown::Deadline(Duration::from_millis(20)));
    let mut running = start_ok(tree(Strategy::OneForOne, PLENTY, vec![a])).await;
    let (hold, until) = mpsc::channel();
    scene.block(&running, &address, until).await;
    let release = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(hold);
    });
    assert_eq!(running.stop().await, Ending::Stopped);
    assert!(!address.is_bound());
    release.await.expect("no panic");
}

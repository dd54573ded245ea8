//! Real actors on the paused clock, and one measurement that is run by hand.

use std::sync::atomic::Ordering;
use std::sync::mpsc;

use super::*;
use crate::describe::ChildState;
use crate::supervisor::{self, Running, SupervisorMessage};
use crate::testing::{Scene, Worker, WorkerMessage, until_idle};
use crate::{Actor, ActorError, Ending, Inquiry, Kind, Me, Message};

const SECOND: Duration = Duration::from_secs(1);

async fn supervised(dynamic: &Dynamic<Worker>, intensity: Intensity) -> Running {
    let args = SupervisorArgs::new("root", Strategy::OneForOne, intensity, vec![dynamic.child()]);
    supervisor::start(args).await.expect("starts")
}

fn one_shard() -> Options {
    Options { shards: NonZeroUsize::MIN, ..Options::default() }
}

#[tokio::test(start_paused = true)]
async fn what_is_told_right_after_a_start_is_not_lost() {
    let scene = Scene::new();
    let dynamic = Dynamic::<Worker>::temporary("tasks", Options::default());
    let mut running = supervised(&dynamic, Intensity::NONE).await;
    let address = Scene::address("1");
    dynamic.start(scene.args("1"), &address).expect("starts");
    assert!(address.is_bound());
    assert_eq!(address.ask(SECOND, WorkerMessage::Echo).await, Ok(()));
    assert_eq!(address.probe().read().undelivered, 0);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_sleeps_is_listed_and_the_first_message_wakes_it() {
    let mut scene = Scene::new();
    let dynamic = Dynamic::<Worker>::temporary("tasks", one_shard());
    let mut running = supervised(&dynamic, Intensity::NONE).await;
    let addresses = ["1", "2", "3", "4"].map(Scene::address);
    for (name, address) in ["1", "2", "3", "4"].into_iter().zip(&addresses) {
        dynamic.start_asleep(scene.args(name), address).expect("there is room");
    }
    let states = |dynamic: &Dynamic<Worker>| {
        let mut children = dynamic.which_children(9);
        children.sort_by(|one, other| one.name.cmp(&other.name));
        children.into_iter().map(|child| child.state).collect::<Vec<_>>()
    };
    assert_eq!(states(&dynamic), [ChildState::Asleep; 4]);
    assert_eq!(dynamic.count_children(), Counts { specs: 4, active: 0, supervisors: 0, workers: 4 });
    assert!(dynamic.dismiss(&addresses[3]), "it sleeps");
    assert_eq!((scene.all().await.as_str(), dynamic.count()), ("", 3));
    assert_eq!(addresses[0].ask(SECOND, WorkerMessage::Echo).await, Ok(()));
    dynamic.wake(&addresses[1]);
    dynamic.wake(&addresses[1]);
    assert_eq!(states(&dynamic), [ChildState::Running, ChildState::Running, ChildState::Asleep]);
    assert!(!dynamic.dismiss(&addresses[0]), "it is awake");
    assert_eq!(addresses[3].ask(SECOND, WorkerMessage::Echo).await, Err(crate::AskError::Nobody));
    assert_eq!(addresses[0].probe().read().undelivered, 0);
    assert_eq!(running.stop().await, Ending::Stopped);
    assert_eq!((scene.all().await.as_str(), dynamic.count()), ("+1 +2 -1 -2", 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_done_to_a_child_that_sleeps_wakes_it_and_a_failed_waking_leaves_its_place() {
    let scene = Scene::new();
    let dynamic = Dynamic::<Worker>::temporary("tasks", Options { limit: 2, ..one_shard() });
    let mut running = supervised(&dynamic, Intensity::NONE).await;
    let (address, bad) = (Scene::address("1"), Scene::address("2"));
    dynamic.start_asleep(scene.args("1"), &address).expect("there is room");
    let args = scene.args("2");
    args.bad_starts.store(1, Ordering::Relaxed);
    dynamic.start_asleep(args, &bad).expect("there is room");
    assert!(matches!(dynamic.start_asleep(scene.args("3"), &Scene::address("3")), Err(Refusal::Full { .. })));
    assert!(!bad.try_tell(WorkerMessage::End));
    assert_eq!(dynamic.count(), 1);
    let (reply, probe) = crate::Reply::channel();
    let errand = crate::Errand::new(address.probe().id(), crate::Deed::Probe(reply));
    running.address().tell(SupervisorMessage::Run(errand));
    assert_eq!(probe.await.expect("it is there").id(), address.probe().id());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn ended_children_leave_and_all_stop_with_the_whole() {
    let mut scene = Scene::new();
    let dynamic = Dynamic::<Worker>::temporary("tasks", one_shard());
    let mut running = supervised(&dynamic, Intensity::NONE).await;
    let addresses: Vec<_> = ["1", "2", "3", "4", "5"]
        .into_iter()
        .map(|name| {
            let address = Scene::address(name);
            dynamic.start(scene.args(name), &address).expect("starts");
            address
        })
        .collect();
    assert_eq!(dynamic.count(), 5);
    addresses[0].tell(WorkerMessage::End);
    addresses[1].tell(WorkerMessage::Panic);
    addresses[2].tell(WorkerMessage::Kill);
    assert_eq!(scene.all().await, "+1 +2 +3 +4 +5 -1");
    assert_eq!(dynamic.count(), 2);
    assert_eq!(dynamic.count_children(), Counts { specs: 2, active: 2, supervisors: 0, workers: 2 });
    assert_eq!(running.stop().await, Ending::Stopped);
    assert_eq!(scene.all().await, "-4 -5");
    assert_eq!(dynamic.count(), 0);
    assert!(!addresses.iter().any(Address::is_bound), "no child lives after the stop");
    let refusal = dynamic.start(scene.args("6"), &Scene::address("6")).expect_err("it has stopped");
    assert_eq!(refusal.to_string(), "tasks is not running");
}

#[tokio::test(start_paused = true)]
async fn a_start_is_refused_before_the_tree_runs_at_the_limit_and_when_it_fails() {
    let scene = Scene::new();
    let dynamic = Dynamic::<Worker>::temporary("tasks", Options { limit: 1, ..Options::default() });
    let start = |name| dynamic.start(scene.args(name), &Scene::address(name));
    assert!(matches!(start("1"), Err(Refusal::NotRunning(_))));
    let mut running = supervised(&dynamic, Intensity::NONE).await;
    let bad = scene.args("bad");
    bad.bad_starts.store(1, Ordering::Relaxed);
    let refusal = dynamic.start(bad, &Scene::address("bad")).expect_err("it does not start");
    assert_eq!(refusal.to_string(), "failed to start: cannot start");
    start("1").expect("a failed start takes no place");
    assert_eq!(start("2").expect_err("full").to_string(), "tasks has its limit of 1 children");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn transient_children_come_back_after_failures_only() {
    let mut scene = Scene::new();
    let plenty = Intensity::new(9, SECOND);
    let dynamic = Dynamic::<Worker>::transient("tasks", one_shard(), plenty, None);
    let mut running = supervised(&dynamic, Intensity::NONE).await;
    let address = Scene::address("1");
    dynamic.start(scene.args("1"), &address).expect("starts");
    for way in [WorkerMessage::Panic, WorkerMessage::Fail, WorkerMessage::Kill] {
        address.tell(way);
        until_idle().await;
    }
    assert_eq!(scene.all().await, "+1 +1 +1 +1");
    assert_eq!((dynamic.count(), address.probe().restarts()), (1, 3));
    address.tell(WorkerMessage::End);
    assert_eq!(scene.all().await, "-1");
    assert_eq!(dynamic.count(), 0);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_waits_longer_and_a_stop_forgets_it() {
    let mut scene = Scene::new();
    let backoff = Backoff { first: SECOND, most: 60 * SECOND, healthy_after: 60 * SECOND };
    let plenty = Intensity::new(9, 60 * SECOND);
    let dynamic = Dynamic::<Worker>::transient("tasks", one_shard(), plenty, Some(backoff));
    let mut running = supervised(&dynamic, Intensity::NONE).await;
    let (address, args) = (Scene::address("1"), scene.args("1"));
    let bad = Arc::clone(&args.bad_starts);
    dynamic.start(args, &address).expect("starts");
    bad.store(9, Ordering::Relaxed);
    let failed = Instant::now();
    address.tell(WorkerMessage::Fail);
    assert_eq!(scene.next(3).await, ["+1", "!1", "!1"]);
    assert_eq!(failed.elapsed().as_secs(), 3);
    assert_eq!(dynamic.which_children(9)[0].state, ChildState::Restarting);
    assert_eq!(dynamic.count_children(), Counts { specs: 1, active: 0, supervisors: 0, workers: 1 });
    assert_eq!(running.stop().await, Ending::Stopped);
    assert_eq!((failed.elapsed().as_secs(), dynamic.count()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn too_many_restarts_over_all_shards_end_the_whole_and_escalate() {
    let mut scene = Scene::new();
    let dynamic = Dynamic::<Worker>::transient("tasks", Options::default(), Intensity::new(2, SECOND), None);
    let mut running = supervised(&dynamic, Intensity::new(1, 60 * SECOND)).await;
    for round in 0..2 {
        let addresses = ["1", "2", "3"].map(|name| {
            let address = Scene::address(name);
            dynamic.start(scene.args(name), &address).expect("starts");
            address
        });
        scene.all().await;
        for address in &addresses {
            address.tell(WorkerMessage::Fail);
        }
        scene.all().await;
        assert!(!addresses.iter().any(Address::is_bound), "round {round}");
        assert_eq!(dynamic.count(), 0);
    }
    let ending = running.join().await;
    assert!(matches!(&ending, Ending::GaveUp { child, .. } if child == "tasks"), "{ending:?}");
}

#[tokio::test(start_paused = true)]
async fn children_show_in_the_description_of_the_tree_up_to_the_limit() {
    let scene = Scene::new();
    let dynamic = Dynamic::<Worker>::temporary("tasks", one_shard());
    let mut running = supervised(&dynamic, Intensity::NONE).await;
    for name in ["1", "2", "3"] {
        dynamic.start(scene.args(name), &Scene::address(name)).expect("starts");
    }
    let inquiry = Inquiry { children_limit: 2, ..Inquiry::default() };
    let described = running.which_children(inquiry).await.expect("the root answers");
    let mut seen = Vec::new();
    described[0].visit(&mut |child| seen.push((child.name.clone(), child.kind)));
    let line = |name: &str, kind| (name.to_owned(), kind);
    let (supervisor, worker) = (Kind::Supervisor, Kind::Worker);
    assert_eq!(
        seen,
        [line("tasks", supervisor), line("tasks/0", supervisor), line("1", worker), line("2", worker)]
    );
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_is_found_by_its_name_among_many_and_the_deepest_come_first_where_that_is_asked() {
    let scene = Scene::new();
    let dynamic = Dynamic::<Worker>::temporary("tasks", one_shard());
    let mut running = supervised(&dynamic, Intensity::NONE).await;
    let addresses = ["1", "2", "3"].map(|name| {
        let address = Scene::address(name);
        dynamic.start(scene.args(name), &address).expect("starts");
        address
    });
    let only = Inquiry { children_limit: 1, only: Some("3".into()), ..Inquiry::default() };
    let described = running.which_children(only).await.expect("the root answers");
    let shard = &described[0].children[0];
    assert_eq!((shard.children[0].name.as_str(), shard.children.len(), shard.more), ("3", 1, 0));
    // Nothing is handled before this task waits: what is told now still stands in the mailbox.
    let (reply, shown) = crate::Reply::channel();
    addresses[1].look(reply);
    let deepest = Inquiry { children_limit: 1, first: crate::First::Deepest, ..Inquiry::default() };
    let table = dynamic.0.shards[0].lock().describe(&deepest);
    assert_eq!((table.children[0].name.as_str(), table.more), ("2", 2));
    assert_eq!(shown.await, Ok(Vec::new()), "it shows nothing, and says so");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_errand_finds_its_child_wherever_it_is_and_is_dropped_where_there_is_none() {
    let scene = Scene::new();
    let dynamic = Dynamic::<Worker>::temporary("tasks", one_shard());
    let mut running = supervised(&dynamic, Intensity::NONE).await;
    let address = Scene::address("1");
    dynamic.start(scene.args("1"), &address).expect("starts");
    let (reply, killed) = crate::Reply::channel();
    let errand = crate::Errand::new(address.probe().id(), crate::Deed::Kill(reply));
    running.address().tell(SupervisorMessage::Run(errand));
    assert_eq!(killed.await, Ok(()));
    until_idle().await;
    assert_eq!(dynamic.count(), 0);
    let (reply, killed) = crate::Reply::channel();
    let errand = crate::Errand::new(address.probe().id(), crate::Deed::Kill(reply));
    running.address().tell(SupervisorMessage::Run(errand));
    assert!(killed.await.is_err(), "nobody has that child");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_children_cost_the_one_who_looks_little() {
    let scene = Scene::new();
    let dynamic = Dynamic::<Worker>::temporary("tasks", Options::default());
    let mut running = supervised(&dynamic, Intensity::NONE).await;
    for _ in 0..10_000 {
        dynamic.start(scene.args("1"), &Scene::address("1")).expect("starts");
    }
    let began = std::time::Instant::now();
    for _ in 0..10 {
        let inquiry = Inquiry { children_limit: 64, first: crate::First::Deepest, ..Inquiry::default() };
        let described = running.which_children(inquiry).await.expect("the root answers");
        let told: usize = described[0].children.iter().map(|shard| shard.children.len()).sum();
        assert_eq!(told, 4 * 64);
    }
    let each = began.elapsed() / 10;
    println!("a look at 10,000 children takes {each:?}");
    // One look a second may cost a hundredth of a core; this is generous, for a machine that does other things.
    assert!(each < Duration::from_millis(200), "{each:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_child_that_cannot_be_killed_is_left_behind_and_said() {
    let mut scene = Scene::new();
    let shutdown = Shutdown::Deadline(Duration::from_millis(20));
    let dynamic = Dynamic::<Worker>::temporary("tasks", Options { shutdown, ..one_shard() });
    let mut running = supervised(&dynamic, Intensity::NONE).await;
    let address = Scene::address("1");
    dynamic.start(scene.args("1"), &address).expect("starts");
    let (hold, until) = mpsc::channel();
    scene.block(&running, &address, until).await;
    assert_eq!(running.stop().await, Ending::Stuck { child: "tasks".to_owned() });
    assert_eq!(dynamic.count(), 0);
    drop(hold);
}

/// A child without state that ends at once when asked to at its start, otherwise when told.
struct Brief;

struct End;

impl Message for End {
    fn kind(&self) -> &'static str {
        "End"
    }
}

impl Actor for Brief {
    const KIND: &'static str = "brief";
    type Message = End;
    type Args = bool;

    fn start(ends_at_once: bool, me: &Me<End>) -> Result<Self, ActorError> {
        if ends_at_once {
            me.stop();
        }
        Ok(Self)
    }

    fn handle(&mut self, End: End, me: &Me<End>) -> Result<(), ActorError> {
        me.stop();
        Ok(())
    }
}

async fn brief(limit: usize) -> (Dynamic<Brief>, Running) {
    let dynamic = Dynamic::<Brief>::temporary("brief", Options { limit, ..Options::default() });
    let args = SupervisorArgs::new("root", Strategy::OneForOne, Intensity::NONE, vec![dynamic.child()]);
    (dynamic, supervisor::start(args).await.expect("starts"))
}

/// A child may end on another thread before its start has entered it: none may stay in the tables.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn children_that_end_at_once_leave_nothing_behind() {
    let (dynamic, mut running) = brief(10_000).await;
    let starters = [(); 4].map(|()| {
        let dynamic = dynamic.clone();
        tokio::spawn(async move {
            for _ in 0..2_000 {
                dynamic.start(true, &Address::new("brief", "")).expect("starts");
                tokio::task::yield_now().await;
            }
        })
    });
    for starter in starters {
        starter.await.expect("no panic");
    }
    assert_eq!(running.stop().await, Ending::Stopped);
    assert_eq!((dynamic.count(), dynamic.count_children()), (0, Counts::default()));
}

/// `cargo test --release -p knittingcrab-supervision -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn a_hundred_thousand_children_start_and_end() {
    const CHILDREN: usize = 100_000;
    for alive_at_once in [1_000, 1_000, CHILDREN, CHILDREN] {
        let (dynamic, mut running) = brief(CHILDREN).await;
        let measured = tokio::spawn(async move {
            let began = std::time::Instant::now();
            for _ in 0..CHILDREN / alive_at_once {
                let addresses: Vec<_> =
                    (0..alive_at_once).map(|_| Address::<End>::new("brief", "")).collect();
                for address in &addresses {
                    dynamic.start(false, address).expect("starts");
                }
                for address in &addresses {
                    address.tell(End);
                }
                while dynamic.count() > 0 {
                    tokio::task::yield_now().await;
                }
            }
            began.elapsed() / u32::try_from(CHILDREN).expect("fits")
        });
        println!("{alive_at_once} at once: {:?} per child", measured.await.expect("no panic"));
        running.stop().await;
    }
}

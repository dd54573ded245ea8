//! Room that is made for a critical task, with the real programs.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::cluster::fleet::{Fleet, LEASES};
use crate::support::place::{Daemon, Place};
use crate::support::waiting::{SOON, until, until_true};

/// A daemon with so many cores, where tasks make room for critical ones.
fn yielding(place: &Place, cpus: &str) -> Daemon {
    let config = configured(place, "critical");
    let daemon = place.daemon(&["--cpus", cpus, "--name", "one", "--config", &config]);
    place.wait_nodes(1);
    daemon
}

/// The path of its configuration.
fn configured(place: &Place, preemption: &str) -> String {
    let config = format!("[scheduler]\npreemption = \"{preemption}\"\n");
    place.file("yielding.toml", config).display().to_string()
}

fn explain(place: &Place, task: &str) -> Value {
    place.run(&["explain", "--json", task]).expect(0).json().remove(0)
}

fn events(place: &Place, task: &str) -> Vec<String> {
    let told = place.show(task);
    let events = told["events"].as_array().expect("a list").iter();
    events.map(|event| event["event"].as_str().expect("a name").to_owned()).collect()
}

/// A task that ends when the file `go` is there, and is deaf to polite signals where it says so.
fn sleeper(place: &Place, priority: &str, trap: &str, more: &[&str]) -> String {
    let script = format!("{trap} while ! [ -e go ]; do sleep 0.05; done");
    let mut words = vec!["--priority", priority];
    words.extend(more);
    words.extend(["--", "sh", "-c", &script]);
    let task = place.submit(&words);
    place.wait_state(&task, "running");
    task
}

/// A critical task that is short.
fn critical(place: &Place) -> String {
    place.submit(&["--priority", "critical", "--", "true"])
}

/// Waits until a task is held up, and looks that nobody is to go for it.
fn nobody_makes_room(place: &Place, urgent: &str) {
    until_true("it is held", SOON, || {
        !explain(place, urgent)["hindrances"].as_array().expect("a list").is_empty()
    });
    assert_eq!(explain(place, urgent)["evicting"], Value::Null);
}

/// Stops the daemon; nothing of it is left.
fn all_gone(daemon: Daemon, place: &Place) {
    assert!(daemon.stop().success());
    place.wait_gone();
}

#[test]
fn a_preemptible_task_is_stopped_for_a_critical_one_and_runs_again_with_its_attempts_unspent() {
    let place = Place::new();
    let daemon = yielding(&place, "1");
    let low = sleeper(&place, "low", "", &["--preemptible", "--grace", "30s"]);
    let next = place.submit(&["--priority", "low", "--preemptible", "--", "true"]);
    let began = Instant::now();
    let urgent =
        place.submit(&["--priority", "critical", "--", "sh", "-c", "while ! [ -e go ]; do sleep 0.05; done"]);
    place.wait_state(&urgent, "running");
    assert!(began.elapsed() < Duration::from_secs(5), "a polite signal was enough: {:?}", began.elapsed());
    let told = explain(&place, &low);
    assert_eq!(
        (&told["evicted"]["by"], &told["evicted"]["times"]),
        (&urgent.as_str().into(), &1.into()),
        "{told}"
    );
    assert_eq!(told["task"]["state"], "ready", "it stands in its queue: {told}");
    let text = place.run(&["explain", &low]).expect(0).text();
    assert!(text.contains(&format!("was evicted for {urgent}, once")), "{text}");
    let text = place.run(&["timeline", &low]).expect(0).text();
    assert!(text.contains(&format!("lost (preempted), for {urgent}")), "{text}");
    let text = place.run(&["show", &low]).expect(0).text();
    assert!(text.contains(&format!("is stopped to make room for {urgent}")), "{text}");
    place.file("go", "");
    for task in [&urgent, &low, &next] {
        place.wait_state(task, "succeeded");
    }
    let shown = place.show(&low);
    let attempts = shown["attempt_list"].as_array().expect("a list");
    assert_eq!(attempts.len(), 2, "{shown}");
    assert_eq!(
        (&attempts[0]["outcome"]["kind"], &attempts[0]["outcome"]["reason"]),
        (&"lost".into(), &"preempted".into())
    );
    assert_eq!(shown["spec"]["max_attempts"], 1, "and that one is not used up");
    let order: Vec<_> = events(&place, &low);
    let is_asked = |event: &String| event == "task.evict-asked";
    assert_eq!(order.iter().filter(|event| is_asked(event)).count(), 1, "{order:?}");
    let started = |task: &str| {
        place.show(task)["attempt_list"].as_array().expect("a list").last().expect("one")["granted"].clone()
    };
    assert!(started(&low).as_str() < started(&next).as_str(), "it had its old place");
    assert!(place.run(&["metrics"]).expect(0).text().contains("attempts_evicted_total 1"));
    all_gone(daemon, &place);
}

#[test]
fn one_that_is_deaf_is_killed_after_its_grace_and_what_does_not_let_others_is_left_alone() {
    let place = Place::new();
    let daemon = yielding(&place, "1");
    let firm = sleeper(&place, "low", "", &[]);
    let urgent = critical(&place);
    nobody_makes_room(&place, &urgent);
    assert_eq!(place.show(&firm)["state"], "running");
    place.file("go", "");
    place.wait_state(&urgent, "succeeded");
    place.wait_state(&firm, "succeeded");
    std::fs::remove_file(place.root().join("go")).expect("it is there");

    let deaf = sleeper(&place, "normal", "trap '' TERM;", &["--preemptible", "--grace", "2s"]);
    let began = Instant::now();
    let urgent = critical(&place);
    let told = until("room is made", SOON, || {
        let told = explain(&place, &urgent);
        (!told["evicting"].is_null()).then_some(told)
    });
    assert_eq!(
        (&told["evicting"]["node"], &told["evicting"]["tasks"][0]),
        (&"one".into(), &deaf.as_str().into()),
        "{told}"
    );
    place.wait_state(&urgent, "succeeded");
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(1900) && took < Duration::from_secs(4),
        "its grace and little more: {took:?}"
    );
    place.file("go", "");
    place.wait_state(&deaf, "succeeded");
    all_gone(daemon, &place);
}

#[test]
fn nobody_makes_room_where_that_is_off_until_it_is_switched_on() {
    let place = Place::new();
    let config = configured(&place, "off");
    let daemon = place.daemon(&["--cpus", "1", "--name", "one", "--config", &config]);
    place.wait_nodes(1);
    let low = sleeper(&place, "low", "", &["--preemptible"]);
    let urgent = critical(&place);
    nobody_makes_room(&place, &urgent);
    assert_eq!(place.show(&low)["state"], "running");

    configured(&place, "critical");
    daemon.signal(Signal::SIGHUP);
    place.wait_state(&urgent, "succeeded");
    place.file("go", "");
    assert_eq!(place.wait_state(&low, "succeeded")["attempts"], 2);
    all_gone(daemon, &place);
}

#[test]
fn an_eviction_goes_on_where_the_daemon_is_killed_in_the_middle_of_it() {
    let place = Place::new();
    let first = yielding(&place, "1");
    let deaf = sleeper(&place, "low", "trap '' TERM;", &["--preemptible", "--grace", "3s"]);
    let urgent = critical(&place);
    until_true("room is made", SOON, || !explain(&place, &urgent)["evicting"].is_null());
    until_true("that is on disk", SOON, || events(&place, &deaf).contains(&"task.evict-asked".to_owned()));
    first.kill();
    let second = yielding(&place, "1");
    place.wait_state(&urgent, "succeeded");
    place.file("go", "");
    assert_eq!(place.wait_state(&deaf, "succeeded")["attempts"], 2);
    let shown = place.show(&deaf);
    assert_eq!(shown["attempt_list"][0]["outcome"]["reason"], "preempted", "{shown}");
    let asked = events(&place, &deaf).into_iter().filter(|event| event == "task.evict-asked");
    assert_eq!(asked.count(), 1, "it was asked once, however often it was told");
    all_gone(second, &place);
}

#[test]
fn several_critical_tasks_at_once_evict_no_more_than_they_need_and_each_gets_its_room() {
    let place = Place::new();
    let daemon = yielding(&place, "4");
    let lows: Vec<String> =
        (0..4).map(|_| sleeper(&place, "low", "", &["--preemptible", "--grace", "30s"])).collect();
    let holds = "while ! [ -e stop ]; do sleep 0.05; done";
    let criticals: Vec<String> = ["1", "2"]
        .iter()
        .map(|cpus| place.submit(&["--priority", "critical", "--cpus", cpus, "--", "sh", "-c", holds]))
        .collect();
    for urgent in &criticals {
        place.wait_state(urgent, "running");
    }
    let states: Vec<_> = lows.iter().map(|task| place.show(task)["state"].clone()).collect();
    assert_eq!(states.iter().filter(|state| *state == "running").count(), 1, "{states:?}");
    place.file("stop", "");
    place.file("go", "");
    for task in criticals.iter().chain(&lows) {
        place.wait_state(task, "succeeded");
    }
    let asked =
        |task: &String| events(&place, task).iter().filter(|event| *event == "task.evict-asked").count();
    assert_eq!(lows.iter().map(asked).sum::<usize>(), 3);
    all_gone(daemon, &place);
}

#[test]
fn a_critical_task_does_not_wait_behind_what_may_make_room_where_tasks_were_short() {
    let place = Place::new();
    let daemon = yielding(&place, "1");
    for _ in 0..20 {
        place.submit(&["--", "true"]);
    }
    let low = sleeper(&place, "low", "", &["--preemptible", "--grace", "30s"]);
    let urgent = critical(&place);
    place.wait_state(&urgent, "succeeded");
    place.file("go", "");
    assert_eq!(place.wait_state(&low, "succeeded")["attempts"], 2);
    all_gone(daemon, &place);
}

#[test]
fn tasks_of_an_array_make_room_one_by_one_and_all_of_them_run_in_the_end() {
    let place = Place::new();
    let daemon = yielding(&place, "3");
    let script = "while ! [ -e go ]; do sleep 0.05; done";
    let low = ["--priority", "low", "--preemptible", "--grace", "30s", "--array", "1-5%3", "--"];
    let first = place.submit(&[&low[..], &["sh", "-c", script]].concat());
    let number: u64 = first.trim_start_matches('t').parse().expect("a number");
    let members = || (number..number + 5).map(|task| format!("t{task}"));
    let running = || members().filter(|task| place.show(task)["state"] == "running").count();
    until_true("three of them run", SOON, || running() == 3);
    let urgent = place.submit(&["--priority", "critical", "--cpus", "2", "--", "sh", "-c", script]);
    place.wait_state(&urgent, "running");
    assert_eq!(running(), 1, "one of the array goes on");
    place.file("go", "");
    place.wait_state(&urgent, "succeeded");
    let shown: Vec<Value> = members().map(|task| place.wait_state(&task, "succeeded")).collect();
    assert_eq!(shown.iter().filter(|task| task["attempts"] == 2).count(), 2, "{shown:?}");
    all_gone(daemon, &place);
}

#[test]
fn room_that_is_kept_for_a_large_task_is_made_for_a_critical_one_first() {
    let place = Place::new();
    let daemon = yielding(&place, "2");
    let low = sleeper(&place, "low", "", &["--preemptible", "--grace", "30s"]);
    let large = place.submit(&["--cpus", "2", "--", "true"]);
    let small: Vec<String> = (0..12).map(|_| place.submit(&["--", "sleep", "0.15"])).collect();
    let is_kept = |task: &String| explain(&place, task).to_string().contains(&format!("is kept for {large}"));
    until_true("it has a machine held", SOON, || small.iter().any(is_kept));
    let urgent = place.submit(&["--priority", "critical", "--cpus", "2", "--", "true"]);
    place.wait_state(&urgent, "succeeded");
    assert_eq!(place.show(&low)["attempt_list"][0]["outcome"]["reason"], "preempted");
    place.file("go", "");
    for task in small.iter().chain([&large, &low]) {
        place.wait_state(task, "succeeded");
    }
    all_gone(daemon, &place);
}

#[test]
fn whoever_has_the_lock_is_stopped_for_a_critical_task_that_wants_it_and_nobody_takes_it_before() {
    let place = Place::new();
    let daemon = yielding(&place, "4");
    let yields = ["--preemptible", "--grace", "30s"];
    let low = sleeper(&place, "low", "", &[&yields[..], &["--lock", "repo"]].concat());
    let bystander = sleeper(&place, "low", "", &yields);
    let next = place.submit(&["--priority", "high", "--lock", "repo", "--", "true"]);
    let script = "while ! [ -e go ]; do sleep 0.05; done";
    let urgent = ["--priority", "critical", "--lock", "repo", "--", "sh", "-c", script];
    let urgent = place.submit(&urgent);
    place.wait_state(&urgent, "running");
    assert_eq!(place.show(&low)["attempt_list"][0]["outcome"]["reason"], "preempted");
    assert_eq!(place.show(&bystander)["state"], "running", "its room is not needed");
    assert_eq!(place.show(&next)["attempts"], 0);
    place.file("go", "");
    for task in [&urgent, &next, &low, &bystander] {
        place.wait_state(task, "succeeded");
    }
    all_gone(daemon, &place);
}

#[test]
fn a_critical_task_waits_for_a_lock_where_who_has_it_lets_nobody_before() {
    let place = Place::new();
    let daemon = yielding(&place, "2");
    let firm = sleeper(&place, "low", "", &["--lock", "repo"]);
    let bystander = sleeper(&place, "low", "", &["--preemptible"]);
    let urgent = place.submit(&["--priority", "critical", "--lock", "repo", "--", "true"]);
    nobody_makes_room(&place, &urgent);
    assert_eq!(place.show(&bystander)["state"], "running", "it would be of no use");
    place.file("go", "");
    for task in [&firm, &urgent, &bystander] {
        place.wait_state(task, "succeeded");
    }
    all_gone(daemon, &place);
}

/// Both lows take their whole grace, so room that was made for one after the other would take twice as long.
#[test]
fn room_is_made_on_several_machines_at_once_for_critical_tasks_that_ask_alike() {
    let mut fleet = Fleet::start(2);
    let place = &fleet.scheduler;
    place.file("crabd.toml", format!("{LEASES}[scheduler]\npreemption = \"critical\"\n"));
    let pid = i32::try_from(fleet.scheduler_pid()).expect("a process");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGHUP).expect("it runs");
    let go = place.root().join("go");
    let script = format!("trap '' TERM; while ! [ -e {} ]; do sleep 0.05; done", go.display());
    let whole = ["--priority", "low", "--preemptible", "--cpus", "2", "--grace", "4s", "--"];
    let lows = [0, 1].map(|_| place.submit(&[&whole[..], &["sh", "-c", &script]].concat()));
    lows.iter().for_each(|low| drop(place.wait_state(low, "running")));
    let began = Instant::now();
    let script = format!("while ! [ -e {} ]; do sleep 0.05; done", go.display());
    let array = ["--priority", "critical", "--cpus", "2", "--array", "1-2", "--", "sh", "-c", &script];
    let first: u64 = place.submit(&array)[1..].parse().expect("a task");
    for urgent in [first, first + 1] {
        place.wait_state(&format!("t{urgent}"), "running");
    }
    assert!(began.elapsed() < Duration::from_millis(7500), "one after the other: {:?}", began.elapsed());
    place.file("go", "");
    lows.iter().for_each(|low| assert_eq!(place.wait_state(low, "succeeded")["attempts"], 2));
    fleet.stop();
    fleet.nothing_runs();
}

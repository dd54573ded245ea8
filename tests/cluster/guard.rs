//! What holds work back: pressure, what tenants may have, machines that break, tasks that break machines.

use std::time::Duration;

use actors::client::ClientError;
use policy::event::{Item, SubmissionKey};
use policy::submission::Submission;
use policy::task::{Priority, TaskSpec};
use serde_json::Value;

use crate::support::place::{Daemon, Place};
use crate::support::waiting::{SOON, until, until_true};

/// A task that takes down the program that owns all processes of its machine.
const KILLER: &str = "sleep 0.3; kill -9 $PPID; sleep 60";

fn configured(place: &Place, config: &str, cpus: &str) -> Daemon {
    let config = place.file("crabd.toml", config).display().to_string();
    let daemon = place.daemon(&["--cpus", cpus, "--name", "one", "--config", &config]);
    place.wait_nodes(1);
    daemon
}

/// Submits one task written as a file, and tells its id.
fn submit(place: &Place, task: &str) -> String {
    let file = place.file("task.toml", format!("[task.it]\n{task}\n")).display().to_string();
    place.submit(&[&file])
}

fn names_of_events(place: &Place) -> Vec<String> {
    let events = place.run(&["events", "--json", "--after", "0"]).expect(0).json();
    events.iter().filter_map(|event| event["event"].as_str()).map(ToOwned::to_owned).collect()
}

fn waits_for(place: &Place, task: &str, words: &str) {
    until_true(&format!("{task} waits for {words}"), SOON, || {
        place.show(task)["waits_for"].as_str().is_some_and(|why| why.contains(words))
    });
}

#[test]
fn a_task_that_kills_workers_is_set_aside_with_its_story_and_a_retry_frees_it() {
    let place = Place::new();
    let _daemon = place.single("2");
    let killer = submit(&place, &format!("shell = {KILLER:?}"));
    let shown = place.wait_state(&killer, "failed");
    assert_eq!(shown["outcome"]["kind"], "poisoned", "{shown}");
    let story = shown["outcome"]["reason"].as_str().expect("there is one");
    assert!(story.contains("attempt 1 on one") && story.contains("attempt 3 on one (host-died)"), "{story}");
    place.run(&["run", "--", "true"]).expect(0);
    place.run(&["retry", &killer]).expect(0);
    until_true("it is tried again", SOON, || place.show(&killer)["attempts"] == 4);
    place.run(&["cancel", &killer]);
}

#[test]
fn a_machine_that_breaks_is_left_alone_and_tried_again() {
    let place = Place::new();
    let config = "[breaker]\nfailures = 2\nopen = \"4s\"\ntrials = 1\npoison_after = 0\n";
    let _daemon = configured(&place, config, "2");
    let killer = submit(&place, &format!("shell = {KILLER:?}\nretry = {{ losses = 1 }}"));
    let shown = place.wait_state(&killer, "failed");
    assert_eq!(shown["outcome"]["kind"], "lost", "the machine's failures are not the task's: {shown}");
    let breakers = || place.run(&["nodes", "--json"]).expect(0).json()[0]["breakers"].clone();
    until_true("its breaker is open", SOON, || breakers()[0]["state"] == "open");
    let next = submit(&place, "command = [\"true\"]");
    waits_for(&place, &next, "its breaker is open for another");
    place.wait_state(&next, "succeeded");
    until_true("its breaker is closed", SOON, || breakers() == Value::Array(Vec::new()));
    let events = names_of_events(&place);
    let breaker: Vec<_> = events.iter().filter(|name| name.starts_with("node.breaker")).collect();
    assert_eq!(breaker, ["node.breaker-opened", "node.breaker-half-opened", "node.breaker-closed"]);
}

#[test]
fn an_open_breaker_is_still_open_after_the_scheduler_was_killed() {
    let place = Place::new();
    let config = "[breaker]\nfailures = 1\nopen = \"10m\"\npoison_after = 0\n";
    let daemon = configured(&place, config, "2");
    let killer = submit(&place, &format!("shell = {KILLER:?}\nretry = {{ losses = 0 }}"));
    place.wait_state(&killer, "failed");
    until_true("it is recorded", SOON, || {
        names_of_events(&place).contains(&"node.breaker-opened".to_owned())
    });
    daemon.kill();
    let _daemon = configured(&place, config, "2");
    let next = submit(&place, "command = [\"true\"]");
    waits_for(&place, &next, "its breaker is open for another");
}

#[test]
fn under_pressure_low_work_is_told_to_come_back_and_less_runs_at_once() {
    let place = Place::new();
    let _daemon = configured(&place, "[backpressure]\nmax_queue_depth = 10\n", "4");
    let tasks: Vec<String> = (0..8).map(|_| place.submit(&["--", "sleep", "600"])).collect();
    let pressure = until("pressure is high", SOON, || {
        let status = place.run(&["status", "--json"]).expect(0).json().remove(0);
        (status["pressure"]["mode"] == "high").then(|| status["pressure"].clone())
    });
    assert_eq!((pressure["depth"].as_u64(), pressure["limit"].as_u64()), (Some(8), Some(10)));
    assert!(names_of_events(&place).contains(&"scheduler.pressure".to_owned()));
    let submission = |key: u128, priority: Priority| {
        let spec = TaskSpec { priority, ..TaskSpec::new("late", vec!["true".into()]) };
        Submission::new(SubmissionKey(key), "late", vec![Item::new(spec)])
    };
    let low = place.ask(|client| async move { client.submit(submission(1, Priority::Low)).await });
    match low {
        Err(ClientError::Busy { reason, retry_after }) => {
            assert!(reason.contains("nothing of low priority is taken in"), "{reason}");
            assert!(!retry_after.is_zero());
        }
        other => panic!("{other:?}"),
    }
    let shed = place.run(&["status", "--json"]).expect(0).json()[0]["pressure"]["shed"].clone();
    assert_eq!(shed, 1, "each that is sent away is counted");
    place
        .ask(|client| async move { client.submit(submission(2, Priority::Normal)).await })
        .expect("taken in");
    for task in &tasks {
        place.run(&["cancel", task]).expect(0);
    }
    until_true("pressure is gone", SOON, || {
        place.run(&["status", "--json"]).expect(0).json()[0]["pressure"]["mode"] == "normal"
    });
}

#[test]
fn one_tenant_cannot_fill_the_house() {
    let place = Place::new();
    let config = "[tenants.agent]\nmax_running = 1\nmax_waiting = 3\n";
    let _daemon = configured(&place, config, "2");
    let of = |tenant: &str| format!("command = [\"sleep\", \"600\"]\ntenant = {tenant:?}");
    let first = submit(&place, &of("agent"));
    let second = submit(&place, &of("agent"));
    place.wait_state(&first, "running");
    waits_for(&place, &second, "tenant \"agent\" has 1 tasks running, as many as it may");
    place.wait_state(&submit(&place, &of("somebody")), "running");
    submit(&place, &of("agent"));
    let spec = TaskSpec { tenant: "agent".into(), ..TaskSpec::new("late", vec!["true".into()]) };
    let late = Submission::new(SubmissionKey(1), "late", vec![Item::new(spec)]);
    let refused = place.ask(|client| async move { client.submit(late).await });
    assert!(
        matches!(&refused, Err(ClientError::Busy { reason, .. }) if reason.contains("exceed its limit of 3")),
        "{refused:?}"
    );
    place.run(&["cancel", &first]).expect(0);
    place.wait_state(&second, "running");
}

#[test]
fn who_hands_in_too_fast_is_told_when_to_come_back_and_others_are_not() {
    let place = Place::new();
    let _daemon = configured(&place, "[tenants.agent]\nsubmissions_per_second = 1\n", "2");
    let of = |tenant: &str, key| {
        let spec = TaskSpec { tenant: tenant.into(), ..TaskSpec::new("one", vec!["true".into()]) };
        Submission::new(SubmissionKey(key), "one", vec![Item::new(spec)])
    };
    let (own, others): (Vec<_>, Vec<_>) = (1..=5).map(|key| (of("agent", key), of("bob", 10 + key))).unzip();
    let last = of("agent", 6);
    let asked = place.ask(|client| async move {
        let (mut told, mut rest) = (Vec::new(), Vec::new());
        for (own, other) in own.into_iter().zip(others) {
            told.push(client.submit(own).await);
            rest.push(client.submit(other).await);
        }
        let patient = client.submit_patiently(last, SOON).await;
        Ok((told, rest, patient))
    });
    let (told, rest, patient) = asked.expect("each answer is told");
    let refused: Vec<_> = told.iter().filter_map(|told| told.as_ref().err()).collect();
    assert!((1..5).contains(&refused.len()), "the first was taken in, and not all: {told:?}");
    for refused in refused {
        let ClientError::Busy { reason, retry_after } = refused else { panic!("{refused:?}") };
        assert!(
            reason.contains("more than 1 submissions a second") && *retry_after <= Duration::from_secs(1)
        );
    }
    assert!(rest.iter().all(Result::is_ok), "{rest:?}");
    assert!(patient.is_ok(), "who waits as told is taken in: {patient:?}");
}

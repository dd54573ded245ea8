//! What tasks claim of the fleet: locks, indices, amounts and rates, held by processes and known after a crash.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::place::{Daemon, Place};
use crate::support::waiting::{SOON, until_true};

const CONFIG: &str = "[pools]\nports = \"9000-9003\"\n[amounts]\nlicences = 3\n\
                      [rates]\n\"llm:org-1\" = [\"2 per minute\", \"1000 tokens per hour\"]\n";

fn daemon(place: &Place, config: &str) -> Daemon {
    let config = place.file("crabd.toml", config).display().to_string();
    let daemon = place.daemon(&["--cpus", "8", "--name", "one", "--config", &config]);
    place.wait_nodes(1);
    daemon
}

fn explain(place: &Place, task: &str) -> Value {
    place.run(&["explain", "--json", task]).expect(0).json().remove(0)
}

/// Submits a command that runs until the file of this name is there.
fn hold(place: &Place, options: &[&str], until: &str) -> String {
    let script = format!("echo got $CRAB_POOL_PORTS; while [ ! -e {until} ]; do sleep 0.02; done");
    let directory = place.file("here", "").parent().expect("it is in a directory").display().to_string();
    let command = ["--directory", &directory, "--", "sh", "-c", &script];
    place.submit(&[options, &command].concat())
}

fn waits_for(place: &Place, task: &str, kind: &str) -> Value {
    until_true(&format!("{task} waits for a {kind}"), SOON, || {
        explain(place, task)["hindrances"][0]["kind"] == kind
    });
    explain(place, task)
}

#[test]
fn a_lock_has_one_holder_and_is_still_held_after_the_scheduler_was_killed() {
    let place = Place::new();
    let daemon = place.single("8");
    let first = hold(&place, &["--lock", "repo"], "first-may-end");
    place.wait_state(&first, "running");
    let second = hold(&place, &["--lock", "repo"], "second-may-end");
    let told = waits_for(&place, &second, "lock");
    assert_eq!(told["hindrances"][0]["text"], format!("lock repo is held by {first}"));
    assert_eq!((&told["holdings"][0]["task"], &told["verdict"]), (&first.as_str().into(), &"not-now".into()));
    daemon.kill();
    let _daemon = place.single("8");
    let told = waits_for(&place, &second, "lock");
    assert_eq!(told["hindrances"][0]["text"], format!("lock repo is held by {first}"));
    assert_eq!(place.show(&first)["state"], "running");
    place.file("first-may-end", "");
    place.wait_state(&first, "succeeded");
    place.wait_state(&second, "running");
    place.file("second-may-end", "");
    place.wait_state(&second, "succeeded");
}

#[test]
fn readers_share_a_lock_that_a_writer_waits_for() {
    let place = Place::new();
    let _daemon = place.single("8");
    let readers = [0, 1].map(|_| hold(&place, &["--lock", "repo:shared"], "readers-may-end"));
    readers.iter().for_each(|reader| drop(place.wait_state(reader, "running")));
    let writer = hold(&place, &["--lock", "repo"], "writer-may-end");
    waits_for(&place, &writer, "lock");
    let late = hold(&place, &["--lock", "repo:shared"], "readers-may-end");
    waits_for(&place, &late, "behind");
    place.file("readers-may-end", "");
    place.wait_state(&writer, "running");
    waits_for(&place, &late, "lock");
    place.file("writer-may-end", "");
    place.wait_state(&late, "succeeded");
}

#[test]
fn a_task_finds_its_indices_in_its_environment_and_keeps_them_through_a_restart() {
    let place = Place::new();
    let first_daemon = daemon(&place, CONFIG);
    let first = hold(&place, &["--pool", "ports=2"], "first-may-end");
    place.wait_state(&first, "running");
    let second = hold(&place, &["--pool", "ports=1"], "others-may-end");
    place.wait_state(&second, "running");
    first_daemon.kill();
    let _daemon = daemon(&place, CONFIG);
    let third = hold(&place, &["--pool", "ports=2"], "others-may-end");
    let told = waits_for(&place, &third, "pool");
    assert_eq!(told["hindrances"][0]["text"], "pool ports: needs 2, 1 are free");
    let fourth = hold(&place, &["--pool", "ports=1"], "others-may-end");
    waits_for(&place, &fourth, "behind");
    let wrote = |task: &str| place.run(&["logs", task]).expect(0).text();
    assert_eq!((wrote(&first).trim(), wrote(&second).trim()), ("got 9000,9001", "got 9002"));
    let claims = place.run(&["claims", "--json"]).expect(0).json();
    let pool = claims.iter().find(|claim| claim["kind"] == "pool").expect("it is configured");
    assert_eq!((&pool["name"], &pool["free"]), (&"ports".into(), &1.into()), "{pool}");
    assert_eq!(
        (&pool["holders"][2]["index"], &pool["holders"][2]["task"]),
        (&"9002".into(), &second.as_str().into())
    );
    let waiting: Vec<_> = claims.iter().filter(|claim| claim["kind"] == "waiting").collect();
    assert_eq!(waiting.len(), 2, "{claims:?}");
    let text = place.run(&["claims"]).expect(0).text();
    assert!(text.contains("1 of 4 free") && text.contains("0 of 2 calls per 1m00s"), "{text}");
    place.file("first-may-end", "");
    place.wait_state(&third, "running");
    place.wait_state(&fourth, "running");
    until_true("both have said what they got", SOON, || {
        !wrote(&third).is_empty() && !wrote(&fourth).is_empty()
    });
    let mut got: Vec<String> = [&third, &fourth].iter().map(|task| wrote(task).trim().to_owned()).collect();
    got.sort_unstable();
    let indices: Vec<&str> = got.iter().flat_map(|line| line["got ".len()..].split(',')).collect();
    let different: std::collections::BTreeSet<_> = indices.iter().collect();
    assert_eq!((indices.len(), different.len()), (3, 3), "{got:?}");
    assert!(!indices.contains(&"9002"), "the second holds it: {got:?}");
    place.file("others-may-end", "");
    place.wait_state(&fourth, "succeeded");
}

#[test]
fn a_claim_of_what_is_not_configured_is_refused_with_what_is() {
    let place = Place::new();
    let daemon = daemon(&place, CONFIG);
    let refused = |options: &[&str], words: &[&str]| {
        place.run(&[&["submit"], options, &["--", "true"]].concat()).expect(7).says(words);
    };
    refused(&["--pool", "port=1"], &["pools", "\"port\"", "there are \"ports\""]);
    refused(&["--pool", "ports=5"], &["pools.ports = 5", "at most 4"]);
    refused(&["--amount", "licences=4"], &["amounts.licences = 4", "at most 3"]);
    refused(&["--rate", "llm"], &["rates", "there are \"llm:org-1\""]);
    refused(&["--rate", "llm:org-1=tokens:1001"], &["rates.llm:org-1.tokens = 1001", "at most 1000"]);
    refused(&["--rate", "llm:org-1=tokns:1"], &["there are \"calls\", \"tokens\""]);
    place.run(&["run", "--amount", "licences=3", "--", "true"]).expect(0);
    place.file("crabd.toml", "[amounts]\nlicences = 4\n");
    daemon.signal(Signal::SIGHUP);
    until_true("the larger amount is taken over", SOON, || {
        place.run(&["submit", "--amount", "licences=4", "--", "true"]).code == Some(0)
    });
    refused(&["--pool", "ports=1"], &["none is configured"]);
}

#[test]
fn a_rate_lets_in_as_many_as_it_may_also_after_the_scheduler_was_killed() {
    let place = Place::new();
    let first_daemon = daemon(&place, CONFIG);
    for _ in 0..2 {
        place.run(&["run", "--rate", "llm:org-1=tokens:10", "--", "true"]).expect(0);
    }
    let third = place.submit(&["--rate", "llm:org-1", "--", "true"]);
    let is_told = |told: &Value| {
        assert_eq!(told["verdict"], "parked-until", "{told}");
        assert!(told["hindrances"][0]["until"].is_string(), "{told}");
        let text = told["hindrances"][0]["text"].as_str().expect("it is told");
        assert!(text.contains("2 of 2 are used"), "{text}");
    };
    is_told(&waits_for(&place, &third, "rate"));
    first_daemon.kill();
    let _daemon = daemon(&place, CONFIG);
    is_told(&waits_for(&place, &third, "rate"));
    place.run(&["cancel", &third]).expect(0);
}

#[test]
fn a_rate_that_has_refused_somebody_is_left_alone_and_the_attempt_costs_nothing() {
    let place = Place::new();
    let _daemon = daemon(&place, "[rates]\napi = \"100 per minute\"\n");
    let script = "[ -e refused ] && exit 0; touch refused; \
                  echo '{\"limited\": {\"rate\": \"api\", \"for\": \"2s\"}}' > $CRAB_REPORT; exit 29";
    let directory = place.file("here", "").parent().expect("it is in a directory").display().to_string();
    let refused = place.submit(&["--rate", "api", "--directory", &directory, "--", "sh", "-c", script]);
    until_true("it was refused", SOON, || place.show(&refused)["attempts"] == 1);
    let other = place.submit(&["--rate", "api", "--", "true"]);
    let told = waits_for(&place, &other, "parked");
    assert_eq!(told["verdict"], "parked-until", "{told}");
    let shown = place.wait_state(&refused, "succeeded");
    assert_eq!(shown["attempts"], 2, "{shown}");
    place.wait_state(&other, "succeeded");
}

#[test]
fn an_urgent_task_that_waits_for_a_less_urgent_holder_is_told_once() {
    let place = Place::new();
    let _daemon = place.single("8");
    let holder = hold(&place, &["--lock", "repo", "--priority", "low"], "may-end");
    place.wait_state(&holder, "running");
    let urgent = place.submit(&["--lock", "repo", "--priority", "high", "--", "true"]);
    let told = waits_for(&place, &urgent, "lock");
    assert_eq!(told["holdings"][0]["priority"], "low", "{told}");
    let inverted = || {
        let events = place.run(&["events", "--json", "--after", "0"]).expect(0).json();
        events.into_iter().filter(|event| event["event"] == "task.priority-inverted").collect::<Vec<_>>()
    };
    until_true("it is told", SOON, || !inverted().is_empty());
    place.run(&["run", "--", "true"]).expect(0);
    let told = inverted();
    assert_eq!(told.len(), 1, "{told:?}");
    let of = |key: &str| told[0][key].as_str().unwrap_or_default().to_owned();
    assert_eq!((of("task"), of("what"), of("holder")), (urgent.clone(), "lock repo".to_owned(), holder));
    place.file("may-end", "");
    place.wait_state(&urgent, "succeeded");
}

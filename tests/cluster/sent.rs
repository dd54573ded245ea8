//! What operators tell actors, by verbs and in JSON: one message, checked and recorded alike.

use serde_json::Value;

use crate::support::place::Place;
use crate::support::program::run;
use crate::support::waiting::{SOON, until_true};

#[test]
fn a_command_in_json_is_the_same_message_as_the_verb_and_recorded_like_it() {
    let place = Place::new();
    let _daemon = place.single("2");
    let task = place.submit(&["--name", "victim", "--", "sleep", "600"]);
    place.wait_state(&task, "running");
    let directed = || place.rows("nodes")[0]["directed"].clone();
    place.ask_top(r#"send node/one {"cordon":{}}"#).expect(0).tells("done");
    assert_eq!(directed(), "cordoned");
    place.ask_top("cordon one").expect(0).tells("it was so already");
    place.ask_top("uncordon one").expect(0).tells("done");
    place.ask_top(r#"send scheduler {"pause":{"queue":"low"}}"#).expect(0).tells("done");
    place.ask_top("pause queue=low").expect(0).tells("it was so already");
    place.ask_top(r#"send queue/low {"resume":{}}"#).expect(0).tells("done");
    // What ends something asks first, whichever way it is said.
    place.ask_top(&format!(r#"send task/{task} {{"cancel":{{}}}}"#)).expect(2).says(&["ends", "--yes"]);
    place
        .ask_top(r#"send scheduler {"pause":{"queue":"lo"}}"#)
        .expect(2)
        .says(&["queue = \"lo\" cannot be", "allowed: low, normal, high, critical"]);
    place.ask_top(r#"send scheduler {"pasue":{}}"#).expect(2).says(&["did you mean pause?"]);
    // Who stays away leaves a promise to nobody: there is always something else that is meant.
    place.ask_top("stop queue/low").expect(7).says(&[
        "nobody would keep",
        "`pause queue=low`",
        "`restart queue/low`",
    ]);
    place.ask_top("stop node/one").expect(7).says(&["`drain one`"]);
    place.ask_top(&format!("stop task/{task}")).expect(7).says(&[&format!("`kill {task}`")]);
    place.ask_top(r#"send core {"stop":{}}"#).expect(7).says(&["it ends with its daemon"]);
    place.ask_top("send scheduler").expect(2).says(&["what is scheduler to be told?", "{\"go-on\":{}}"]);
    place.ask_top(r#"send node/two {"cordon":{}}"#).expect(4).says(&["there is no node two"]);
    place.ask_top(r#"step -1; send node/one {"cordon":{}}"#).expect(7).says(&["the past cannot be changed"]);
    run(&mut place.top(&["--read-only", "-e", r#"send node/one {"cordon":{}}"#])).expect(7);
    run(&mut place.top(&["--yes", "-e", r#"send worker@one {"restart":{}}"#])).expect(0).tells("done");
    let events = place.run(&["events", "--json", "--after", "0"]).expect(0).json();
    let by = |event: &&Value| event["by"].as_str().is_some_and(|by| by.starts_with("tester"));
    assert_eq!(events.iter().filter(by).count(), 5, "cordon, uncordon, pause, resume, restart: {events:?}");
    assert!(events.iter().any(|event| event["action"] == "restart worker@one on one"), "{events:?}");
    place.run(&["cancel", &task]).expect(0);
}

#[test]
fn an_attempt_whose_lease_is_taken_back_counts_as_nothing_and_its_task_runs_again() {
    let place = Place::new();
    let _daemon = place.single("2");
    let task = place.submit(&["--name", "moved", "--", "sleep", "600"]);
    place.wait_state(&task, "running");
    place.ask_top(&format!("requeue {task}")).expect(2).says(&["counts as nothing", "--yes"]);
    run(&mut place.top(&["--yes", "-e", &format!("requeue {task}")])).expect(0);
    let again = |attempts: u64| {
        until_true("it runs again", SOON, || {
            let shown = place.show(&task);
            shown["state"] == "running" && shown["attempts"] == attempts
        });
    };
    again(2);
    let token = place.rows("leases")[0]["token"].as_str().expect("there is one").to_owned();
    place.ask_top("lease revoke 99.99").expect(4).says(&["nobody holds a lease 99.99"]);
    run(&mut place.top(&["--yes", "-e", &format!(r#"send lease/{token} {{"revoke":{{}}}}"#)])).expect(0);
    again(3);
    let shown = place.show(&task);
    for attempt in &shown["attempt_list"].as_array().expect("a list")[..2] {
        assert_eq!(attempt["outcome"]["reason"], "drained", "{attempt}");
    }
    let events = place.run(&["events", "--json", "--after", "0"]).expect(0).json();
    let taken = events
        .iter()
        .filter(|event| event["action"].as_str().is_some_and(|text| text.starts_with("take lease")));
    assert_eq!(taken.count(), 2);
    place.run(&["cancel", &task]).expect(0);
    place.wait_state(&task, "cancelled");
    place.ask_top(&format!("requeue {task}")).expect(7).says(&["has no attempt to be stopped"]);
}

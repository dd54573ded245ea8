//! What a graph may use up: attempts, time, retries; paused, cancelled, and going on.

use serde_json::Value;

use crate::support::place::Place;
use crate::support::waiting::{SOON, until, until_true};

/// Two tasks, one after the other, under a budget.
fn chain(place: &Place, budget: &str, first: &str) -> (String, String, String) {
    let text = format!(
        "[budget]\n{budget}\n[task.a]\nshell = {first:?}\n[task.b]\nafter = [\"a\"]\ncommand = [\"true\"]\n"
    );
    let file = place.file("graph.toml", text).display().to_string();
    let first = place.submit(&[&file]);
    let number: u64 = first.trim_start_matches('t').parse().expect("an id");
    (format!("g{number}"), first, format!("t{}", number + 1))
}

fn budget(place: &Place, graph: &str) -> Value {
    place.run(&["status", "--json", graph]).expect(0).json()[0]["budget"].clone()
}

fn wait_reached(place: &Place, graph: &str, meter: &str) -> Value {
    until(&format!("{graph} has used up its {meter}"), SOON, || {
        let budget = budget(place, graph);
        (budget["reached"]["meter"] == meter).then_some(budget)
    })
}

#[test]
fn a_graph_out_of_attempts_is_paused_through_a_restart_until_somebody_gives_it_more() {
    let place = Place::new();
    let daemon = place.single("2");
    let (graph, first, second) = chain(&place, "attempts = 1", "true");
    place.wait_state(&first, "succeeded");
    let row = wait_reached(&place, &graph, "attempts");
    assert_eq!((&row["used"]["attempts"], &row["limit"]["attempts"]), (&1.into(), &1.into()), "{row}");
    daemon.kill();
    let _daemon = place.single("2");
    let shown = place.wait_state(&second, "ready");
    assert_eq!(shown["waits_for"], "its graph is paused: 1 of 1 attempts are used");
    place.run(&["status", &graph]).expect(0);
    let refused = place.run(&["resume", &graph]);
    assert_ne!(refused.code, Some(0));
    refused.says(&["1 of 1 attempts are used: raise that to go on"]);
    place.run(&["resume", &graph, "--attempts", "2"]).expect(0);
    place.wait_state(&second, "succeeded");
    let events = place.run(&["events", "--json", &graph]).expect(0).json();
    let names: Vec<_> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    assert!(names.contains(&"graph.paused") && names.contains(&"graph.resumed"), "{names:?}");
}

#[test]
fn a_graph_that_is_to_be_cancelled_when_its_time_is_up_is_cancelled() {
    let place = Place::new();
    let _daemon = place.single("2");
    let (graph, first, second) = chain(&place, "time = \"1s\"\non_reached = \"cancel\"", "sleep 1.2");
    place.wait_state(&first, "succeeded");
    place.wait_state(&second, "cancelled");
    wait_reached(&place, &graph, "wall");
    until_true("it has ended", SOON, || {
        !place.run(&["status", "--json", &graph]).expect(0).json()[0]["ended"].is_null()
    });
}

#[test]
fn a_paused_graph_can_be_cancelled_and_others_go_on_meanwhile() {
    let place = Place::new();
    let _daemon = place.single("2");
    let (graph, first, second) = chain(&place, "attempts = 1", "true");
    place.wait_state(&first, "succeeded");
    wait_reached(&place, &graph, "attempts");
    place.run(&["run", "--", "true"]).expect(0);
    place.run(&["cancel", &graph]).expect(0);
    place.wait_state(&second, "cancelled");
}

#[test]
fn the_retries_of_a_graph_are_shared_by_its_tasks() {
    let place = Place::new();
    let _daemon = place.single("2");
    let text = "retry_budget = 3\n[task.it]\narray = \"1-4\"\nshell = \"exit 3\"\nretry = { attempts = 9, backoff = \"1ms\" }\n";
    let file = place.file("graph.toml", text).display().to_string();
    let first: u64 = place.submit(&[&file]).trim_start_matches('t').parse().expect("an id");
    let ended: Vec<Value> =
        (first..first + 4).map(|task| place.wait_state(&format!("t{task}"), "failed")).collect();
    let attempts: u64 = ended.iter().filter_map(|task| task["attempts"].as_u64()).sum();
    assert_eq!(attempts, 4 + 3, "{ended:?}");
    for task in &ended {
        assert_eq!(task["outcome"]["exit_code"], 3, "it failed as its last attempt did: {task}");
        let reason = task["outcome"]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("the 3 retries of its graph are used up"), "{task}");
    }
    let row = budget(&place, &format!("g{first}"));
    assert_eq!((&row["used"]["retries"], &row["reached"]), (&3.into(), &Value::Null), "{row}");
}

//! What a graph or a tenant may use up: attempts, time, retries; paused, cancelled, and going on.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::place::{Daemon, Place};
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

/// A daemon on which tenant `ann` has this budget.
fn with_tenant(place: &Place, budget: &str) -> Daemon {
    let config = tenant_file(place, budget);
    let daemon = place.daemon(&["--cpus", "2", "--name", "one", "--config", &config]);
    place.wait_nodes(1);
    daemon
}

fn tenant_file(place: &Place, budget: &str) -> String {
    let text = format!("[scheduler]\ntick = \"50ms\"\n[tenants.ann.budget]\n{budget}\n");
    place.file("crabd.toml", text).display().to_string()
}

fn submit_as(place: &Place, tenant: &str) -> String {
    place.submit(&["--tenant", tenant, "--", "true"])
}

fn event_names(place: &Place) -> Vec<String> {
    let events = place.run(&["events", "--json", "--after", "0"]).expect(0).json();
    events.iter().filter_map(|event| event["event"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_tenant_out_of_attempts_is_paused_through_a_restart_until_the_operator_gives_it_more() {
    let place = Place::new();
    let daemon = with_tenant(&place, "attempts = 2");
    let tasks = [(); 3].map(|()| submit_as(&place, "ann"));
    place.wait_state(&tasks[0], "succeeded");
    place.wait_state(&tasks[1], "succeeded");
    let other = submit_as(&place, "bob");
    place.wait_state(&other, "succeeded");
    let why = "tenant \"ann\" has used up its budget: 2 of 2 attempts are used";
    assert_eq!(place.show(&tasks[2])["waits_for"], why);
    daemon.kill();
    let daemon = with_tenant(&place, "attempts = 2");
    assert_eq!(place.show(&tasks[2])["waits_for"], why);
    let status = place.run(&["status", "--json"]).expect(0).json().remove(0);
    let budget = &status["tenants"][0]["budget"];
    assert_eq!(
        (&budget["used"]["attempts"], &budget["reached"]["limit"]),
        (&2.into(), &2.into()),
        "{status}"
    );
    tenant_file(&place, "attempts = 3");
    daemon.signal(Signal::SIGHUP);
    place.wait_state(&tasks[2], "succeeded");
    let names = event_names(&place);
    let told = |name: &str| names.iter().filter(|one| *one == name).count();
    assert_eq!((told("tenant.paused"), told("tenant.resumed")), (1, 1), "{names:?}");
}

#[test]
fn a_tenant_goes_on_when_its_period_is_over_and_explain_says_when_that_is() {
    let place = Place::new();
    let _daemon = with_tenant(&place, "attempts = 1\nper = \"4s\"");
    let tasks = [(); 3].map(|()| submit_as(&place, "ann"));
    place.wait_state(&tasks[0], "succeeded");
    let told = until("one of them is parked", SOON, || {
        let told = place.run(&["explain", "--json", &tasks[2]]).expect(0).json().remove(0);
        (told["verdict"] == "parked-until").then_some(told)
    });
    assert_eq!(told["hindrances"][0]["kind"], "tenant-budget", "{told}");
    assert_eq!(told["hindrances"][0]["until"], told["parked_until"], "{told}");
    tasks.iter().for_each(|task| drop(place.wait_state(task, "succeeded")));
    let names = event_names(&place);
    assert!(names.iter().filter(|name| *name == "tenant.resumed").count() >= 2, "{names:?}");
}

#[test]
fn a_tenant_that_is_to_be_cancelled_loses_its_graphs_and_hands_in_no_more() {
    let place = Place::new();
    let _daemon = with_tenant(&place, "time = \"1s\"\non_reached = \"cancel\"");
    let text = "[defaults]\ntenant = \"ann\"\n[task.a]\nshell = \"sleep 1.2\"\n[task.b]\nafter = [\"a\"]\ncommand = [\"true\"]\n";
    let file = place.file("graph.toml", text).display().to_string();
    assert_eq!(place.submit(&[&file]), "t1");
    let waits = place.submit(&["--tenant", "ann", "--cpus", "2", "--", "sleep", "100"]);
    place.wait_state("t1", "succeeded");
    place.wait_state("t2", "cancelled");
    place.wait_state(&waits, "cancelled");
    let refused = place.run(&["submit", "--tenant", "ann", "--", "true"]);
    assert_ne!(refused.code, Some(0));
    refused.says(&["tenant \"ann\" has used up its budget"]);
    place.run(&["run", "--", "true"]).expect(0);
}

//! What graphs offer beside dependencies on success: ends of every manner, and tasks that are added later.

use serde_json::Value;

use crate::support::place::Place;

/// The states of a graph's tasks, by name.
fn states(place: &Place, graph: &str) -> Vec<(String, String)> {
    let rows = place.run(&["status", graph, "--json"]).expect(0).json();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    rows.iter()
        .filter(|row| row["task"].is_string())
        .map(|row| (text(row, "name"), text(row, "state")))
        .collect()
}

fn state(place: &Place, graph: &str, name: &str) -> String {
    let all = states(place, graph);
    all.iter()
        .find(|(is, _)| is == name)
        .map(|(_, state)| state.clone())
        .unwrap_or_else(|| panic!("{name} in {all:?}"))
}

#[test]
fn what_cleans_up_runs_after_a_failure_and_what_needs_success_does_not() {
    let place = Place::new();
    let _daemon = place.single("2");
    let text = "[task.tests]\ncommand = [\"false\"]\n\
                [task.publish]\nafter = [\"tests\"]\ncommand = [\"true\"]\n\
                [task.report]\nafter = { task = \"tests\", needs = \"end\" }\ncommand = [\"true\"]\n\
                [task.announce]\nafter = { task = \"publish\", needs = \"end\" }\ncommand = [\"true\"]\n\
                [task.cleanup]\nafter = [{ task = \"publish\", needs = \"always\" }, { task = \"report\", needs = \"always\" }]\n\
                command = [\"true\"]\n";
    let file = place.file("graph.toml", text).display().to_string();
    place.submit(&[&file]);
    place.run(&["wait", "g1"]).expect(1);
    let names = ["tests", "publish", "report", "announce", "cleanup"].map(|name| state(&place, "g1", name));
    assert_eq!(names, ["failed", "skipped", "succeeded", "skipped", "succeeded"]);
    let shown = place.run(&["show", "cleanup"]).expect(0).text();
    assert!(shown.contains("publish (always), report (always)"), "{shown}");
    assert_eq!(place.show("t3")["dependencies"][0], serde_json::json!({ "task": "tests", "needs": "end" }));
}

#[test]
fn a_graph_that_runs_and_one_that_has_ended_take_more_tasks_and_stay_one() {
    let place = Place::new();
    let daemon = place.single("2");
    let first =
        place.submit(&["--name", "first", "--", "/bin/sh", "-c", "while [ ! -e go ]; do sleep 0.02; done"]);
    // Another graph has the ids behind the first.
    place.run(&["submit", "--wait", "--", "false"]).expect(1);
    let text = "[task.last]\nafter = [\"middle\", \"first\"]\ncommand = [\"true\"]\n\
                [task.middle]\nafter = [\"first\"]\narray = \"1-3\"\ncommand = [\"true\"]\n";
    let file = place.file("more.toml", text).display().to_string();
    let added =
        place.run(&["submit", "--json", "--key", "k", "--into", "g1", &file]).expect(0).json().remove(0);
    assert_eq!(
        (&added["graph"], &added["first_task"], &added["tasks"]),
        (&"g1".into(), &"t3".into(), &4.into())
    );
    assert_eq!(state(&place, "g1", "last"), "waiting");
    daemon.kill();
    let _daemon = place.single("2");
    let again =
        place.run(&["submit", "--json", "--key", "k", "--into", "g1", &file]).expect(0).json().remove(0);
    assert_eq!((&again["first_task"], &again["repeated"]), (&"t3".into(), &true.into()));
    place.file("go", "");
    place.run(&["wait", "g1"]).expect(0);
    let rows = states(&place, "g1");
    let names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["first", "last", "middle[1]", "middle[2]", "middle[3]"]);
    assert_eq!(place.run(&["list", "--json"]).expect(0).json().len(), 2, "two graphs");
    // It has ended; now it goes on, and what depends on what is over starts at once.
    let out = place.run(&["submit", "--after", &first, "--name", "late", "--", "false"]).expect(0);
    assert!(out.text().contains("g1 (1 task added from t7 on)"), "{}", out.text());
    place.run(&["submit", "--after", "late:end", "--name", "later", "--", "true"]).expect(0);
    place.run(&["submit", "--wait", "--after", "t7", "--name", "never", "--", "true"]).expect(1);
    assert_eq!(
        ["late", "later", "never"].map(|name| state(&place, "g1", name)),
        ["failed", "succeeded", "skipped"]
    );
    let events = place.run(&["events", "--json", "--after", "0", "g1"]).expect(0).json();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((of("graph.extended"), of("task.granted")), (4, 7));
}

#[test]
fn an_addition_that_does_not_go_with_its_graph_is_refused_whole_with_every_reason() {
    let place = Place::new();
    let _daemon = place.single("1");
    place.submit(&["--name", "first", "--array", "1-2", "--", "true"]);
    let text = "[task.first]\ncommand = [\"true\"]\n[task.b]\nafter = [\"nobody\", \"c\"]\ncommand = [\"true\"]\n\
                [task.c]\ncommand = [\"true\"]\n";
    let file = place.file("more.toml", text).display().to_string();
    place
        .run(&["submit", "--into", "g1", &file])
        .expect(7)
        .says(&["of the graph has this name", "\"nobody\""]);
    place.run(&["submit", "--after", "t2", "--", "true"]).expect(7).says(&["name the array"]);
    place.run(&["submit", "--into", "g9", &file]).expect(4);
    let circle =
        "[task.x]\nafter = [\"y\"]\ncommand = [\"true\"]\n[task.y]\nafter = [\"x\"]\ncommand = [\"true\"]\n";
    let circle = place.file("circle.toml", circle).display().to_string();
    place.run(&["submit", "--into", "g1", &circle]).expect(2).says(&["\"x\" → \"y\" → \"x\""]);
    assert_eq!(states(&place, "g1").len(), 2);
}

//! What a task waits for, as its owner asks it.

use serde_json::Value;

use crate::support::place::Place;

fn explain(place: &Place, task: &str) -> Value {
    place.run(&["explain", "--json", task]).expect(0).json().remove(0)
}

#[test]
fn every_reason_to_wait_is_told_with_what_it_waits_for() {
    let place = Place::new();
    let file = place.file(
        "graph.toml",
        "[task.hold]\ncommand = [\"sleep\", \"1000\"]\ncpus = 2\n\
         [task.next]\ncommand = [\"true\"]\n\
         [task.last]\ncommand = [\"true\"]\n\
         [task.child]\ncommand = [\"true\"]\nafter = [\"hold\"]\n\
         [task.giant]\ncommand = [\"true\"]\ncpus = 64\n",
    );
    let _daemon = place.patient("2");
    place.run(&["submit", &file.display().to_string()]).expect(0);
    place.wait_state("hold", "running");
    assert_eq!(explain(&place, "hold")["verdict"], "active");

    let next = explain(&place, "next");
    assert_eq!((&next["verdict"], &next["ahead_tasks"]), (&"not-now".into(), &0.into()), "{next}");
    assert_eq!(next["hindrances"][0]["kind"], "no-node");
    assert_eq!(next["holdings"][0]["task"], "t1", "{next}");
    let last = explain(&place, "last");
    assert_eq!((&last["ahead_tasks"], &last["ahead_first"]), (&1.into(), &"t2".into()), "{last}");
    let child = explain(&place, "child");
    assert_eq!(child["verdict"], "waits-for-others");
    assert_eq!(
        (&child["blocked_by"][0]["task"], &child["blocked_by"][0]["name"]),
        (&"t1".into(), &"hold".into())
    );
    assert_eq!(explain(&place, "giant")["verdict"], "never-fits");
    let text = place.run(&["explain", "giant"]).expect(0).text();
    assert!(text.contains("can never run") && text.contains("join a larger machine"), "{text}");

    place.run(&["cancel", "hold"]).expect(0);
    place.wait_state("next", "succeeded");
    assert_eq!(explain(&place, "next")["verdict"], "ended");
    place.run(&["explain", "t99"]).expect(4);
}

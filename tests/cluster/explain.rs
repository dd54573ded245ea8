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
         [task.child]\ncommand = [\"true\"]\npriority = \"high\"\nafter = [\"hold\"]\n\
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
    assert_eq!(child["blocked_by"][0]["priority"], "normal");
    let text = place.run(&["explain", "child"]).expect(0).text();
    assert!(text.contains("t1 hold, less urgent"), "an inversion is told: {text}");
    assert_eq!(explain(&place, "giant")["verdict"], "never-fits");
    let text = place.run(&["explain", "giant"]).expect(0).text();
    assert!(text.contains("can never run") && text.contains("join a larger machine"), "{text}");

    place.run(&["cancel", "hold"]).expect(0);
    place.wait_state("next", "succeeded");
    assert_eq!(explain(&place, "next")["verdict"], "ended");
    place.run(&["explain", "t99"]).expect(4);
}

#[test]
fn who_is_before_a_task_is_told_by_slices_shares_and_arrival() {
    let place = Place::new();
    let _daemon = place.single("1");
    place.run(&["submit", "--name", "hold", "--tenant", "cid", "--", "sleep", "1000"]).expect(0);
    place.wait_state("hold", "running");
    let submit = |tenant: &str, priority: &str| {
        place.submit(&["--tenant", tenant, "--priority", priority, "--array", "1-3", "--", "sleep", "1000"])
    };
    submit("ann", "normal");
    submit("bob", "normal");
    submit("ann", "critical");
    // The second of bob's: before it are one of his own, two of ann's, whose turn comes first each time, and all that is
    // critical, which has more than its slice.
    let told = explain(&place, "t6");
    assert_eq!((&told["verdict"], &told["ahead_exact"]), (&"not-now".into(), &true.into()), "{told}");
    assert_eq!((&told["ahead_own"], &told["ahead_tenants"]["ann"]), (&1.into(), &2.into()), "{told}");
    assert_eq!((&told["ahead_tasks"], &told["ahead_first"]), (&3.into(), &"t2".into()), "{told}");
    assert_eq!(told["ahead_priorities"]["critical"], 3, "{told}");
    assert_eq!(told["ahead_total"], 6, "{told}");
    let text = place.run(&["explain", "t6"]).expect(0).text();
    let words =
        ["1 task of its tenant and priority", "by their share of normal priority: 2 of ann", "3 of critical"];
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    let urgent = explain(&place, "t8");
    assert_eq!((&urgent["ahead_total"], &urgent["verdict"]), (&0.into(), &"not-now".into()), "{urgent}");
    place.run(&["cancel", "g1", "g2", "g5", "g8"]).expect(0);
}

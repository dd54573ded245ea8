//! A large task behind a stream of small ones: room is kept for it.

use serde_json::Value;

use crate::support::place::Place;
use crate::support::waiting::{SOON, until_true};

fn state(place: &Place, task: &str) -> Value {
    place.show(task)["state"].clone()
}

#[test]
fn a_large_task_does_not_starve_behind_a_stream_of_small_ones() {
    let place = Place::new();
    let _daemon = place.single("2");
    // Longer than what is staged, so that a core is free for one of them at a time and never for the large one.
    let stream =
        place.submit(&["--tenant", "many", "--name", "small", "--array", "1-400", "--", "sleep", "0.4"]);
    place.wait_state(&stream, "running");
    let options = ["--tenant", "one", "--name", "large", "--cpus", "2"];
    let large =
        place.submit(&[&options[..], &["--", "sh", "-c", "until [ -e go ]; do sleep 0.05; done"]].concat());
    until_true("it starts while the stream goes on", SOON, || state(&place, &large) == "running");
    assert_eq!(state(&place, "t400"), "ready", "the stream goes on behind it");
    place.file("go", "");
    place.wait_state(&large, "succeeded");
    place.run(&["cancel", &stream.replace('t', "g")]).expect(0);
}

#[test]
fn who_waits_for_kept_room_and_who_waits_behind_it_are_told() {
    let place = Place::new();
    let _daemon = place.single("2");
    let hold = place.submit(&["--name", "hold", "--", "sleep", "1000"]);
    place.wait_state(&hold, "running");
    let large = place.submit(&["--tenant", "one", "--name", "large", "--cpus", "2", "--", "true"]);
    let short = place.submit(&["--tenant", "many", "--array", "1-20", "--", "sleep", "0.3"]);
    let first = |task: &str| {
        let told = place.run(&["explain", "--json", task]).expect(0).json().remove(0);
        told["hindrances"][0]["text"].as_str().unwrap_or_default().to_owned()
    };
    until_true("room is kept for it", SOON, || first(&large).contains("is kept for it: needs 2 cpus"));
    until_true("the others wait behind it", SOON, || first("t22").contains(&format!("kept for {large}")));
    place.run(&["cancel", &hold]).expect(0);
    place.wait_state(&large, "succeeded");
    place.run(&["wait", &short.replace('t', "g")]).expect(0);
}

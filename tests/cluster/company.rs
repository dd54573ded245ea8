//! Who runs beside whom: groups that are spread over machines and kept apart from each other.

use crate::cluster::fleet::Fleet;
use crate::support::place::Place;
use crate::support::waiting::{SOON, until_true};

/// One that runs until it is cancelled, with these options.
fn sleeper(place: &Place, options: &[&str]) -> String {
    place.submit(&[&["--cpus", "0.1"][..], options, &["--", "sleep", "1000"]].concat())
}

fn explained(place: &Place, task: &str) -> String {
    place.run(&["explain", task]).expect(0).text()
}

#[test]
fn a_group_is_spread_over_machines_also_after_the_scheduler_was_killed() {
    let mut fleet = Fleet::start(2);
    let web = ["--group", "web", "--spread", "node=1"];
    let place = &fleet.scheduler;
    let running = [sleeper(place, &web), sleeper(place, &web)];
    let nodes = running.each_ref().map(|task| place.wait_state(task, "running")["node"].clone());
    assert_ne!(nodes[0], nodes[1]);
    let third = sleeper(place, &web);
    let full = "1 of group web run where node=worker0, as many as may";
    until_true("it is told why it waits", SOON, || explained(place, &third).contains(full));

    fleet.kill_scheduler();
    fleet.start_scheduler();
    let place = &fleet.scheduler;
    place.wait_nodes(2);
    let next = sleeper(place, &["--group", "builds"]);
    place.wait_state(&next, "running");
    assert!(explained(place, &third).contains(full), "who still runs still counts");
    assert_eq!(place.show(&third)["spec"]["spread"][0], "node=1");
    place.run(&["cancel", &running[0]]).expect(0);
    assert_eq!(place.wait_state(&third, "running")["node"], nodes[0], "its place is free now");
    place.run(&["cancel", &running[1], &third, &next]).expect(0);
    fleet.stop();
}

#[test]
fn who_is_to_be_apart_waits_and_the_others_wait_for_it() {
    let mut fleet = Fleet::start(2);
    let place = &fleet.scheduler;
    let file = place.file(
        "apart.toml",
        "[task.loud]\nshell = \"exec sleep 1000\"\ncpus = 0.1\ngroup = \"loud\"\nnode = \"worker0\"\n",
    );
    let loud = place.submit(&[&file.display().to_string()]);
    place.wait_state(&loud, "running");
    let quiet = ["--group", "quiet", "--apart", "loud"];
    let there = sleeper(place, &[&quiet[..], &["--node", "worker0"]].concat());
    let apart = "worker0 one of group loud runs there, from which it is to be apart";
    until_true("it waits for it", SOON, || explained(place, &there).contains(apart));
    let elsewhere = sleeper(place, &quiet);
    assert_eq!(place.wait_state(&elsewhere, "running")["node"], "worker1");
    let shunned = sleeper(place, &["--group", "loud", "--node", "worker1"]);
    let told = "worker1 one runs there that is to be apart from group loud";
    until_true("and this one for that", SOON, || explained(place, &shunned).contains(told));
    place.run(&["cancel", &loud]).expect(0);
    assert_eq!(place.wait_state(&there, "running")["node"], "worker0");

    place.run(&["submit", "--spread", "node=1", "--", "true"]).expect(7).says(&["spread", "needs a group"]);
    place.run(&["submit", "--group", "a b", "--", "true"]).expect(7).says(&["group"]);
    place
        .run(&["submit", "--group", "a", "--spread", "node=0", "--", "true"])
        .expect(2)
        .says(&["node=1 or rack=2"]);
    place.run(&["cancel", &there, &elsewhere, &shunned]).expect(0);
    fleet.stop();
}

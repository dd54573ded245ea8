//! On which machine a task runs: labels, preferences, machines where it failed.

use crate::cluster::fleet::Fleet;
use crate::support::waiting::{SOON, until_true};

/// Two workers, in racks of their own.
fn racks() -> Fleet {
    Fleet::labelled(&[
        &[("rack", "left"), ("xcode", "16.2")],
        &[("rack", "right"), ("xcode", "26.0"), ("data/imagenet", "yes")],
    ])
}

fn node_of(fleet: &Fleet, task: &str) -> String {
    let shown = fleet.scheduler.wait_state(task, "succeeded");
    shown["node"].as_str().expect("it ran").to_owned()
}

#[test]
fn a_task_runs_where_its_conditions_hold_and_nowhere_else() {
    let mut fleet = racks();
    let place = &fleet.scheduler;
    let submit = |options: &[&str]| place.submit(&[options, &["--", "true"]].concat());
    for (options, node) in [
        (&["--require", "rack=right"][..], "worker1"),
        (&["--require", "rack!=right", "--require", "os"], "worker0"),
        (&["--require", "xcode>=16.3"], "worker1"),
        (&["--require", "rack in left,middle"], "worker0"),
        (&["--near", "imagenet"], "worker1"),
        (&["--near", "other", "--near", "2:imagenet", "--prefer", "rack=left"], "worker1"),
        (&["--node", "worker1"], "worker1"),
        (&["--prefer", "rack=right"], "worker1"),
        (&["--prefer", "rack=right", "--prefer", "2:xcode<20"], "worker0"),
    ] {
        assert_eq!(node_of(&fleet, &submit(options)), node, "{options:?}");
    }

    let never = submit(&["--require", "xcode>=27"]);
    let explained = place.run(&["explain", &never]).expect(0).text();
    let both = explained.contains("worker0 label xcode>=27 missing (it is 16.2)")
        && explained.contains("worker1 label xcode>=27 missing (it is 26.0)");
    assert!(both && explained.contains("can never run"), "{explained}");
    until_true("it is told that it waits in vain", SOON, || {
        let events = place.run(&["events", "--json", &never]).expect(0).text();
        events.contains("task.unschedulable") && events.contains("xcode>=27")
    });
    let shown = place.show(&never);
    assert_eq!(shown["spec"]["require"][0], "xcode>=27");
    place.run(&["cancel", &never]).expect(0);
    fleet.stop();
}

#[test]
fn what_failed_on_one_machine_is_tried_on_another_also_after_the_scheduler_was_killed() {
    let mut fleet = racks();
    let place = &fleet.scheduler;
    let file = place.file(
        "flaky.toml",
        "[task.flaky]\nshell = \"exit $((CRAB_ATTEMPT == 1))\"\nprefer = \"100:rack=left\"\navoid_failed = \"require\"\n\
         retry = { attempts = 2, backoff = \"8s\" }\n",
    );
    let task = place.submit(&[&file.display().to_string()]);
    let shown = place.wait_state(&task, "backing-off");
    assert_eq!(shown["attempt_list"][0]["node"], "worker0", "it prefers the left rack: {shown}");
    fleet.kill_scheduler();
    fleet.start_scheduler();
    fleet.scheduler.wait_nodes(2);
    assert_eq!(node_of(&fleet, &task), "worker1", "it must not run where it failed");
    fleet.stop();
}

#[test]
fn what_was_granted_of_several_requests_holds_also_after_the_scheduler_was_killed() {
    let mut fleet = Fleet::start(1);
    let place = &fleet.scheduler;
    let hold = place.submit(&["--", "sleep", "1000"]);
    place.wait_state(&hold, "running");
    let file = place.file(
        "either.toml",
        "[task.either]\nshell = \"echo took $CRAB_ALTERNATIVE; exec sleep 1000\"\n\
         alternatives = [{ cpus = 2 }, { cpus = 1, disk = \"1 MiB\" }]\n",
    );
    let either = place.submit(&[&file.display().to_string()]);
    let shown = place.wait_state(&either, "running");
    assert_eq!(shown["attempt_list"][0]["alternative"], 2, "{shown}");
    until_true("it knows which", SOON, || place.run(&["logs", &either]).expect(0).text().contains("took 2"));
    fleet.kill_scheduler();
    fleet.start_scheduler();
    let place = &fleet.scheduler;
    place.wait_nodes(1);
    let allocated = || place.run(&["nodes", "--json"]).expect(0).json()[0]["allocated"].clone();
    until_true("both hold what they were granted", SOON, || {
        let allocated = allocated();
        (&allocated["cpu_millis"], &allocated["disk_bytes"]) == (&2000.into(), &(1 << 20).into())
    });
    place.run(&["cancel", &hold]).expect(0);
    let next = place.submit(&["--", "true"]);
    place.wait_state(&next, "succeeded");
    assert_eq!(place.show(&either)["state"], "running", "the other core was free for it");
    let vast = place.submit(&["--disk", "900TiB", "--alternative", "disk=800TiB,cpus=0.5", "--", "true"]);
    let explained = place.run(&["explain", &vast]).expect(0).text();
    assert!(explained.contains("can never run") && explained.contains("of disk"), "{explained}");
    place.run(&["cancel", &vast, &either]).expect(0);
    fleet.stop();
}

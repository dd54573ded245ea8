//! Cancelling: what waits, what runs, what does not want to, and by Ctrl-C.

use crate::support::place::Place;
use crate::support::program::Running;
use crate::support::waiting::{SOON, until_true};
use nix::sys::signal::Signal;

#[test]
fn a_queued_and_a_running_task_are_cancelled() {
    let place = Place::new();
    let _daemon = place.single("1");
    let running = place.submit(&["--", "sleep", "1000"]);
    place.wait_state(&running, "running");
    let queued = place.submit(&["--", "sleep", "1000"]);
    let told = place.run(&["cancel", "--json", &queued]).expect(0).json();
    assert_eq!((&told[0]["target"], &told[0]["tasks"]), (&queued.as_str().into(), &1.into()));
    place.run(&["wait", "--timeout", "30s", &queued]).expect(1);
    assert_eq!(place.show(&queued)["outcome"]["kind"], "cancelled");
    place.run(&["cancel", &running]).expect(0);
    place.run(&["wait", "--timeout", "30s", &running]).expect(1);
    assert_eq!(place.show(&running)["outcome"]["kind"], "cancelled");
    assert_eq!(place.attempts(), []);
    place.run(&["cancel", &running]).expect(0).says(&["has ended already"]);
}

#[test]
fn a_task_that_ignores_the_polite_signal_is_killed_with_all_that_left_its_group() {
    let place = Place::new();
    let _daemon = place.single("1");
    let script = "trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep 1000 & sleep 1000' &) ; while :; do sleep 1; done";
    let task = place.submit(&["--grace", "1s", "--", "/bin/sh", "-c", script]);
    until_true("it runs with its daemon", SOON, || place.attempts().len() >= 4);
    place.run(&["cancel", &task]).expect(0);
    place.run(&["wait", "--timeout", "30s", &task]).expect(1);
    assert_eq!(place.show(&task)["outcome"]["kind"], "cancelled");
    assert_eq!(place.attempts(), []);
}

#[test]
fn what_a_task_leaves_behind_ends_with_it() {
    let place = Place::new();
    let _daemon = place.single("1");
    place.run(&["run", "--", "/bin/sh", "-c", "setsid sleep 1000 & sleep 1000 & exit 0"]).expect(0);
    assert_eq!(place.attempts(), []);
}

#[test]
fn a_graph_is_cancelled_whole() {
    let place = Place::new();
    let _daemon = place.single("1");
    let text = "[task.a]\ncommand = [\"sleep\", \"1000\"]\n[task.b]\narray = \"1-100\"\ncommand = [\"sleep\", \"1000\"]\n\
                [task.c]\nafter = [\"b\"]\ncommand = [\"true\"]\n";
    let file = place.file("graph.toml", text).display().to_string();
    let first = place.submit(&[&file]);
    let graph = first.replace('t', "g");
    until_true("one runs", SOON, || !place.attempts().is_empty());
    place.run(&["cancel", &graph]).expect(0).says(&["cancelling 102 tasks"]);
    place.run(&["wait", "--timeout", "30s", &graph]).expect(1);
    let row = &place.run(&["list", "--json"]).expect(0).json()[0];
    assert_eq!((&row["tasks"]["cancelled"], &row["tasks"]["total"]), (&102.into(), &102.into()));
    assert_eq!(place.attempts(), []);
}

#[test]
fn ctrl_c_of_a_run_on_a_daemon_cancels_it() {
    let place = Place::new();
    let _daemon = place.single("1");
    let run = Running::start(&mut place.crab(&["run", "--", "sleep", "1000"]));
    until_true("it runs", SOON, || !place.attempts().is_empty());
    run.signal(Signal::SIGINT);
    run.end().expect(130).says(&["cancelling, again to kill"]);
    assert_eq!(place.attempts(), []);
    place.wait_state("t1", "cancelled");
}

#[test]
fn ctrl_c_of_an_embedded_run_leaves_nothing() {
    let place = Place::new();
    let file = place.file("graph.toml", "[task.a]\nshell = \"echo up; setsid sleep 1000 & sleep 1000\"\n");
    for twice in [false, true] {
        let mark = place.root().display().to_string();
        let mut command = place.crab(&["run", &file.display().to_string()]);
        command.env("TMPDIR", place.root());
        let run = Running::start(&mut command);
        let others = || crate::support::residue::naming(&mark, run.id());
        until_true("its host runs", SOON, || others().iter().any(|left| left.what.contains("__host")));
        run.signal(Signal::SIGINT);
        if twice {
            run.signal(Signal::SIGINT);
        }
        run.end().expect(130);
        until_true("nothing of it is left", SOON, || crate::support::residue::naming(&mark, 0).is_empty());
    }
}
